//! Durations, rates and the like as people write them on a command line.

use super::pace::{HedgeAfter, Rate};
use std::time::Duration;

/// Longest duration that can be asked for: 30 days.
const SPAN_MAX: Duration = Duration::from_secs(30 * 24 * 3_600);

/// `500ms`, `10s`, `1.5m`, `2h`: longer than nothing and at most 30 days.
#[must_use]
pub fn parse_span(text: &str) -> Option<Duration> {
    let number_end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(number_end);
    let seconds = match unit.trim_start() {
        "ms" => 0.001,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        _ => return None,
    };
    let span = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
    (span > Duration::ZERO && span <= SPAN_MAX).then_some(span)
}

/// `100/s`, `600/m`, `1000/h`, or `100` a second.
#[must_use]
pub fn parse_rate(text: &str) -> Option<Rate> {
    let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
    let seconds = match unit.trim() {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        _ => return None,
    };
    Rate::new(number.trim().parse().ok()?, Duration::from_secs(seconds))
}

/// A duration, or `p95`.
#[must_use]
pub fn parse_hedge(text: &str) -> Option<HedgeAfter> {
    match text {
        "p95" => Some(HedgeAfter::P95),
        _ => parse_span(text).map(HedgeAfter::Fixed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, ms) in [
            ("500ms", Some(500)),
            ("10s", Some(10_000)),
            ("1.5 s", Some(1_500)),
            ("2m", Some(120_000)),
            ("2min", Some(120_000)),
            ("1h", Some(3_600_000)),
            ("720h", Some(2_592_000_000)),
            ("721h", None),
            ("10", None),
            ("0s", None),
            ("-1s", None),
            ("s", None),
            ("1.2.3s", None),
            ("1e3s", None),
            ("1d", None),
            ("nans", None),
            ("999999999999999999999s", None),
            ("", None),
        ] {
            assert_eq!(parse_span(text), ms.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn rates_are_read() {
        for (text, expected) in [
            ("100/s", Some((100, 1))),
            ("100", Some((100, 1))),
            ("600 / m", Some((600, 60))),
            ("1000/h", Some((1_000, 3_600))),
            ("0/s", None),
            ("1.5/s", None),
            ("5/d", None),
            ("/s", None),
            ("", None),
        ] {
            let expected = expected.and_then(|(n, s)| Rate::new(n, Duration::from_secs(s)));
            assert_eq!(parse_rate(text), expected, "{text}");
        }
    }

    #[test]
    fn hedges_are_read() {
        assert_eq!(parse_hedge("p95"), Some(HedgeAfter::P95));
        let fixed = HedgeAfter::Fixed(Duration::from_millis(300));
        assert_eq!(parse_hedge("300ms"), Some(fixed));
        assert_eq!(parse_hedge("p99"), None);
    }
}
