//! What is wrong with the events of a body: as many faults as a reply lists, and how many more.

use crate::problem::{FAULTS_MAX, FieldFault};

/// Longest name of a field that a fault repeats, in characters.
const FIELD_CHARS_SHOWN: usize = 64;

/// The faults found so far in one body.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// The first ones.
    pub(super) listed: Vec<FieldFault>,
    /// All of them.
    pub(super) total: usize,
    /// The event that is being read, from 0.
    pub(super) index: usize,
}

impl Faults {
    /// Notes a fault in `field` of the event being read.
    #[cold]
    pub(super) fn push(&mut self, field: &str, message: impl Into<String>) {
        self.total += 1;
        if self.listed.len() < FAULTS_MAX {
            let field: String = field.chars().take(FIELD_CHARS_SHOWN).collect();
            self.listed.push(FieldFault::new(field, message).of_event(self.index));
        }
    }
}
