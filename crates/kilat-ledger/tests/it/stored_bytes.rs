//! Stored bytes that are cut, changed or made up: an error or a valid state, never a panic.

use kilat_ledger::{
    BATCH_HEADER_BYTES, Batch, Corrupt, Fact, FactKind, Facts, Ledger, OrderId, PartKind, PartName,
    Piece,
};
use proptest::collection::vec;
use proptest::prelude::{any, proptest};
use proptest::sample::Index;

use crate::histories::{Run, history};
use crate::shop::{FINGERPRINTER, SALE, Shop, encode, seconds, terms, thaw};

fn replay(batches: &[Vec<u8>]) -> Result<Ledger, Corrupt> {
    let mut ledger = Ledger::new(FINGERPRINTER);
    batches.iter().try_for_each(|batch| ledger.replay(batch))?;
    Ok(ledger)
}

/// A journal of one batch with a fact of each kind.
fn every_kind() -> Vec<u8> {
    let mut shop = Shop::with(&terms());
    let [confirmed, cancelled, _] = ["1", "2", "3"].map(|key| shop.hold("c", key, 1));
    shop.buy("c", "4", 1);
    shop.now = 2;
    shop.confirm(confirmed);
    shop.cancel(cancelled);
    let change =
        kilat_ledger::SaleChange { add_supply: 1, opens_at: Some(None), ..Default::default() };
    shop.change("k", &change);
    shop.now = 10;
    shop.expire(1);
    let mut batch = Batch::new();
    for stored in &shop.journal {
        Facts::decode(stored).unwrap().for_each(|fact| batch.push(&fact.unwrap()));
    }
    assert_eq!(batch.facts(), 9);
    batch.bytes().to_vec()
}

#[test]
fn a_batch_of_every_kind_at_several_times_replays() {
    let ledger = replay(&[every_kind()]).unwrap();
    let units = ledger.audit(SALE).unwrap();
    assert_eq!((units.supply, units.sold, units.cancelled, units.expired), (11, 2, 1, 1));
    assert_eq!(ledger.clamp(seconds(0)), seconds(10));
}

#[test]
fn every_cut_and_every_flipped_bit_is_refused_or_harmless() {
    let bytes = every_kind();
    for len in 0..bytes.len() {
        assert!(replay(&[bytes[..len].to_vec()]).is_err(), "cut at {len}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let _ = replay(&[flipped]);
    }
    let longer = [bytes, vec![0]].concat();
    assert!(replay(&[longer]).is_err());
}

#[test]
fn a_newer_format_is_named() {
    let mut bytes = every_kind();
    bytes[0] = 2;
    assert_eq!(replay(&[bytes]).err(), Some(Corrupt::NewerFormat { found: 2, known: 1 }));
    let (name, mut part) = encode(&Shop::with(&terms()).ledger.freeze()).remove(0);
    part[0] = 2;
    assert_eq!(thaw(&[(name, part)]).err(), Some(Corrupt::NewerFormat { found: 2, known: 1 }));
}

#[test]
fn an_empty_batch_is_a_header() {
    let batch = Batch::new();
    assert_eq!(batch.bytes().len(), BATCH_HEADER_BYTES);
    replay(&[batch.bytes().to_vec()]).unwrap();
}

/// A purchase by "c", as it would be stored.
fn placed(id: u128, key: &'static str, quantity: u32) -> FactKind<'static> {
    let (id, expires_at, prints) = (OrderId::from_bits(id), None, None);
    FactKind::OrderPlaced { id, customer: "c", key, quantity, expires_at, prints }
}

fn fact(at: i64, sale: u32, sequence: u64, kind: FactKind<'static>) -> Fact<'static> {
    Fact { at: seconds(at), sale, sequence, kind }
}

/// What a replay of everything in the shop and then `fact` comes to.
fn replay_after(shop: &Shop, fact: &Fact<'_>) -> Result<Ledger, Corrupt> {
    let mut batch = Batch::new();
    batch.push(fact);
    let mut journal = shop.journal.clone();
    journal.push(batch.bytes().to_vec());
    replay(&journal)
}

#[test]
fn facts_that_contradict_the_state_are_refused() {
    let mut shop = Shop::with(&terms());
    let held = shop.hold("c", "k", 4).to_bits();
    shop.now = 5;
    let settled = shop.hold("c", "k2", 1);
    shop.confirm(settled);
    let unknown = OrderId::from_bits(7);
    let created = || FactKind::SaleCreated { terms: terms().into() };
    let good = replay_after(&shop, &fact(5, 0, 5, placed(77, "new", 5))).unwrap();
    assert_eq!(good.audit(SALE).unwrap().available, 0);
    let cases = [
        ("order id twice", fact(5, 0, 5, placed(held, "new", 1))),
        ("key twice", fact(5, 0, 5, placed(77, "k", 1))),
        ("nothing", fact(5, 0, 5, placed(77, "new", 0))),
        ("oversold", fact(5, 0, 5, placed(77, "new", 6))),
        ("gap", fact(5, 0, 6, placed(77, "new", 5))),
        ("twice", fact(5, 0, 4, placed(77, "new", 5))),
        ("unknown sale", fact(5, 1, 5, placed(77, "new", 5))),
        ("back in time", fact(4, 0, 5, placed(77, "new", 5))),
        ("not held", fact(5, 0, 5, FactKind::OrderCancelled { id: settled })),
        ("unknown order", fact(5, 0, 5, FactKind::OrderExpired { id: unknown })),
        ("sale twice", fact(5, 1, 1, created())),
        ("wrong number", fact(5, 2, 1, created())),
    ];
    for (what, fact) in &cases {
        let refused = matches!(replay_after(&shop, fact), Err(Corrupt::Contradiction(_)));
        assert!(refused, "{what}");
    }
}

#[test]
#[should_panic(expected = "invariant is broken")]
fn evolving_a_contradiction_panics() {
    let mut shop = Shop::with(&terms());
    let id = shop.hold("c", "k", 4);
    let kind = FactKind::OrderExpired { id };
    let (at, sale, sequence) = (seconds(0), 0, 7);
    shop.ledger.evolve(&Fact { at, sale, sequence, kind });
}

proptest! {
    #[test]
    fn made_up_batches(bytes in vec(any::<u8>(), 0..200)) {
        let _ = replay(std::slice::from_ref(&bytes));
        let mut with_header = Batch::new().bytes().to_vec();
        with_header[10] = 3;
        with_header.extend(bytes);
        let _ = replay(&[with_header]);
    }

    #[test]
    fn made_up_parts(kind in 0..3_usize, bytes in vec(any::<u8>(), 0..200)) {
        let kind = [PartKind::Sales, PartKind::Orders, PartKind::Customers][kind];
        let _ = Piece::decode(PartName { kind, number: 0 }, &bytes);
    }

    #[test]
    fn changed_journals(steps in history(), changes in vec((any::<Index>(), any::<Index>(), any::<u8>()), 1..4)) {
        let mut run = Run::new();
        run.steps(&steps);
        let mut journal = run.journal;
        for (batch, at, value) in changes {
            let batch = batch.index(journal.len());
            let at = at.index(journal[batch].len());
            journal[batch][at] = value;
        }
        if let Ok(ledger) = replay(&journal) {
            assert!(ledger.sales().all(|sale| sale.counters.balanced()));
        }
    }

    #[test]
    fn changed_snapshots(steps in history(), changes in vec((any::<Index>(), any::<Index>(), any::<u8>()), 1..4), more in history()) {
        let mut run = Run::new();
        run.steps(&steps);
        let mut parts = encode(&run.ledger.freeze());
        for (part, at, value) in changes {
            let part = part.index(parts.len());
            let at = at.index(parts[part].1.len());
            parts[part].1[at] = value;
        }
        if let Ok(ledger) = thaw(&parts) {
            assert!(ledger.sales().all(|sale| sale.counters.balanced()));
            // Whatever was let in must not make the ledger panic later.
            let mut shop = Shop::new();
            shop.ledger = ledger;
            shop.now = more.len() as i64;
            for number in 0..20_u32 {
                shop.place_in("s0", "a", &number.to_string(), number % 3, number % 2 == 0);
            }
        }
    }
}
