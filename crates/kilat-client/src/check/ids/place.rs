//! Names an input, and says what is wrong at a line of it.

use super::Halt;
use crate::check::ID_BYTES_MAX;
use crate::{ClientError, Lang};
use std::fmt::Display;

/// What UTF-16 begins with; some spreadsheets write it.
const UTF_16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// What a workbook begins with, as spreadsheets keep it: a zip file, or an older kind.
const WORKBOOK_MARKS: [&[u8]; 2] = [b"PK\x03\x04", b"\xd0\xcf\x11\xe0"];

/// Takes one id.
pub(super) type Take<'a> = dyn FnMut(&str) -> Result<(), Halt> + 'a;

/// An input, as people know it.
pub(super) struct Place {
    name: String,
    pub(super) lang: Lang,
}

impl Place {
    /// The input of that name.
    pub(super) const fn new(name: String, lang: Lang) -> Place {
        Place { name, lang }
    }

    /// It can't be read at all, or no further.
    pub(super) fn unreadable(&self, why: &dyn Display) -> ClientError {
        let values: [(&str, &dyn Display); 2] = [("file", &self.name), ("why", why)];
        ClientError::Usage(self.lang.say("error.file_unreadable", &values))
    }

    /// There is nothing in it, not even names of columns.
    pub(super) fn empty(&self) -> ClientError {
        ClientError::Usage(self.lang.say("ids.empty", &[("file", &self.name)]))
    }

    /// A mistake in a line, counted from 1.
    pub(super) fn wrong(&self, line: u64, what: &str) -> ClientError {
        let values: [(&str, &dyn Display); 3] =
            [("file", &self.name), ("line", &line), ("what", &what)];
        ClientError::Usage(self.lang.say("ids.wrong", &values))
    }

    /// An input that begins so is none that ids can be read from.
    pub(super) fn refuse_beginning(&self, beginning: &[u8]) -> Result<(), ClientError> {
        let begins = |marks: &[&[u8]]| marks.iter().any(|mark| beginning.starts_with(mark));
        match (begins(&WORKBOOK_MARKS), begins(&UTF_16_MARKS)) {
            (true, _) => Err(self.wrong(1, &self.lang.say("ids.workbook", &[]))),
            (_, true) => Err(self.wrong(1, &self.lang.say("ids.utf_16", &[]))),
            _ => Ok(()),
        }
    }

    /// The text of these bytes.
    pub(super) fn text<'a>(&self, bytes: &'a [u8], line: u64) -> Result<&'a str, ClientError> {
        std::str::from_utf8(bytes).map_err(|e| {
            let byte = e.valid_up_to() + 1;
            self.wrong(line, &self.lang.say("ids.utf_8", &[("byte", &byte)]))
        })
    }

    /// Passes an id on when it can be one. It is not empty.
    pub(super) fn take(&self, id: &str, line: u64, take: &mut Take<'_>) -> Result<(), Halt> {
        if id.len() > ID_BYTES_MAX {
            let values: [(&str, &dyn Display); 2] = [("bytes", &id.len()), ("most", &ID_BYTES_MAX)];
            return Err(self.wrong(line, &self.lang.say("ids.too_long", &values)).into());
        }
        if id.contains('\0') {
            return Err(self.wrong(line, &self.lang.say("ids.nul", &[])).into());
        }
        take(id)
    }
}
