//! The JSON of a reply: checked once, kept as it is written, decoded only where somebody asks.
//!
//! Numbers keep their text, so that `72.0` stays `72.0`. Of two members with one name some
//! readers take the first and others the last, so that a value with such a pair is not read
//! at all (RFC 8259, section 4). Knows nothing of profiles.

use super::pointer::Pointer;
use super::single;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Deepest nesting of a reply; what reads the audit log later has such a limit too.
const DEPTH_MAX: usize = 64;
/// Longest row that is kept, in bytes.
pub(super) const ROW_BYTES_MAX: usize = 4 * 1024;
/// What some servers put before UTF-8.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What kind of value a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Array,
    /// A text, a number, true, false or null.
    Scalar,
    /// Nothing, or white space.
    Empty,
}

/// Why a body can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    NotUtf8,
    Page,
    NotJson,
    TooDeep,
    /// An object has two members with one name.
    Doubled,
}

/// A value as it is written.
#[derive(Clone, Copy)]
pub(super) struct Json<'a>(&'a str);

/// A value that is looked into.
pub(super) struct Document<'a> {
    kind: Kind,
    whole: Json<'a>,
    /// Of an object, in the order of the text.
    members: Vec<(Cow<'a, str>, Json<'a>)>,
}

/// A value as a rule or a message sees it.
pub(super) enum Seen<'a> {
    Null,
    Bool(bool),
    /// As written.
    Number(&'a str),
    Text(Cow<'a, str>),
    /// An object or an array, as written.
    Compound(&'a str),
}

impl<'a> Document<'a> {
    /// Reads a whole body.
    ///
    /// # Errors
    /// [`Unreadable`]: it is not JSON that everybody would read alike.
    pub(super) fn read(body: &'a [u8]) -> Result<Document<'a>, Unreadable> {
        let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
        let text = std::str::from_utf8(body).map_err(|_| Unreadable::NotUtf8)?;
        let text = text.trim_matches([' ', '\n', '\r', '\t']);
        Document::of(Json(text)).ok_or(match text.starts_with('<') {
            true => Unreadable::Page,
            false => Unreadable::NotJson,
        })
    }

    /// Looks into a value; `None` when it is not JSON.
    pub(super) fn of(whole: Json<'a>) -> Option<Document<'a>> {
        let kind = whole.kind();
        let members = match kind {
            Kind::Object => whole.members()?,
            Kind::Empty => Vec::new(),
            Kind::Array | Kind::Scalar => {
                serde_json::from_str::<&RawValue>(whole.0).ok()?;
                Vec::new()
            }
        };
        Some(Document { kind, whole, members })
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// The value at `pointer`.
    pub(super) fn find(&self, pointer: &Pointer) -> Option<Json<'a>> {
        let Some((first, rest)) = pointer.tokens().split_first() else { return Some(self.whole) };
        let start = match self.kind {
            Kind::Object => member(&self.members, first),
            _ => self.whole.child(first),
        };
        rest.iter().try_fold(start?, |json, token| json.child(token))
    }

    /// Of an object, in the order of the text.
    pub(super) fn into_members(self) -> Vec<(Cow<'a, str>, Json<'a>)> {
        self.members
    }

    /// Of an array.
    pub(super) fn elements(&self) -> Option<Vec<Json<'a>>> {
        self.whole.elements()
    }

    /// Whether an object anywhere in it has two members with one name.
    pub(super) fn is_doubled(&self) -> bool {
        single::check(self.whole.0) == Err(Unreadable::Doubled)
    }

    /// Checks the inside of the value, and writes it without white space between tokens;
    /// `None` when that has more than [`ROW_BYTES_MAX`].
    ///
    /// # Errors
    /// [`Unreadable`] when it is nested too deeply, an escape stands for no character, or an
    /// object anywhere in it has two members with one name.
    pub(super) fn row(&self) -> Result<Option<String>, Unreadable> {
        let row = compact(self.whole.0)?;
        match self.kind {
            Kind::Object | Kind::Array => single::check(self.whole.0).map(|()| row),
            Kind::Scalar | Kind::Empty => Ok(row),
        }
    }
}

impl<'a> Json<'a> {
    fn kind(self) -> Kind {
        match self.0.as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(_) => Kind::Scalar,
            None => Kind::Empty,
        }
    }

    /// Of an object.
    fn members(self) -> Option<Vec<(Cow<'a, str>, Json<'a>)>> {
        serde_json::from_str::<Members<'a>>(self.0).ok().map(|members| members.0)
    }

    /// Of an array.
    fn elements(self) -> Option<Vec<Json<'a>>> {
        let elements = serde_json::from_str::<Vec<&'a RawValue>>(self.0).ok()?;
        Some(elements.into_iter().map(|raw| Json(raw.get())).collect())
    }

    fn child(self, token: &str) -> Option<Json<'a>> {
        match self.kind() {
            Kind::Object => member(&self.members()?, token),
            Kind::Array => self.elements()?.get(place(token)?).copied(),
            Kind::Scalar | Kind::Empty => None,
        }
    }

    /// Decodes a scalar; `None` when a text holds an escape that stands for no character.
    pub(super) fn see(self) -> Option<Seen<'a>> {
        Some(match self.0.as_bytes().first()? {
            b'n' => Seen::Null,
            b't' => Seen::Bool(true),
            b'f' => Seen::Bool(false),
            b'"' => Seen::Text(serde_json::from_str::<Text<'a>>(self.0).ok()?.0),
            b'{' | b'[' => Seen::Compound(self.0),
            _ => Seen::Number(self.0),
        })
    }
}

fn member<'a>(members: &[(Cow<'a, str>, Json<'a>)], name: &str) -> Option<Json<'a>> {
    members.iter().find(|(known, _)| known == name).map(|(_, json)| *json)
}

/// A place in an array: digits without leading zeros (RFC 6901, section 4).
fn place(token: &str) -> Option<usize> {
    let canonical = token == "0" || !token.starts_with(['0', '+']);
    canonical.then(|| token.parse().ok())?
}

/// A text that is borrowed when it has no escapes.
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

/// The members of an object; of doubles, [`Document::row`] tells.
struct Members<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Vec::with_capacity(8);
        while let Some((name, value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
            members.push((name.0, Json(value.get())));
        }
        Ok(Members(members))
    }
}

/// Copies JSON without the white space between tokens. The text is known to be JSON, except
/// for what is looked for here.
fn compact(text: &str) -> Result<Option<String>, Unreadable> {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len().min(ROW_BYTES_MAX));
    let (mut fits, mut depth, mut at) = (true, 0_usize, 0_usize);
    while let Some(byte) = bytes.get(at) {
        let end = match byte {
            b'"' => string_end(bytes, at)?,
            b' ' | b'\n' | b'\r' | b'\t' => {
                at += 1;
                continue;
            }
            b'{' | b'[' => {
                depth += 1;
                at + 1
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                at + 1
            }
            _ => token_end(bytes, at),
        };
        if depth > DEPTH_MAX {
            return Err(Unreadable::TooDeep);
        }
        fits &= out.len() + (end - at) <= ROW_BYTES_MAX;
        if let (true, Some(token)) = (fits, text.get(at..end)) {
            out.push_str(token);
        }
        at = end;
    }
    Ok(fits.then_some(out))
}

/// Behind the token that begins at `at` and is neither a string nor a bracket.
fn token_end(bytes: &[u8], at: usize) -> usize {
    let goes_on = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
    let more = bytes.get(at + 1..).unwrap_or_default();
    at + 1 + more.iter().take_while(|byte| goes_on(byte)).count()
}

/// Behind the closing quote of the string that begins at `at`.
pub(super) fn string_end(bytes: &[u8], at: usize) -> Result<usize, Unreadable> {
    let mut at = at + 1;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(next) = memchr::memchr2(b'"', b'\\', rest) else { return Ok(bytes.len()) };
        at += next;
        match bytes.get(at) {
            Some(b'"') => return Ok(at + 1),
            _ => at += escape_length(bytes.get(at..).unwrap_or_default())?,
        }
    }
}

/// Length of the escape at the beginning of `rest`. Half of a surrogate pair is no character:
/// some readers take it and others refuse the whole text.
fn escape_length(rest: &[u8]) -> Result<usize, Unreadable> {
    match (rest.get(1), unit(rest)) {
        (Some(b'u'), Some(0xD800..=0xDBFF)) => match rest.get(6..).and_then(unit) {
            Some(0xDC00..=0xDFFF) => Ok(12),
            _ => Err(Unreadable::NotJson),
        },
        (Some(b'u'), Some(0xDC00..=0xDFFF) | None) => Err(Unreadable::NotJson),
        (Some(b'u'), Some(_)) => Ok(6),
        _ => Ok(2),
    }
}

/// The UTF-16 unit of an escape such as `\u00e9`.
fn unit(escape: &[u8]) -> Option<u16> {
    let digits = escape.strip_prefix(br"\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str) -> Result<Option<String>, Unreadable> {
        Document::read(text.as_bytes())?.row()
    }

    #[test]
    fn a_row_is_what_was_written_without_white_space() {
        for (text, expected) in [
            ("{}", "{}"),
            (
                " {\r\n\t\"a b\" : 72.0 , \"c\":[ 1e3,-0 , true ]}\n",
                r#"{"a b":72.0,"c":[1e3,-0,true]}"#,
            ),
            (
                r#"{ "q" : "a \" { b\\" , "e":"\u00e9 \ud83d\ude00" }"#,
                r#"{"q":"a \" { b\\","e":"\u00e9 \ud83d\ude00"}"#,
            ),
            ("\u{feff}{\"😀\": null}", "{\"😀\":null}"),
        ] {
            assert_eq!(row(text).unwrap().unwrap(), expected, "{text}");
        }
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(ROW_BYTES_MAX));
        assert_eq!(row(&long), Ok(None));
        let fits = format!("{{\"a\":\"{}\"}}", "x".repeat(ROW_BYTES_MAX - 8));
        assert_eq!(row(&fits), Ok(Some(fits.clone())));
    }

    #[test]
    fn what_not_everybody_would_read_alike_is_refused() {
        let deep = |levels| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        let wide = |count, last: &str| {
            let members: Vec<String> = (0..count).map(|n| format!("\"x{n}\":0")).collect();
            format!("{{{},\"{last}\":0}}", members.join(","))
        };
        assert!(row(&wide(100, "x")).is_ok());
        assert!(row(r#"{"a":[{"a":1},{"a":{"a":1}}],"A":1}"#).is_ok());
        for (text, fault) in [
            ("<!doctype html>", Unreadable::Page),
            ("{\"a\":1", Unreadable::NotJson),
            ("{\"a\":1} x", Unreadable::NotJson),
            ("{\"a\":NaN}", Unreadable::NotJson),
            ("{'a':1}", Unreadable::NotJson),
            ("{\"a\":\"\n\"}", Unreadable::NotJson),
            ("{\"a\":\"\\ud800\"}", Unreadable::NotJson),
            ("{\"a\":\"\\ud800\\u0041\"}", Unreadable::NotJson),
            ("{\"a\":\"\\ude00\"}", Unreadable::NotJson),
            (r#"{"a":1,"a":1}"#, Unreadable::Doubled),
            (r#"{"a":1,"b":{"c":[{"d":1,"\u0064":2}]}}"#, Unreadable::Doubled),
            (r#"[{"":1,"":1}]"#, Unreadable::Doubled),
            (&wide(100, "x99"), Unreadable::Doubled),
            (&deep(DEPTH_MAX), Unreadable::TooDeep),
            (&deep(100_000), Unreadable::TooDeep),
        ] {
            assert_eq!(row(text), Err(fault), "{:.40}", text);
        }
        assert!(row(&deep(DEPTH_MAX - 1)).is_ok());
        assert_eq!(Document::read(b"{\"a\":\"\xff\"}").err(), Some(Unreadable::NotUtf8));
        assert_eq!(Document::read(b"{\0\"\0a\0").err(), Some(Unreadable::NotJson));
    }

    #[test]
    fn values_are_found_by_pointer_and_keep_their_text() {
        let text = r#"{"a":72.0,"l":[{"k/x":"\u00e9"},null],"":false,"s":"t"}"#;
        let document = Document::read(text.as_bytes()).unwrap();
        for (pointer, expected) in [
            ("/a", Some("72.0")),
            ("/l/0/k~1x", Some("\"\\u00e9\"")),
            ("/l/1", Some("null")),
            ("/l/2", None),
            ("/l/00", None),
            ("/l/+0", None),
            ("/l/-", None),
            ("/", Some("false")),
            ("/s/0", None),
            ("/b", None),
            ("", Some(text)),
        ] {
            let found = document.find(&Pointer::parse(pointer).unwrap()).map(|json| json.0);
            assert_eq!(found, expected, "{pointer}");
        }
    }
}
