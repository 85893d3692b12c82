//! Confirming, cancelling and expiring holds.

use OrderStatus::{Cancelled, Confirmed, Expired, Held};
use kilat_ledger::{Command, OrderId, OrderStatus, Refusal, SaleChange, SaleSwitch, SaleTerms};

use crate::shop::{SALE, Shop, order, refused, seconds, status, terms};

/// A shop with one order of 2 units in the given status, at second 5 (10 if expired).
fn shop_with(wanted: OrderStatus) -> (Shop, OrderId) {
    let mut shop = Shop::with(&terms());
    let id = shop.hold("c", "k", 2);
    shop.now = 5;
    match wanted {
        Held => {}
        Confirmed => assert_eq!(status(shop.confirm(id)), (Confirmed, false)),
        Cancelled => assert_eq!(status(shop.cancel(id)), (Cancelled, false)),
        Expired => {
            shop.now = 10;
            assert_eq!(shop.expire(9), 1);
        }
    }
    (shop, id)
}

#[test]
fn every_status_against_confirm_and_cancel() {
    type Expected = Result<(OrderStatus, bool), Refusal>;
    let cases: [(OrderStatus, Expected, Expected, [u64; 3]); 4] = [
        (Held, Ok((Confirmed, false)), Ok((Cancelled, false)), [8, 2, 0]),
        (Confirmed, Ok((Confirmed, true)), Err(Refusal::OrderConfirmed), [8, 0, 2]),
        (Cancelled, Err(Refusal::OrderCancelled), Ok((Cancelled, true)), [10, 0, 0]),
        (Expired, Err(Refusal::HoldExpired), Err(Refusal::HoldExpired), [10, 0, 0]),
    ];
    for (from, on_confirm, on_cancel, units) in cases {
        let (mut shop, id) = shop_with(from);
        assert_eq!(shop.units(), units, "{from:?}");
        check(shop.confirm(id), on_confirm);
        let (mut shop, id) = shop_with(from);
        check(shop.cancel(id), on_cancel);
        let (mut shop, _) = shop_with(from);
        assert_eq!(status(shop.place("c", "k", 2, true)), (from, true));
    }
}

fn check(outcome: kilat_ledger::Outcome, expected: Result<(OrderStatus, bool), Refusal>) {
    match expected {
        Ok(expected) => assert_eq!(status(outcome), expected),
        Err(refusal) => assert_eq!(outcome, refused(refusal)),
    }
}

#[test]
fn a_hold_ends_exactly_at_its_end() {
    for (now, expected) in [(9, Ok((Confirmed, false))), (10, Err(Refusal::HoldExpired))] {
        let mut shop = Shop::with(&terms());
        let id = shop.hold("c", "k", 2);
        shop.now = now;
        check(shop.confirm(id), expected);
    }
}

#[test]
fn a_due_hold_counts_as_expired_before_its_expiry_is_processed() {
    let mut shop = Shop::with(&terms());
    let id = shop.hold("c", "k", 10);
    let decide = |now, command| {
        let decision = shop.ledger.decide(seconds(now), &command);
        assert!(decision.fact.is_none());
        decision.outcome
    };
    let (sale, by) = (SALE, None);
    let confirm = Command::ConfirmOrder { sale, order: id, by };
    let cancel = Command::CancelOrder { sale, order: id, by };
    assert_eq!(decide(10, confirm), refused(Refusal::HoldExpired));
    assert_eq!(decide(10, cancel), refused(Refusal::HoldExpired));
    let place = |key, quantity, hold| {
        let print = &crate::shop::FINGERPRINTER;
        let id = OrderId::from_bits(77);
        let place = kilat_ledger::PlaceOrder::new(print, id, SALE, "c", key, quantity, hold);
        Command::PlaceOrder(place)
    };
    assert_eq!(status(decide(9, place("k", 10, true))), (Held, true));
    assert_eq!(status(decide(10, place("k", 10, true))), (Expired, true));
    // Its units are not back yet: nothing may be sold of them.
    assert_eq!(decide(10, place("new", 1, false)), refused(Refusal::SoldOut));
}

#[test]
fn expiry_is_bounded_and_earliest_first() {
    let mut shop = Shop::with(&terms());
    let mut ids = Vec::new();
    for now in 0..4 {
        shop.now = now;
        ids.push(shop.hold("c", &now.to_string(), 1));
    }
    assert_eq!(shop.ledger.next_expiry(), Some(seconds(10)));
    shop.now = 12;
    assert_eq!(shop.expire(2), 2);
    assert_eq!(shop.ledger.next_expiry(), Some(seconds(12)));
    assert_eq!(shop.expire(2), 1);
    assert_eq!(shop.expire(2), 0);
    let stored = |id: &OrderId| shop.ledger.order(SALE, *id).unwrap().0.status;
    let now: Vec<_> = ids.iter().map(stored).collect();
    assert_eq!(now, [Expired, Expired, Expired, Held]);
    assert_eq!(shop.ledger.next_expiry(), Some(seconds(13)));
    assert_eq!(shop.counters().expired, 3);
}

#[test]
fn confirm_and_cancel_work_after_closing_and_pausing() {
    for state in [SaleSwitch::Closed, SaleSwitch::Paused] {
        let mut shop = Shop::with(&terms());
        let (kept, dropped) = (shop.hold("c", "1", 1), shop.hold("c", "2", 1));
        let state = Some(state);
        shop.change("x", &SaleChange { state, ..SaleChange::default() });
        assert_eq!(status(shop.confirm(kept)), (Confirmed, false));
        assert_eq!(status(shop.cancel(dropped)), (Cancelled, false));
    }
}

#[test]
fn an_order_belongs_to_its_sale_and_its_customer() {
    let mut shop = Shop::with(&terms());
    shop.create(&SaleTerms { id: "other".to_owned(), ..terms() });
    let order = shop.hold("c", "k", 1);
    let strange = OrderId::from_bits(u128::MAX);
    let cases = [
        ("none", order, None, Refusal::SaleNotFound),
        ("other", order, None, Refusal::OrderNotFound),
        (SALE, strange, None, Refusal::OrderNotFound),
        (SALE, order, Some("d"), Refusal::OrderNotFound),
        (SALE, order, Some(""), Refusal::OrderNotFound),
    ];
    for (sale, order, by, refusal) in cases {
        let confirm = Command::ConfirmOrder { sale, order, by };
        assert_eq!(shop.run(&confirm), refused(refusal), "{confirm:?}");
        let cancel = Command::CancelOrder { sale, order, by };
        assert_eq!(shop.run(&cancel), refused(refusal), "{cancel:?}");
    }
    let (sale, by) = (SALE, Some("c"));
    let confirm = Command::ConfirmOrder { sale, order, by };
    assert_eq!(status(shop.run(&confirm)), (Confirmed, false));
}

#[test]
fn a_clock_that_goes_back_resurrects_nothing() {
    let mut shop = Shop::with(&SaleTerms { opens_at: Some(seconds(50)), ..terms() });
    shop.now = 100;
    let id = shop.hold("c", "k", 1);
    shop.now = 110;
    assert_eq!(shop.expire(1), 1);
    shop.now = -3_600;
    assert_eq!(shop.confirm(id), refused(Refusal::HoldExpired));
    assert_eq!(shop.ledger.clamp(seconds(shop.now)), seconds(110));
    let held = order(shop.place("c", "k2", 1, true));
    assert_eq!(held.expires_at, Some(seconds(120)));
    assert_eq!(held.sequence, 4);
}

#[test]
fn a_hold_of_no_time_is_over_at_once() {
    let mut shop = Shop::with(&SaleTerms { hold_seconds: 0, ..terms() });
    let id = shop.hold("c", "k", 1);
    assert_eq!(shop.confirm(id), refused(Refusal::HoldExpired));
    assert_eq!(shop.units(), [10, 0, 0]);
}
