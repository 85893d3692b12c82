//! The whole system under an attack while its processes are killed, stopped and continued.
//!
//! Two judges that know nothing of each other: the attack's own proof, and a client with a memory
//! whose sale is told anew from the events.

use crate::facts;
use crate::program::{scaled, wait_for};
use crate::storm::Storm;
use crate::system::{NAMES, Up};
use crate::witness::{Random, SALE, Witness, seed};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const OPERATIONS: u64 = 600;
const WORKERS: u64 = 2;
/// Longest pause between two kills.
const PAUSE_MS_MAX: u64 = 700;
/// Longer than a core lets a request be on its way.
const STOPPED: Duration = Duration::from_secs(5);

/// A storm and a witness at work until `harm` is done; then both are heard.
fn under_attack(up: &Up, seed: u64, harm: impl FnOnce()) -> Value {
    let (witness, done) = (Witness::default(), AtomicBool::new(false));
    let url = &up.server.url;
    let storm = Storm::without_end(&up.server, 64);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1.. {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                witness.work(url, WORKERS, OPERATIONS, seed.wrapping_add(round));
            }
        });
        wait_for("orders", || (witness.acknowledged() > 20).then_some(()));
        let _done = SetAtEnd(&done);
        harm();
    });
    up.await_all();
    let report = storm.end();
    witness.check(&up.server);
    witness.replay(&up.server);
    for sale in [SALE, report["setup"]["sale"].as_str().unwrap()] {
        let audited = facts::check(&up.server, sale);
        println!("{sale}: {} events, {} units sold", audited.events, audited.sold);
    }
    println!("{} acknowledgements to the witness", witness.acknowledged());
    report
}

/// So that nobody works for ever when a test fails.
struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What buyers noticed.
fn tell(report: &Value) {
    let (orders, traffic) = (&report["orders"], &report["traffic"]);
    let longest = longest_silence_ms(report);
    println!(
        "{} orders acknowledged, {} unknown, longest time without any: {longest} ms",
        orders["acknowledged"], orders["unknown"]
    );
    println!("{traffic}");
}

fn longest_silence_ms(report: &Value) -> u64 {
    let steps = report["timeline"].as_array().unwrap();
    let silent = |step: &Value| step["acknowledged"] == 0;
    let longest =
        steps.chunk_by(|one, next| silent(one) && silent(next)).filter(|run| silent(&run[0]));
    let longest = longest.map(<[Value]>::len).max().unwrap_or_default() as u64;
    longest * report["timeline_step_ms"].as_u64().unwrap()
}

/// All names in an order of chance.
fn shuffled(random: &mut Random) -> Vec<&'static str> {
    let mut left = NAMES.to_vec();
    let mut names = Vec::new();
    while !left.is_empty() {
        names.push(left.swap_remove(random.below(left.len() as u64) as usize));
    }
    names
}

#[test]
fn whatever_is_killed_at_random_no_acknowledged_order_is_lost() {
    let kills = scaled("KILAT_CHAOS_KILLS", 12);
    let seed = seed();
    let mut random = Random::new(seed);
    let up = Up::start();
    let mut killed: BTreeMap<&str, usize> = BTreeMap::new();
    let report = under_attack(&up, seed, || {
        let mut turn = Vec::new();
        for _ in 0..kills {
            if turn.is_empty() {
                turn = shuffled(&mut random);
            }
            let name = turn.pop().unwrap();
            std::thread::sleep(Duration::from_millis(random.below(PAUSE_MS_MAX)));
            // Now and then the next one dies before this one is back.
            match random.below(4) {
                0 => drop(up.strike(name)),
                _ => up.kill(name),
            }
            *killed.entry(name).or_default() += 1;
        }
    });
    println!("killed: {killed:?}");
    tell(&report);
    assert!(report["orders"]["acknowledged"].as_u64() > Some(0), "{report}");
    assert_eq!(up.stop()["holds"], true);
}

#[test]
fn a_process_that_stands_still_for_a_while_loses_nothing() {
    let seed = seed();
    let mut random = Random::new(seed);
    let name = NAMES[random.below(NAMES.len() as u64) as usize];
    println!("{name} stands still");
    let up = Up::start();
    let report = under_attack(&up, seed, || {
        up.signal(name, Signal::STOP);
        std::thread::sleep(STOPPED);
        up.signal(name, Signal::CONT);
    });
    tell(&report);
    assert_eq!(up.process(name)["restarts"], 0, "it was only slow");
    assert_eq!(up.stop()["holds"], true);
}
