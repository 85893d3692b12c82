//! The five reference APIs, as one table: paths, parameters, folding, delays, words.
//!
//! Everything by which they differ stands here; the other modules ask. Knows
//! nothing of HTTP or of what the data sets hold.

use std::time::Duration;

/// One of the five reference APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// Stock of a product, by SKU.
    Stock,
    /// Status of a flight, by flight number.
    Flight,
    /// Whether a domain is registered.
    Domain,
    /// Where a parcel is, by tracking number.
    Package,
    /// Figures of a player, by id.
    Player,
}

/// How ids are compared: the seed's servers fold their case and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fold {
    /// To upper case.
    Upper,
    /// To lower case.
    Lower,
}

/// What a field of a row holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// A whole number of 0 or more.
    Count,
    /// A number from 0 to 100, written as it stands: `72.0` stays `72.0`.
    Percent,
}

/// What is said of an id that no row has.
pub(crate) enum Unknown {
    /// 404 with this `error`; the message puts the id between the two parts.
    NotFound {
        /// Machine code.
        error: &'static str,
        /// Message before and after the id.
        message: (&'static str, &'static str),
    },
    /// 200: what nobody registered can be had.
    Available,
}

/// What makes a profile.
pub(crate) struct Terms {
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    pub(crate) parameter: &'static str,
    pub(crate) fold: Fold,
    /// Shortest and longest delay.
    pub(crate) delay: (Duration, Duration),
    pub(crate) unknown: Unknown,
    /// Fields of a row besides the parameter itself.
    pub(crate) fields: &'static [(&'static str, Kind)],
    /// The data set that comes with the program.
    pub(crate) reference: &'static str,
}

const fn millis(least: u64, most: u64) -> (Duration, Duration) {
    (Duration::from_millis(least), Duration::from_millis(most))
}

const STOCK: Terms = Terms {
    name: "stock",
    path: "/get_stock",
    parameter: "sku",
    fold: Fold::Upper,
    delay: millis(200, 600),
    unknown: Unknown::NotFound {
        error: "sku_not_found",
        message: ("Product with SKU '", "' not found in inventory."),
    },
    fields: &[("name", Kind::Text), ("stock", Kind::Count), ("warehouse", Kind::Text)],
    reference: include_str!("../../data/lookup/stock.json"),
};

const FLIGHT: Terms = Terms {
    name: "flight",
    path: "/get_flight_status",
    parameter: "flight_number",
    fold: Fold::Upper,
    delay: millis(300, 900),
    unknown: Unknown::NotFound {
        error: "flight_not_found",
        message: ("Flight number '", "' not found on the schedule."),
    },
    fields: &[
        ("airline", Kind::Text),
        ("destination", Kind::Text),
        ("gate", Kind::Text),
        ("status", Kind::Text),
    ],
    reference: include_str!("../../data/lookup/flight.json"),
};

const DOMAIN: Terms = Terms {
    name: "domain",
    path: "/check_domain",
    parameter: "domain",
    fold: Fold::Lower,
    delay: millis(100, 400),
    unknown: Unknown::Available,
    fields: &[("registrar", Kind::Text), ("status", Kind::Text)],
    reference: include_str!("../../data/lookup/domain.json"),
};

const PACKAGE: Terms = Terms {
    name: "package",
    path: "/track_package",
    parameter: "tracking_number",
    fold: Fold::Upper,
    delay: millis(200, 800),
    unknown: Unknown::NotFound {
        error: "tracking_not_found",
        message: ("Tracking number '", "' not found."),
    },
    fields: &[("courier", Kind::Text), ("current_location", Kind::Text), ("status", Kind::Text)],
    reference: include_str!("../../data/lookup/package.json"),
};

const PLAYER: Terms = Terms {
    name: "player",
    path: "/get_player_stats",
    parameter: "player_id",
    fold: Fold::Upper,
    delay: millis(100, 500),
    unknown: Unknown::NotFound {
        error: "player_not_found",
        message: ("Player with ID '", "' does not exist."),
    },
    fields: &[("rank", Kind::Text), ("username", Kind::Text), ("win_rate", Kind::Percent)],
    reference: include_str!("../../data/lookup/player.json"),
};

impl Profile {
    /// All of them.
    pub const ALL: [Profile; 5] =
        [Profile::Stock, Profile::Flight, Profile::Domain, Profile::Package, Profile::Player];

    pub(crate) const fn terms(self) -> &'static Terms {
        match self {
            Profile::Stock => &STOCK,
            Profile::Flight => &FLIGHT,
            Profile::Domain => &DOMAIN,
            Profile::Package => &PACKAGE,
            Profile::Player => &PLAYER,
        }
    }

    /// Its name, as on the command line and in data sets.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.terms().name
    }

    /// Path of its one call.
    #[must_use]
    pub const fn path(self) -> &'static str {
        self.terms().path
    }

    /// The parameter that names the id.
    #[must_use]
    pub const fn parameter(self) -> &'static str {
        self.terms().parameter
    }

    /// The profile of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Profile> {
        Profile::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// The profile that answers at `path`.
    pub(crate) fn at(path: &str) -> Option<Profile> {
        Profile::ALL.into_iter().find(|profile| profile.path() == path)
    }

    /// An id as it is looked up and shown; never trimmed.
    pub(crate) fn fold(self, mut id: String) -> String {
        match (self.terms().fold, id.is_ascii()) {
            (Fold::Upper, true) => id.make_ascii_uppercase(),
            (Fold::Lower, true) => id.make_ascii_lowercase(),
            (Fold::Upper, false) => id = id.to_uppercase(),
            (Fold::Lower, false) => id = id.to_lowercase(),
        }
        id
    }
}
