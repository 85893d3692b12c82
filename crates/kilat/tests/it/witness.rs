//! A client that remembers every acknowledgement, and asks a recovered server for all of them.
//!
//! What a server showed to a reader counts as told, just like a reply: a later
//! crash must not take it back. An unanswered request may have had its effect
//! or not; its key, sent again, must bring one order and no second one.

mod state;

use crate::http::{self, Connection, Reply};
use crate::program::{ADMIN, Server, sale};
use serde_json::Value;
use state::{State, Status, Told};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

/// The sale that all operations are about.
pub(crate) const SALE: &str = "crash";
/// Small enough to be sold out now and then, large enough not to be always.
const SUPPLY: u64 = 1_500;
const HOLD_SECONDS: u32 = 3_600;
const CUSTOMERS: u64 = 20;

/// Numbers that a seed repeats (SplitMix64, Steele et al. 2014).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// From 0 to `end` - 1.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

/// The seed of this run: `KILAT_SEED`, or a new one. Printed, so that it can be given again.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("KILAT_SEED").ok().and_then(|n| n.parse().ok());
    let seed = given.unwrap_or_else(|| u64::from(std::process::id()) << 20);
    println!("KILAT_SEED={seed}");
    seed
}

/// The memory of one sale in one data directory.
#[derive(Default)]
pub(crate) struct Witness {
    state: Mutex<State>,
    acknowledged: AtomicUsize,
}

impl Witness {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Acknowledgements so far.
    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Runs `operations` from `workers` connections at once; ends early when the server does.
    pub(crate) fn work(&self, url: &str, workers: u64, operations: u64, seed: u64) {
        if self.make_sale(url).is_err() {
            return;
        }
        std::thread::scope(|scope| {
            for worker in 0..workers {
                let mine = operations / workers;
                scope.spawn(move || self.work_alone(url, seed ^ (worker << 48), mine));
            }
        });
    }

    /// In every life anew: the same again changes nothing.
    fn make_sale(&self, url: &str) -> io::Result<()> {
        let body = sale(SALE, SUPPLY, HOLD_SECONDS);
        let bearer = format!("Bearer {ADMIN}");
        let headers = [&headers("make")[..], &[("authorization", &bearer)]].concat();
        let reply = http::call(url, "POST", "/v1/sales", &headers, &body)?;
        if reply.status < 300 {
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// An error is an end of the server: what was sent last stays unknown.
    fn work_alone(&self, url: &str, seed: u64, operations: u64) {
        let mut random = Random::new(seed);
        let mut own = Vec::new();
        let Ok(mut connection) = Connection::open(url) else {
            return;
        };
        for number in 0..operations {
            let done = match random.below(10) {
                0..=4 => {
                    let key = format!("{seed:x}-{number}");
                    self.state().intend(&key, &mut random);
                    own.push(key.clone());
                    self.place(&mut connection, &key)
                }
                5..=6 => match own.get(random.below(own.len().max(1) as u64) as usize) {
                    Some(key) => self.place(&mut connection, key),
                    None => Ok(()),
                },
                step => self.settle(&mut connection, &mut random, &own, step == 7),
            };
            if done.is_err() {
                return;
            }
        }
    }

    /// Sends the order of `key`, for the first time or again.
    fn place(&self, connection: &mut Connection, key: &str) -> io::Result<()> {
        let intent = self.state().keys[key].clone();
        let reply = connection.call("POST", &path("orders"), &headers(key), &intent.body())?;
        if reply.status != 201 {
            // A refusal takes an acknowledgement back; who can't answer now takes nothing back.
            let takes_back = intent.order.is_some() && reply.status < 500;
            assert!(!takes_back, "{key} was acknowledged: {}", reply.text());
            return Ok(());
        }
        let replayed = reply.header("idempotency-replayed") == Some("true");
        let order = reply.json();
        let id = order["order"].as_str().unwrap();
        if let Some(known) = &intent.order {
            assert!(replayed && known == id, "{key} brought {known}, now {id}");
        }
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        self.state().told_of(key, &Told::read(&order), !replayed);
        Ok(())
    }

    /// Confirms or cancels one of its own holds.
    fn settle(
        &self,
        connection: &mut Connection,
        random: &mut Random,
        own: &[String],
        confirm: bool,
    ) -> io::Result<()> {
        let held = self.state().held(own);
        let Some(order) = held.get(random.below(held.len().max(1) as u64) as usize) else {
            return Ok(());
        };
        let (step, status) =
            if confirm { ("confirm", Status::Confirmed) } else { ("cancel", Status::Cancelled) };
        self.state().tried(order, status);
        let path = path(&format!("orders/{order}/{step}"));
        let reply = connection.call("POST", &path, &headers("-"), "")?;
        if reply.status == 200 {
            assert_eq!(Status::read(&reply.json()), status, "{}", reply.text());
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
            self.state().settled(order, status);
        }
        Ok(())
    }

    /// Reads everything back; what is seen is told from now on. Changes nothing.
    pub(crate) fn check(&self, server: &Server) {
        let listed = list(server);
        let audit = server.get(&path("audit"));
        if audit.status == 404 {
            assert_eq!(self.acknowledged(), 0, "the sale is lost");
            return;
        }
        state::check_audit(&audit.json(), SUPPLY, &listed);
        self.state().compare(&listed);
    }

    /// Sends every key again: known orders come back, unknown ones become one order each.
    pub(crate) fn replay(&self, server: &Server) {
        self.make_sale(&server.url).unwrap();
        let mut connection = Connection::open(&server.url).unwrap();
        let keys: Vec<String> = self.state().unproven.iter().cloned().collect();
        // Twice: what the first pass made new must be a replay in the second.
        for key in keys.iter().chain(&keys) {
            self.place(&mut connection, key).unwrap();
        }
        self.state().proven();
        self.check(server);
        let (orders, keys) = self.state().orders_and_keys();
        assert_eq!(orders, keys, "each key with an order has one, and each order a key");
    }
}

/// All orders of the sale, page by page.
fn list(server: &Server) -> Vec<Told> {
    let mut orders = Vec::new();
    let mut after = 0;
    loop {
        let page = format!("{}?after={after}&limit=1000", path("orders"));
        let reply = server.admin("GET", &page, "-", "");
        if reply.status == 404 {
            return orders;
        }
        let page: Value = ok(&reply).json();
        orders.extend(page["orders"].as_array().unwrap().iter().map(Told::read));
        match page["next"].as_u64() {
            Some(next) => after = next,
            None => return orders,
        }
    }
}

fn ok(reply: &Reply) -> &Reply {
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply
}

fn path(of_sale: &str) -> String {
    format!("/v1/sales/{SALE}/{of_sale}")
}

fn headers(key: &str) -> [(&str, &str); 2] {
    [("content-type", "application/json"), ("idempotency-key", key)]
}
