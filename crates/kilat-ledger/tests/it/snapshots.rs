//! Snapshots of more than one chunk, their versions, and snapshots that can't be right.

use kilat_ledger::{
    Corrupt, Fingerprinter, IndexKind, Ledger, OrderStatus, Part, PartKind, PartName, Piece,
    Pieces, SaleTerms,
};

use crate::shop::{FINGERPRINTER, SALE, Shop, encode, status, terms, thaw};

const CHUNK: usize = 16_384;

/// A shop with two full chunks and a bit, whose first order is a hold.
fn large() -> (Shop, kilat_ledger::OrderId) {
    let mut shop = Shop::with(&SaleTerms { supply: 100_000, hold_seconds: 1_000, ..terms() });
    let held = shop.hold("holder", "k", 1);
    for number in 1..2 * CHUNK + 100 {
        shop.buy(&format!("c{}", number % 20_000), &number.to_string(), 1);
    }
    (shop, held)
}

fn changed(before: &[Part], after: &[Part]) -> Vec<String> {
    let new = after.iter().filter(|part| !before.contains(part));
    new.map(|part| part.name.to_string()).collect()
}

#[test]
fn a_part_has_a_new_version_exactly_when_it_changed() {
    let (mut shop, held) = large();
    let first = shop.ledger.freeze();
    let names: Vec<_> = first.parts().iter().map(|part| part.name.to_string()).collect();
    let expected = [
        "sales-000000",
        "orders-000000",
        "orders-000001",
        "orders-000002",
        "customers-000000",
        "customers-000001",
    ];
    assert_eq!(names, expected);
    shop.confirm(held);
    let second = shop.ledger.freeze();
    assert_eq!(changed(&first.parts(), &second.parts()), ["sales-000000", "orders-000000"]);
    shop.buy("c1", "more", 1);
    let third = shop.ledger.freeze();
    assert_eq!(changed(&second.parts(), &third.parts()), ["sales-000000", "orders-000002"]);
    shop.buy("new", "more", 1);
    let fourth = shop.ledger.freeze();
    assert_eq!(
        changed(&third.parts(), &fourth.parts()),
        ["sales-000000", "orders-000002", "customers-000001"]
    );
}

#[test]
fn a_snapshot_does_not_see_what_comes_after() {
    let (mut shop, held) = large();
    let frozen = shop.ledger.freeze();
    shop.confirm(held);
    shop.buy("new", "more", 1);
    let thawed = thaw(&encode(&frozen)).unwrap();
    assert_eq!(thawed.order(SALE, held).unwrap().0.status, OrderStatus::Held);
    assert_eq!(thawed.orders_len() as usize, 2 * CHUNK + 100);
    assert_eq!(thawed.next_expiry(), shop.ledger.clamp(thawed.next_expiry().unwrap()).into());
    assert_eq!(shop.ledger.order(SALE, held).unwrap().0.status, OrderStatus::Confirmed);
}

#[test]
fn a_thawed_ledger_goes_on_and_remembers() {
    let (shop, held) = large();
    let mut thawed = Shop::new();
    thawed.ledger = thaw(&encode(&shop.ledger.freeze())).unwrap();
    assert_eq!(status(thawed.place("holder", "k", 1, true)), (OrderStatus::Held, true));
    assert_eq!(status(thawed.buy("c7", "7", 1)), (OrderStatus::Confirmed, true));
    assert_eq!(status(thawed.confirm(held)), (OrderStatus::Confirmed, false));
    let orders = |shop: &Shop| shop.ledger.orders_of(SALE, "c7", 0, 9).unwrap().len();
    assert_eq!(orders(&thawed), 2);
    assert_eq!(orders(&thawed), orders(&shop));
}

#[test]
fn indexes_may_be_built_apart_and_in_any_order() {
    let (shop, _) = large();
    let parts = encode(&shop.ledger.freeze());
    let decoded = parts.iter().rev().map(|(name, bytes)| Piece::decode(*name, bytes).unwrap());
    let pieces = Pieces::collect(FINGERPRINTER, decoded.collect()).unwrap();
    let built = IndexKind::ALL.map(|kind| pieces.build(kind).unwrap());
    let ledger = pieces.assemble(built.into_iter().rev().collect()).unwrap();
    assert_eq!(encode(&ledger.freeze()), parts);
}

#[test]
fn an_empty_ledger_thaws() {
    let parts = encode(&Ledger::new(FINGERPRINTER).freeze());
    assert_eq!(parts.len(), 1);
    assert_eq!(thaw(&parts).unwrap().sales().len(), 0);
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let (mut shop, held) = large();
    let old = encode(&shop.ledger.freeze());
    shop.confirm(held);
    let new = encode(&shop.ledger.freeze());
    for missing in 0..new.len() {
        let mut parts = new.clone();
        parts.remove(missing);
        assert!(matches!(thaw(&parts), Err(Corrupt::Contradiction(_))), "{missing}");
    }
    for mixed in [0, 1] {
        let mut parts = new.clone();
        parts[mixed] = old[mixed].clone();
        assert!(matches!(thaw(&parts), Err(Corrupt::Contradiction(_))), "{mixed}");
    }
    let mut twice = new.clone();
    twice.push(new[1].clone());
    assert!(matches!(thaw(&twice), Err(Corrupt::Contradiction(_))));
    let renamed = PartName { kind: PartKind::Orders, number: 1 };
    assert!(Piece::decode(renamed, &new[1].1).is_err());
}

#[test]
fn another_key_is_refused() {
    let parts = encode(&Shop::with(&terms()).ledger.freeze());
    let parts = parts.iter().map(|(name, bytes)| (*name, bytes.as_slice()));
    let thawed = Ledger::thaw(Fingerprinter::new([0; 16]), parts);
    assert_eq!(thawed.err(), Some(Corrupt::OtherKey));
}

#[test]
fn a_part_that_is_not_there_is_not_encoded() {
    let frozen = Shop::with(&terms()).ledger.freeze();
    let known = frozen.parts()[0];
    let other = PartName { kind: PartKind::Orders, number: 0 };
    let mut out = Vec::new();
    for part in [Part { version: known.version + 1, ..known }, Part { name: other, ..known }] {
        assert!(!frozen.encode(&part, &mut out));
    }
    assert!(out.is_empty());
}

#[test]
fn a_part_has_one_name() {
    let name = PartName { kind: PartKind::Orders, number: 12 };
    assert_eq!(name.to_string(), "orders-000012");
    assert_eq!("orders-000012".parse(), Ok(name));
    for wrong in ["", "orders", "orders-12", "orders-+00012", "others-000012", "orders-0000012"] {
        assert!(wrong.parse::<PartName>().is_err(), "{wrong}");
    }
}
