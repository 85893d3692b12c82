//! A profile from its TOML, with every mistake named by `file:line:column`.
//!
//! What is read here can't be wrong later: a request or a verdict never fails because of
//! its profile.

mod call;
mod meaning;

use super::batch::Fold;
use super::headers::Secrets;
use super::rule::Texts;
use super::seed::SeedTexts;
use super::source::{Entry, Section, Source};
use super::{Id, Inner, Profile};
use crate::check::ID_BYTES_MAX;
use crate::{ClientError, Lang};
pub(super) use call::fill_body;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Largest profile, in bytes.
const PROFILE_BYTES_MAX: u64 = 1024 * 1024;
/// Longest name of a profile, in bytes.
const NAME_BYTES_MAX: usize = 32;
/// Name of a profile whose file's name gives none.
const NAMELESS: &str = "profile";

const KEYS: [&str; 12] = [
    "name",
    "label",
    "url",
    "method",
    "idempotent",
    "body",
    "fold",
    "ids",
    "headers",
    "batch",
    "rule",
    "seed",
];

/// The text of a profile's file.
///
/// # Errors
/// [`ClientError::Usage`] when it can't be read, is too large, or is not UTF-8.
pub(super) fn text(path: &Path, file: &str, lang: Lang) -> Result<String, ClientError> {
    let mut bytes = Vec::new();
    let read = File::open(path)
        .and_then(|opened| opened.take(PROFILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    read.map_err(|why| {
        ClientError::Usage(lang.say("error.file_unreadable", &[("file", &file), ("why", &why)]))
    })?;
    if bytes.len() as u64 > PROFILE_BYTES_MAX {
        let limit = lang.number(PROFILE_BYTES_MAX);
        let values: &[(&str, &dyn std::fmt::Display)] = &[("file", &file), ("limit", &limit)];
        return Err(ClientError::Usage(lang.say("profile.large", values)));
    }
    String::from_utf8(bytes).map_err(|why| {
        let valid = why.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(&why.as_bytes()[..valid]).into_owned();
        Source { file, text: &text, lang }.mistake(valid, "profile.not_utf8", &[])
    })
}

/// Reads a profile from the text of `file`.
///
/// # Errors
/// [`ClientError::Usage`] with the place of the first mistake.
pub(super) fn read(
    file: &str,
    text: &str,
    secrets: Secrets<'_>,
    lang: Lang,
) -> Result<Profile, ClientError> {
    let source = Source { file, text, lang };
    let table = source.parse()?;
    let top = Section::new(&source, file, &table, 0, &KEYS)?;
    let call = call::read(&top, secrets)?;
    let label = label(&top)?;
    let inner = Inner {
        name: name(&top, file)?,
        seed: top.get("seed").map(|entry| seed(&entry, &label)).transpose()?,
        label,
        asks_for_domains: call.address.base().is_none(),
        address: call.address,
        bootstrap: None,
        method: call.method,
        headers: call.headers,
        body: call.body,
        fold: top.get("fold").map_or(Ok(Fold::Exact), |entry| fold(&entry))?,
        batch: call.batch,
        rules: meaning::read(&top, &source)?,
        ids: ids(&top)?,
    };
    Ok(Profile { inner: Arc::new(inner) })
}

fn name(top: &Section<'_>, file: &str) -> Result<String, ClientError> {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let Some(entry) = top.get("name") else {
        let stem = Path::new(file).file_stem().unwrap_or_default().to_string_lossy();
        let plain = |c: char| match c.to_ascii_lowercase() {
            c if c.is_ascii() && is_plain(c as u8) => c,
            _ => '-',
        };
        let name: String = stem.chars().take(NAME_BYTES_MAX).map(plain).collect();
        let name = name.trim_matches('-');
        return Ok(if name.is_empty() { NAMELESS } else { name }.to_owned());
    };
    let name = entry.text()?;
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len());
    match fits && name.bytes().all(is_plain) {
        true => Ok(name.to_owned()),
        false => Err(entry.mistake("profile.name", &[("name", &name.escape_debug())])),
    }
}

fn label(top: &Section<'_>) -> Result<Texts<String>, ClientError> {
    match top.get("label") {
        Some(entry) => texts(&entry, |_, text| Ok(text.to_owned())),
        None => Ok(Texts { indonesian: "ID".to_owned(), english: "ID".to_owned() }),
    }
}

/// One text for both languages, or `{ id = "…", en = "…" }`, where English may be left out.
fn texts<T: Clone>(
    entry: &Entry<'_>,
    read: impl Fn(&Entry<'_>, &str) -> Result<T, ClientError>,
) -> Result<Texts<T>, ClientError> {
    if entry.value().is_str() {
        let both = read(entry, entry.text()?)?;
        return Ok(Texts { indonesian: both.clone(), english: both });
    }
    let section = entry.section(entry.key(), &["id", "en"])?;
    let indonesian =
        section.get("id").ok_or_else(|| section.mistake("profile.one_language", &[]))?;
    let indonesian = read(&indonesian, indonesian.text()?)?;
    let english = match section.get("en") {
        Some(english) => read(&english, english.text()?)?,
        None => indonesian.clone(),
    };
    Ok(Texts { indonesian, english })
}

fn fold(entry: &Entry<'_>) -> Result<Fold, ClientError> {
    match entry.text()? {
        "lower" => Ok(Fold::Lower),
        "upper" => Ok(Fold::Upper),
        _ => Err(entry.mistake("profile.fold", &[])),
    }
}

fn ids(top: &Section<'_>) -> Result<Vec<Id>, ClientError> {
    let Some(entry) = top.get("ids") else { return Ok(Vec::new()) };
    let read = |entry: Entry<'_>| {
        let id = Id::new(entry.text()?.trim());
        id.ok_or_else(|| entry.mistake("profile.id", &[("limit", &ID_BYTES_MAX)]))
    };
    entry.list()?.map(read).collect()
}

fn seed(entry: &Entry<'_>, label: &Texts<String>) -> Result<SeedTexts, ClientError> {
    let section = entry.section("[seed]", &["header", "file", "all", "each", "done"])?;
    let text = |key: &str, example: &str| {
        let entry = section.need(key, example)?;
        let text = entry.text()?;
        match text.chars().any(char::is_control) {
            true => Err(entry.mistake("profile.seed_line", &[])),
            false => Ok(text.to_owned()),
        }
    };
    let log_file = text("file", "file = \"stock_checker_log.txt\"")?;
    if Path::new(&log_file).file_name().is_none_or(|name| *name != *log_file) {
        let entry = section.need("file", "")?;
        return Err(entry.mistake("profile.seed_file", &[]));
    }
    Ok(SeedTexts {
        header: text("header", "header = \"Stock Checker\"")?,
        log_file,
        label: label.indonesian.clone(),
        all: text("all", "all = \"pengecekan stok produk\"")?,
        each: text("each", "each = \"pengecekan untuk SKU\"")?,
        done: text("done", "done = \"pengecekan stok\"")?,
    })
}
