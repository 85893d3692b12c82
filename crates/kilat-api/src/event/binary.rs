//! CloudEvents 1.0 in the binary mode: attributes in headers, data as the body
//! (HTTP Protocol Binding 1.0.2, section 3.1).
//!
//! Knows names and values, not an HTTP library.

use super::canonical::{Canonical, put_string};
use super::cloud::{self, Attributes};
use super::faults::Faults;
use super::reading::{Buffers, Event, OnInvalid, Read, Reading, Stop, utf8};
use super::scan::{Quoted, Scanner, Syntax};
use crate::problem::Problem;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A request in the binary mode.
#[derive(Clone, Copy, Debug)]
pub struct Binary<'a> {
    /// What stands behind `ce-` in the names of headers, in lower case, with their values.
    pub attributes: &'a [(&'a str, &'a [u8])],
    /// The header `Content-Type`, which is the attribute `datacontenttype`.
    pub content_type: Option<&'a str>,
    /// The body.
    pub data: &'a [u8],
}

/// Reads the one event of a request, as [`super::read`] does those of a body.
///
/// Data that its type calls JSON becomes `data`, text becomes a string, anything else
/// `data_base64`.
///
/// # Errors
/// As [`super::read`].
pub fn read_binary(
    request: &Binary<'_>,
    on_invalid: OnInvalid,
    buffers: &mut Buffers,
    take: &mut dyn FnMut(&Event<'_>),
) -> Result<Read, Problem> {
    let data = data(request)?;
    let mut reading = Reading::new(on_invalid, buffers, take);
    let mut values = Vec::with_capacity(request.attributes.len() + 1);
    for (name, value) in request.attributes {
        match decode(value) {
            Some(text) if *name != "datacontenttype" => values.push((*name, quoted(&text))),
            Some(_) => reading.faults.push(name, "comes in the header Content-Type"),
            None => reading.faults.push(name, "must be UTF-8, percent-encoded where needed"),
        }
    }
    values.extend(request.content_type.map(|kind| ("datacontenttype", quoted(kind))));
    let mut attributes = Attributes::begin(&mut reading);
    for (name, raw) in &values {
        attributes.set(&mut reading, name, Quoted::trusted(raw));
    }
    if let Some((name, raw)) = &data {
        attributes.set_data(&mut reading, name, raw);
    }
    let bytes = request.data.len() + values.iter().map(|(_, raw)| raw.len()).sum::<usize>();
    cloud::pass_on(&mut reading, &attributes, bytes);
    reading.close(0);
    reading.finish(false)
}

/// The data as a member of the JSON format.
fn data(request: &Binary<'_>) -> Result<Option<(&'static str, String)>, Problem> {
    let kind = request.content_type.unwrap_or_default().split(';').next().unwrap_or_default();
    let kind = kind.trim().to_ascii_lowercase();
    if request.data.is_empty() {
        return Ok(None);
    }
    if kind.ends_with("/json") || kind.ends_with("+json") {
        let text = utf8(request.data)?;
        check_json(text).map_err(|syntax| Stop::from(syntax).explain(text))?;
        return Ok(Some(("data", text.to_owned())));
    }
    let text = kind.starts_with("text/") || kind.ends_with("/xml") || kind.ends_with("+xml");
    Ok(Some(match std::str::from_utf8(request.data) {
        Ok(data) if text => ("data", quoted(data)),
        _ => ("data_base64", format!("\"{}\"", STANDARD.encode(request.data))),
    }))
}

fn check_json(text: &str) -> Result<(), Syntax> {
    let mut scanner = Scanner::new(text, 0);
    Canonical::default().member(&mut scanner, "data", &mut Faults::default())?;
    scanner.end()
}

fn quoted(text: &str) -> String {
    let mut raw = Vec::with_capacity(text.len() + 2);
    put_string(&mut raw, text);
    // Only ASCII was added to a text.
    String::from_utf8(raw).unwrap_or_default()
}

/// A header's value as text: first without quotes and their backslashes (RFC 7230, section
/// 3.2.6), then one round of percent-decoding.
fn decode(value: &[u8]) -> Option<String> {
    let value = value.trim_ascii();
    let plain = match value {
        [b'"', inside @ .., b'"'] => unescaped(inside),
        _ => value.to_vec(),
    };
    let mut text = Vec::with_capacity(plain.len());
    let mut rest = plain.iter();
    while let Some(&byte) = rest.next() {
        let hex = |digit: Option<&u8>| char::from(*digit?).to_digit(16);
        text.push(match byte {
            b'%' => u8::try_from(hex(rest.next())? << 4 | hex(rest.next())?).ok()?,
            _ => byte,
        });
    }
    String::from_utf8(text).ok()
}

fn unescaped(inside: &[u8]) -> Vec<u8> {
    let mut rest = inside.iter();
    let character = || match rest.next()? {
        b'\\' => rest.next().copied(),
        other => Some(*other),
    };
    std::iter::from_fn(character).collect()
}
