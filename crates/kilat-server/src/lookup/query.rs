//! Reads one parameter from a query string as the seed's servers do.
//!
//! They are Flask on Werkzeug, which reads with Python's `urllib.parse.parse_qsl`:
//! only `&` separates, `+` is a space, the first of several counts, bytes that
//! are no UTF-8 stay percent-encoded, and raw bytes over 0x7F are Latin-1.
//! Knows no parameter by name.

use std::borrow::Cow;

/// The first value of `name`; `None` when it is missing or empty.
pub(crate) fn parameter(query: &str, name: &str) -> Option<String> {
    query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find(|(key, _)| *key == name || (is_encoded(key) && decode(key) == name))
        .map(|(_, value)| decode(value))
        .filter(|value| !value.is_empty())
}

fn is_encoded(text: &str) -> bool {
    text.bytes().any(|byte| matches!(byte, b'%' | b'+'))
}

fn decode(text: &str) -> String {
    if !is_encoded(text) && text.is_ascii() {
        return text.to_owned();
    }
    let mut decoded = String::with_capacity(text.len());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = match (first, after) {
            (b'%', [high, low, after @ ..]) if let Some(byte) = hex(*high, *low) => {
                bytes.push(byte);
                after
            }
            (b'+', after) => {
                bytes.push(b' ');
                after
            }
            (0x80.., after) => {
                take_utf8(&mut bytes, &mut decoded);
                decoded.push(char::from(*first));
                after
            }
            (_, after) => {
                bytes.push(*first);
                after
            }
        };
    }
    take_utf8(&mut bytes, &mut decoded);
    decoded
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// Moves `bytes` to `text`; those that are no UTF-8 are written as they came, in upper case.
fn take_utf8(bytes: &mut Vec<u8>, text: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push('%');
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    bytes.clear();
}

/// A path with its percent escapes resolved.
pub(crate) fn path(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    // A plus sign is itself in a path.
    Cow::Owned(decode(&path.replace('+', "%2B")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_counts_and_an_empty_one_is_none() {
        for (query, value) in [
            ("id=a", Some("a")),
            ("x=1&id=a+b%2Bc", Some("a b+c")),
            ("id=&id=a", None),
            ("id=a&id=b", Some("a")),
            ("id", None),
            ("", None),
            ("ID=a", None),
            ("%69d=a", Some("a")),
            ("id=a;b", Some("a;b")),
            ("id=%ff%c3%a9%zz%", Some("%FF\u{e9}%zz%")),
            ("id=\u{e9}%C3\u{e9}%A9", Some("\u{c3}\u{a9}%C3\u{c3}\u{a9}%A9")),
        ] {
            assert_eq!(parameter(query, "id").as_deref(), value, "{query}");
        }
    }
}
