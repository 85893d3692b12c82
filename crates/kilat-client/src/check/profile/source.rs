//! A profile's text, walked so that each mistake has a place: `file:line:column: sentence`.
//!
//! Knows TOML and places; never what a profile means.

use crate::{ClientError, Lang};
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A file's name and text, and the language to complain in.
pub(super) struct Source<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
    pub(super) lang: Lang,
}

/// A table of the file whose keys are all known.
#[derive(Clone, Copy)]
pub(super) struct Section<'a> {
    source: &'a Source<'a>,
    /// As in a message: `[batch]`.
    name: &'a str,
    table: &'a DeTable<'a>,
    /// Where it begins.
    at: usize,
}

/// A value and its key.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    source: &'a Source<'a>,
    key: &'a str,
    value: &'a Spanned<DeValue<'a>>,
}

/// A key whose name is free, and its value.
pub(super) struct Named<'a> {
    pub(super) name: &'a str,
    /// Where the name stands.
    at: usize,
    pub(super) value: Entry<'a>,
}

type Values<'v> = &'v [(&'v str, &'v dyn Display)];

impl<'a> Source<'a> {
    /// # Errors
    /// [`ClientError::Usage`] when the text is not TOML.
    pub(super) fn parse(&self) -> Result<DeTable<'a>, ClientError> {
        let parsed = DeTable::parse(self.text);
        parsed.map(Spanned::into_inner).map_err(|why| {
            let at = why.span().map_or(0, |span| span.start);
            self.mistake(at, "profile.syntax", &[("why", &why.message().replace('\n', " "))])
        })
    }

    /// A mistake at a byte of the text.
    pub(super) fn mistake(&self, at: usize, key: &str, values: Values<'_>) -> ClientError {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let sentence = self.lang.say(key, values);
        ClientError::Usage(format!("{}:{line}:{column}: {sentence}", self.file))
    }

    /// Line of a byte of the text.
    pub(super) fn line(&self, at: usize) -> usize {
        self.text.get(..at).unwrap_or(self.text).matches('\n').count() + 1
    }
}

impl<'a> Section<'a> {
    /// # Errors
    /// [`ClientError::Usage`] at a key that is not `known`.
    pub(super) fn new(
        source: &'a Source<'a>,
        name: &'a str,
        table: &'a DeTable<'a>,
        at: usize,
        known: &[&str],
    ) -> Result<Section<'a>, ClientError> {
        let unknown = table.keys().filter(|key| !known.contains(&key.get_ref().as_ref()));
        if let Some(key) = unknown.min_by_key(|key| key.span().start) {
            let written = key.get_ref().escape_debug().to_string();
            let values: Values<'_> =
                &[("key", &written), ("section", &name), ("known", &known.join(", "))];
            return Err(source.mistake(key.span().start, "profile.unknown_key", values));
        }
        Ok(Section { source, name, table, at })
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<Entry<'a>> {
        let (found, value) = self.table.iter().find(|(found, _)| found.get_ref() == key)?;
        Some(Entry { source: self.source, key: found.get_ref().as_ref(), value })
    }

    /// The value of a key that must be there; `example` says how to write it.
    ///
    /// # Errors
    /// [`ClientError::Usage`] when it is missing.
    pub(super) fn need(&self, key: &str, example: &str) -> Result<Entry<'a>, ClientError> {
        self.get(key).ok_or_else(|| {
            self.mistake(
                "profile.missing_key",
                &[("section", &self.name), ("key", &key), ("example", &example)],
            )
        })
    }

    /// A mistake where the table begins.
    pub(super) fn mistake(&self, key: &str, values: Values<'_>) -> ClientError {
        self.source.mistake(self.at, key, values)
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }
}

impl Named<'_> {
    /// A mistake at a byte of the name.
    pub(super) fn mistake(&self, byte: usize, key: &str, values: Values<'_>) -> ClientError {
        let source = self.value.source;
        // A name that is not plain stands in quotes.
        let quote = usize::from(byte > 0);
        source.mistake(self.at + quote + byte, key, values)
    }
}

impl<'a> Entry<'a> {
    /// Where the value begins.
    pub(super) fn at(&self) -> usize {
        self.value.span().start
    }

    /// The key, as the text has it.
    pub(super) fn key(&self) -> &'a str {
        self.key
    }

    /// A mistake where the value begins.
    pub(super) fn mistake(&self, key: &str, values: Values<'_>) -> ClientError {
        self.source.mistake(self.at(), key, values)
    }

    /// A mistake at a byte of what the value says.
    pub(super) fn mistake_at(&self, byte: usize, key: &str, values: Values<'_>) -> ClientError {
        self.source.mistake(self.at() + self.offset(byte), key, values)
    }

    /// From the beginning of a text's first quote to a byte of what it says; 0 when escapes
    /// make that uncertain.
    fn offset(&self, byte: usize) -> usize {
        let Range { start, end } = self.value.span();
        let (Some(said), Some(written)) =
            (self.value.get_ref().as_str(), self.source.text.get(start..end))
        else {
            return 0;
        };
        written.find(said).map_or(0, |quotes| quotes + byte)
    }

    fn wrong_kind(&self, wanted: &str) -> ClientError {
        let wanted = self.source.lang.say(wanted, &[]);
        self.mistake("profile.kind", &[("key", &self.key), ("wanted", &wanted)])
    }

    pub(super) fn value(&self) -> &'a DeValue<'a> {
        self.value.get_ref()
    }

    /// # Errors
    /// [`ClientError::Usage`] when it is anything else; so for the following.
    pub(super) fn text(&self) -> Result<&'a str, ClientError> {
        self.value().as_str().ok_or_else(|| self.wrong_kind("profile.wanted.text"))
    }

    pub(super) fn flag(&self) -> Result<bool, ClientError> {
        self.value().as_bool().ok_or_else(|| self.wrong_kind("profile.wanted.flag"))
    }

    /// A whole number in `range`.
    pub(super) fn whole(&self, range: RangeInclusive<i64>) -> Result<i64, ClientError> {
        let number = self.value().as_integer().and_then(|number| {
            i64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok()
        });
        number.filter(|number| range.contains(number)).ok_or_else(|| {
            let values: Values<'_> =
                &[("key", &self.key), ("from", range.start()), ("to", range.end())];
            self.mistake("profile.range", values)
        })
    }

    pub(super) fn list(&self) -> Result<impl Iterator<Item = Entry<'a>> + use<'a>, ClientError> {
        let list = self.value().as_array().ok_or_else(|| self.wrong_kind("profile.wanted.list"))?;
        let entry = *self;
        Ok(list.iter().map(move |value| Entry { value, ..entry }))
    }

    /// The elements of a list that has some, or the value itself.
    pub(super) fn one_or_more(&self) -> Result<Vec<Entry<'a>>, ClientError> {
        match self.value().as_array() {
            Some(list) if list.is_empty() => Err(self.mistake("profile.empty_list", &[])),
            Some(list) => Ok(list.iter().map(|value| Entry { value, ..*self }).collect()),
            None => Ok(vec![*self]),
        }
    }

    /// A table with these keys; `name` is how a message calls it.
    pub(super) fn section(
        &self,
        name: &'a str,
        known: &[&str],
    ) -> Result<Section<'a>, ClientError> {
        let table = self.value().as_table();
        let table = table.ok_or_else(|| self.wrong_kind("profile.wanted.table"))?;
        Section::new(self.source, name, table, self.at(), known)
    }

    /// A table with any keys, in the order of the text.
    pub(super) fn named(&self) -> Result<Vec<Named<'a>>, ClientError> {
        let table = self.value().as_table();
        let table = table.ok_or_else(|| self.wrong_kind("profile.wanted.table"))?;
        let mut named: Vec<Named<'a>> = table
            .iter()
            .map(|(key, value)| {
                let name = key.get_ref().as_ref();
                let value = Entry { source: self.source, key: name, value };
                Named { name, at: key.span().start, value }
            })
            .collect();
        named.sort_by_key(|named| named.at);
        Ok(named)
    }
}
