//! The load of T2 and T8: batches of orders from a few blocking connections, each order new.
//! Runs as a process of its own, because it must neither share a core's time with its parent
//! nor be slowed by it. Must never know what its figures are compared with.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use clap::Args;
use memchr::memmem;
use serde_json::json;

use crate::bench::figure::Spread;
use crate::bench::http::{self, Connection};

/// Most orders that the API takes in one request.
const BATCH_ORDERS: u64 = 8_192;
/// Each outcome that is an order has exactly one of it, and nothing else has.
const ORDER_MARK: &[u8] = b"\"order\":\"";
/// Stands where the number of the batch goes: as many digits as there may be.
const NUMBER_GAP: &str = "#########";

/// What to send, and where.
#[derive(Debug, Args)]
pub(crate) struct Plan {
    #[arg(long)]
    address: SocketAddr,
    #[arg(long)]
    sale: String,
    #[arg(long)]
    connections: usize,
    /// No new batch after this time
    #[arg(long)]
    seconds: u64,
    /// No more batches than this
    #[arg(long)]
    batches: u64,
    /// The number of the first batch: no two runs may share one
    #[arg(long)]
    first: u64,
}

/// One request whose orders get a new number before each sending, in place.
#[derive(Debug)]
struct Batch {
    bytes: Vec<u8>,
    /// Where the number goes: in the key and the customer of each order.
    gaps: Vec<usize>,
}

/// Sends it all and prints what came of it as one line of JSON; `Ok(true)`, or the first failure.
pub(crate) fn run(plan: &Plan) -> Result<bool> {
    let next = AtomicU64::new(plan.first);
    let started = Instant::now();
    let deadline = started + Duration::from_secs(plan.seconds);
    let workers: Vec<Result<Vec<f64>>> = thread::scope(|scope| {
        let spawn = |_| scope.spawn(|| send(plan, &next, deadline));
        let workers: Vec<_> = (0..plan.connections).map(spawn).collect();
        let join = |worker: thread::ScopedJoinHandle<'_, _>| worker.join();
        let joined = workers.into_iter().map(join);
        joined
            .map(|end| end.unwrap_or_else(|_| Err(anyhow!("a connection's thread panicked"))))
            .collect()
    });
    let seconds = started.elapsed().as_secs_f64();
    let times_ms = workers.into_iter().collect::<Result<Vec<_>>>()?.concat();
    let spread = Spread::of(&times_ms);
    let result = json!({
        "orders": times_ms.len() as u64 * BATCH_ORDERS,
        "batches": times_ms.len(),
        "seconds": seconds,
        "batch_ms_median": spread.map(|spread| spread.median),
        "batch_ms_max": spread.map(|spread| spread.max),
    });
    println!("{result}");
    Ok(true)
}

/// One connection's batches; gives the milliseconds that each took.
fn send(plan: &Plan, next: &AtomicU64, deadline: Instant) -> Result<Vec<f64>> {
    let mut batch = Batch::new(&plan.sale);
    let mut connection = Connection::open(plan.address)?;
    let orders = memmem::Finder::new(ORDER_MARK);
    let mut times_ms = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let started = Instant::now();
        if number >= plan.first + plan.batches || started >= deadline {
            return Ok(times_ms);
        }
        batch.set_number(number);
        let reply = connection.exchange(&batch.bytes)?;
        let found = orders.find_iter(reply.body).count() as u64;
        ensure!(
            reply.status == 200 && found == BATCH_ORDERS,
            "a batch got status {} and {found} orders of {BATCH_ORDERS}: {}",
            reply.status,
            String::from_utf8_lossy(&reply.body[..reply.body.len().min(300)]),
        );
        times_ms.push(started.elapsed().as_secs_f64() * 1e3);
    }
}

impl Batch {
    /// Keys and customers have 24 bytes.
    fn new(sale: &str) -> Self {
        let order = |index: u64| {
            let id = format!("{NUMBER_GAP}-{index:04}");
            format!("{{\"key\":\"benchmark-{id}\",\"customer\":\"customer--{id}\",\"quantity\":1}}")
        };
        let orders: Vec<String> = (0..BATCH_ORDERS).map(order).collect();
        let body = format!("{{\"orders\":[{}]}}", orders.join(","));
        let path = format!("/v1/sales/{sale}/orders:batch");
        let headers = ["Content-Type: application/json"];
        let bytes = http::request("POST", &path, &headers, body.as_bytes());
        let gaps = memmem::find_iter(&bytes, NUMBER_GAP).collect();
        Self { bytes, gaps }
    }

    fn set_number(&mut self, number: u64) {
        let digits = format!("{number:0width$}", width = NUMBER_GAP.len());
        for &gap in &self.gaps {
            self.bytes[gap..gap + NUMBER_GAP.len()].copy_from_slice(digits.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn each_order_of_each_batch_is_new_and_well_formed() {
        let mut batch = Batch::new("open");
        let mut keys = BTreeSet::new();
        for number in [1, 999_999_999] {
            batch.set_number(number);
            let body_starts = memmem::find(&batch.bytes, b"\r\n\r\n").unwrap() + 4;
            let body: Value = serde_json::from_slice(&batch.bytes[body_starts..]).unwrap();
            for order in body["orders"].as_array().unwrap() {
                let key = order["key"].as_str().unwrap();
                assert_eq!((key.len(), order["customer"].as_str().unwrap().len()), (24, 24));
                assert!(keys.insert(key.to_owned()), "{key}");
            }
        }
        assert_eq!(keys.len() as u64, 2 * BATCH_ORDERS);
    }
}
