//! One batch of events, sent again until it has an answer.
//!
//! Sending the same events again is safe: the log stores each `(topic,
//! event_id)` once. Knows waits, retries and `Retry-After`; never what is in
//! the batch.

use super::receipt::{self, Detail, Published};
use crate::attack::mix;
use crate::http::{Api, CallError};
use jiff::Timestamp;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use ureq::http::{HeaderMap, Request};

/// Longest `Retry-After` that is waited for. A server that asks for more is
/// given up on, so that nobody waits for hours without knowing.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);
/// How soon a wait notices that somebody wants to stop.
const NAP: Duration = Duration::from_millis(20);

/// How often, how long and how far apart a batch is sent again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// Most retries of one batch.
    pub retries: u32,
    /// Longest time from the first attempt of a batch to the last.
    pub patience: Duration,
    /// First wait, doubled each time.
    pub first: Duration,
    /// Longest wait of our own; `Retry-After` may ask for more.
    pub longest: Duration,
}

impl Policy {
    /// The wait before retry number `retry`, counted from 0: doubling, give or
    /// take half by `random`, and never less than the server asked for.
    pub(crate) fn wait(&self, retry: u32, random: u64, asked: Option<Duration>) -> Duration {
        let plain = self.first.saturating_mul(1 << retry.min(20)).min(self.longest);
        let jittered = plain / 2 + plain.mul_f64(random as f64 / u64::MAX as f64);
        jittered.max(asked.unwrap_or_default())
    }
}

/// Why nothing more should be started.
#[derive(Debug, Default)]
pub(crate) struct Halt(AtomicBool);

impl Halt {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What went over the wire, counted by all couriers of a run.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    pub requests: AtomicU64,
    pub retries: AtomicU64,
    /// Answers of any kind.
    pub replies: AtomicU64,
    /// Attempts that brought no answer.
    pub silences: AtomicU64,
    /// 408, 429 and 5xx.
    pub not_now: AtomicU64,
}

impl Meter {
    pub(crate) fn read(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// How delivering one batch ended.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub outcome: Result<Published, Undelivered>,
    /// Attempts that the server may have carried out although no answer came.
    pub lost: u32,
}

/// Why a batch has no receipt.
#[derive(Debug)]
pub(crate) enum Undelivered {
    /// The same again can't succeed.
    Refused(CallError),
    /// Retries or patience ran out; the last failure.
    GaveUp(CallError),
    /// Somebody wants to stop; the last failure.
    Abandoned(CallError),
}

/// Delivers batches over one connection.
pub(crate) struct Courier<'a> {
    pub api: &'a Api,
    /// `/publish`, with a query where one is needed.
    pub path: &'static str,
    pub detail: Detail,
    pub policy: Policy,
    pub cancel: &'a AtomicBool,
    pub halt: &'a Halt,
    pub meter: &'a Meter,
    pub random: u64,
}

/// One attempt that brought no receipt.
struct Setback {
    error: CallError,
    retry_after: Option<Duration>,
    may_have_acted: bool,
}

impl Courier<'_> {
    /// Sends `body` until it is acknowledged, refused, given up or abandoned.
    pub(crate) fn deliver(&mut self, body: &[u8]) -> Delivery {
        let began = Instant::now();
        let (mut lost, mut retry) = (0, 0);
        loop {
            let setback = match self.attempt(body) {
                Ok(receipt) => return Delivery { outcome: Ok(receipt), lost },
                Err(setback) => setback,
            };
            lost += u32::from(setback.may_have_acted);
            let end = |undelivered: fn(CallError) -> Undelivered, error| Delivery {
                outcome: Err(undelivered(error)),
                lost,
            };
            if !setback.error.is_transient() {
                return end(Undelivered::Refused, setback.error);
            }
            let asked = setback.retry_after;
            self.random = mix(self.random);
            let wait = self.policy.wait(retry, self.random, asked);
            let is_spent = retry >= self.policy.retries
                || began.elapsed().saturating_add(wait) > self.policy.patience
                || asked.is_some_and(|asked| asked > RETRY_AFTER_MAX);
            if is_spent {
                return end(Undelivered::GaveUp, setback.error);
            }
            if !self.rest(wait) {
                return end(Undelivered::Abandoned, setback.error);
            }
            retry += 1;
            Meter::add(&self.meter.retries);
        }
    }

    /// Waits; `false` when somebody wants to stop.
    fn rest(&self, wait: Duration) -> bool {
        let began = Instant::now();
        loop {
            if self.cancel.load(Ordering::Relaxed) || self.halt.is_set() {
                return false;
            }
            match wait.checked_sub(began.elapsed()) {
                None | Some(Duration::ZERO) => return true,
                Some(left) => std::thread::sleep(left.min(NAP)),
            }
        }
    }

    fn attempt(&self, body: &[u8]) -> Result<Published, Setback> {
        Meter::add(&self.meter.requests);
        match self.exchange(body) {
            Ok((200, _, body)) => {
                Meter::add(&self.meter.replies);
                let lie = |error| Setback { error, retry_after: None, may_have_acted: true };
                receipt::read(&body).map_err(lie)
            }
            Ok((status, headers, body)) => Err(self.refused(status, &headers, &body)),
            Err(error) => {
                Meter::add(&self.meter.silences);
                let may_have_acted = !never_left(&error);
                let error = CallError::Unreachable(error.to_string());
                Err(Setback { error, retry_after: None, may_have_acted })
            }
        }
    }

    fn refused(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Setback {
        Meter::add(&self.meter.replies);
        let problem = serde_json::from_slice(body).ok();
        let error = CallError::Refused { status, problem };
        if error.is_transient() {
            Meter::add(&self.meter.not_now);
        }
        // After a 5xx of a proxy, or a fault of the server, nobody knows what was done.
        let is_plain_no = status < 500 || status == 503;
        Setback { error, retry_after: retry_after(headers), may_have_acted: !is_plain_no }
    }

    fn exchange(&self, body: &[u8]) -> Result<(u16, HeaderMap, Vec<u8>), ureq::Error> {
        let mut request = Request::builder()
            .method("POST")
            .uri(format!("{}{}", self.api.base, self.path))
            .header("accept", "application/json")
            .header("content-type", "application/json");
        if let Some(bearer) = &self.api.bearer {
            request = request.header("authorization", bearer);
        }
        if self.detail == Detail::Minimal {
            request = request.header("prefer", "return=minimal");
        }
        let reply = self.api.agent.run(request.body(body)?)?;
        let (head, mut body) = reply.into_parts();
        Ok((head.status.as_u16(), head.headers, body.read_to_vec()?))
    }
}

/// Whether the request can't have reached the server.
fn never_left(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Io(error) => error.kind() == ErrorKind::ConnectionRefused,
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => true,
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => true,
        _ => false,
    }
}

/// How long the server asks to stay away: seconds or a date (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("retry-after")?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(date.duration_since(Timestamp::now())).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy {
        retries: 10,
        patience: Duration::from_secs(60),
        first: Duration::from_millis(100),
        longest: Duration::from_secs(5),
    };

    #[test]
    fn waits_double_with_jitter_up_to_the_longest() {
        let ms = |retry, random| POLICY.wait(retry, random, None).as_millis();
        for (retry, shortest, longest) in
            [(0, 50, 150), (1, 100, 300), (3, 400, 1_200), (40, 2_500, 7_500)]
        {
            assert_eq!((ms(retry, 0), ms(retry, u64::MAX)), (shortest, longest), "retry {retry}");
        }
    }

    #[test]
    fn no_wait_is_shorter_than_the_server_asked_for() {
        for random in [0, u64::MAX / 2, u64::MAX] {
            let asked = Duration::from_secs(7);
            assert!(POLICY.wait(0, random, Some(asked)) >= asked);
            assert!(
                POLICY.wait(9, u64::MAX, Some(Duration::from_secs(1))) > Duration::from_secs(5)
            );
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let read = |text: &str| {
            let headers =
                HeaderMap::from_iter([(ureq::http::header::RETRY_AFTER, text.parse().unwrap())]);
            retry_after(&headers)
        };
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        let soon = Timestamp::now() + Duration::from_secs(90);
        let date =
            jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&soon).unwrap();
        let wait = read(&date).unwrap();
        assert!(
            wait > Duration::from_secs(30) && wait <= Duration::from_secs(90),
            "{date}: {wait:?}"
        );
        assert_eq!(read("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
