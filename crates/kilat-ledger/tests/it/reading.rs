//! Queries and pages.

use kilat_ledger::{Order, OrderId, SaleTerms};

use crate::shop::{SALE, Shop, order, terms};

/// 1,000 orders of two sales, every third by the same customer.
fn shop() -> (Shop, Vec<(Order, String)>) {
    let mut shop = Shop::with(&SaleTerms { supply: 5_000, ..terms() });
    shop.create(&SaleTerms { id: "other".to_owned(), supply: 5_000, ..terms() });
    let mut placed = Vec::new();
    for number in 0..1_000 {
        let customer = match number % 3 {
            0 => "often".to_owned(),
            _ => format!("c{number}"),
        };
        let sale = if number % 5 == 0 { "other" } else { SALE };
        let outcome = shop.place_in(sale, &customer, &number.to_string(), 1, false);
        if sale == SALE {
            placed.push((order(outcome), customer));
        }
    }
    (shop, placed)
}

/// All pages of `limit`, by the sequence of the last order seen.
fn pages<'a>(limit: usize, page: impl Fn(u64) -> Vec<(Order, &'a str)>) -> Vec<(Order, String)> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let found = page(after);
        assert!(found.len() <= limit);
        let Some(last) = found.last() else { return all };
        after = last.0.sequence;
        all.extend(found.into_iter().map(|(order, name)| (order, name.to_owned())));
    }
}

#[test]
fn pages_hold_all_orders_once_and_in_sequence() {
    let (shop, placed) = shop();
    for limit in [1, 7, 256, 5_000] {
        let all = pages(limit, |after| shop.ledger.orders(SALE, after, limit).unwrap());
        assert_eq!(all, placed, "limit {limit}");
    }
}

#[test]
fn pages_of_a_customer() {
    let (shop, placed) = shop();
    let mut of_often = placed;
    of_often.retain(|(_, name)| name == "often");
    for limit in [1, 7, 5_000] {
        let page = |after| shop.ledger.orders_of(SALE, "often", after, limit).unwrap();
        assert_eq!(pages(limit, page), of_often, "limit {limit}");
    }
    // A cursor that is no order of the customer's.
    let after = of_often[10].0.sequence + 1;
    let found = shop.ledger.orders_of(SALE, "often", after, 1).unwrap();
    assert_eq!(found[0].0, of_often[11].0);
    assert_eq!(shop.ledger.orders_of(SALE, "never", 0, 9), Some(Vec::new()));
}

#[test]
fn what_is_not_there() {
    let (shop, placed) = shop();
    assert!(shop.ledger.sale("none").is_none());
    assert!(shop.ledger.audit("none").is_none());
    assert!(shop.ledger.orders("none", 0, 1).is_none());
    assert!(shop.ledger.orders_of("none", "often", 0, 1).is_none());
    assert!(shop.ledger.order(SALE, OrderId::from_bits(0)).is_none());
    assert!(shop.ledger.order("other", placed[0].0.id).is_none());
    assert_eq!(shop.ledger.orders(SALE, u64::MAX, 1), Some(Vec::new()));
    assert_eq!(shop.ledger.next_expiry(), None);
}

#[test]
fn an_order_id_has_one_spelling() {
    let id = OrderId::from_bits(0xabc);
    let text = "00000000000000000000000000000abc";
    assert_eq!(id.to_string(), text);
    assert_eq!(text.parse(), Ok(id));
    let wrong = ["", "abc", "00000000000000000000000000000ABC", "+0000000000000000000000000000abc"];
    for wrong in wrong {
        assert!(wrong.parse::<OrderId>().is_err(), "{wrong}");
    }
}
