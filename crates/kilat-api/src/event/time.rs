//! Instants as RFC 3339 writes them.
//!
//! The library's own reader takes more forms than that (a date alone, no
//! offset, a zone in brackets), so the shape is looked at first.

use jiff::Timestamp;

/// What a timestamp must be.
pub(super) const EXPECTED: &str =
    "must be an RFC 3339 time with an offset, such as \"2026-01-31T08:00:00Z\"";

/// Reads `YYYY-MM-DDThh:mm:ss[.fraction](Z|±hh:mm)`; a fraction has at most 9 digits.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    if is_rfc3339(text.as_bytes()) { text.parse().ok() } else { None }
}

fn is_rfc3339(text: &[u8]) -> bool {
    let Some((head, rest)) = text.split_at_checked(19) else {
        return false;
    };
    let fraction = match rest.split_first() {
        Some((b'.', rest)) => rest.iter().take_while(|byte| byte.is_ascii_digit()).count() + 1,
        _ => 0,
    };
    let offset = &rest[fraction..];
    looks_like(head, b"0000-00-00T00:00:00") && (looks_like(offset, b"Z") || is_offset(offset))
}

/// The library takes up to 25 hours; RFC 3339 takes times of a day.
fn is_offset(text: &[u8]) -> bool {
    looks_like(text, b"+00:00") && &text[1..3] <= b"23" && &text[4..] <= b"59"
}

/// Whether `text` has a digit where `form` has 0, either sign for `+`, either case of a
/// letter, and else the same.
fn looks_like(text: &[u8], form: &[u8]) -> bool {
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'0' => byte.is_ascii_digit(),
        b'+' => matches!(byte, b'+' | b'-'),
        other => byte.eq_ignore_ascii_case(other),
    };
    text.len() == form.len() && text.iter().zip(form).all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_rfc_3339_with_an_offset() {
        let good = [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01t00:00:00z", 0),
            ("1970-01-01T07:00:00+07:00", 0),
            ("1969-12-31T23:00:00-01:00", 0),
            ("1970-01-01T00:00:00-00:00", 0),
            ("1970-01-01T00:00:00.000000001Z", 1),
            ("1970-01-01T00:00:01.500Z", 1_500_000_000),
            ("1969-12-31T23:59:59.9Z", -100_000_000),
            ("2016-12-31T23:59:60Z", 1_483_228_799_000_000_000),
        ];
        for (text, nanos) in good {
            assert_eq!(instant(text).map(Timestamp::as_nanosecond), Some(nanos), "{text}");
        }
    }

    #[test]
    fn anything_else_is_none() {
        for text in [
            "",
            "lunchtime",
            "2018-04-05",
            "2018-04-05T18:31Z",
            "2018-04-05T18:31:00",
            "2018-04-05T18:31:00X",
            "2018-04-05T18:31:00+25:00x",
            "2018-04-05T18:31:00+xx:00",
            "2018-04-05T18:31:00+05",
            "2018-04-05T18:31:00+0500",
            "2018-04-05T18:31:00.Z",
            "2018-04-05T18:31:00,5Z",
            "2018-04-05T18:31:00.1234567890Z",
            "2018-04-05 18:31:00Z",
            "2018-04-05T18:31:00Z[UTC]",
            "2018-04-05T18:31:00+02:00[Europe/Paris]",
            "2018-02-30T00:00:00Z",
            "2018-13-01T00:00:00Z",
            "2018-04-05T24:00:00Z",
            "2018-04-05T18:60:00Z",
            "20180405T183100Z",
            "+002018-04-05T18:31:00Z",
            " 2018-04-05T18:31:00Z",
            "2018-04-05T18:31:00Z ",
            "２018-04-05T18:31:00Z",
            "1522953060",
        ] {
            assert_eq!(instant(text), None, "{text}");
        }
    }

    #[test]
    fn offsets_must_be_times_of_a_day() {
        for text in ["2018-04-05T18:31:00+24:00", "2018-04-05T18:31:00+00:60"] {
            assert_eq!(instant(text), None, "{text}");
        }
    }
}
