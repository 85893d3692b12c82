//! Creating and changing sales.

use kilat_ledger::{
    Command, Outcome, Refusal, SUPPLY_MAX, SaleChange, SaleSwitch, SaleTerms, TERMS_TEXT_BYTES_MAX,
};

use crate::shop::{SALE, Shop, refused, seconds, status, terms};

const NOTHING: SaleChange =
    SaleChange { add_supply: 0, state: None, opens_at: None, closes_at: None };

const fn changed(replayed: bool) -> Outcome {
    Outcome::SaleChanged { replayed }
}

const fn switch(state: SaleSwitch) -> SaleChange {
    SaleChange { state: Some(state), ..NOTHING }
}

#[test]
fn creating_is_idempotent_by_content() {
    let mut shop = Shop::with(&terms());
    shop.change("k", &SaleChange { add_supply: 5, opens_at: Some(Some(seconds(3))), ..NOTHING });
    assert_eq!(shop.create(&terms()), Outcome::SaleAlreadyCreated);
    let others = [
        SaleTerms { title: "Other".to_owned(), ..terms() },
        SaleTerms { supply: 15, ..terms() },
        SaleTerms { per_customer: Some(1), ..terms() },
        SaleTerms { hold_seconds: 11, ..terms() },
        SaleTerms { supply: SUPPLY_MAX + 1, ..terms() },
    ];
    for other in others {
        assert_eq!(shop.create(&other), refused(Refusal::SaleExists));
    }
}

#[test]
fn terms_that_can_not_be() {
    let times = |opens_at: i64, closes_at: i64| SaleTerms {
        opens_at: Some(seconds(opens_at)),
        closes_at: Some(seconds(closes_at)),
        ..terms()
    };
    let title = "t".repeat(TERMS_TEXT_BYTES_MAX + 1);
    let cases = [
        (times(5, 5), Some(Refusal::InvalidSchedule)),
        (times(5, 4), Some(Refusal::InvalidSchedule)),
        (times(5, 6), None),
        (SaleTerms { supply: SUPPLY_MAX + 1, ..terms() }, Some(Refusal::SupplyOverflow)),
        (SaleTerms { supply: SUPPLY_MAX, ..terms() }, None),
        (SaleTerms { title, ..terms() }, Some(Refusal::TooLong)),
    ];
    for (terms, refusal) in cases {
        let expected = refusal.map_or(Outcome::SaleCreated, refused);
        assert_eq!(Shop::new().create(&terms), expected);
    }
}

#[test]
fn a_change_is_made_once_per_key() {
    let mut shop = Shop::with(&terms());
    let more = SaleChange { add_supply: 5, ..NOTHING };
    assert_eq!(shop.change("k", &more), changed(false));
    assert_eq!(shop.change("k", &more), changed(true));
    assert_eq!(shop.change("k", &NOTHING), refused(Refusal::KeyReused));
    assert_eq!(shop.counters().supply, 15);
    assert_eq!(shop.change("k2", &more), changed(false));
    assert_eq!(shop.counters().supply, 20);
    assert_eq!(shop.change("close", &switch(SaleSwitch::Closed)), changed(false));
    assert_eq!(shop.change("k", &more), changed(true), "also after closing");
}

#[test]
fn a_closed_sale_can_not_be_changed() {
    let by_switch = switch(SaleSwitch::Closed);
    let by_time = SaleChange { closes_at: Some(Some(seconds(1))), ..NOTHING };
    for close in [by_switch, by_time] {
        let mut shop = Shop::with(&terms());
        shop.change("close", &close);
        shop.now = 1;
        let reopen = SaleChange { closes_at: Some(None), ..switch(SaleSwitch::Open) };
        for change in [reopen, NOTHING, SaleChange { add_supply: u64::MAX, ..NOTHING }] {
            assert_eq!(shop.change("x", &change), refused(Refusal::Closed));
        }
        assert_eq!(shop.buy("c", "k", 1), refused(Refusal::Closed));
    }
}

#[test]
fn changes_that_can_not_be() {
    let mut shop = Shop::with(&SaleTerms { opens_at: Some(seconds(10)), ..terms() });
    let ends = |at| SaleChange { closes_at: Some(Some(seconds(at))), ..NOTHING };
    let both = SaleChange { opens_at: Some(None), ..ends(5) };
    let more = |add_supply| SaleChange { add_supply, ..NOTHING };
    let long = "k".repeat(kilat_ledger::KEY_BYTES_MAX + 1);
    let cases = [
        ("a", ends(10), refused(Refusal::InvalidSchedule)),
        ("a", more(u64::MAX), refused(Refusal::SupplyOverflow)),
        ("a", more(SUPPLY_MAX - 9), refused(Refusal::SupplyOverflow)),
        (&long, NOTHING, refused(Refusal::TooLong)),
        ("a", both, changed(false)),
        ("b", more(SUPPLY_MAX - 10), changed(false)),
    ];
    for (key, change, expected) in cases {
        assert_eq!(shop.change(key, &change), expected, "{change:?}");
    }
    let unknown = Command::ChangeSale { sale: "none", key: "k", change: &NOTHING };
    assert_eq!(shop.run(&unknown), refused(Refusal::SaleNotFound));
}

#[test]
fn pausing_and_resuming() {
    let mut shop = Shop::with(&terms());
    shop.change("1", &switch(SaleSwitch::Paused));
    assert_eq!(shop.buy("c", "k", 1), refused(Refusal::Paused));
    shop.change("2", &switch(SaleSwitch::Open));
    assert!(!status(shop.buy("c", "k", 1)).1);
    let sale = shop.ledger.sale(SALE).unwrap();
    assert_eq!((sale.sequence, sale.number), (4, 0));
}
