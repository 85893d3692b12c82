//! Moments and durations as people write them.
//!
//! A server does not know where its reader is: Indonesian pages tell the time of Jakarta, English
//! ones UTC, and both say so. A script in the page puts the reader's own time in its place.

use super::language::Language;
use crate::render::timestamp;
use jiff::tz::{Offset, TimeZone};
use kilat_engine::Time;

/// Western Indonesia, all year.
const JAKARTA: Offset = Offset::constant(7);
const MONTHS: [(&str, &str); 12] = [
    ("Januari", "January"),
    ("Februari", "February"),
    ("Maret", "March"),
    ("April", "April"),
    ("Mei", "May"),
    ("Juni", "June"),
    ("Juli", "July"),
    ("Agustus", "August"),
    ("September", "September"),
    ("Oktober", "October"),
    ("November", "November"),
    ("Desember", "December"),
];

/// `22 November 2026 pukul 21.00 WIB`, or `22 November 2026, 14:00 UTC`.
pub(super) fn moment(time: Time, language: Language) -> String {
    let offset = if language == Language::Indonesian { JAKARTA } else { Offset::UTC };
    let at = timestamp(time).to_zoned(TimeZone::fixed(offset));
    let month = usize::try_from(at.month() - 1).ok().and_then(|month| MONTHS.get(month));
    let (indonesian, english) = month.copied().unwrap_or_default();
    let (day, year, hour, minute) = (at.day(), at.year(), at.hour(), at.minute());
    match language {
        Language::Indonesian => {
            format!("{day} {indonesian} {year} pukul {hour:02}.{minute:02} WIB")
        }
        Language::English => format!("{day} {english} {year}, {hour:02}:{minute:02} UTC"),
    }
}

/// A whole number of hours, minutes or seconds, whichever is the largest that fits.
pub(super) fn duration(seconds: u32, language: Language) -> String {
    let (count, indonesian, english) = match seconds {
        _ if seconds.is_multiple_of(3_600) => (seconds / 3_600, "jam", "hour"),
        _ if seconds.is_multiple_of(60) => (seconds / 60, "menit", "minute"),
        _ => (seconds, "detik", "second"),
    };
    match language {
        Language::Indonesian => format!("{count} {indonesian}"),
        Language::English if count == 1 => format!("{count} {english}"),
        Language::English => format!("{count} {english}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        for (millis, indonesian, english) in [
            (0, "1 Januari 1970 pukul 07.00 WIB", "1 January 1970, 00:00 UTC"),
            (1_795_371_540_000, "23 November 2026 pukul 01.19 WIB", "22 November 2026, 18:19 UTC"),
        ] {
            let time = Time::from_millis(millis);
            assert_eq!(moment(time, Language::Indonesian), indonesian);
            assert_eq!(moment(time, Language::English), english);
        }
    }

    #[test]
    fn durations() {
        for (seconds, indonesian, english) in [
            (1, "1 detik", "1 second"),
            (90, "90 detik", "90 seconds"),
            (60, "1 menit", "1 minute"),
            (600, "10 menit", "10 minutes"),
            (7_200, "2 jam", "2 hours"),
        ] {
            assert_eq!(duration(seconds, Language::Indonesian), indonesian);
            assert_eq!(duration(seconds, Language::English), english);
        }
    }
}
