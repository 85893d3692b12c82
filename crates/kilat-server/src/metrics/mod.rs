//! What Prometheus sees, and the cheap counters of the calls that storm.
//!
//! The recorder is the process's; a second server in the same process shares it.
//! Every metric is described in `docs/monitoring.md`, and a test compares.

mod durations;
mod exposition;
mod process;
mod readings;

use crate::state::App;
use axum::http::StatusCode;
pub(crate) use durations::Answer;
use durations::{GATEWAY_SECONDS, ORDER_SECONDS, PUBLISH_SECONDS, Tally};
use exposition::Exposition;
use metrics::{
    Counter, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
pub(crate) use readings::Places;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Requests to buy, by what became of them. The name is a contract.
const REQUESTS: &str = "flash_sale_requests_total";
/// Duration of a request in the full lane, by route and class of status.
const HTTP_SECONDS: &str = "kilat_http_request_seconds";
/// Replies of the full lane, by class of status.
pub(crate) const HTTP_REPLIES: &str = "kilat_http_replies_total";
/// Connections that were told that there is no place for them.
const CONNECTIONS_REFUSED: &str = "kilat_connections_refused_total";
/// Requests that were not carried out because callers leave before they are answered, by who was
/// turned away.
const TURNED_AWAY: &str = "kilat_turned_away_total";
/// Events that came through `/publish`, by what became of them.
pub(crate) const EVENTS: &str = "kilat_events_total";
/// How often recorded samples are folded into buckets, so that they don't pile up.
pub(crate) const UPKEEP_EVERY: Duration = Duration::from_secs(1);

const SECONDS: [f64; 15] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    10.0,
];
/// What requests to buy come to and what there is to see from the start: the rest comes up with
/// the first such request.
const STATUSES_SHOWN: [&str; 8] = [
    "confirmed",
    "held",
    "replayed",
    "sold_out",
    "limit_reached",
    "overloaded",
    "storage_full",
    "internal",
];
/// Facts of a batch, events of a group.
const SIZES: [f64; 9] = [1.0, 4.0, 16.0, 64.0, 256.0, 1_024.0, 2_048.0, 4_096.0, 8_192.0];
/// Metrics that are sizes and not durations.
const SIZED: [&str; 2] = ["kilat_batch_facts", "kilat_event_group_events"];
/// The commit that the program was built from, when the build said so.
const REVISION: &str = match option_env!("KILAT_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// The process's metrics.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    /// When the recorder was installed, with which a server starts. What the system says of a
    /// process's start needs files that a hardened service does not see.
    started: SystemTime,
}

impl Metrics {
    /// Installs the recorder on the first call; later calls share it.
    ///
    /// # Errors
    /// When another recorder is installed in this process.
    pub fn install() -> Result<Metrics, BuildError> {
        static INSTALLED: Mutex<Option<Metrics>> = Mutex::new(None);
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(metrics) = &*installed {
            return Ok(metrics.clone());
        }
        let mut builder = PrometheusBuilder::new().set_buckets(&SECONDS)?;
        for name in SIZED {
            builder = builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), &SIZES)?;
        }
        let handle = builder.install_recorder()?;
        describe();
        Ok(installed.insert(Metrics { handle, started: SystemTime::now() }).clone())
    }

    /// What a process without a server counts, in Prometheus's text format.
    pub(crate) fn render_process(&self) -> String {
        let mut out = Exposition::after(self.handle.render());
        process::render(self.started, &mut out);
        out.into_text()
    }

    /// Everything in Prometheus's text format, `app`'s own figures as they are now.
    pub(crate) fn render(&self, app: &App) -> String {
        let mut out = Exposition::after(self.handle.render());
        let help = "Time from a whole request to buy to its reply, by what the reply said";
        ORDER_SECONDS.render(&mut out, "kilat_order_seconds", help, &Answer::ALL);
        let help = "Time from a whole request to publish to its reply, by what the reply said";
        let answers = [Answer::Accepted, Answer::Refused, Answer::Failed];
        PUBLISH_SECONDS.render(&mut out, "kilat_publish_seconds", help, &answers);
        readings::render(app, &mut out);
        process::render(self.started, &mut out);
        out.into_text()
    }

    /// The same for a gateway, which has no sales.
    pub(crate) fn render_gateway(&self, places: &Places<'_>) -> String {
        let mut out = Exposition::after(self.handle.render());
        let help = "Time from the head of a request to the gateway's reply, by what the reply said";
        let answers = [Answer::Accepted, Answer::Refused, Answer::Failed];
        GATEWAY_SECONDS.render(&mut out, "kilat_gateway_seconds", help, &answers);
        readings::render_gateway(places, &mut out);
        process::render(self.started, &mut out);
        out.into_text()
    }

    /// Folds samples into buckets.
    pub(crate) fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

fn describe() {
    describe_counter!(REQUESTS, "Requests to buy, by what became of them");
    describe_counter!(HTTP_REPLIES, "Replies of the full lane, by class of status");
    describe_histogram!(
        HTTP_SECONDS,
        "Duration of a request in the full lane, by route and class of status"
    );
    describe_counter!(EVENTS, "Events that came through /publish, by what became of them");
    describe_counter!(CONNECTIONS_REFUSED, "Connections for which there was no place");
    counter!(CONNECTIONS_REFUSED).absolute(0);
    describe_counter!(
        TURNED_AWAY,
        "Requests turned away while callers leave unanswered, by reason"
    );
    TurnedAwayCounts::new();
    crate::trace::describe();
    describe_gauge!("kilat_build_info", "1; which program runs is in the labels");
    let version = env!("CARGO_PKG_VERSION");
    gauge!("kilat_build_info", "version" => version, "revision" => REVISION).set(1.0);
    // A panel shows a series only once it exists, and an alert sees it rise only from zero.
    for status in STATUSES_SHOWN {
        counter!(REQUESTS, "status" => status).absolute(0);
    }
    for class in CLASSES {
        counter!(HTTP_REPLIES, "class" => class).absolute(0);
    }
    for result in ["stored", "duplicate", "conflict", "invalid"] {
        counter!(EVENTS, "result" => result).absolute(0);
    }
}

/// Notes a connection that was told that there is no place for it.
pub(crate) fn connection_refused() {
    counter!(CONNECTIONS_REFUSED).increment(1);
}

/// Requests that were turned away while callers leave before they are answered.
pub(crate) struct TurnedAwayCounts {
    crowded: Counter,
    left: Counter,
}

impl TurnedAwayCounts {
    /// The process's; there are series from now on.
    pub(crate) fn new() -> TurnedAwayCounts {
        let counter = |reason| {
            let counter = counter!(TURNED_AWAY, "reason" => reason);
            counter.increment(0);
            counter
        };
        TurnedAwayCounts { crowded: counter("crowded"), left: counter("left") }
    }

    /// Notes one, whose caller was gone already or was one too many.
    pub(crate) fn note(&self, had_left: bool) {
        if had_left { &self.left } else { &self.crowded }.increment(1);
    }
}

/// Notes a gateway's reply with `status` to a request that came `since`.
pub(crate) fn gateway_replied(status: StatusCode, since: Instant) {
    GATEWAY_SECONDS.note(status.into(), since.elapsed());
}

/// Class of a status, as a label.
pub(crate) fn class(status: StatusCode) -> &'static str {
    CLASSES[place(status)]
}

const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

fn place(status: StatusCode) -> usize {
    usize::from(status.as_u16() / 100).clamp(2, 5) - 2
}

/// Durations of one route. A class that never occurs has no series.
pub(crate) struct RouteSeconds {
    method: &'static str,
    path: &'static str,
    by_class: [OnceLock<Histogram>; CLASSES.len()],
}

impl RouteSeconds {
    pub(crate) const fn new(method: &'static str, path: &'static str) -> RouteSeconds {
        RouteSeconds { method, path, by_class: [const { OnceLock::new() }; CLASSES.len()] }
    }

    /// Notes a request that came `since` and got `status`.
    pub(crate) fn note(&self, status: StatusCode, since: Instant) {
        let (method, path, class) = (self.method, self.path, class(status));
        let new = || histogram!(HTTP_SECONDS, "method" => method, "path" => path, "class" => class);
        let histogram = self.by_class[place(status)].get_or_init(new);
        histogram.record(since.elapsed().as_secs_f64());
    }
}

/// Counts of one thread, passed on in one go so that threads don't meet on every order.
#[derive(Default)]
pub(crate) struct OrderCounts {
    labels: Vec<Labelled>,
    seconds: Tally,
}

struct Labelled {
    label: &'static str,
    counter: Counter,
    answer: Answer,
    count: u64,
}

impl OrderCounts {
    /// Notes a request that came `since` and became `label`: a status, `replayed` or a code.
    pub(crate) fn note(&mut self, label: &'static str, since: Instant) {
        let answer = self.count(label);
        self.seconds.note(answer, since.elapsed());
    }

    /// Notes a request of a batch, whose duration is the batch's.
    pub(crate) fn count(&mut self, label: &'static str) -> Answer {
        let is_it = |one: &Labelled| std::ptr::eq(one.label, label) || one.label == label;
        if let Some(known) = self.labels.iter_mut().find(|one| is_it(one)) {
            known.count += 1;
            return known.answer;
        }
        let (counter, answer) = (counter!(REQUESTS, "status" => label), Answer::of_label(label));
        self.labels.push(Labelled { label, counter, answer, count: 1 });
        answer
    }

    /// Passes on what was noted.
    pub(crate) fn flush(&mut self) {
        for one in self.labels.iter_mut().filter(|one| one.count > 0) {
            one.counter.increment(std::mem::take(&mut one.count));
        }
        ORDER_SECONDS.add(&mut self.seconds);
    }
}

/// Durations of requests to publish, of one thread.
#[derive(Default)]
pub(crate) struct PublishCounts(Tally);

impl PublishCounts {
    /// Notes a request that was answered in this way and took so long.
    pub(crate) fn note(&mut self, answer: Answer, duration: Duration) {
        self.0.note(answer, duration);
    }

    /// Passes on what was noted.
    pub(crate) fn flush(&mut self) {
        PUBLISH_SECONDS.add(&mut self.0);
    }
}
