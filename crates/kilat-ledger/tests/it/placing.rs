//! Placing orders: every refusal, and which goes before which.

use kilat_ledger::{OrderStatus, Outcome, Refusal, SaleChange, SaleState, SaleSwitch, SaleTerms};

use crate::shop::{SALE, Shop, order, refused, seconds, status, terms};

/// What may be wrong with an order at the same time. The order of the rules.
const RULES: [Refusal; 6] = [
    Refusal::Closed,
    Refusal::NotOpen,
    Refusal::Paused,
    Refusal::LimitReached,
    Refusal::SoldOut,
    Refusal::OrderIdTaken,
];

/// A shop at second 100 where all of `wrong` apply to an order of `c` for 2 units.
fn shop_where(wrong: &[Refusal]) -> Shop {
    let applies = |refusal| wrong.contains(&refusal);
    let supply = if applies(Refusal::SoldOut) { 2 } else { 10 };
    let mut shop = Shop::with(&SaleTerms {
        supply,
        per_customer: applies(Refusal::LimitReached).then_some(2),
        ..terms()
    });
    assert_eq!(status(shop.buy("c", "first", 1)).0, OrderStatus::Confirmed);
    let change = SaleChange {
        add_supply: 0,
        state: applies(Refusal::Paused).then_some(SaleSwitch::Paused),
        opens_at: applies(Refusal::NotOpen).then_some(Some(seconds(200))),
        closes_at: None,
    };
    shop.change("schedule", &change);
    if applies(Refusal::Closed) {
        let closed = SaleChange { state: Some(SaleSwitch::Closed), ..SaleChange::default() };
        shop.change("close", &closed);
    }
    shop.now = 100;
    shop
}

fn attempt(shop: &mut Shop, taken: bool) -> Outcome {
    use kilat_ledger::{Command, OrderId, PlaceOrder};
    let id = OrderId::from_bits(if taken { 1 } else { 999 });
    let place = PlaceOrder::new(&crate::shop::FINGERPRINTER, id, SALE, "c", "second", 2, false);
    shop.run(&Command::PlaceOrder(place))
}

#[test]
fn each_rule_alone_and_each_pair_is_decided_in_order() {
    for (at, first) in RULES.iter().enumerate() {
        for second in &RULES[at..] {
            let wrong = [*first, *second];
            let taken = wrong.contains(&Refusal::OrderIdTaken);
            let mut shop = shop_where(&wrong);
            assert_eq!(attempt(&mut shop, taken), refused(*first), "{wrong:?}");
        }
    }
    assert!(matches!(attempt(&mut shop_where(&[]), false), Outcome::Order { .. }));
}

#[test]
fn replay_and_key_reuse_go_before_all_others() {
    for rule in RULES {
        let mut shop = shop_where(&[rule]);
        assert_eq!(status(shop.buy("c", "first", 1)), (OrderStatus::Confirmed, true), "{rule:?}");
        for (quantity, hold) in [(2, false), (1, true), (0, false)] {
            let reused = shop.place("c", "first", quantity, hold);
            assert_eq!(reused, refused(Refusal::KeyReused), "{rule:?}");
        }
    }
}

#[test]
fn malformed_orders_and_unknown_sales() {
    let mut shop = shop_where(&[Refusal::Closed]);
    let long_customer = "c".repeat(kilat_ledger::CUSTOMER_BYTES_MAX + 1);
    let long_key = "k".repeat(kilat_ledger::KEY_BYTES_MAX + 1);
    let cases = [
        (SALE, "c", "k", 0, Refusal::InvalidQuantity),
        (SALE, &long_customer, "k", 1, Refusal::TooLong),
        (SALE, "c", &long_key, 1, Refusal::TooLong),
        ("other", "c", "k", 0, Refusal::InvalidQuantity),
        ("other", "c", "first", 1, Refusal::SaleNotFound),
    ];
    for (sale, customer, key, quantity, refusal) in cases {
        let outcome = shop.place_in(sale, customer, key, quantity, false);
        assert_eq!(outcome, refused(refusal));
    }
}

#[test]
fn the_longest_texts_are_kept_whole() {
    let mut shop = Shop::with(&terms());
    let customer = "é".repeat(kilat_ledger::CUSTOMER_BYTES_MAX / 2);
    let key = "k".repeat(kilat_ledger::KEY_BYTES_MAX);
    let placed = order(shop.buy(&customer, &key, 1));
    let found = shop.ledger.order(SALE, placed.id);
    assert_eq!(found, Some((placed, customer.as_str())));
}

#[test]
fn a_key_is_scoped_to_sale_and_customer() {
    let mut shop = Shop::with(&terms());
    shop.create(&SaleTerms { id: "other".to_owned(), ..terms() });
    for (sale, customer) in [(SALE, "a"), (SALE, "b"), ("other", "a"), ("other", "b")] {
        let outcome = shop.place_in(sale, customer, "key", 1, false);
        assert!(!status(outcome).1, "{sale} {customer}");
    }
    // The same bytes cut elsewhere are another customer and key.
    for (customer, key) in [("ab", "c"), ("a", "bc"), ("", "abc"), ("abc", "")] {
        assert!(!status(shop.buy(customer, key, 1)).1, "{customer} {key}");
    }
}

#[test]
fn opening_and_closing_times_are_exact() {
    let mut shop = Shop::with(&SaleTerms {
        opens_at: Some(seconds(10)),
        closes_at: Some(seconds(20)),
        ..terms()
    });
    let cases = [
        (9, Some(Refusal::NotOpen), SaleState::Scheduled),
        (10, None, SaleState::Open),
        (19, None, SaleState::Open),
        (20, Some(Refusal::Closed), SaleState::Closed),
    ];
    for (now, refusal, state) in cases {
        shop.now = now;
        let outcome = shop.buy("c", &now.to_string(), 1);
        match refusal {
            Some(refusal) => assert_eq!(outcome, refused(refusal), "at {now}"),
            None => assert!(!status(outcome).1, "at {now}"),
        }
        let sale = shop.ledger.sale(SALE).unwrap();
        assert_eq!(sale.state(seconds(now)), state, "at {now}");
    }
    assert_eq!(status(shop.buy("c", "10", 1)), (OrderStatus::Confirmed, true));
}

#[test]
fn states_in_their_order() {
    let open = SaleTerms { supply: 0, ..terms() };
    let mut shop = Shop::with(&open);
    let state = |shop: &Shop| shop.ledger.sale(SALE).unwrap().state(seconds(shop.now));
    assert_eq!(state(&shop), SaleState::SoldOut);
    let set = |shop: &mut Shop, key: &str, change| {
        let outcome = shop.change(key, &change);
        assert_eq!(outcome, Outcome::SaleChanged { replayed: false });
    };
    let nothing = SaleChange::default();
    set(&mut shop, "1", SaleChange { state: Some(SaleSwitch::Paused), ..nothing });
    assert_eq!(state(&shop), SaleState::Paused);
    set(&mut shop, "2", SaleChange { opens_at: Some(Some(seconds(9))), ..nothing });
    assert_eq!(state(&shop), SaleState::Scheduled);
    set(&mut shop, "3", SaleChange { state: Some(SaleSwitch::Closed), ..nothing });
    assert_eq!(state(&shop), SaleState::Closed);
}

#[test]
fn a_limit_counts_holds_and_gets_back_what_returns() {
    let mut shop = Shop::with(&SaleTerms { per_customer: Some(3), ..terms() });
    let held = shop.hold("c", "1", 2);
    assert_eq!(shop.buy("c", "2", 2), refused(Refusal::LimitReached));
    assert!(!status(shop.buy("c", "3", 1)).1);
    assert_eq!(shop.buy("c", "4", 1), refused(Refusal::LimitReached));
    assert!(!status(shop.buy("d", "4", 3)).1);
    shop.cancel(held);
    let again = shop.hold("c", "4", 2);
    shop.now = 10;
    assert_eq!(status(shop.place("c", "5", 2, true)), (OrderStatus::Held, false));
    assert_eq!(shop.confirm(again), refused(Refusal::HoldExpired));
    assert_eq!(shop.buy("c", "6", u32::MAX), refused(Refusal::LimitReached));
}

#[test]
fn sold_out_also_when_fewer_are_left_and_not_for_ever() {
    let mut shop = Shop::with(&SaleTerms { supply: 3, ..terms() });
    assert_eq!(shop.buy("a", "1", 4), refused(Refusal::SoldOut));
    assert!(!status(shop.buy("a", "1", 2)).1, "a refused key may be used again");
    assert_eq!(shop.buy("b", "1", 2), refused(Refusal::SoldOut));
    assert!(!status(shop.buy("b", "1", 1)).1);
    assert_eq!(shop.buy("c", "1", 1), refused(Refusal::SoldOut));
    shop.change("more", &SaleChange { add_supply: 1, ..SaleChange::default() });
    assert!(!status(shop.buy("c", "1", 1)).1);
    assert_eq!(shop.units(), [0, 0, 4]);
}

#[test]
fn many_holds_of_nothing_left_never_oversell() {
    let mut shop = Shop::with(&SaleTerms { supply: 5, ..terms() });
    for customer in 0..20 {
        shop.place(&customer.to_string(), "k", 1, customer % 2 == 0);
    }
    assert_eq!(shop.units(), [0, 3, 2]);
}
