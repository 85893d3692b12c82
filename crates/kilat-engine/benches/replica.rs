//! How many orders a second become durable through the replica protocol.
//!
//! An engine, its core and a replica in one process, with a unix socket between
//! them. Groups of 8,000 orders with 24-byte customers and keys, made beforehand,
//! each customer its own, a few groups on their way at a time.
//!
//! `cargo bench -p kilat-engine --bench replica -- [--smoke] [ORDERS]`

#![expect(clippy::expect_used, reason = "a benchmark that can't go on has no figure to print")]

use kilat_engine::{
    Change, Core, CoreAddress, CoreListener, CoreOptions, Engine, Handle, Options, OrderId,
    OrderText, Orders, Placed, Remote, RemoteOptions, SaleTerms, Unavailable,
};
use std::path::Path;
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
    let orders = given.unwrap_or(if smoke { 80_000 } else { 5_000_000 });
    let groups = orders.div_ceil(ORDERS_PER_GROUP);
    let directory = tempfile::Builder::new()
        .prefix("kilat-bench")
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .expect("a directory");
    let engine = open(directory.path());
    let here = measure(engine.handle(), groups, 0);
    let (core, remote) = replica(&engine, directory.path());
    let there = measure(remote.handle(), groups, groups as u64);
    println!("orders: {}", groups * ORDERS_PER_GROUP);
    println!("orders_per_second_embedded: {:.0}", rate(groups, here));
    println!("orders_per_second_replica: {:.0}", rate(groups, there));
    remote.stop();
    core.stop(Duration::from_secs(1));
    engine.stop();
}

fn rate(groups: usize, took: Duration) -> f64 {
    (groups * ORDERS_PER_GROUP) as f64 / took.as_secs_f64()
}

fn open(directory: &Path) -> Engine {
    let failed = Box::new(|why: String| panic!("{why}"));
    let engine = Engine::start(Options::new(directory.join("data"), failed)).expect("an engine");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let terms =
        Box::new(SaleTerms { id: "hot".into(), supply: 1_000_000_000, ..SaleTerms::default() });
    runtime.block_on(engine.handle().change(Change::CreateSale { terms })).expect("a sale");
    engine
}

fn replica(engine: &Engine, directory: &Path) -> (Core, Remote) {
    let core = CoreAddress::Unix(directory.join("core.sock"));
    let listener = CoreListener::bind(&core).expect("a socket");
    let options = CoreOptions::new(Vec::new(), String::new());
    let serving = Core::start(engine, listener, options).expect("a core");
    let (secret, name, patience) = (None, "bench".to_owned(), Duration::from_secs(5));
    let remote = Remote::connect(RemoteOptions { core, secret, name, patience });
    (serving, remote.expect("a replica"))
}

/// The time to commit so many groups, each from `first` on with customers of its own.
fn measure(handle: &Handle, groups: usize, first: u64) -> Duration {
    let (done, settled) = mpsc::channel();
    let (mut took, mut left, mut next) = (Duration::ZERO, groups, first);
    while left > 0 {
        let count = left.min(GROUPS_AHEAD);
        let ready: Vec<Orders> = (next..).take(count).map(|number| group(handle, number)).collect();
        next += count as u64;
        let started = Instant::now();
        for (sent, orders) in ready.into_iter().enumerate() {
            if sent >= GROUPS_IN_FLIGHT {
                take(&settled);
            }
            let done = done.clone();
            handle.place(orders, Box::new(move |placed| drop(done.send(placed))));
        }
        (0..count.min(GROUPS_IN_FLIGHT)).for_each(|_| take(&settled));
        took += started.elapsed();
        left -= count;
    }
    took
}

fn take(settled: &mpsc::Receiver<Result<Placed, Unavailable>>) {
    let placed = settled.recv().expect("an answer").expect("orders");
    assert_eq!(placed.outcomes().len(), ORDERS_PER_GROUP);
}

fn group(handle: &Handle, number: u64) -> Orders {
    let mut orders = Orders::default();
    for n in 0..ORDERS_PER_GROUP as u64 {
        let n = number * ORDERS_PER_GROUP as u64 + n;
        let (customer, key) = (format!("customer-{n:015}"), format!("key-{n:020}"));
        let text = OrderText { sale: "hot", customer: &customer, key: &key };
        orders.push(
            handle.hasher(),
            OrderId::from_bits((u128::from(n) << 64) | 7),
            &text,
            1,
            false,
        );
    }
    orders
}
