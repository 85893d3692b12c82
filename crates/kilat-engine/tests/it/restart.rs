//! What was acknowledged is there again after a stop, with and without a snapshot.

use crate::sale::{SALE, create, open, ordered, place, with_sale};
use kilat_engine::{Engine, Options, Outcome, Page};
use std::path::Path;

async fn everything(engine: &Engine) -> Vec<kilat_engine::OwnedOrder> {
    let page = Page { sale: SALE.into(), customer: None, after: 0, limit: 10_000 };
    engine.handle().orders(page).await.unwrap().unwrap()
}

async fn fill(engine: &Engine, from: usize, to: usize) {
    for n in from..to {
        let hold = n % 3 == 0;
        assert!(ordered(place(engine, &format!("buyer-{n}"), hold).await.unwrap()).is_some());
    }
}

/// An engine that writes a snapshot after every few facts.
fn open_with_snapshots(path: &Path) -> Engine {
    let options = Options::new(path.to_owned(), Box::new(|why| panic!("{why}")));
    Engine::start(Options { snapshot_bytes: 500, ..options }).unwrap()
}

#[tokio::test]
async fn a_restart_remembers_everything_and_sells_on() {
    let directory = tempfile::tempdir().unwrap();
    let engine = with_sale(directory.path(), 100).await;
    fill(&engine, 0, 50).await;
    let before = (everything(&engine).await, engine.handle().sale(SALE).await.unwrap());
    engine.stop();
    let engine = open(directory.path());
    assert!(engine.recovery().snapshot_frame.is_some());
    assert_eq!((everything(&engine).await, engine.handle().sale(SALE).await.unwrap()), before);
    assert_eq!(ordered(place(&engine, "buyer-7", false).await.unwrap()).map(|o| o.1), Some(true));
    assert!(matches!(create(&engine, 100, 60).await, Outcome::SaleAlreadyCreated));
    fill(&engine, 50, 60).await;
}

#[tokio::test]
async fn snapshots_in_mid_sale_and_a_lost_one_change_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open_with_snapshots(directory.path());
    create(&engine, 1_000, 60).await;
    fill(&engine, 0, 200).await;
    let before = everything(&engine).await;
    engine.stop();
    let snapshots = directory.path().join("snapshots");
    assert!(std::fs::read_dir(&snapshots).unwrap().count() > 1);
    for file in std::fs::read_dir(&snapshots).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_some_and(|e| e == "part") {
            std::fs::write(&file, b"damaged").unwrap();
        }
    }
    let engine = open(directory.path());
    assert_eq!(engine.recovery().snapshot_frame, None);
    assert!(!engine.recovery().snapshots_skipped.is_empty());
    assert_eq!(everything(&engine).await, before);
}

#[tokio::test]
async fn verify_reads_a_directory_in_use_and_finds_it_sound() {
    let directory = tempfile::tempdir().unwrap();
    let engine = with_sale(directory.path(), 100).await;
    fill(&engine, 0, 30).await;
    let found = kilat_engine::verify(directory.path(), |_| None).unwrap();
    assert!(found.holds(), "{found:?}");
    assert_eq!(
        (found.orders, found.sales[0].counters.sold, found.sales[0].counters.held),
        (30, 20, 10)
    );
    drop(engine);
}

#[tokio::test]
async fn verify_names_the_place_of_a_flipped_bit() {
    let directory = tempfile::tempdir().unwrap();
    let engine = with_sale(directory.path(), 100).await;
    fill(&engine, 0, 30).await;
    engine.stop();
    let segment = directory.path().join("journal").join("00000000000000000001.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[5 * 512 + 100] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let found = kilat_engine::verify(directory.path(), |_| None).unwrap();
    let corruption = found.corruption.clone().unwrap_or_default();
    assert!(!found.holds() && corruption.contains("00000000000000000001.seg"), "{found:?}");
}
