//! The sending: threads with a connection each take batches, one after the other.

use super::options::Plan;
use super::render::Renderer;
use super::told::{Told, join};
use crate::attack::Promises;
use crate::events::courier::{Courier, Halt, Meter, Policy, Undelivered};
use crate::events::receipt::{Detail, Published, contradiction};
use crate::events::{Progress, Scene};
use crate::http::{Access, Api, BACKOFF_FIRST_MS, BACKOFF_MAX_MS, CallError};
use crate::latency::histogram;
use crate::{ClientError, Lang};
use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How late the end of the last batch is noticed at most.
const NAP: Duration = Duration::from_millis(2);

/// What the sending left for the verification and the report.
pub(crate) struct Aftermath {
    pub told: Told,
    /// Acknowledged deliveries, by what was told about them.
    pub acknowledged: u64,
    pub stored: u64,
    pub duplicates: u64,
    pub conflicts: u64,
    /// Deliveries that may have been taken although no answer came.
    pub lost: u64,
    /// Batches without an answer in the end.
    pub unknown: Vec<u64>,
    /// Whether replies were true.
    pub replies: Promises,
    /// From the first attempt of a batch to its answer, in microseconds.
    pub latency_us: Histogram<u64>,
    pub elapsed: Duration,
    pub cancelled: bool,
    pub meter: Meter,
}

/// The run while it goes on.
pub(crate) struct Flood<'a> {
    plan: &'a Plan,
    renderer: &'a Renderer,
    told: Told,
    cancel: &'a AtomicBool,
    halt: Halt,
    meter: Meter,
    /// The next batch that nobody has taken.
    next: AtomicU64,
    acknowledged: AtomicU64,
}

/// What one thread found.
struct Part {
    acknowledged: u64,
    stored: u64,
    duplicates: u64,
    conflicts: u64,
    lost: u64,
    unknown: Vec<u64>,
    replies: Promises,
    latency_us: Histogram<u64>,
    refusal: Option<CallError>,
}

impl<'a> Flood<'a> {
    /// `stored_before`: events that the log held before the first one of the run.
    pub(crate) fn new(
        plan: &'a Plan,
        renderer: &'a Renderer,
        stored_before: u64,
        cancel: &'a AtomicBool,
    ) -> Self {
        Flood {
            plan,
            renderer,
            told: Told::new(plan.deck.events(), stored_before, !plan.minimal),
            cancel,
            halt: Halt::default(),
            meter: Meter::default(),
            next: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
        }
    }

    /// Delivers everything, as far as patience and the caller allow.
    ///
    /// # Errors
    /// When the server says that the request itself is wrong, or its answer can't be read.
    pub(crate) fn run(
        self,
        access: &Access,
        progress: &mut Progress,
        lang: Lang,
    ) -> Result<Aftermath, ClientError> {
        let apis: Result<Vec<Api>, ClientError> =
            (0..self.plan.connections).map(|_| Api::new(access, lang)).collect();
        let began = Instant::now();
        let parts = self.send(&apis?, progress);
        let elapsed = began.elapsed();
        let mut whole = Part::new();
        for part in parts {
            whole.add(part);
        }
        if let Some(error) = whole.refusal {
            return Err(match error {
                CallError::Refused { status: 401, .. } => {
                    ClientError::Usage(lang.say("publish.token", &[]))
                }
                error => error.explain(&self.plan.url, lang),
            });
        }
        Ok(Aftermath {
            told: self.told,
            acknowledged: whole.acknowledged,
            stored: whole.stored,
            duplicates: whole.duplicates,
            conflicts: whole.conflicts,
            lost: whole.lost,
            unknown: whole.unknown,
            replies: whole.replies,
            latency_us: whole.latency_us,
            elapsed,
            cancelled: self.cancel.load(Ordering::Relaxed),
            meter: self.meter,
        })
    }

    fn send(&self, apis: &[Api], progress: &mut Progress) -> Vec<Part> {
        std::thread::scope(|scope| {
            let threads: Vec<_> = apis
                .iter()
                .enumerate()
                .map(|(at, api)| scope.spawn(move || self.work(api, at)))
                .collect();
            while !threads.iter().all(|thread| thread.is_finished()) {
                let events = self.acknowledged.load(Ordering::Relaxed);
                let all = Some(self.plan.deck.deliveries());
                progress.tick(&Scene { events, done: events, all, meter: &self.meter });
                std::thread::sleep(NAP);
            }
            // A thread that panicked has no part; what it took is then missing.
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
        })
    }

    fn work(&self, api: &Api, at: usize) -> Part {
        let detail = if self.plan.minimal { Detail::Minimal } else { Detail::Full };
        let policy = Policy {
            retries: u32::MAX,
            patience: self.plan.patience,
            first: Duration::from_millis(u64::from(BACKOFF_FIRST_MS)),
            longest: Duration::from_millis(u64::from(BACKOFF_MAX_MS)),
        };
        let mut courier = Courier {
            api,
            path: "/publish",
            detail,
            policy,
            cancel: self.cancel,
            halt: &self.halt,
            meter: &self.meter,
            random: self.plan.seed ^ at as u64,
        };
        let mut part = Part::new();
        let (mut events, mut body) = (Vec::new(), Vec::new());
        while let Some(batch) = self.take() {
            events.clear();
            self.plan.deck.deal(self.plan.deliveries_of(batch), &mut events);
            self.renderer.body(&events, &mut body);
            let began = Instant::now();
            let delivery = courier.deliver(&body);
            part.lost += u64::from(delivery.lost) * events.len() as u64;
            match delivery.outcome {
                Ok(receipt) => {
                    let us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
                    part.latency_us.saturating_record(us);
                    self.hear(&mut part, &events, &receipt, detail);
                }
                Err(undelivered) => {
                    part.unknown.push(batch);
                    self.halt.set();
                    if let Undelivered::Refused(error) = undelivered {
                        part.refusal = Some(error);
                    }
                }
            }
        }
        part
    }

    fn take(&self) -> Option<u64> {
        let is_over = self.halt.is_set() || self.cancel.load(Ordering::Relaxed);
        let batch = if is_over { u64::MAX } else { self.next.fetch_add(1, Ordering::Relaxed) };
        (batch < self.plan.batches()).then_some(batch)
    }

    fn hear(&self, part: &mut Part, events: &[u64], receipt: &Published, detail: Detail) {
        let sent = events.len() as u64;
        self.acknowledged.fetch_add(sent, Ordering::Relaxed);
        part.acknowledged += sent;
        part.stored += receipt.stored;
        part.duplicates += receipt.duplicates;
        part.conflicts += receipt.conflicts;
        part.replies.checked += sent;
        for &event in events {
            self.told.acknowledged.set(event);
        }
        if let Some(why) = contradiction(receipt, sent, detail) {
            return part.replies.broke("contradiction", why);
        }
        if receipt.conflicts > 0 && receipt.results.is_none() {
            part.replies.broke("conflict_without_reason", receipt.conflicts.to_string());
        }
        for (&event, outcome) in events.iter().zip(receipt.results.iter().flatten()) {
            if let Err(lie) = self.told.hear(event, outcome) {
                let offset = outcome.offset.map_or(String::new(), |offset| format!(" @{offset}"));
                part.replies.broke(lie.fault, format!("{}{offset}", self.renderer.id(lie.event)));
            }
        }
    }
}

impl Part {
    fn new() -> Part {
        Part {
            acknowledged: 0,
            stored: 0,
            duplicates: 0,
            conflicts: 0,
            lost: 0,
            unknown: Vec::new(),
            replies: Promises::default(),
            latency_us: histogram(),
            refusal: None,
        }
    }

    fn add(&mut self, part: Part) {
        self.acknowledged += part.acknowledged;
        self.stored += part.stored;
        self.duplicates += part.duplicates;
        self.conflicts += part.conflicts;
        self.lost += part.lost;
        self.unknown.extend(part.unknown);
        join(&mut self.replies, part.replies);
        let _ = self.latency_us.add(&part.latency_us);
        self.refusal = self.refusal.take().or(part.refusal);
    }
}
