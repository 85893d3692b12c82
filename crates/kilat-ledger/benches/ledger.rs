//! How long the ledger takes for an order, a refusal, a snapshot and a thaw.
//!
//! `cargo bench -p kilat-ledger -- [ORDERS] [--smoke] [--twice]`; 5,000,000 orders by default, each with a
//! customer and a key of its own of 24 bytes, in batches of 8,000. The clock covers what the
//! committing thread does (warm, decide, evolve, encode); hashing is reported apart, since the
//! threads that make commands do it. Fresh memory is part of the price: on a virtual machine a
//! page that was never touched may cost more than the 15 orders in it. `--twice` places all
//! orders twice; with `MALLOC_MMAP_THRESHOLD_=33554432 MALLOC_TRIM_THRESHOLD_=68719476736` (glibc)
//! the second time runs in memory that the process has already.

#![expect(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::expect_used,
    reason = "a bench measures time, uses threads and prints; what fails ends it"
)]

use std::time::{Duration, Instant};

use kilat_ledger::{
    Batch, Command, Fingerprinter, Frozen, Index, IndexKind, Ledger, OrderId, Part, PartName,
    Piece, Pieces, PlaceOrder, SaleTerms, Time,
};

const BATCH_ORDERS: usize = 8_000;
const WARM_ORDERS: usize = 128;
const SALE: &str = "iphone-17-pro-max";
const NOW: Time = Time::from_millis(1_700_000_000_000);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let smoke = arguments.iter().any(|argument| argument == "--smoke");
    let number = arguments.iter().find_map(|argument| argument.parse().ok());
    let orders = number.unwrap_or(if smoke { 20_000 } else { 5_000_000 });
    let fingerprinter = Fingerprinter::new(*b"sixteen key byte");
    if arguments.iter().any(|argument| argument == "--twice") {
        drop(place(fingerprinter, orders));
    }
    let ledger = place(fingerprinter, orders);
    refuse(fingerprinter, ledger, orders);
}

/// Sells one unit to each of `orders` customers.
fn place(fingerprinter: Fingerprinter, orders: usize) -> Ledger {
    let mut ledger = Ledger::new(fingerprinter);
    let mut batch = Batch::with_capacity(BATCH_ORDERS * 128);
    create_sale(&mut ledger, &mut batch, orders as u64);
    let mut spent = Spent::default();
    for first in (0..orders).step_by(BATCH_ORDERS) {
        let range = first..orders.min(first + BATCH_ORDERS);
        let facts = range.len() as u32;
        batch.clear();
        run_batch(&mut ledger, &mut batch, &fingerprinter, range, &mut spent);
        assert_eq!(batch.facts(), facts, "an order was refused");
    }
    spent.print("order", orders);
    ledger
}

fn refuse(fingerprinter: Fingerprinter, mut ledger: Ledger, orders: usize) {
    let mut batch = Batch::new();
    let mut spent = Spent::default();
    let refusals = orders.min(1_000_000);
    for first in (0..refusals).step_by(BATCH_ORDERS) {
        let range = orders + first..orders + refusals.min(first + BATCH_ORDERS);
        run_batch(&mut ledger, &mut batch, &fingerprinter, range, &mut spent);
    }
    assert!(batch.is_empty(), "an order was not refused");
    spent.print("refusal", refusals);
    restart(fingerprinter, ledger);
}

fn restart(fingerprinter: Fingerprinter, ledger: Ledger) {
    let start = Instant::now();
    let frozen = ledger.freeze();
    println!("freeze         {:>8.3} ms", start.elapsed().as_secs_f64() * 1e3);
    let start = Instant::now();
    let parts = encode(&frozen);
    let bytes: usize = parts.iter().map(|(_, bytes)| bytes.len()).sum();
    let seconds = start.elapsed().as_secs_f64();
    println!("encode         {seconds:>8.3} s, {} MB", bytes / 1_000_000);
    let orders = ledger.orders_len();
    drop((frozen, ledger));
    let start = Instant::now();
    let thawed = thaw_on_two_threads(fingerprinter, &parts);
    println!("thaw, 2 threads{:>8.3} s", start.elapsed().as_secs_f64());
    assert_eq!(thawed.orders_len(), orders, "orders were lost");
}

fn encode(frozen: &Frozen) -> Vec<(PartName, Vec<u8>)> {
    let encode = |part: &Part| {
        let mut bytes = Vec::new();
        assert!(frozen.encode(part, &mut bytes), "a part is missing");
        (part.name, bytes)
    };
    frozen.parts().iter().map(encode).collect()
}

fn thaw_on_two_threads(fingerprinter: Fingerprinter, parts: &[(PartName, Vec<u8>)]) -> Ledger {
    let decode = |parts: &[(PartName, Vec<u8>)]| -> Vec<Piece> {
        let decoded = parts.iter().map(|(name, bytes)| Piece::decode(*name, bytes));
        decoded.collect::<Result<_, _>>().expect("a part is corrupt")
    };
    let start = Instant::now();
    let (left, right) = parts.split_at(parts.len() / 2);
    let pieces = std::thread::scope(|scope| {
        let other = scope.spawn(|| decode(left));
        let mut pieces = decode(right);
        pieces.extend(other.join().expect("a thread panicked"));
        pieces
    });
    let pieces = Pieces::collect(fingerprinter, pieces).expect("the parts don't fit");
    println!("  decode       {:>8.3} s", start.elapsed().as_secs_f64());
    let build = |kinds: &[IndexKind]| -> Vec<Index> {
        let start = Instant::now();
        let built = kinds.iter().map(|kind| pieces.build(*kind));
        let built = built.collect::<Result<_, _>>().expect("the parts differ");
        println!("  {kinds:?} {:.3} s", start.elapsed().as_secs_f64());
        built
    };
    let indexes = std::thread::scope(|scope| {
        let other = scope.spawn(|| build(&[IndexKind::OrderIds, IndexKind::CustomerPrints]));
        let mut indexes = build(&[IndexKind::OrderPrints, IndexKind::Chains]);
        indexes.extend(other.join().expect("a thread panicked"));
        indexes
    });
    pieces.assemble(indexes).expect("the parts differ")
}

fn create_sale(ledger: &mut Ledger, batch: &mut Batch, supply: u64) {
    let terms =
        SaleTerms { id: SALE.to_owned(), supply, per_customer: Some(1), ..SaleTerms::default() };
    ledger.execute(NOW, &Command::CreateSale { terms: &terms }, batch);
}

#[derive(Default)]
struct Spent {
    hashing: Duration,
    executing: Duration,
    slowest_batch: Duration,
}

impl Spent {
    fn print(&self, what: &str, count: usize) {
        let each = |time: Duration| time.as_nanos() as f64 / count as f64;
        println!(
            "{what:<8} {count:>10}: {:>6.1} ns each, hashing {:>5.1} ns, slowest batch {:.2} ms",
            each(self.executing),
            each(self.hashing),
            self.slowest_batch.as_secs_f64() * 1e3,
        );
    }
}

fn run_batch(
    ledger: &mut Ledger,
    batch: &mut Batch,
    fingerprinter: &Fingerprinter,
    range: std::ops::Range<usize>,
    spent: &mut Spent,
) {
    let names: Vec<[[u8; 24]; 2]> = range.clone().map(names).collect();
    let start = Instant::now();
    let orders: Vec<PlaceOrder<'_>> = range
        .zip(&names)
        .map(|(number, [customer, key])| {
            let id = OrderId::from_bits(random_bits(number));
            let (customer, key) = (text(customer), text(key));
            PlaceOrder::new(fingerprinter, id, SALE, customer, key, 1, false)
        })
        .collect();
    spent.hashing += start.elapsed();
    let start = Instant::now();
    for orders in orders.chunks(WARM_ORDERS) {
        ledger.warm(orders);
        for order in orders {
            std::hint::black_box(ledger.execute(NOW, &Command::PlaceOrder(*order), batch));
        }
    }
    let elapsed = start.elapsed();
    spent.executing += elapsed;
    spent.slowest_batch = spent.slowest_batch.max(elapsed);
}

/// A customer and a key of 24 bytes each, without an allocation: the allocator belongs to the
/// ledger while the clock runs.
fn names(number: usize) -> [[u8; 24]; 2] {
    let digits = |bits: u128| {
        std::array::from_fn(|at| b"0123456789abcdef"[(bits >> (4 * at)) as usize & 15])
    };
    [digits(number as u128), digits(random_bits(number))]
}

fn text(bytes: &[u8; 24]) -> &str {
    str::from_utf8(bytes).expect("digits are ASCII")
}

/// SplitMix64, twice: spread like random bits, and the same in every run.
fn random_bits(number: usize) -> u128 {
    let mix = |seed: u64| {
        let mut bits = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    };
    u128::from(mix(number as u64 * 2 + 1)) << 64 | u128::from(mix(number as u64 * 2 + 2))
}
