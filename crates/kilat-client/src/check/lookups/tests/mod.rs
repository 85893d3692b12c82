//! The loop against servers that exist only in memory and in a clock that never waits: what
//! takes minutes is over at once, and a busy machine changes nothing.

mod batches;
mod capacity;
mod chaos;
mod ending;
mod hedges;
mod outage;
mod retries;
mod servers;
mod wire;

use super::{Plan, RunEnd, run};
use crate::check::audit::{Closed, Entry};
use crate::check::call::{Reply, Request};
use crate::check::exchange::Setback;
use crate::check::gauges::{Gauge, Gauges};
use crate::check::pace::PaceOptions;
use crate::check::profile::Profile;
use crate::check::stop::Stop;
use crate::check::{Finding, Id, Outcome};
use crate::{ClientError, Lang};
use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::Instant;

type Carried = Result<Reply, Setback>;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A run to be.
struct Rig {
    profile: Profile,
    options: PaceOptions,
    ids: Vec<String>,
    stop: Stop,
    gauges: Gauges,
    /// What the carrying sent beyond one for each call.
    extras: Gauge,
    wants_steps: bool,
}

/// What a run came to.
struct Run {
    end: RunEnd,
    findings: Vec<Finding>,
    /// All entries but the findings, as text.
    steps: Vec<String>,
    /// Most ids that were read and not recorded.
    held_most: u64,
    took: Duration,
}

/// The profile `stock`, for replies that are the same for all ids.
fn untied() -> Profile {
    let text = Profile::text("stock").unwrap();
    let untied = text.lines().filter(|line| !line.starts_with("same = "));
    let text: Vec<&str> = untied.collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stock.toml");
    std::fs::write(&path, text.join("\n")).unwrap();
    Profile::open(&path, &|_| None, Lang::English).unwrap()
}

impl Rig {
    /// `count` ids of the profile `stock`.
    fn new(count: usize) -> Rig {
        Rig {
            profile: untied(),
            options: PaceOptions::default(),
            ids: (0..count).map(|n| format!("n{n}")).collect(),
            stop: Stop::new(),
            gauges: Gauges::default(),
            extras: Gauge::default(),
            wants_steps: false,
        }
    }

    fn concurrency(mut self, concurrency: u32) -> Rig {
        self.options.concurrency = Some(concurrency);
        self
    }

    /// Runs against `api`, with a log that takes everything.
    async fn run(&self, api: impl AsyncFn(&Request) -> Carried) -> Run {
        self.run_with(api, async |_: &Entry| Ok(())).await
    }

    /// Runs against `api`; `log` is asked before each entry is taken. Whatever happens, the
    /// accounts must be right.
    async fn run_with(
        &self,
        api: impl AsyncFn(&Request) -> Carried,
        log: impl AsyncFn(&Entry) -> Result<(), Closed>,
    ) -> Run {
        let began = Instant::now();
        let read = Cell::new(0);
        let (findings, steps) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
        let held_most = Cell::new(0);
        let next = async || {
            let index = read.get();
            let id = self.ids.get(index as usize)?;
            read.set(index + 1);
            held_most.set(held_most.get().max(read.get() - findings.borrow().len() as u64));
            Some(self.id(index, id))
        };
        let record = async |entry: Entry| {
            log(&entry).await?;
            match entry {
                Entry::Ended(finding) => findings.borrow_mut().push(finding),
                Entry::Began { id, .. } => steps.borrow_mut().push(format!("began {id:?}")),
                Entry::Sent { index, .. } => steps.borrow_mut().push(format!("sent {index}")),
            }
            Ok(())
        };
        let end = run(&self.plan(), next, api, record).await;
        let (findings, steps) = (findings.into_inner(), steps.into_inner());
        let (held_most, took) = (held_most.get(), began.elapsed());
        let run = Run { end, findings, steps, held_most, took };
        run.check_accounts(read.get(), self.ids.len());
        run
    }

    fn plan(&self) -> Plan<'_> {
        Plan {
            profile: &self.profile,
            options: &self.options,
            gauges: &self.gauges,
            extras: &self.extras,
            stop: &self.stop,
            lang: Lang::English,
            wants_steps: self.wants_steps,
            seed: 7,
        }
    }

    /// An id that begins with `!` stands for a mistake in the input.
    fn id(&self, index: u64, text: &str) -> Result<(u64, Id), ClientError> {
        match text.strip_prefix('!') {
            None => Ok((index, Id::new(text).unwrap())),
            Some(mistake) => Err(ClientError::Usage(mistake.to_owned())),
        }
    }
}

impl Run {
    /// Each id that was read has ended once in the log, or is counted as left; a run that
    /// calls itself complete has left none; and the loop knows how many there were.
    fn check_accounts(&self, read: u64, all: usize) {
        let indexes: HashSet<u64> = self.findings.iter().map(|finding| finding.index).collect();
        assert_eq!(indexes.len(), self.findings.len(), "an id ended twice");
        assert_eq!(self.end.recorded, self.findings.len() as u64);
        assert_eq!(self.end.is_complete(), self.end.reason(Lang::English).is_none());
        let mistakes = u64::from(matches!(self.end.why, super::Why::Input(_)));
        assert_eq!(self.end.recorded + self.end.left + mistakes, read);
        if self.end.is_complete() {
            assert_eq!((self.end.left, self.findings.len()), (0, all));
        }
    }

    fn count(&self, outcome: Outcome) -> usize {
        self.findings.iter().filter(|finding| finding.outcome == outcome).count()
    }

    /// Found, not found, unknown.
    fn counts(&self) -> (usize, usize, usize) {
        (self.count(Outcome::Found), self.count(Outcome::NotFound), self.count(Outcome::Unknown))
    }

    fn finding(&self, id: &str) -> &Finding {
        self.findings.iter().find(|finding| finding.id.as_str() == id).unwrap()
    }
}

/// The id that a request of the profile `stock` asks for.
fn asked(request: &Request) -> String {
    let query = request.uri.query().unwrap();
    query.strip_prefix("sku=").unwrap().to_owned()
}

fn reply(status: u16, headers: &[(&'static str, &str)], body: &str) -> Carried {
    let mut fields = HeaderMap::new();
    for (name, value) in headers {
        fields.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    Ok(Reply { status, headers: fields, body: Bytes::copy_from_slice(body.as_bytes()) })
}

fn found() -> Carried {
    reply(200, &[], r#"{"name":"a","sku":"b","stock":7,"warehouse":"c"}"#)
}

fn not_found() -> Carried {
    reply(404, &[], r#"{"error":"sku_not_found","message":"no"}"#)
}

fn status(status: u16) -> Carried {
    reply(status, &[], "")
}

/// 429 with a time to come again.
fn come_again(seconds: u64) -> Carried {
    reply(429, &[("retry-after", &seconds.to_string())], "")
}

fn unreachable() -> Carried {
    Err(Setback::Unreachable("connection refused".to_owned()))
}
