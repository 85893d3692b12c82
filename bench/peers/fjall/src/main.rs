//! Inserts events into fjall in process: one batch a commit, on disk before the next.
//! Sends the row of events that xtask's `events/load.rs` describes. Must never know what it is
//! compared with.

use std::collections::HashSet;
use std::env;
use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

const DUPLICATES_PERCENT: u64 = 20;
const RECENT_IDS: u64 = 1_000_000;
const TOPICS: u64 = 8;
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
/// Room for what is looked up, as in the other peers.
const CACHE_BYTES: u64 = 1 << 30;

/// What the benchmark tells every driver.
#[derive(Debug, Default)]
struct Plan {
    store: PathBuf,
    batch: u64,
    batches: u64,
    seconds: u64,
    first: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let plan = Plan::read()?;
    let database = Database::builder(&plan.store).cache_size(CACHE_BYTES).open()?;
    let events = database.keyspace("events", KeyspaceCreateOptions::default)?;
    let (mut done, mut unique) = (0, 0);
    let started = Instant::now();
    while done < plan.batches && started.elapsed() < Duration::from_secs(plan.seconds) {
        let start = plan.first + done * plan.batch;
        unique += insert(&database, &events, start..start + plan.batch)?;
        done += 1;
    }
    let (sent, seconds) = (done * plan.batch, started.elapsed().as_secs_f64());
    println!("{{\"events\":{sent},\"unique\":{unique},\"seconds\":{seconds}}}");
    Ok(())
}

/// Stores what is new of a batch, and tells how much that was.
fn insert(
    database: &Database,
    events: &Keyspace,
    indexes: std::ops::Range<u64>,
) -> Result<u64, fjall::Error> {
    let mut batch = database.batch().durability(Some(PersistMode::SyncData));
    let mut in_batch = HashSet::new();
    for index in indexes {
        let number = id_number(index);
        let (key, value) = event(number);
        if in_batch.insert(number) && !events.contains_key(&key)? {
            batch.insert(events, key, value);
        }
    }
    let unique = batch.len() as u64;
    batch.commit()?;
    Ok(unique)
}

fn event(number: u64) -> (String, String) {
    let (high, low) = (mix(number), mix(number.wrapping_add(GOLDEN)));
    let id = format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff,
    );
    let topic = number % TOPICS;
    let value = format!(
        r#""timestamp":"2026-11-21T09:30:00.125Z","source":"shop-1","payload":{{"order":"{id}","customer":"c-1000000","amount":"150000","currency":"IDR"}}"#
    );
    (format!("orders.{topic}/{id}"), value)
}

fn id_number(index: u64) -> u64 {
    let new_before = new_among(index);
    if new_among(index + 1) > new_before {
        return new_before;
    }
    let back = mix(index ^ GOLDEN) % new_before.clamp(1, RECENT_IDS);
    new_before.saturating_sub(1 + back)
}

fn new_among(events: u64) -> u64 {
    events - events * DUPLICATES_PERCENT / 100
}

fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(GOLDEN);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Plan {
    fn read() -> Result<Self, Box<dyn Error>> {
        let mut plan = Self::default();
        let mut arguments = env::args().skip(1);
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} has no value"))?;
            match name.as_str() {
                "--store" => plan.store = PathBuf::from(value),
                "--batch" => plan.batch = value.parse()?,
                "--batches" => plan.batches = value.parse()?,
                "--seconds" => plan.seconds = value.parse()?,
                "--first" => plan.first = value.parse()?,
                _ => return Err(format!("there is no argument {name}").into()),
            }
        }
        Ok(plan)
    }
}
