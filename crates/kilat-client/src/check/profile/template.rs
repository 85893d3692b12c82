//! Messages with places for values: `Stok '{name}' adalah {stock|0} unit.`
//!
//! | place | value |
//! |---|---|
//! | `{field}` | that member of the reply, or `N/A` |
//! | `{/json/pointer}` | the value there, or `N/A` |
//! | `{field\|text}` | the member, or that text |
//! | `{field\|@id}` | the member, or the id |
//! | `{id}` `{@id}` | the id as its user wrote it |
//! | `{@status}` | the HTTP status |
//! | `{@text}` | the first 100 characters of the reply |
//!
//! A member that is null counts as missing. `{{` and `}}` are braces.

use super::json::{Document, Seen};
use super::pointer::{Pointer, PointerFault};
use std::fmt::Write;

/// Most characters of one value in a message; the rest becomes `…`.
const VALUE_CHARS_MAX: usize = 500;
/// What a missing value reads.
const MISSING: &str = "N/A";

/// A parsed message.
#[derive(Clone, Debug)]
pub(super) struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Value { pointer: Pointer, otherwise: Otherwise },
    Id,
    Status,
    Excerpt,
}

#[derive(Clone, Debug)]
enum Otherwise {
    Text(String),
    Id,
}

/// Why a text is not a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TemplateFault {
    /// `{` without `}`.
    Open,
    /// `}` without `{`.
    Closed,
    /// `{}`.
    Nameless,
    /// `{@…}` that means nothing.
    Unknown(String),
    /// `{/…}` that is not a pointer.
    Pointer(PointerFault),
}

/// What a message can speak of.
pub(super) struct Subject<'a> {
    pub(super) id: &'a str,
    pub(super) status: u16,
    pub(super) document: Option<&'a Document<'a>>,
    pub(super) body: &'a [u8],
}

impl Template {
    /// # Errors
    /// The byte at fault, and what is wrong there.
    pub(super) fn parse(text: &str) -> Result<Template, (usize, TemplateFault)> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut at = 0;
        while let Some(next) = text[at..].find(['{', '}']) {
            plain.push_str(&text[at..at + next]);
            at += next;
            let rest = &text[at..];
            if let Some(brace) = ["{{", "}}"].into_iter().find(|double| rest.starts_with(double)) {
                plain.push_str(&brace[1..]);
                at += 2;
                continue;
            }
            if rest.starts_with('}') {
                return Err((at, TemplateFault::Closed));
            }
            let length = rest[1..].find(['{', '}']).map_or(rest.len(), |length| length + 1);
            if !rest[length..].starts_with('}') {
                return Err((at, TemplateFault::Open));
            }
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::parse(&rest[1..length]).map_err(|fault| (at, fault))?);
            at += length + 1;
        }
        plain.push_str(&text[at..]);
        pieces.push(Piece::Text(plain));
        Ok(Template { pieces })
    }

    /// The message about `subject`.
    pub(super) fn render(&self, subject: &Subject<'_>) -> String {
        let mut message = String::with_capacity(96);
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => message.push_str(text),
                Piece::Id => message.push_str(subject.id),
                Piece::Status => {
                    // Writing into a String cannot fail.
                    let _ = write!(message, "{}", subject.status);
                }
                Piece::Excerpt => message.push_str(&excerpt(subject.body)),
                Piece::Value { pointer, otherwise } => {
                    if !push_value(&mut message, pointer, subject) {
                        message.push_str(otherwise.text(subject));
                    }
                }
            }
        }
        message
    }
}

impl Piece {
    fn parse(inside: &str) -> Result<Piece, TemplateFault> {
        let (name, otherwise) = match inside.split_once('|') {
            Some((name, "@id")) => (name, Otherwise::Id),
            Some((name, text)) => (name, Otherwise::Text(text.to_owned())),
            None => (inside, Otherwise::Text(MISSING.to_owned())),
        };
        let pointer = match name {
            "" => return Err(TemplateFault::Nameless),
            "id" | "@id" => return Ok(Piece::Id),
            "@status" => return Ok(Piece::Status),
            "@text" => return Ok(Piece::Excerpt),
            _ if name.starts_with('@') => return Err(TemplateFault::Unknown(name.to_owned())),
            _ if name.starts_with('/') => Pointer::parse(name).map_err(TemplateFault::Pointer)?,
            _ => Pointer::member(name),
        };
        Ok(Piece::Value { pointer, otherwise })
    }
}

impl Otherwise {
    fn text<'a>(&'a self, subject: &Subject<'a>) -> &'a str {
        match self {
            Otherwise::Text(text) => text,
            Otherwise::Id => subject.id,
        }
    }
}

/// Writes the value at `pointer`; tells whether there is one.
fn push_value(message: &mut String, pointer: &Pointer, subject: &Subject<'_>) -> bool {
    let found = subject.document.and_then(|document| document.find(pointer));
    match found.and_then(|json| json.see()) {
        None | Some(Seen::Null) => return false,
        Some(Seen::Bool(flag)) => message.push_str(if flag { "true" } else { "false" }),
        Some(Seen::Number(text) | Seen::Compound(text)) => push_short(message, text),
        Some(Seen::Text(text)) => push_short(message, &text),
    }
    true
}

fn push_short(message: &mut String, text: &str) {
    // A character has at least one byte.
    let cut = match text.len() {
        0..=VALUE_CHARS_MAX => None,
        _ => text.char_indices().nth(VALUE_CHARS_MAX).map(|(at, _)| at),
    };
    message.push_str(&text[..cut.unwrap_or(text.len())]);
    if cut.is_some() {
        message.push('…');
    }
}

/// Most characters of a reply that are quoted.
const EXCERPT_CHARS_MAX: usize = 100;

/// The first 100 characters of a body, whatever it is.
pub(super) fn excerpt(body: &[u8]) -> String {
    // A character has at most 4 bytes; one more so that a cut character falls behind the end.
    let head = &body[..body.len().min(4 * (EXCERPT_CHARS_MAX + 1))];
    let text: String = String::from_utf8_lossy(head).chars().take(EXCERPT_CHARS_MAX).collect();
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(template: &str, body: &str, expected: &str) {
        let document = Document::read(body.as_bytes()).unwrap();
        let subject =
            Subject { id: "X-1", status: 200, document: Some(&document), body: body.as_bytes() };
        assert_eq!(Template::parse(template).unwrap().render(&subject), expected, "{template}");
    }

    #[test]
    fn values_stand_in_their_places() {
        for (template, body, expected) in [
            ("{win_rate|0}%", r#"{"win_rate":72.0}"#, "72.0%"),
            ("{n}", r#"{"n":1e400}"#, "1e400"),
            ("'{name}'", r#"{"name":"Tas \"A\"\u00e9"}"#, "'Tas \"A\"é'"),
            ("{name} {stock|0}", "{}", "N/A 0"),
            ("{gate|?}", r#"{"gate":null}"#, "?"),
            ("{gate|}", "{}", ""),
            ("{ok}", r#"{"ok":true}"#, "true"),
            ("{/a/b/0}", r#"{"a":{"b":["x"]}}"#, "x"),
            ("{list}", r#"{"list":[1, 2]}"#, "[1, 2]"),
            ("{id} {@id} {sku|@id} {/id}", r#"{"id":7}"#, "X-1 X-1 X-1 7"),
            ("{@status}: {@text}", r#"{"a":1}"#, r#"200: {"a":1}"#),
            ("{{id}} }}{{", "{}", "{id} }{"),
            ("a b|c", "{}", "a b|c"),
            ("", "{}", ""),
            ("{a}", r#"{"a":"{id} %{id}"}"#, "{id} %{id}"),
        ] {
            check(template, body, expected);
        }
    }

    #[test]
    fn long_values_are_cut_at_a_character() {
        let body = format!(r#"{{"a":"{}"}}"#, "é".repeat(VALUE_CHARS_MAX + 1));
        check("{a}!", &body, &format!("{}…!", "é".repeat(VALUE_CHARS_MAX)));
        let body = format!(r#"{{"a":"{}"}}"#, "é".repeat(VALUE_CHARS_MAX));
        check("{a}!", &body, &format!("{}!", "é".repeat(VALUE_CHARS_MAX)));
    }

    #[test]
    fn a_mistake_is_named_by_place() {
        for (template, at, fault) in [
            ("abc {name", 4, TemplateFault::Open),
            ("{a|{b}}", 0, TemplateFault::Open),
            ("a } b", 2, TemplateFault::Closed),
            ("a {}", 2, TemplateFault::Nameless),
            ("{|x}", 0, TemplateFault::Nameless),
            ("{@ID}", 0, TemplateFault::Unknown("@ID".to_owned())),
            ("é {/a~2}", 3, TemplateFault::Pointer(PointerFault::Tilde(2))),
        ] {
            assert_eq!(Template::parse(template).unwrap_err(), (at, fault), "{template}");
        }
    }

    #[test]
    fn an_excerpt_is_the_first_hundred_characters() {
        assert_eq!(excerpt(b"short\n"), "short");
        assert_eq!(excerpt(b""), "");
        let emoji = "😀".repeat(101);
        assert_eq!(excerpt(emoji.as_bytes()), "😀".repeat(100));
        assert_eq!(excerpt(&[0xff; 500]), "\u{fffd}".repeat(100));
    }
}
