//! How many orders a second become durable through the engine, in one process.
//!
//! Groups of 8,000 orders with 24-byte customers and keys, each customer its
//! own, four groups on their way at a time. Checksums, digest and chain are
//! part of it. Two figures: with groups made beforehand, as many senders would
//! make them, and with one sender that makes each group as it goes.
//!
//! `cargo bench -p kilat-engine --bench commit -- [--smoke] [--no-snapshots] [ORDERS]`

#![expect(clippy::expect_used, reason = "a benchmark that can't go on has no figure to print")]

use kilat_engine::{
    Change, Engine, Options, OrderId, OrderText, Orders, Placed, SaleTerms, Unavailable,
};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ORDERS_PER_GROUP: usize = 8_000;
const GROUPS_IN_FLIGHT: usize = 4;
/// Groups made beforehand at a time, to bound the memory of the bench itself.
const GROUPS_AHEAD: usize = 125;

fn main() {
    let smoke = std::env::args().any(|arg| arg == "--smoke");
    let given = std::env::args().find_map(|arg| arg.parse::<usize>().ok());
    let orders = given.unwrap_or(if smoke { 80_000 } else { 20_000_000 });
    let groups = orders.div_ceil(ORDERS_PER_GROUP);
    let mut bench = Bench::start();
    let made = bench.prepared(groups);
    let restart = bench.restart();
    println!("orders: {}", groups * ORDERS_PER_GROUP);
    println!("orders_per_second: {:.0}", rate(groups, made));
    println!("restart_ms: {:.0}", restart.as_secs_f64() * 1e3);
    let mut bench = Bench::start();
    let going = bench.one_sender(groups.div_ceil(4));
    println!("orders_per_second_one_sender: {:.0}", rate(groups.div_ceil(4), going));
    bench.engine.stop();
}

fn rate(groups: usize, took: Duration) -> f64 {
    (groups * ORDERS_PER_GROUP) as f64 / took.as_secs_f64()
}

/// What a group came to.
type Settled = Result<Placed, Unavailable>;

struct Bench {
    directory: tempfile::TempDir,
    engine: Engine,
    done: (mpsc::Sender<Settled>, mpsc::Receiver<Settled>),
    next: u64,
}

impl Bench {
    fn start() -> Bench {
        let directory = tempfile::Builder::new()
            .prefix("kilat-bench")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .expect("a directory");
        let engine = open(directory.path());
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let terms =
            Box::new(SaleTerms { id: "hot".into(), supply: 1_000_000_000, ..SaleTerms::default() });
        runtime.block_on(engine.handle().change(Change::CreateSale { terms })).expect("a sale");
        Bench { directory, engine, done: mpsc::channel(), next: 0 }
    }

    /// The time to commit groups that were made beforehand.
    fn prepared(&mut self, groups: usize) -> Duration {
        let (mut took, mut left, mut spare) = (Duration::ZERO, groups, Vec::new());
        while left > 0 {
            let count = left.min(GROUPS_AHEAD);
            let ready: Vec<Orders> =
                (0..count).map(|_| self.group(spare.pop().unwrap_or_default())).collect();
            let started = Instant::now();
            for (sent, group) in ready.into_iter().enumerate() {
                if sent >= GROUPS_IN_FLIGHT {
                    spare.push(self.finish());
                }
                self.send(group);
            }
            spare.extend((0..count.min(GROUPS_IN_FLIGHT)).map(|_| self.finish()));
            took += started.elapsed();
            left -= count;
        }
        took
    }

    /// The time for one thread to make and send groups, reusing their memory.
    fn one_sender(&mut self, groups: usize) -> Duration {
        let started = Instant::now();
        for index in 0..groups {
            let spare = if index < GROUPS_IN_FLIGHT { Orders::default() } else { self.finish() };
            let group = self.group(spare);
            self.send(group);
        }
        (0..groups.min(GROUPS_IN_FLIGHT)).for_each(|_| drop(self.finish()));
        started.elapsed()
    }

    fn group(&mut self, mut group: Orders) -> Orders {
        group.clear();
        let hasher = self.engine.handle().hasher();
        for _ in 0..ORDERS_PER_GROUP {
            self.next += 1;
            // Spread like random ids, and never the same twice.
            let id = u128::from(self.next).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            let customer = format!("customer-{:015}", self.next);
            let key = format!("key-{:020}", self.next);
            let text = OrderText { sale: "hot", customer: &customer, key: &key };
            group.push(hasher, OrderId::from_bits(id), &text, 1, false);
        }
        group
    }

    fn send(&self, group: Orders) {
        let done = self.done.0.clone();
        self.engine
            .handle()
            .place(group, Box::new(move |placed| done.send(placed).expect("the bench waits")));
    }

    fn finish(&self) -> Orders {
        let placed = self.done.1.recv().expect("an answer").expect("placed");
        let refused = placed
            .outcomes()
            .iter()
            .filter(|o| !matches!(o, kilat_engine::Outcome::Order { .. }))
            .count();
        assert_eq!(refused, 0);
        placed.orders
    }

    /// Stops as at a clean end and tells how long the next start takes.
    fn restart(self) -> Duration {
        self.engine.stop();
        let started = Instant::now();
        let engine = open(self.directory.path());
        let took = started.elapsed();
        engine.stop();
        took
    }
}

fn open(path: &std::path::Path) -> Engine {
    let fail = |why: String| panic!("{why}");
    let mut options = Options::new(path.to_owned(), Box::new(fail));
    if std::env::args().any(|arg| arg == "--no-snapshots") {
        options.snapshot_bytes = usize::MAX;
    }
    Engine::start(options).expect("the engine starts")
}
