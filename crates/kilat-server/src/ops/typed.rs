//! What somebody typed into the forms of a sale's page, so that it isn't lost when it was wrong.

use super::form::Fields;
use super::moment;
use super::text::Text;
use crate::problem::Fault;

/// Fields as they were typed, and the names of those that are wrong. Absent ones were not posted.
#[derive(Default)]
pub(super) struct Typed {
    pub(super) units: Option<String>,
    pub(super) opens_at: Option<String>,
    pub(super) closes_at: Option<String>,
    pub(super) zone: Option<String>,
    wrong: Vec<String>,
}

impl Typed {
    /// Looks at a form without taking anything out of it.
    pub(super) fn of(fields: &Fields) -> Typed {
        let typed = |name| fields.look(name).map(str::to_owned);
        Typed {
            units: typed("units"),
            opens_at: typed("opens_at"),
            closes_at: typed("closes_at"),
            zone: typed("zone"),
            wrong: Vec::new(),
        }
    }

    /// With the fields that a refusal blames.
    pub(super) fn blamed(self, fault: &Fault) -> Typed {
        let field = |field: &str| if field == "add_supply" { "units" } else { field }.to_owned();
        Typed { wrong: fault.fields().map(field).collect(), ..self }
    }

    /// With a schedule where none was typed.
    pub(super) fn or_schedule(self, opens_at: String, closes_at: String) -> Typed {
        Typed {
            opens_at: self.opens_at.or(Some(opens_at)),
            closes_at: self.closes_at.or(Some(closes_at)),
            ..self
        }
    }

    /// Each wrong field's name, label, and what it must be.
    pub(super) fn faults(&self, text: &'static Text) -> Vec<(&str, &'static str, &'static str)> {
        let label = |field: &str| match field {
            "units" => Some(text.restock_units),
            "opens_at" => Some(text.opens_at),
            "closes_at" => Some(text.closes_at),
            _ => None,
        };
        let told = |field| Some((field, label(field)?, self.advice(field, text)));
        self.wrong.iter().filter_map(|field| told(field)).collect()
    }

    fn advice(&self, field: &str, text: &'static Text) -> &'static str {
        let closes_at = self.closes_at.as_deref().unwrap_or_default();
        closing(field, closes_at, text).unwrap_or_else(|| text.field(field))
    }
}

/// What is wrong with a closing that is no instant at all.
pub(super) fn closing(field: &str, typed: &str, text: &'static Text) -> Option<&'static str> {
    (field == "closes_at" && !moment::is_instant(typed)).then_some(text.field_time)
}
