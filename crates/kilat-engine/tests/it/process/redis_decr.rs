//! What a plain `DECR` keeps, which many flash sales are made of: take one off a counter, and put it back
//! when there was none. Measured under the same faults as the ledger, for `docs/guarantees.md`.

use crate::redis_server::{DURABLE, RedisServer};
use std::path::Path;
use std::process::Command;

/// A counter of stock, and the buyers' list of what they were told.
struct Counter {
    server: RedisServer,
}

impl Counter {
    fn open(directory: &Path, settings: &[&str], stock: u32) -> Counter {
        let counter = Counter { server: RedisServer::start(directory, settings) };
        counter.ask(&["SET", "stock", &stock.to_string()]);
        counter
    }

    fn ask(&self, words: &[&str]) -> String {
        let mut ask = Command::new("redis-cli");
        let said = ask.arg("-s").arg(self.server.socket()).args(words).output().unwrap();
        String::from_utf8(said.stdout).unwrap().trim().to_owned()
    }

    fn stock(&self) -> i64 {
        self.ask(&["GET", "stock"]).parse().unwrap_or(0)
    }

    /// Whether a buyer is told that they have a unit.
    fn buy(&self) -> bool {
        let left: i64 = self.ask(&["DECR", "stock"]).parse().unwrap();
        if left < 0 {
            self.ask(&["INCR", "stock"]);
        }
        left >= 0
    }
}

/// Every fifth reply is lost, and its buyer asks again, as browsers and proxies do.
#[test]
fn a_repeated_decr_sells_twice() {
    let directory = tempfile::tempdir().unwrap();
    let counter = Counter::open(directory.path(), DURABLE, 100);
    let mut winners = 0;
    for buyer in 0..100 {
        if buyer % 5 == 0 {
            counter.buy();
        }
        winners += u32::from(counter.buy());
    }
    println!("DECR, 20 of 100 replies lost: 100 units gone, {winners} buyers have one");
    // Units that nobody has, while buyers were refused.
    assert_eq!((winners, counter.stock()), (83, 0));
}

/// A server that keeps nothing comes back with what it last wrote: the whole stock, or none at all.
#[test]
fn a_decr_without_a_log_forgets_what_it_sold() {
    let directory = tempfile::tempdir().unwrap();
    let mut counter = Counter::open(directory.path(), &[], 100);
    counter.ask(&["SAVE"]);
    let before = (0..60).filter(|_| counter.buy()).count();
    counter.server.crash();
    let after = (0..100).filter(|_| counter.buy()).count();
    println!("DECR, killed after {before} of 100: sold {} of 100", before + after);
    assert_eq!((before, after), (60, 100));
}

/// Between `DECR` and `INCR` the process dies: the counter stays below what there is.
#[test]
fn a_decr_whose_buyer_dies_strands_what_is_restocked() {
    let directory = tempfile::tempdir().unwrap();
    let counter = Counter::open(directory.path(), DURABLE, 0);
    for _ in 0..10 {
        counter.ask(&["DECR", "stock"]);
    }
    counter.ask(&["INCRBY", "stock", "10"]);
    assert!(!counter.buy());
    println!("DECR, 10 processes died between DECR and INCR: 10 units restocked, 0 can be bought");
}
