//! The id in a line of JSON Lines.

use super::printable;
use crate::Lang;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Most fields that a message names.
const NAMES_MAX: usize = 20;

/// The id that a line holds: itself without `field`, that field of it otherwise.
///
/// # Errors
/// What is wrong with the line, for people.
pub(super) fn id<'a>(
    line: &'a str,
    field: Option<&str>,
    lang: Lang,
) -> Result<Cow<'a, str>, String> {
    let broken = |e: serde_json::Error| lang.say("ids.json", &[("why", &e)]);
    let is_object = line.trim_ascii_start().starts_with('{');
    let value: &RawValue = match field {
        None if is_object => return Err(lang.say("ids.object", &[])),
        None => serde_json::from_str(line).map_err(broken)?,
        Some(field) if is_object => {
            let mut deserializer = serde_json::Deserializer::from_str(line);
            let picked = deserializer.deserialize_map(Pick(field)).map_err(broken)?;
            deserializer.end().map_err(broken)?;
            picked.map_err(|names| {
                let names = names.join(", ");
                lang.say("ids.field", &[("field", &printable(field)), ("names", &names)])
            })?
        }
        Some(field) => return Err(lang.say("ids.no_object", &[("field", &printable(field))])),
    };
    text(value.get()).ok_or_else(|| lang.say("ids.kind", &[]))
}

/// A string's content without the white space around it, or a number as it is written; nothing else can be an id.
fn text(value: &str) -> Option<Cow<'_, str>> {
    match value.as_bytes().first()? {
        b'"' => {
            let text: Cow<'_, str> = match serde_json::from_str::<&str>(value) {
                Ok(plain) => plain.trim().into(),
                Err(_) => serde_json::from_str::<String>(value).ok()?.trim().to_owned().into(),
            };
            (!text.is_empty()).then_some(text)
        }
        b'-' | b'0'..=b'9' => Some(value.into()),
        _ => None,
    }
}

/// Picks one field of an object, the last if it comes twice; else the names that there are.
struct Pick<'a>(&'a str);

impl<'de> Visitor<'de> for Pick<'_> {
    type Value = Result<&'de RawValue, Vec<String>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut found, mut names) = (None, Vec::new());
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            if name == self.0 {
                found = Some(map.next_value()?);
                continue;
            }
            map.next_value::<IgnoredAny>()?;
            if found.is_none() && names.len() < NAMES_MAX {
                names.push(printable(&name));
            }
        }
        Ok(found.ok_or(names))
    }
}
