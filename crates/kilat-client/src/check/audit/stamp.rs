//! Times as logs write them, fast: the date is made once a day.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Seconds of a day; Unix time has no leap seconds.
const DAY_S: i64 = 86_400;

/// Writes times in UTC as RFC 3339 has them, in microseconds.
#[derive(Default)]
pub(super) struct Utc {
    /// The last day, counted from 1970, and `YYYY-MM-DDT`.
    day: Option<(i64, String)>,
}

impl Utc {
    /// Appends `2026-11-21T09:00:00.123456Z`. Parts of a microsecond are cut off.
    pub(super) fn write(&mut self, time: Timestamp, out: &mut Vec<u8>) {
        // Before 1970 both are negative.
        let seconds = time.as_second() - i64::from(time.subsec_nanosecond() < 0);
        let micros = time.subsec_nanosecond().rem_euclid(1_000_000_000) as u32 / 1_000;
        let (day, second) = (seconds.div_euclid(DAY_S), seconds.rem_euclid(DAY_S) as u32);
        if self.day.as_ref().is_none_or(|(cached, _)| *cached != day) {
            let date = time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT").to_string();
            self.day = Some((day, date));
        }
        if let Some((_, date)) = &self.day {
            out.extend_from_slice(date.as_bytes());
        }
        let mut clock = *b"00:00:00.000000Z";
        digits(&mut clock[0..2], second / 3_600);
        digits(&mut clock[3..5], second / 60 % 60);
        digits(&mut clock[6..8], second % 60);
        digits(&mut clock[9..15], micros);
        out.extend_from_slice(&clock);
    }
}

/// Appends milliseconds with three decimals, such as `12.345`.
pub(super) fn millis(duration: std::time::Duration, out: &mut Vec<u8>) {
    let millis = duration.as_secs().saturating_mul(1_000) + u64::from(duration.subsec_millis());
    out.extend_from_slice(itoa::Buffer::new().format(millis).as_bytes());
    let mut decimals = *b".000";
    digits(&mut decimals[1..], duration.subsec_micros() % 1_000);
    out.extend_from_slice(&decimals);
}

fn digits(place: &mut [u8], mut number: u32) {
    for digit in place.iter_mut().rev() {
        // Below ten.
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_read_as_jiff_writes_them() {
        let mut utc = Utc::default();
        for (given, wanted) in [
            ("2026-11-21T23:59:59.999999999Z", "2026-11-21T23:59:59.999999Z"),
            ("2026-11-22T00:00:00Z", "2026-11-22T00:00:00.000000Z"),
            ("1970-01-01T00:00:00.000001Z", "1970-01-01T00:00:00.000001Z"),
            ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.500000Z"),
            ("2024-02-29T07:08:09.010203Z", "2024-02-29T07:08:09.010203Z"),
        ] {
            let mut out = Vec::new();
            utc.write(given.parse().unwrap(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), wanted);
        }
    }

    #[test]
    fn durations_are_milliseconds() {
        for (micros, wanted) in [(0, "0.000"), (999, "0.999"), (12_345, "12.345")] {
            let mut out = Vec::new();
            millis(Duration::from_micros(micros), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), wanted);
        }
    }
}
