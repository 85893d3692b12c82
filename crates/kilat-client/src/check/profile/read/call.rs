//! The part of a profile that says what is sent.

use super::super::address::{Address, AddressFault, Place};
use super::super::batch::{Batch, splitting};
use super::super::headers::{self, Headers, Secrets};
use super::super::judge::is_transient;
use super::super::pointer::Pointer;
use super::super::source::{Entry, Section};
use super::meaning::{pointer, statuses};
use crate::ClientError;
use crate::check::Outcome;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Method};
use std::borrow::Cow;
use std::fmt::Display;
use std::ops::RangeInclusive;

/// Ids of a request.
const SIZES: RangeInclusive<i64> = 2..=1_000;
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What is sent.
pub(super) struct Call {
    pub(super) address: Address,
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
    pub(super) batch: Option<Batch>,
}

pub(super) fn read(top: &Section<'_>, secrets: Secrets<'_>) -> Result<Call, ClientError> {
    let url = top.need("url", "url = \"https://api.example.com/items?id={id}\"")?;
    let address = address(&url)?;
    let method = method(top)?;
    let body = body(top, &method)?;
    check_places(&url, &address, place_in_body(body), top.get("batch").as_ref())?;
    let batch = top.get("batch").map(|entry| batch(&entry)).transpose()?;
    let headers = top.get("headers").map(|entry| headers::read(&entry, secrets)).transpose()?;
    let Headers { map: mut headers, variable } = headers.unwrap_or_default();
    if let (None, Some(variable)) = (address.base(), variable) {
        return Err(url.mistake("profile.secret_base", &[("variable", &variable)]));
    }
    if !body.is_empty() {
        headers.entry(CONTENT_TYPE).or_insert(JSON);
    }
    Ok(Call { address, method, headers, body: body.to_owned(), batch })
}

fn address(entry: &Entry<'_>) -> Result<Address, ClientError> {
    Address::parse(entry.text()?).map_err(|(at, fault)| {
        let known = "{id}, {ids}, {base}";
        let (key, value): (&str, String) = match fault {
            AddressFault::Scheme => ("profile.url.scheme", String::new()),
            AddressFault::User => ("profile.url.user", String::new()),
            AddressFault::Fragment => ("profile.url.fragment", String::new()),
            AddressFault::Secret => ("profile.url.secret", String::new()),
            AddressFault::Host(place) => ("profile.url.host", place),
            AddressFault::Placeholder(place) => ("profile.url.placeholder", place),
            AddressFault::Brace => ("profile.url.brace", String::new()),
            AddressFault::Base => ("profile.url.base", String::new()),
            AddressFault::Both => ("profile.url.both", String::new()),
            AddressFault::Character(found) => {
                ("profile.url.character", found.escape_debug().to_string())
            }
            AddressFault::Malformed => ("profile.url.malformed", String::new()),
        };
        entry.mistake_at(at, key, &[("found", &value), ("known", &known)])
    })
}

fn method(top: &Section<'_>) -> Result<Method, ClientError> {
    let idempotent = top.get("idempotent").map(|entry| entry.flag()).transpose()?;
    let Some(entry) = top.get("method") else { return Ok(Method::GET) };
    match entry.text()? {
        "GET" => Ok(Method::GET),
        "POST" if idempotent == Some(true) => Ok(Method::POST),
        "POST" => Err(entry.mistake("profile.method_repeat", &[])),
        other => Err(entry.mistake("profile.method", &[("method", &other.escape_debug())])),
    }
}

fn body<'a>(top: &Section<'a>, method: &Method) -> Result<&'a str, ClientError> {
    let Some(entry) = top.get("body") else { return Ok("") };
    if *method == Method::GET {
        return Err(entry.mistake("profile.body_get", &[]));
    }
    let body = entry.text()?;
    if let Some(at) = body.find("${") {
        return Err(entry.mistake_at(at, "profile.body_secret", &[]));
    }
    let filled = fill_body(body, &[Cow::Borrowed("x")]);
    match serde_json::from_str::<serde::de::IgnoredAny>(&filled) {
        Ok(_) => Ok(body),
        Err(why) => Err(entry.mistake("profile.body", &[("why", &why)])),
    }
}

/// A body with ids in their places, as JSON: `{id}` a text, `{ids}` a list of texts.
pub(in super::super) fn fill_body(body: &str, ids: &[Cow<'_, str>]) -> String {
    let as_json = |id: &Cow<'_, str>| serde_json::Value::from(id.as_ref()).to_string();
    let ids: Vec<String> = ids.iter().map(as_json).collect();
    match place_in_body(body) {
        Some(Place::Many) => body.replace("{ids}", &format!("[{}]", ids.join(","))),
        Some(Place::One) => body.replace("{id}", ids.first().map_or("null", String::as_str)),
        None => body.to_owned(),
    }
}

fn place_in_body(body: &str) -> Option<Place> {
    match (body.contains("{ids}"), body.contains("{id}")) {
        (true, _) => Some(Place::Many),
        (false, true) => Some(Place::One),
        (false, false) => None,
    }
}

/// Ids get in exactly as they are asked: one at a time, or together.
fn check_places(
    url: &Entry<'_>,
    address: &Address,
    body: Option<Place>,
    batch: Option<&Entry<'_>>,
) -> Result<(), ClientError> {
    let place = address.place().or(body);
    let (entry, key) = match (place, batch) {
        (None, _) => (url, "profile.url.no_id"),
        _ if body.is_some_and(|body| Some(body) != place) => (url, "profile.url.both"),
        (Some(Place::Many), None) => (url, "profile.url.no_batch"),
        (Some(Place::One), Some(batch)) => (batch, "profile.url.not_batch"),
        (Some(Place::Many), Some(_)) if address.base().is_none() => (url, "profile.url.base_batch"),
        _ => return Ok(()),
    };
    Err(entry.mistake(key, &[]))
}

fn batch(entry: &Entry<'_>) -> Result<Batch, ClientError> {
    let section =
        entry.section("[batch]", &["size", "join", "status", "items", "key", "missing"])?;
    let size = section.need("size", "size = 50")?.whole(SIZES)?;
    let items = section.get("items").map_or(Ok(Pointer::WHOLE), |entry| pointer_of(&entry))?;
    let join = join(&section)?;
    Ok(Batch {
        // The range is that of a usize.
        size: usize::try_from(size).unwrap_or(1),
        splitting: splitting(&join),
        join,
        statuses: match section.get("status") {
            Some(entry) => answering(&entry)?,
            None => vec![200],
        },
        items,
        key: section.get("key").map(|entry| pointer_of(&entry)).transpose()?,
        missing: missing(&section)?,
    })
}

/// Statuses under which a server has answered.
fn answering(entry: &Entry<'_>) -> Result<Vec<u16>, ClientError> {
    let statuses = statuses(entry)?;
    match statuses.iter().find(|status| is_transient(**status)) {
        Some(status) => Err(entry.mistake("profile.batch_status", &[("status", status)])),
        None => Ok(statuses),
    }
}

fn pointer_of(entry: &Entry<'_>) -> Result<Pointer, ClientError> {
    pointer(entry.text()?, |byte, key, values: &[(&str, &dyn Display)]| {
        entry.mistake_at(byte, key, values)
    })
}

/// What may stand between two ids: it must not begin another part of the address.
fn join(section: &Section<'_>) -> Result<String, ClientError> {
    let Some(entry) = section.get("join") else { return Ok(",".to_owned()) };
    let join = entry.text()?;
    let can_stand = |b: u8| {
        b.is_ascii_alphanumeric()
            || matches!(
                b,
                b',' | b';'
                    | b':'
                    | b'|'
                    | b'&'
                    | b'='
                    | b'%'
                    | b'+'
                    | b'['
                    | b']'
                    | b'_'
                    | b'-'
                    | b'.'
                    | b'~'
                    | b'!'
                    | b'*'
            )
    };
    match (1..=32).contains(&join.len()) && join.bytes().all(can_stand) {
        true => Ok(join.to_owned()),
        false => Err(entry.mistake("profile.join", &[])),
    }
}

fn missing(section: &Section<'_>) -> Result<Outcome, ClientError> {
    let Some(entry) = section.get("missing") else { return Ok(Outcome::Unknown) };
    match entry.text()? {
        "not_found" => Ok(Outcome::NotFound),
        "unknown" => Ok(Outcome::Unknown),
        _ => Err(entry.mistake("profile.missing", &[])),
    }
}
