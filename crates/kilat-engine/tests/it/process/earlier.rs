//! What earlier versions left in a store is all there, and is sold on. See `tests/golden/README.md` for
//! who wrote the files and what is in them.

use super::world::wait_for;
use crate::node::{Way, store};
use crate::postgres::Cluster;
use crate::redis_server::RedisServer;
use crate::sale::{SALE, open, ordered, place, refused};
use kilat_engine::{
    Change, Engine, Events, Handle, OrderId, OrderText, Orders, Outcome, Page, Refusal, SaleChange,
    Store,
};
use std::path::PathBuf;
use tempfile::TempDir;

/// Units that are left once the hold that ended meanwhile is over.
const LEFT: usize = 15;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

struct Shop {
    store: Store,
    engine: Engine,
    _directory: TempDir,
}

impl Way for Shop {
    fn handle(&self) -> &Handle {
        self.store.handle()
    }

    fn events(&self) -> &Events {
        self.engine.events()
    }
}

impl Shop {
    fn at(url: &str) -> Shop {
        let directory = tempfile::tempdir().unwrap();
        let engine = open(&directory.path().join("data"));
        let store = store(url.parse().unwrap(), engine.events());
        Shop { store, engine, _directory: directory }
    }

    async fn buy(&self, customer: &str, key: &str, quantity: u32) -> Outcome {
        let mut orders = Orders::default();
        let text = OrderText { sale: SALE, customer, key };
        orders.push(self.handle().hasher(), OrderId::from_bits(7), &text, quantity, false);
        self.handle().place_all(orders).await.unwrap().outcomes()[0]
    }

    /// Everything that was written is found, and everything that is left is sold.
    async fn goes_on(self) {
        let sale = self.handle().sale(SALE).await.unwrap().unwrap();
        let counters = sale.counters;
        let figures = [counters.supply, counters.available, counters.held, counters.sold];
        assert_eq!(figures, [25, LEFT as u64, 0, 10]);
        assert_eq!((counters.cancelled, counters.expired), (2, 1));
        assert!(sale.balanced() && sale.terms.per_customer == Some(3), "{sale:?}");
        let (customer, after, limit) = (None, 0, 100);
        let page = Page { sale: SALE.into(), customer, after, limit };
        assert_eq!(self.handle().orders(page).await.unwrap().unwrap().len(), 10);
        self.remembers().await;
        for n in 0..LEFT {
            assert!(ordered(place(&self, &format!("new-{n}"), false).await.unwrap()).is_some());
        }
        let late = place(&self, "late", false).await.unwrap();
        assert_eq!(refused(late), Some(Refusal::SoldOut));
        self.facts_follow().await;
        self.store.stop();
        self.engine.stop();
    }

    /// Keys, limits and changes are still known.
    async fn remembers(&self) {
        let again = ordered(self.buy("c1", "c1", 1).await).unwrap();
        assert!(again.1, "the key was forgotten");
        let other = self.buy("c2", "c2", 2).await;
        assert_eq!(refused(other), Some(Refusal::KeyReused));
        assert_eq!(refused(self.buy("c1", "one more", 1).await), Some(Refusal::LimitReached));
        let change = SaleChange { add_supply: 5, ..SaleChange::default() };
        let restock = Change::ChangeSale { sale: SALE.into(), key: "more".into(), change };
        let told = self.handle().change(restock).await.unwrap().0;
        assert_eq!(told, Outcome::SaleChanged { replayed: true });
    }

    /// Those that the earlier version moved are in its own event log. The rest come here, without a gap.
    async fn facts_follow(&self) {
        let last = self.handle().sale(SALE).await.unwrap().unwrap().sequence;
        let sequences = || -> Vec<u64> {
            let found = self.events().read(Some("sale.sale"), None, 1_000, usize::MAX).unwrap();
            let number = |id: &str| id.strip_prefix("sale/").unwrap().parse().unwrap();
            found.events.iter().map(|event| number(&event.id)).collect()
        };
        wait_for(|| sequences().last() == Some(&last));
        let found = sequences();
        assert!(found[0] > 1 && found[0] < last - LEFT as u64, "{found:?}");
        assert!(found.iter().copied().eq(found[0]..=last), "{found:?}");
    }
}

#[tokio::test]
async fn what_the_first_version_left_in_redis_is_sold_on() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::copy(golden("redis-1.rdb"), directory.path().join("dump.rdb")).unwrap();
    let server = RedisServer::start(directory.path(), &[]);
    // What is durable is not asked here: only a server without a log reads the file.
    assert!(
        std::process::Command::new("redis-cli")
            .arg("-s")
            .arg(server.socket())
            .args(["CONFIG", "SET", "appendonly", "yes", "appendfsync", "always"])
            .status()
            .unwrap()
            .success()
    );
    Shop::at(&server.url()).goes_on().await;
}

#[tokio::test]
async fn what_an_earlier_version_left_in_postgresql_is_sold_on() {
    let cluster = Cluster::start();
    cluster.sql(&std::fs::read_to_string(golden("postgres-2.sql")).unwrap());
    Shop::at(&cluster.url()).goes_on().await;
}
