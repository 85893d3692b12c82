//! Whether every object of a JSON text has each of its members once.
//!
//! Goes through the text once, and keeps the names of the objects that are open.

use super::json::{Text, Unreadable, string_end};
use std::borrow::Cow;
use std::collections::HashSet;

/// Up to so many names are compared one by one, which is faster than a table.
const FEW: usize = 16;

/// Goes through JSON that is known to be valid and not deep.
///
/// # Errors
/// [`Unreadable::Doubled`] when an object names a member twice.
pub(super) fn check(text: &str) -> Result<(), Unreadable> {
    let bytes = text.as_bytes();
    let mut open: Vec<Option<Names<'_>>> = Vec::new();
    let (mut is_name, mut at) = (false, 0);
    while let Some(byte) = bytes.get(at) {
        let mut end = at + 1;
        match byte {
            b'{' => open.push(Some(Names::default())),
            b'[' => open.push(None),
            b'}' | b']' => drop(open.pop()),
            b'"' => end = string_end(bytes, at)?,
            _ => {}
        }
        match (byte, open.last_mut()) {
            (b'{' | b',', Some(Some(_))) => is_name = true,
            (b'"', Some(Some(names))) if is_name => {
                names.add(text.get(at..end).unwrap_or_default())?;
                is_name = false;
            }
            _ => {}
        }
        at = end;
    }
    Ok(())
}

/// The names of an object that is open.
#[derive(Default)]
struct Names<'a> {
    few: Vec<Cow<'a, str>>,
    many: HashSet<Cow<'a, str>>,
}

impl<'a> Names<'a> {
    /// Adds a name as it is written, with its quotes.
    fn add(&mut self, written: &'a str) -> Result<(), Unreadable> {
        let Text(name) = serde_json::from_str(written).map_err(|_| Unreadable::NotJson)?;
        let is_new = !self.few.contains(&name) && !self.many.contains(&name);
        if !is_new {
            return Err(Unreadable::Doubled);
        }
        if self.few.len() < FEW {
            self.few.push(name);
        } else {
            self.many.insert(name);
        }
        Ok(())
    }
}
