//! An opened input: where it is, how it is read, and what is said of a mistake in it.

use super::csv::Rows;
use super::json;
use super::lines::Lines;
use super::{Halt, IdForm, IdInput};
use crate::check::{ID_BYTES_MAX, Id};
use crate::{ClientError, Lang};
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The name of standard input.
const STDIN: &str = "-";
/// What UTF-16 begins with; some spreadsheets write it.
const UTF_16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// Takes one id.
pub(super) type Take<'a> = dyn FnMut(&str) -> Result<(), Halt> + 'a;
type Input = Box<dyn Read + Send>;

pub(super) struct Source {
    place: Place,
    content: Content,
}

enum Content {
    Listed(Vec<Id>),
    Text(Lines<Input>),
    Csv(Rows<Input>),
    Json(Lines<Input>, Option<String>),
}

/// Names an input, and says what is wrong at a line of it.
#[derive(Clone)]
pub(super) struct Place {
    name: String,
    pub(super) lang: Lang,
}

impl Source {
    pub(super) fn open(input: IdInput, lang: Lang) -> Result<Source, ClientError> {
        let (name, form, reader): (String, IdForm, Input) = match input {
            IdInput::Listed(ids) => {
                let place = Place { name: String::new(), lang };
                return Ok(Source { place, content: Content::Listed(ids) });
            }
            IdInput::Stdin { form } => (STDIN.to_owned(), form, Box::new(io::stdin())),
            IdInput::File { path, form } => {
                let name = path.display().to_string();
                let file = open(&path).map_err(|e| unreadable(&name, &e, lang))?;
                (name, form, Box::new(file))
            }
        };
        let place = Place { name, lang };
        let content = match form {
            IdForm::Text => Content::Text(Lines::new(reader)),
            IdForm::JsonLines { field } => Content::Json(Lines::new(reader), field),
            IdForm::Csv { column } => Content::Csv(Rows::open(reader, &column, &place)?),
        };
        Ok(Source { place, content })
    }

    /// Gives all ids to `take`.
    pub(super) fn read(self, take: &mut Take<'_>) -> Result<(), Halt> {
        let place = self.place;
        match self.content {
            Content::Listed(ids) => ids.iter().try_for_each(|id| take(id.as_str())),
            Content::Csv(rows) => rows.read(&place, take),
            Content::Text(lines) => lines.read(&place, |line, number| {
                let text = place.text(line, number)?.trim_matches([' ', '\t']);
                if text.is_empty() { Ok(()) } else { place.take(text, number, take) }
            }),
            Content::Json(lines, field) => lines.read(&place, |line, number| {
                let text = place.text(line, number)?;
                if text.trim_ascii().is_empty() {
                    return Ok(());
                }
                let id = json::id(text, field.as_deref(), place.lang)
                    .map_err(|why| place.wrong(number, &why))?;
                place.take(&id, number, take)
            }),
        }
    }
}

/// Whether an input that begins so is UTF-16.
pub(super) fn is_utf_16(beginning: &[u8]) -> bool {
    UTF_16_MARKS.iter().any(|mark| beginning.starts_with(mark))
}

fn open(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(file)
}

fn unreadable(name: &str, why: &dyn Display, lang: Lang) -> ClientError {
    ClientError::Usage(lang.say("error.file_unreadable", &[("file", &name), ("why", why)]))
}

impl Place {
    pub(super) fn unreadable(&self, why: &dyn Display) -> ClientError {
        unreadable(&self.name, why, self.lang)
    }

    /// A mistake in a line, counted from 1.
    pub(super) fn wrong(&self, line: u64, what: &str) -> ClientError {
        let values: [(&str, &dyn Display); 3] =
            [("file", &self.name), ("line", &line), ("what", &what)];
        ClientError::Usage(self.lang.say("ids.wrong", &values))
    }

    /// The text of these bytes.
    pub(super) fn text<'a>(&self, bytes: &'a [u8], line: u64) -> Result<&'a str, ClientError> {
        std::str::from_utf8(bytes).map_err(|e| {
            let is_utf_16 = line == 1 && is_utf_16(bytes);
            let key = if is_utf_16 { "ids.utf_16" } else { "ids.utf_8" };
            let byte = e.valid_up_to() + 1;
            self.wrong(line, &self.lang.say(key, &[("byte", &byte)]))
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

impl From<ClientError> for Halt {
    fn from(error: ClientError) -> Self {
        Halt::Failed(error)
    }
}
