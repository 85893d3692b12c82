//! What a server asks for in a reply's headers: `Retry-After` (RFC 9110, 10.2.3) and the
//! rate-limit headers in use, `RateLimit` (IETF draft, both of its forms), `RateLimit-*`
//! and `X-RateLimit-*`.

use hyper::HeaderMap;
use hyper::header::{DATE, HeaderName, RETRY_AFTER};
use std::time::{Duration, SystemTime};

/// Longest that a server is waited for because it asks for it.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);
/// More seconds than anybody means, and so few that times can be reckoned with.
const SECONDS_MAX: f64 = 1e15;
/// A reset of at least this much is a moment in seconds since 1970 and not a number of
/// seconds to wait: servers send either under the same name.
const EPOCH_SECONDS_MIN: u64 = 1_000_000_000;
/// The same for milliseconds.
const EPOCH_MILLIS_MIN: u64 = 1_000_000_000_000;

/// What a reply asks its client to wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Advice {
    /// This call may be repeated after so long, not earlier.
    pub(crate) again: Option<Duration>,
    /// No call at all for so long: what was granted is used up.
    pub(crate) quiet: Option<Duration>,
}

impl Advice {
    /// Reads a reply's headers. `is_refusal` when its status says that the call was one
    /// too many, so that a reset counts for this call too.
    pub(crate) fn read(headers: &HeaderMap, is_refusal: bool, now: fn() -> SystemTime) -> Self {
        if !headers.keys().any(is_advice) {
            return Advice::default();
        }
        let date =
            text(headers, DATE.as_str()).and_then(|date| httpdate::parse_http_date(date).ok());
        let now = date.unwrap_or_else(now);
        let quota = Quota::read(headers, now);
        let quiet = quota.is_used_up.then_some(quota.reset).flatten();
        // Of several the longest, so that none is gone under.
        let waits = headers.get_all(RETRY_AFTER).iter().filter_map(|value| value.to_str().ok());
        let again = waits.filter_map(|value| retry_after(value, now)).max();
        // What is not used up was not refused for that: its reset is of another thing.
        let reset = quota.reset.filter(|_| is_refusal && (quota.is_used_up || !quota.is_left));
        let again = again.or(reset);
        Advice { again, quiet: quiet.filter(|_| !is_refusal) }
    }
}

/// Whether a header may be one of those: nearly no reply has any, and there are many replies.
fn is_advice(name: &HeaderName) -> bool {
    *name == RETRY_AFTER || name.as_str().contains("rate")
}

/// Seconds, or a moment by the server's clock.
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    if let Some(seconds) = seconds(value) {
        return Some(seconds);
    }
    let then = httpdate::parse_http_date(value).ok()?;
    Some(then.duration_since(now).unwrap_or_default())
}

/// What is left of what a server grants, and when it grants again.
#[derive(Default)]
struct Quota {
    is_used_up: bool,
    /// Something is left of a policy.
    is_left: bool,
    reset: Option<Duration>,
}

impl Quota {
    fn read(headers: &HeaderMap, now: SystemTime) -> Quota {
        let mut quota = Quota::default();
        for value in headers.get_all("ratelimit").iter().filter_map(|value| value.to_str().ok()) {
            quota.add_structured(value, now);
        }
        for (remaining, reset) in [
            ("ratelimit-remaining", "ratelimit-reset"),
            ("x-ratelimit-remaining", "x-ratelimit-reset"),
            ("x-rate-limit-remaining", "x-rate-limit-reset"),
        ] {
            let reset = text(headers, reset).and_then(|value| moment(value, now));
            quota.add(text(headers, remaining).and_then(seconds), reset);
        }
        quota
    }

    /// `"burst";r=0;t=5, "daily";r=90;t=3600`, or the older `limit=9, remaining=0, reset=5`.
    fn add_structured(&mut self, value: &str, now: SystemTime) {
        let (mut remaining, mut reset) = (None, None);
        for item in value.split(',') {
            let is_policy = item.contains(';');
            for (name, number) in item.split(';').filter_map(|part| part.trim().split_once('=')) {
                match name {
                    "r" | "remaining" => remaining = seconds(number),
                    "t" | "reset" => reset = moment(number, now),
                    _ => {}
                }
            }
            if is_policy {
                self.add(remaining.take(), reset.take());
            }
        }
        self.add(remaining, reset);
    }

    /// Of several policies the longest wait counts; one that is used up before any other.
    fn add(&mut self, remaining: Option<Duration>, reset: Option<Duration>) {
        let is_used_up = remaining == Some(Duration::ZERO);
        self.is_left |= remaining.is_some() && !is_used_up;
        if is_used_up && !self.is_used_up {
            (self.is_used_up, self.reset) = (true, reset);
        } else if is_used_up == self.is_used_up {
            self.reset = self.reset.max(reset);
        }
    }
}

/// A reset: seconds to wait, or seconds or milliseconds since 1970.
fn moment(value: &str, now: SystemTime) -> Option<Duration> {
    let value = seconds(value)?;
    let since_1970 = match value.as_secs() {
        EPOCH_MILLIS_MIN.. => Duration::from_millis(value.as_secs()),
        EPOCH_SECONDS_MIN.. => value,
        _ => return Some(value),
    };
    let then = SystemTime::UNIX_EPOCH.checked_add(since_1970)?;
    Some(then.duration_since(now).unwrap_or_default())
}

/// A number of seconds, with or without a fraction; never negative.
fn seconds(value: &str) -> Option<Duration> {
    let value = value.trim();
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number = is_number.then(|| value.parse::<f64>().ok()).flatten()?;
    Some(Duration::from_secs_f64(number.min(SECONDS_MAX)))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    /// 2026-11-21T00:00:00Z, a Saturday.
    const NOW_S: u64 = 1_795_219_200;

    fn read(headers: &[(&str, &str)], is_refusal: bool) -> (Option<f64>, Option<f64>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = name.parse::<HeaderName>().unwrap();
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        let now = || SystemTime::UNIX_EPOCH + Duration::from_secs(NOW_S);
        let advice = Advice::read(&map, is_refusal, now);
        (advice.again.map(|d| d.as_secs_f64()), advice.quiet.map(|d| d.as_secs_f64()))
    }

    #[test]
    fn a_refusal_says_when_to_ask_again() {
        for (headers, again) in [
            (&[("retry-after", "1")][..], Some(1.0)),
            (&[("retry-after", " 120 ")], Some(120.0)),
            (&[("retry-after", "1.5")], Some(1.5)),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "inf")], None),
            (&[("retry-after", "")], None),
            // Of several the longest: none of them is gone under.
            (&[("retry-after", "1"), ("retry-after", "9"), ("retry-after", "x")], Some(9.0)),
            (&[("retry-after", "99999999999999999999999999")], Some(1e15)),
            (&[("retry-after", "Sat, 21 Nov 2026 00:00:07 GMT")], Some(7.0)),
            (&[("retry-after", "Fri, 20 Nov 2026 00:00:07 GMT")], Some(0.0)),
            // By the server's clock, which is a day behind.
            (
                &[
                    ("retry-after", "Fri, 20 Nov 2026 00:00:09 GMT"),
                    ("date", "Fri, 20 Nov 2026 00:00:05 GMT"),
                ],
                Some(4.0),
            ),
            (&[("x-ratelimit-reset", "30")], Some(30.0)),
            (&[("x-ratelimit-reset", "30"), ("retry-after", "2")], Some(2.0)),
            (&[("ratelimit", r#""day";r=0;t=11"#)], Some(11.0)),
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "30")], Some(30.0)),
            // Refused for something else than the quota.
            (&[("x-ratelimit-remaining", "4990"), ("x-ratelimit-reset", "3599")], None),
            (&[("ratelimit", r#""day";r=90;t=3600"#)], None),
            (&[("ratelimit", r#""day";r=90;t=3600, "burst";r=0;t=5"#)], Some(5.0)),
            (&[], None),
        ] {
            assert_eq!(read(headers, true), (again, None), "{headers:?}");
        }
    }

    #[test]
    fn a_quota_that_is_used_up_asks_for_quiet() {
        for (headers, quiet) in [
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "30")][..], Some(30.0)),
            (&[("x-rate-limit-remaining", "0"), ("x-rate-limit-reset", "3")], Some(3.0)),
            (&[("ratelimit-remaining", "0"), ("ratelimit-reset", "2")], Some(2.0)),
            (&[("x-ratelimit-remaining", "1"), ("x-ratelimit-reset", "30")], None),
            (&[("x-ratelimit-remaining", "0")], None),
            // A moment in place of a time.
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795219260")], Some(60.0)),
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795219205500")], Some(5.5)),
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795219100")], Some(0.0)),
            (&[("ratelimit", "limit=100, remaining=0, reset=5")], Some(5.0)),
            (&[("ratelimit", "limit=100, remaining=3, reset=5")], None),
            (&[("ratelimit", r#""burst";r=0;t=5, "day";r=90;t=3600"#)], Some(5.0)),
            (&[("ratelimit", r#""day";r=90;t=3600, "burst";r=0;t=5"#)], Some(5.0)),
            (&[("ratelimit", r#""burst";r=0;t=5, "day";r=0;t=3600"#)], Some(3600.0)),
            (&[("ratelimit", "nonsense;;=;r=,t")], None),
        ] {
            assert_eq!(read(headers, false), (None, quiet), "{headers:?}");
        }
    }

    #[test]
    fn a_reply_may_name_a_time_for_itself_alone() {
        assert_eq!(read(&[("retry-after", "4")], false), (Some(4.0), None));
    }
}
