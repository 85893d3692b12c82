//! The rules in Lua on a real server, with the pure ledger as the oracle.

mod failovers;
mod histories;
mod limits;
mod measure;
#[path = "stripes.rs"]
mod of_stripes;
#[expect(dead_code, reason = "the integration tests need more of it")]
#[path = "../../../../tests/it/redis_fleet.rs"]
mod redis_fleet;
#[expect(dead_code, reason = "the integration tests need more of it")]
#[path = "../../../../tests/it/redis_server.rs"]
mod redis_server;

use super::{Redis, RedisOptions, Script};
use crate::store::LedgerStore as _;
use kilat_ledger::{OrderId, PlaceOrder, SaleTerms};
use redis_server::RedisServer;
use tempfile::TempDir;

/// A server whose clock the test sets, and a connection to it.
struct Shop {
    redis: Redis,
    admin: redis::Connection,
    server: RedisServer,
    _directory: TempDir,
}

impl Shop {
    fn open(settings: &[&str], as_scripts: bool) -> Shop {
        Shop::of_stripes(1, settings, as_scripts)
    }

    /// New sales have their stock in as many stripes.
    fn of_stripes(stripes: u16, settings: &[&str], as_scripts: bool) -> Shop {
        let directory = tempfile::tempdir().unwrap();
        let server = RedisServer::start(directory.path(), settings);
        let mut admin = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
        let mut options = options(&server);
        options.as_scripts = as_scripts;
        options.stripes = stripes;
        set_time(&mut admin, 0);
        let redis = Redis::open(&options, None).unwrap();
        Shop { redis, admin, server, _directory: directory }
    }

    /// One process more, which knows nothing yet.
    fn another(&self) -> Redis {
        Redis::open(&options(&self.server), None).unwrap()
    }

    /// What Redis will say the time is, in milliseconds.
    fn set_time(&mut self, millis: i64) {
        set_time(&mut self.admin, millis);
    }

    fn ask<T: redis::FromRedisValue>(&mut self, words: &[&str]) -> T {
        let mut cmd = redis::Cmd::new();
        for word in words {
            cmd.arg(*word);
        }
        cmd.query(&mut self.admin).unwrap()
    }
}

fn options(server: &RedisServer) -> RedisOptions {
    let mut options = RedisOptions::new(&server.url(), "test", true).unwrap();
    options.script = Script::with_set_clock();
    options
}

fn terms(id: &str, supply: u64) -> SaleTerms {
    SaleTerms { id: id.to_owned(), supply, hold_seconds: 5, ..SaleTerms::default() }
}

fn buy<'a>(id: u128, sale: &'a str, customer: &'a str, key: &'a str) -> kilat_ledger::Command<'a> {
    let id = OrderId::from_bits(id);
    kilat_ledger::Command::PlaceOrder(place(id, sale, customer, key, 1, false))
}

fn place<'a>(
    id: OrderId,
    sale: &'a str,
    customer: &'a str,
    key: &'a str,
    quantity: u32,
    hold: bool,
) -> PlaceOrder<'a> {
    let prints = histories::FINGERPRINTER;
    PlaceOrder::new(&prints, id, sale, customer, key, quantity, hold)
}

/// See [`Shop::set_time`].
fn set_time(admin: &mut redis::Connection, millis: i64) {
    let (seconds, micros) = (millis / 1_000, millis % 1_000 * 1_000);
    let mut set = redis::cmd("HSET");
    set.arg("clock").arg("s").arg(seconds).arg("us").arg(micros);
    set.exec(admin).unwrap();
}
