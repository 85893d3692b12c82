//! A primary of PostgreSQL that is lost, and its standby in its place: what is kept, and what is lost.

use super::world::{Random, buy, wait_for};
use crate::node::{Way as _, store};
use crate::postgres::Cluster;
use crate::sale::{SALE, create, open, ordered, place};
use kilat_engine::{Engine, Events, Handle, OrderText, Store};
use tempfile::TempDir;

/// Orders before and after the standby was cut off.
const BEFORE: usize = 10;
const AFTER: usize = 20;

struct Shop {
    store: Store,
    engine: Engine,
    _directory: TempDir,
}

impl crate::node::Way for Shop {
    fn handle(&self) -> &Handle {
        self.store.handle()
    }

    fn events(&self) -> &Events {
        self.engine.events()
    }
}

impl Shop {
    fn at(cluster: &Cluster) -> Shop {
        let directory = tempfile::tempdir().unwrap();
        let engine = open(directory.path());
        let store = store(cluster.url().parse().unwrap(), engine.events());
        Shop { store, engine, _directory: directory }
    }
}

/// Sells, and loses the primary; the standby hears of all until it is `cut_off`. How many orders were
/// acknowledged, and how many of them the standby does not know.
async fn lose_the_primary(settings: &[&str], cut_off: bool) -> (usize, usize) {
    let mut primary = Cluster::start_with(settings);
    let standby = primary.follower();
    wait_for(|| primary.sql("SELECT state FROM pg_stat_replication") == "streaming\n");
    let shop = Shop::at(&primary);
    create(&shop, 1_000, 60).await;
    let name = |n: usize| format!("buyer-{n}");
    for n in 0..BEFORE {
        assert!(ordered(place(&shop, &name(n), false).await.unwrap()).is_some());
    }
    let behind = "SELECT pg_current_wal_lsn() - replay_lsn FROM pg_stat_replication";
    wait_for(|| primary.sql(behind) == "0\n");
    if cut_off {
        standby.sql("ALTER SYSTEM SET primary_conninfo = ''");
        standby.sql("SELECT pg_reload_conf()");
        wait_for(|| primary.sql("SELECT count(*) FROM pg_stat_replication") == "0\n");
    }
    let mut acknowledged = BEFORE;
    for n in BEFORE..BEFORE + AFTER {
        match place(&shop, &name(n), false).await {
            Ok(outcome) => acknowledged += usize::from(ordered(outcome).is_some()),
            // As long as the primary waits for its standby, nobody is told anything.
            Err(_) => break,
        }
    }
    primary.kill();
    drop(shop);
    standby.sql("SELECT pg_promote()");
    let shop = Shop::at(&standby);
    let mut random = Random::seeded();
    let mut lost = 0;
    for n in 0..acknowledged {
        let name = name(n);
        let text = OrderText { sale: SALE, customer: &name, key: &name };
        let told = buy(&shop, text, 1, false, &mut random).await;
        lost += usize::from(!ordered(told).unwrap().1);
    }
    let sale = shop.handle().sale(SALE).await.unwrap().unwrap();
    assert!(sale.balanced(), "{sale:?}");
    println!(
        "{settings:?}, cut off: {cut_off}: {lost} of {acknowledged} acknowledged orders are lost"
    );
    (acknowledged, lost)
}

#[tokio::test]
async fn without_a_synchronous_standby_what_it_did_not_have_is_lost() {
    assert_eq!(lose_the_primary(&[], true).await, (BEFORE + AFTER, AFTER));
}

#[tokio::test]
async fn with_local_commits_a_synchronous_standby_does_not_help() {
    let settings = ["synchronous_standby_names=*", "synchronous_commit=local"];
    assert_eq!(lose_the_primary(&settings, true).await, (BEFORE + AFTER, AFTER));
}

#[tokio::test]
async fn with_a_synchronous_standby_nothing_acknowledged_is_lost() {
    let settings = ["synchronous_standby_names=*"];
    assert_eq!(lose_the_primary(&settings, false).await, (BEFORE + AFTER, 0));
    assert_eq!(lose_the_primary(&settings, true).await, (BEFORE, 0));
}
