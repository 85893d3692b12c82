//! An opened input: where it is, and how it is read.

use super::csv::Rows;
use super::json;
use super::lines::Lines;
use super::place::{Place, Take};
use super::{Halt, IdForm, IdInput};
use crate::check::Id;
use crate::{ClientError, Lang};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// What messages call standard input.
const STDIN: &str = "stdin";

type Input = Box<dyn Read + Send>;

pub(super) struct Source {
    place: Place,
    content: Content,
}

enum Content {
    Listed(Vec<Id>),
    Text(Lines<Input>),
    Guessed(Lines<Input>),
    Csv(Box<Rows<Input>>),
    Json(Lines<Input>, Option<String>),
}

impl Source {
    pub(super) fn open(input: IdInput, lang: Lang) -> Result<Source, ClientError> {
        let (place, form, reader): (Place, IdForm, Input) = match input {
            IdInput::Listed(ids) => {
                let place = Place::new(String::new(), lang);
                return Ok(Source { place, content: Content::Listed(ids) });
            }
            IdInput::Stdin { form } => {
                (Place::new(STDIN.to_owned(), lang), form, Box::new(io::stdin()))
            }
            IdInput::File { path, form } => {
                let place = Place::new(path.display().to_string(), lang);
                let file = open(&path).map_err(|e| place.unreadable(&e))?;
                if form == IdForm::Guessed && is_named_json(&path) {
                    return Err(like_json(1, &place));
                }
                (place, form, Box::new(file))
            }
        };
        let content = match form {
            IdForm::Text => Content::Text(Lines::new(reader)),
            IdForm::Guessed => Content::Guessed(Lines::new(reader)),
            IdForm::JsonLines { field } => Content::Json(Lines::new(reader), field),
            IdForm::Csv { column } => Content::Csv(Box::new(Rows::open(reader, &column, &place)?)),
        };
        Ok(Source { place, content })
    }

    /// Gives all ids to `take`.
    pub(super) fn read(self, take: &mut Take<'_>) -> Result<(), Halt> {
        let place = self.place;
        match self.content {
            Content::Listed(ids) => ids.iter().try_for_each(|id| take(id.as_str())),
            Content::Csv(rows) => rows.read(&place, take),
            Content::Text(lines) => read_text(lines, &place, take, false),
            Content::Guessed(lines) => read_text(lines, &place, take, true),
            Content::Json(lines, field) => lines.read(&place, |line, number| {
                let text = place.text(line, number)?;
                if text.trim().is_empty() {
                    return Ok(());
                }
                let id = json::id(text, field.as_deref(), place.lang)
                    .map_err(|why| place.wrong(number, &why))?;
                place.take(&id, number, take)
            }),
        }
    }
}

/// Gives each line that is not blank; when the form is guessed, the first must not look like JSON.
fn read_text(
    lines: Lines<Input>,
    place: &Place,
    take: &mut Take<'_>,
    is_guessed: bool,
) -> Result<(), Halt> {
    let mut is_doubted = is_guessed;
    lines.read(place, |line, number| {
        let text = place.text(line, number)?.trim();
        if text.is_empty() {
            return Ok(());
        }
        if std::mem::take(&mut is_doubted) && text.starts_with(['[', '{']) {
            return Err(like_json(number, place).into());
        }
        place.take(text, number, take)
    })
}

fn is_named_json(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"))
}

fn like_json(line: u64, place: &Place) -> ClientError {
    place.wrong(line, &place.lang.say("ids.like_json", &[]))
}

fn open(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(file)
}
