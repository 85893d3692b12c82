//! Instants as a form's `datetime-local` field has them, in one of Indonesia's zones or UTC.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

/// A zone that a form offers: what it posts, what people read, hours from UTC.
pub(super) struct Zone {
    pub(super) value: &'static str,
    pub(super) name: &'static str,
    hours: i8,
}

/// The zones in the order of the form; the first is preset.
pub(super) const ZONES: [Zone; 4] = [
    Zone { value: "7", name: "WIB (UTC+7)", hours: 7 },
    Zone { value: "8", name: "WITA (UTC+8)", hours: 8 },
    Zone { value: "9", name: "WIT (UTC+9)", hours: 9 },
    Zone { value: "0", name: "UTC", hours: 0 },
];

/// The zone that a form posted.
pub(super) fn zone(value: &str) -> Option<&'static Zone> {
    ZONES.iter().find(|zone| zone.value == value)
}

/// Whether a field holds an instant, in whichever zone.
pub(super) fn is_instant(field: &str) -> bool {
    field.parse::<DateTime>().is_ok()
}

impl Zone {
    fn rules(&self) -> TimeZone {
        TimeZone::fixed(Offset::constant(self.hours))
    }

    /// The instant of a field, whose seconds may be left out; `None` when it is none.
    pub(super) fn read(&self, field: &str) -> Option<Timestamp> {
        let local: DateTime = field.parse().ok()?;
        local.to_zoned(self.rules()).ok().map(|zoned| zoned.timestamp())
    }

    /// What a field shows of an instant, to the second.
    pub(super) fn write(&self, at: Option<Timestamp>) -> String {
        at.map(|at| at.to_zoned(self.rules()).strftime("%Y-%m-%dT%H:%M:%S").to_string())
            .unwrap_or_default()
    }

    /// The instant for people.
    pub(super) fn tell(&self, at: Timestamp) -> String {
        let zone = self.name.split(' ').next().unwrap_or(self.name);
        format!("{} {zone}", at.to_zoned(self.rules()).strftime("%Y-%m-%d %H:%M:%S"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read_in_its_zone_and_shown_as_it_was_written() {
        let at: Timestamp = "2026-11-21T12:30:00Z".parse().unwrap();
        for (value, field) in
            [("7", "2026-11-21T19:30"), ("8", "2026-11-21T20:30"), ("0", "2026-11-21T12:30:00")]
        {
            let zone = zone(value).unwrap();
            assert_eq!(zone.read(field), Some(at), "{field}");
            assert_eq!(zone.read(&zone.write(Some(at))), Some(at), "{field}");
        }
        assert_eq!(ZONES[0].tell(at), "2026-11-21 19:30:00 WIB");
        for wrong in ["", "tomorrow", "2026-13-01T00:00", "2026-11-21T12:30:00+07:00x"] {
            assert_eq!(ZONES[0].read(wrong), None, "{wrong}");
        }
        assert!(zone("5").is_none());
    }
}
