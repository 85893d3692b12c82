//! The load of the event log and of every peer that takes requests: prepared events over a few
//! blocking connections. Runs as a process of its own, so that its processor time is not its
//! parent's. Must never know who answers.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::jetstream;
use super::load::{Row, Template};
use crate::bench::figure::Spread;
use crate::bench::http::{self, Connection};

/// What to send, and where.
#[derive(Debug, Args)]
pub(crate) struct Plan {
    #[arg(long)]
    address: SocketAddr,
    #[arg(long, value_enum)]
    protocol: Protocol,
    /// Events of one request, or of one write to a server that takes each by itself
    #[arg(long)]
    batch: u64,
    #[arg(long)]
    connections: usize,
    /// No new batch after this time
    #[arg(long)]
    seconds: u64,
    /// No more batches than this
    #[arg(long)]
    batches: u64,
    /// Where in the row of events to begin: where the run before ended
    #[arg(long)]
    first: u64,
    /// Duplicates repeat one of that many newest ids
    #[arg(long)]
    recent_ids: u64,
    /// Ask for a reply without a result for each event
    #[arg(long)]
    minimal: bool,
}

/// How a server takes events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Protocol {
    /// `POST /publish`, of an array, or of one event as an object.
    Http,
    /// NATS with JetStream, each event a message.
    Nats,
}

/// Which batches are still to be sent. All that are taken are sent, without a gap.
#[derive(Debug)]
pub(super) struct Batches {
    next: AtomicU64,
    end: u64,
    deadline: Instant,
    first_event: u64,
    events: u64,
}

/// One request whose events get new ids before each sending, in place.
#[derive(Debug)]
struct Request {
    bytes: Vec<u8>,
    template: Template,
    /// Where the first event starts, and how far it is from one to the next.
    body_at: usize,
    stride: usize,
}

/// Sends it all and prints what came of it as one line of JSON; `Ok(true)`, or the first failure.
pub(crate) fn run(plan: &Plan) -> Result<bool> {
    let started = Instant::now();
    let batches = Batches::new(plan, started);
    let workers: Vec<Result<Vec<f64>>> = thread::scope(|scope| {
        let spawn = |_| scope.spawn(|| plan.send(&batches));
        let workers: Vec<_> = (0..plan.connections).map(spawn).collect();
        let join = |worker: thread::ScopedJoinHandle<'_, _>| worker.join();
        let joined = workers.into_iter().map(join);
        joined
            .map(|end| end.unwrap_or_else(|_| Err(anyhow!("a connection's thread panicked"))))
            .collect()
    });
    let seconds = started.elapsed().as_secs_f64();
    let times_ms = workers.into_iter().collect::<Result<Vec<_>>>()?.concat();
    let result = json!({
        "events": batches.sent() * plan.batch,
        "seconds": seconds,
        "batch_ms_median": Spread::of(&times_ms).map(|spread| spread.median),
    });
    println!("{result}");
    Ok(true)
}

impl Plan {
    /// One connection's batches; gives the milliseconds that each took, where that has a meaning.
    fn send(&self, batches: &Batches) -> Result<Vec<f64>> {
        let row = Row { recent_ids: self.recent_ids };
        match self.protocol {
            Protocol::Http => send_requests(self, row, batches),
            Protocol::Nats => jetstream::publish(self.address, row, batches).map(|()| Vec::new()),
        }
    }
}

fn send_requests(plan: &Plan, row: Row, batches: &Batches) -> Result<Vec<f64>> {
    let mut request = Request::new(plan.batch, plan.minimal);
    let mut connection = Connection::open(plan.address)?;
    let mut times_ms = Vec::new();
    while let Some(events) = batches.take() {
        request.fill(row, events.start);
        let started = Instant::now();
        let reply = connection.exchange(&request.bytes)?;
        ensure!(
            reply.status == 200,
            "a publication got status {}: {}",
            reply.status,
            String::from_utf8_lossy(&reply.body[..reply.body.len().min(300)]),
        );
        times_ms.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times_ms)
}

impl Batches {
    fn new(plan: &Plan, now: Instant) -> Self {
        Self {
            next: AtomicU64::new(0),
            end: plan.batches,
            deadline: now + Duration::from_secs(plan.seconds),
            first_event: plan.first,
            events: plan.batch,
        }
    }

    /// The next batch's places in the row; `None` when the time is over or all are taken.
    pub(super) fn take(&self) -> Option<std::ops::Range<u64>> {
        if Instant::now() >= self.deadline {
            return None;
        }
        let batch = self.next.fetch_add(1, Ordering::Relaxed);
        let start = self.first_event + batch * self.events;
        (batch < self.end).then(|| start..start + self.events)
    }

    fn sent(&self) -> u64 {
        self.next.load(Ordering::Relaxed).min(self.end)
    }
}

impl Request {
    fn new(events: u64, minimal: bool) -> Self {
        let template = Template::new();
        let list = vec![template.text(); events as usize].join(",");
        let (body, before) = if events == 1 { (list, 0) } else { (format!("[{list}]"), 1) };
        let mut headers = vec!["Content-Type: application/json"];
        headers.extend(minimal.then_some("Prefer: return=minimal"));
        let bytes = http::request("POST", "/publish", &headers, body.as_bytes());
        let body_at = bytes.len() - body.len() + before;
        Self { bytes, body_at, stride: template.text().len() + 1, template }
    }

    /// Makes it carry the events of the row from `first` on.
    fn fill(&mut self, row: Row, first: u64) {
        let places = (self.body_at..self.bytes.len()).step_by(self.stride);
        for (index, at) in (first..).zip(places) {
            if at + self.stride - 1 <= self.bytes.len() {
                self.template.fill(&mut self.bytes, at, row.id_number(index));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use memchr::memmem;
    use serde_json::Value;

    use super::super::load;
    use super::*;

    fn body(request: &Request) -> Value {
        let starts = memmem::find(&request.bytes, b"\r\n\r\n").unwrap() + 4;
        serde_json::from_slice(&request.bytes[starts..]).unwrap()
    }

    #[test]
    fn a_request_carries_its_part_of_the_row() {
        let row = Row { recent_ids: 100 };
        for size in [2, 1_000] {
            let mut request = Request::new(size, true);
            for first in [0, 12_345] {
                request.fill(row, first);
                let body = body(&request);
                assert_eq!(body.as_array().unwrap().len() as u64, size);
                for (index, event) in (first..).zip(body.as_array().unwrap()) {
                    let id = load::id(row.id_number(index));
                    assert_eq!(event["event_id"], str::from_utf8(&id).unwrap(), "{index}");
                }
            }
        }
    }

    #[test]
    fn one_event_is_an_object() {
        let mut request = Request::new(1, false);
        request.fill(Row { recent_ids: 1 }, 0);
        assert!(body(&request).is_object());
    }

    #[test]
    fn all_that_is_taken_is_without_a_gap() {
        let batches = |seconds| Batches {
            next: AtomicU64::new(0),
            end: 2,
            deadline: Instant::now() + Duration::from_secs(seconds),
            first_event: 50,
            events: 10,
        };
        let open = batches(60);
        let taken = [open.take(), open.take(), open.take(), open.take()];
        assert_eq!(taken, [Some(50..60), Some(60..70), None, None]);
        assert_eq!(open.sent(), 2);
        let over = batches(0);
        assert_eq!((over.take(), over.sent()), (None, 0));
    }
}
