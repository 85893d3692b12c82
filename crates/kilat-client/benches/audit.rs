//! How many lookups a second become durable in an audit log, and what one costs the processor.
//!
//! One thread makes findings as a check does and hands them over; the log's two threads write and
//! flush them to a real file. What is printed: lookups a second from the first to the last
//! report of durability, and processor time by thread. Then the log is checked, and read for
//! `--resume`.
//!
//! `cargo bench -p kilat-client --bench audit -- [--smoke] [LOOKUPS]`

#![expect(clippy::expect_used, reason = "a benchmark that can't go on has no figure to print")]

use jiff::Timestamp;
use kilat_client::Lang;
use kilat_client::check::audit::{Audit, AuditOptions, Ending, Entry, Format, RunFacts, verify};
use kilat_client::check::{Finding, Id, Outcome};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LOOKUPS: u64 = 3_000_000;
const SMOKE_LOOKUPS: u64 = 50_000;
/// Ticks of the kernel's clock for processor time.
const TICK: Duration = Duration::from_millis(10);

fn main() {
    let smoke = std::env::args().any(|arg| arg == "--smoke");
    let given = std::env::args().find_map(|arg| arg.parse().ok());
    let lookups = given.unwrap_or(if smoke { SMOKE_LOOKUPS } else { LOOKUPS });
    let directory = tempfile::Builder::new()
        .prefix("kilat-bench")
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .expect("a directory");
    let path = directory.path().join("kilat-check-stock.jsonl");
    write(&path, lookups);
    let bytes = path.metadata().expect("a log").len();
    println!("  {} bytes a lookup", bytes / lookups);
    let began = Instant::now();
    let checked = verify(&path, None, Lang::English).expect("a log");
    assert!(checked.holds() && checked.counts.total() == lookups);
    print("verify", lookups, began.elapsed());
    let began = Instant::now();
    let (audit, resumed) = Audit::open(options(&path, true)).expect("a log");
    assert_eq!(resumed.done.total(), lookups);
    print("resume", lookups, began.elapsed());
    audit.finish(Ending::default()).expect("an end");
}

fn options(path: &Path, resume: bool) -> AuditOptions {
    AuditOptions {
        path: path.to_owned(),
        format: Format::Json,
        overwrite: false,
        resume,
        run: RunFacts {
            profile: "stock".to_owned(),
            url: "http://127.0.0.1:5000/get_stock?sku={id}".to_owned(),
            lang: Lang::Indonesian,
            total: None,
        },
        on_durable: Box::new(|_| ()),
    }
}

fn write(path: &Path, lookups: u64) {
    let told = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&told);
    let on_durable = Box::new(move |findings: &[Finding]| {
        counted.fetch_add(findings.len() as u64, Ordering::Relaxed);
    });
    let (audit, _) =
        Audit::open(AuditOptions { on_durable, ..options(path, false) }).expect("a log");
    let before = threads();
    let began = Instant::now();
    for number in 0..lookups {
        audit.record_blocking(Entry::Ended(finding(number))).expect("an open log");
    }
    let after = threads();
    let handed_over = told.load(Ordering::Relaxed);
    audit.finish(Ending { complete: true, ..Ending::default() }).expect("an end");
    let took = began.elapsed();
    assert_eq!(told.load(Ordering::Relaxed), lookups);
    print("write", lookups, took);
    println!("  when all were handed over, {} were not durable", lookups - handed_over);
    for ((name, after), (_, before)) in after.iter().zip(&before) {
        let each = (*after - *before).as_secs_f64() * 1e9 / lookups as f64;
        println!("  {name}: {each:.0} ns of processor time a lookup");
    }
}

fn print(what: &str, lookups: u64, took: Duration) {
    let rate = lookups as f64 / took.as_secs_f64();
    println!("{what}: {lookups} lookups in {:.2} s, {rate:.0} a second", took.as_secs_f64());
}

fn finding(index: u64) -> Finding {
    Finding {
        index,
        id: Id::new(&format!("SKU-{index:08}")).expect("short"),
        outcome: Outcome::Found,
        message: "Berhasil! Stok 'Kopi Gayo' adalah 72 unit di Jakarta.".to_owned(),
        status: Some(200),
        attempts: 1,
        began_at: Timestamp::now(),
        elapsed: Duration::from_micros(412_345),
        reply_time: Some(Duration::from_micros(411_999)),
        row: None,
        notable: false,
    }
}

/// Processor time of each thread so far, by name.
fn threads() -> Vec<(String, Duration)> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("threads");
    let mut times: Vec<(String, Duration)> = tasks
        .filter_map(|task| {
            let stat = std::fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
            let (head, rest) = stat.rsplit_once(") ")?;
            let name = head.split_once('(')?.1.to_owned();
            let fields: Vec<&str> = rest.split(' ').collect();
            let ticks: u32 =
                fields.get(11)?.parse::<u32>().ok()? + fields.get(12)?.parse::<u32>().ok()?;
            Some((name, TICK * ticks))
        })
        .collect();
    times.sort();
    times
}
