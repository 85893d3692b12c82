//! What every backend must do, with all that can be asked of it: the answers go through whatever
//! lies between the caller and the ledger and must come out whole.

use crate::in_stripes;
use crate::node::{Backend, Node, Way as _, everywhere};
use crate::sale::{SALE, confirm, order, ordered, place, refused};
use kilat_engine::{
    Change, OrderId, OrderRef, OrderStatus, OrderText, Orders, Outcome, Page, Refusal, SaleChange,
    SaleSwitch, SaleTerms, Time, Unavailable,
};

everywhere! {
    a_sale_comes_back_as_it_was_made,
    changes_of_a_sale_are_made_once,
    a_hold_ends_once,
    a_group_is_answered_in_its_order,
    the_board_is_never_behind_a_reply,
    what_is_not_there_is_said_so,
    a_group_that_no_batch_holds_is_refused,
}

fn full_terms() -> SaleTerms {
    SaleTerms {
        id: SALE.into(),
        title: "Lampu \u{26a1} \"<&>\"".into(),
        sku: "SKU-1".into(),
        price_amount: "24999000.50".into(),
        price_currency: "IDR".into(),
        supply: 7,
        per_customer: Some(3),
        opens_at: Some(Time::from_millis(-1)),
        closes_at: Some(Time::from_millis(i64::MAX)),
        hold_seconds: u32::MAX,
    }
}

async fn change(node: &Node, key: &str, change: SaleChange) -> Outcome {
    let change = Change::ChangeSale { sale: SALE.into(), key: key.into(), change };
    node.handle().change(change).await.unwrap().0
}

async fn a_sale_comes_back_as_it_was_made(backend: Backend) {
    let node = backend.open();
    let terms = Box::new(full_terms());
    let (created, at) = node.handle().change(Change::CreateSale { terms }).await.unwrap();
    assert!(matches!(created, Outcome::SaleCreated), "{created:?}");
    assert!(at.as_millis() > 0);
    let sale = node.handle().sale(SALE).await.unwrap().unwrap();
    assert_eq!((&sale.terms, sale.counters.available), (&full_terms(), 7));
    assert!(in_stripes::has_facts(&node, &sale, 1), "{sale:?}");
    assert_eq!(node.handle().sales().await.unwrap(), std::slice::from_ref(&sale));
    assert_eq!(node.handle().current(SALE).await.unwrap(), Some(sale.clone()));
    assert_eq!(node.handle().board().sales(), [sale]);
}

async fn changes_of_a_sale_are_made_once(backend: Backend) {
    let node = backend.with_sale(10).await;
    let more = SaleChange { add_supply: 5, ..SaleChange::default() };
    assert_eq!(change(&node, "more", more).await, Outcome::SaleChanged { replayed: false });
    assert_eq!(change(&node, "more", more).await, Outcome::SaleChanged { replayed: true });
    let opens_at = Some(Some(Time::from_millis(i64::MAX - 1)));
    let later = SaleChange { opens_at, closes_at: Some(None), ..SaleChange::default() };
    assert_eq!(change(&node, "later", later).await, Outcome::SaleChanged { replayed: false });
    assert_eq!(refused(place(&node, "early", false).await.unwrap()), Some(Refusal::NotOpen));
    for (key, state, why) in [
        ("now", None, None),
        ("pause", Some(SaleSwitch::Paused), Some(Refusal::Paused)),
        ("close", Some(SaleSwitch::Closed), Some(Refusal::Closed)),
    ] {
        let opens_at = Some(None);
        let made = change(&node, key, SaleChange { state, opens_at, ..SaleChange::default() });
        assert_eq!(made.await, Outcome::SaleChanged { replayed: false });
        assert_eq!(refused(place(&node, key, false).await.unwrap()), why, "{key}");
    }
    let sale = node.handle().sale(SALE).await.unwrap().unwrap();
    assert_eq!((sale.counters.supply, sale.switch), (15, SaleSwitch::Closed));
}

async fn a_hold_ends_once(backend: Backend) {
    let node = backend.with_sale(10).await;
    let (held, _) = ordered(place(&node, "budi", true).await.unwrap()).unwrap();
    for replayed in [false, true] {
        let confirmed = confirm(&node, held).await;
        let Outcome::Order { order, replayed: was } = confirmed else { panic!("{confirmed:?}") };
        assert_eq!((order.status, was, order.hold), (OrderStatus::Confirmed, replayed, true));
        assert!(order.expires_at.is_some());
    }
    let cancel = |by: Option<&str>| {
        let by = by.map(str::to_owned);
        Change::CancelOrder(OrderRef { sale: SALE.into(), order: held, by })
    };
    let answers = [(None, Refusal::OrderConfirmed), (Some("another"), Refusal::OrderNotFound)];
    for (by, why) in answers {
        assert_eq!(refused(node.handle().change(cancel(by)).await.unwrap().0), Some(why));
    }
    let found = node.handle().order(SALE, held).await.unwrap().unwrap();
    assert_eq!((found.customer.as_str(), found.order.status), ("budi", OrderStatus::Confirmed));
}

async fn a_group_is_answered_in_its_order(backend: Backend) {
    let node = backend.with_sale(3).await;
    let names = in_stripes::neighbours(&node, 4).await;
    let [a, b, c, d] = [0, 1, 2, 3].map(|n| names[n].as_str());
    let mut orders = Orders::default();
    for (n, key) in [a, b, a, c, d].iter().enumerate() {
        let text = OrderText { sale: SALE, customer: key, key };
        let id = OrderId::from_bits(1 + n as u128);
        orders.push(node.handle().hasher(), id, &text, 1, false);
    }
    let placed = node.handle().place_all(orders).await.unwrap();
    let told: Vec<_> = placed.outcomes().iter().map(|outcome| ordered(*outcome)).collect();
    let id = |bits| OrderId::from_bits(bits);
    let expected = [
        Some((id(1), false)),
        Some((id(2), false)),
        Some((id(1), true)),
        Some((id(4), false)),
        None,
    ];
    assert_eq!(told, expected);
    assert_eq!(refused(placed.outcomes()[4]), Some(Refusal::SoldOut));
    let customers: Vec<_> = placed.orders.iter().map(|order| order.customer.to_owned()).collect();
    assert_eq!(customers, [a, b, a, c, d]);
    let page = Page { sale: SALE.into(), customer: Some(a.into()), after: 0, limit: 10 };
    assert_eq!(node.handle().orders(page).await.unwrap().unwrap().len(), 1);
}

async fn the_board_is_never_behind_a_reply(backend: Backend) {
    let node = backend.with_sale(1_000).await;
    for n in 1..=200 {
        place(&node, &n.to_string(), false).await.unwrap();
        assert_eq!(node.handle().board().sale(SALE).unwrap().counters.sold, n);
    }
}

async fn what_is_not_there_is_said_so(backend: Backend) {
    let node = backend.open();
    let nothing = OrderId::from_bits(1);
    assert_eq!(node.handle().sale("none").await.unwrap(), None);
    assert_eq!(node.handle().order("none", nothing).await.unwrap(), None);
    let page = Page { sale: "none".into(), customer: None, after: 0, limit: 10 };
    assert_eq!(node.handle().orders(page).await.unwrap(), None);
    assert_eq!(refused(place(&node, "a", false).await.unwrap()), Some(Refusal::SaleNotFound));
    assert!(node.handle().board().follow("none").is_none());
}

async fn a_group_that_no_batch_holds_is_refused(backend: Backend) {
    let node = backend.with_sale(10).await;
    let long = "c".repeat(60_000);
    let mut orders = order(&node, OrderId::from_bits(1), "first", false);
    for n in 2..200 {
        let text = OrderText { sale: SALE, customer: &long, key: "key" };
        orders.push(node.handle().hasher(), OrderId::from_bits(n), &text, 1, false);
    }
    let Err(why) = node.handle().place_all(orders).await else { panic!("taken") };
    assert_eq!(why, Unavailable::Overloaded);
    assert!(ordered(place(&node, "next", false).await.unwrap()).is_some());
}
