//! What is wrong with a data set: as a value, for whoever tells people in their language, and in
//! English. Knows nothing of files.

use super::dataset::TEXT_BYTES_MAX;
use super::profile::Kind;
use serde_json::error::Category;
use std::cell::RefCell;
use std::fmt;

/// A data set has a mistake: the place in the file, and what is wrong there.
#[derive(Debug)]
pub struct DatasetError {
    field: String,
    mistake: Mistake,
    said: serde_json::Error,
}

/// What is wrong. Names are as the file has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// It is no JSON: what the parser says, with the place.
    Syntax(String),
    /// There is no such profile.
    UnknownProfile(String),
    /// A profile or a field that is there already.
    Twice(&'static str),
    /// Two ids that a lookup can't tell apart.
    SameIds(String, String),
    /// An id is empty or has more bytes than this.
    IdLength(usize),
    /// A profile has more rows than this.
    TooManyRows(usize),
    /// A row has a field that rows of its profile don't have.
    UnknownField {
        /// The field.
        name: String,
        /// The profile.
        profile: &'static str,
        /// The fields of its rows.
        known: String,
    },
    /// A row lacks this field.
    MissingField(&'static str),
    /// The value is of another kind.
    Kind(Wanted),
}

/// What a value must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// An object of profiles.
    Profiles,
    /// An object of rows, by what an id is called.
    Rows(&'static str),
    /// An object with these fields.
    Fields(String),
    /// A text of at most so many bytes.
    Text(usize),
    /// A whole number, 0 or more.
    Count,
    /// A number from 0 to 100.
    Percent,
}

impl Wanted {
    pub(super) const fn of(kind: Kind) -> Wanted {
        match kind {
            Kind::Text => Wanted::Text(TEXT_BYTES_MAX),
            Kind::Count => Wanted::Count,
            Kind::Percent => Wanted::Percent,
        }
    }
}

/// What was found wrong on the way: serde's own errors carry nothing but text.
#[derive(Default)]
pub(super) struct Notes(RefCell<Option<Mistake>>);

impl Notes {
    /// The innermost reader is the first to say something, and knows best.
    pub(super) fn note(&self, mistake: Mistake) {
        self.0.borrow_mut().get_or_insert(mistake);
    }

    /// A reader that wanted this failed.
    pub(super) fn wanted(&self, wanted: Wanted) {
        self.note(Mistake::Kind(wanted));
    }
}

impl DatasetError {
    /// A reader fails also where the parser does, so that a note then says nothing.
    pub(super) fn new(field: String, said: serde_json::Error, notes: &Notes) -> DatasetError {
        let noted = notes.0.take().filter(|_| said.classify() == Category::Data);
        let mistake = noted.unwrap_or_else(|| Mistake::Syntax(said.to_string()));
        DatasetError { field, mistake, said }
    }

    /// What is wrong.
    #[must_use]
    pub const fn mistake(&self) -> &Mistake {
        &self.mistake
    }

    /// The names that lead to the value, such as `stock.SKU-001.name`, as the file has them.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        // So it stands for the whole, and for what has no name.
        let is_named = !matches!(&*self.field, "." | "?");
        is_named.then_some(&self.field)
    }

    /// Line of the file, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.said.line()
    }

    /// Column in the line, from 1; 0 before the first.
    #[must_use]
    pub fn column(&self) -> usize {
        self.said.column()
    }
}

impl fmt::Display for DatasetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = self.field() {
            write!(f, "{}: ", field.escape_debug())?;
        }
        // It may quote a name from the file as it is.
        self.said.to_string().chars().try_for_each(|c| match c.is_control() {
            true => write!(f, "{}", c.escape_debug()),
            false => write!(f, "{c}"),
        })
    }
}

impl std::error::Error for DatasetError {}
