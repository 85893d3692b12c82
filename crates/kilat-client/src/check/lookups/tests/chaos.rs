//! Everything at once, drawn at random: whatever servers, log and users do, the accounts are
//! right, the bounds are kept, and the run ends.

use super::*;
use crate::check::pace::HedgeAfter;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::HashMap;

/// Runs unless the environment names another number (`KILAT_CHAOS`).
const RUNS: u64 = 50;

#[test]
fn whatever_happens_accounts_are_right_and_bounds_are_kept() {
    let from_env = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = from_env("KILAT_SEED").unwrap_or_else(rand::random);
    let runs =
        if from_env("KILAT_SEED").is_some() { 1 } else { from_env("KILAT_CHAOS").unwrap_or(RUNS) };
    eprintln!("{runs} runs");
    for seed in (0..runs).map(|n| first.wrapping_add(n)) {
        eprintln!("KILAT_SEED={seed}");
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.unwrap().block_on(one(seed));
    }
}

async fn one(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let rig = rig(&mut random);
    let options = &rig.options;
    let server = Chaos::new(&mut random);
    let presses: Vec<Duration> = (0..random.random_range(0..4_usize))
        .map(|_| ms(random.random_range(0..200_000)))
        .filter(|_| seed.is_multiple_of(3))
        .collect();
    let (log_waits, log_breaks) = (seed.is_multiple_of(5), seed.is_multiple_of(7));
    let logged = Cell::new(0);
    let log = async |_: &Entry| {
        logged.set(logged.get() + 1);
        if log_waits && u64::is_multiple_of(logged.get(), 50) {
            tokio::time::sleep(ms(700)).await;
        }
        if log_breaks && logged.get() > 100 { Err(Closed) } else { Ok(()) }
    };
    let users = async {
        for press in &presses {
            tokio::time::sleep(*press).await;
            rig.stop.press();
        }
        std::future::pending::<()>().await;
    };
    let run = tokio::select! {
        run = rig.run_with(async |request: &Request| server.ask(request).await, log) => run,
        () = users => unreachable!("waits for ever"),
        () = tokio::time::sleep(s(36_000)) => panic!("seed {seed}: does not end"),
    };
    let most = options.concurrency.unwrap_or(1_000);
    assert!(run.end.totals.in_flight_most <= most);
    assert!(server.in_flight_most.get() <= u64::from(most), "more at once than allowed");
    assert!(run.held_most <= u64::from(2 * most + 64), "{} held", run.held_most);
    // What was to be sent when all ended at once may not have reached the server.
    let unsent = run.end.totals.requests - server.requests.get();
    assert!(unsent == 0 || !run.end.is_complete(), "{unsent}");
    assert_eq!(server.early.get(), 0, "asked again before the server's time");
    let firsts = run.end.totals.requests - run.end.totals.retries - run.end.totals.hedges;
    assert!(run.end.totals.hedges <= run.end.totals.requests / 20 + 1);
    assert!(firsts <= rig.ids.len() as u64);
    let attempts_most = 1 + options.retries * 5 + 2 * 60;
    assert!(run.findings.iter().all(|finding| finding.attempts <= 2 * attempts_most));
}

fn rig(random: &mut StdRng) -> Rig {
    let mut rig = Rig::new(random.random_range(0..1_000));
    let options = &mut rig.options;
    options.concurrency =
        [None, Some(random.random_range(1..64)), Some(random.random_range(65..3_000))]
            [random.random_range(0..3)];
    options.fixed = random.random_bool(0.2);
    options.retries = random.random_range(0..6);
    options.timeout = s(10);
    if random.random_bool(0.2) {
        options.rate = crate::check::Rate::new(random.random_range(20..5_000), s(1));
    }
    if random.random_bool(0.2) {
        options.deadline = Some(ms(random.random_range(0..60_000)));
    }
    if random.random_bool(0.3) {
        options.hedge = Some(if random.random_bool(0.5) {
            HedgeAfter::P95
        } else {
            HedgeAfter::Fixed(ms(random.random_range(1..2_000)))
        });
    }
    rig.wants_steps = random.random_bool(0.2);
    rig
}

/// A server with a fate for each minute and each call.
struct Chaos {
    random: RefCell<StdRng>,
    began: Instant,
    /// Shares of bad answers, in each of some stretches of 5 s.
    stretches: Vec<f64>,
    told: RefCell<HashMap<String, Instant>>,
    early: Cell<u64>,
    requests: Cell<u64>,
    in_flight: Cell<u64>,
    in_flight_most: Cell<u64>,
}

impl Chaos {
    fn new(random: &mut StdRng) -> Chaos {
        let stretches =
            (0..8).map(|_| [0.0, 0.02, 0.3, 0.9, 1.0][random.random_range(0..5)]).collect();
        Chaos {
            random: RefCell::new(StdRng::seed_from_u64(random.random())),
            began: Instant::now(),
            stretches,
            told: RefCell::default(),
            early: Cell::new(0),
            requests: Cell::new(0),
            in_flight: Cell::new(0),
            in_flight_most: Cell::new(0),
        }
    }

    async fn ask(&self, request: &Request) -> Carried {
        let _leave = Leave(&self.in_flight);
        self.requests.set(self.requests.get() + 1);
        self.in_flight.set(self.in_flight.get() + 1);
        self.in_flight_most.set(self.in_flight_most.get().max(self.in_flight.get()));
        let id = asked(request);
        let too_early = |until: Instant| Instant::now() < until;
        let told = self.told.borrow_mut().remove(&id);
        self.early.set(self.early.get() + u64::from(told.is_some_and(too_early)));
        tokio::time::sleep(ms(self.draw(0..400))).await;
        let stretch = (self.began.elapsed().as_secs() / 5) as usize;
        let bad = *self.stretches.get(stretch).unwrap_or(&0.01);
        if !self.random.borrow_mut().random_bool(bad) {
            return if self.draw(0..2) == 0 { found() } else { not_found() };
        }
        match self.draw(0..12) {
            0..3 => {
                let seconds = self.draw(0..4);
                self.told.borrow_mut().insert(id, Instant::now() + s(seconds));
                come_again(seconds)
            }
            3 => status(429),
            4 => status(503),
            5 => status(502),
            6 => status(500),
            7 => unreachable(),
            8 => Err(Setback::Closed),
            9 => reply(200, &[], "<html>"),
            10 if self.draw(0..20) == 0 => come_again(1_000),
            10 => status(400),
            _ => {
                tokio::time::sleep(s(10)).await;
                Err(Setback::TimedOut(s(10)))
            }
        }
    }

    fn draw(&self, range: std::ops::Range<u64>) -> u64 {
        self.random.borrow_mut().random_range(range)
    }
}

/// Counts down also when the loop drops the call.
struct Leave<'a>(&'a Cell<u64>);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
