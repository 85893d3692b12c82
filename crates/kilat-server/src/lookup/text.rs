//! JSON as the seed's servers write it: Python's `json.dumps` with sorted keys,
//! no spaces, and everything outside printable ASCII escaped.
//!
//! Knows nothing of what the values mean.

/// A value of a field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Whole(u64),
    /// A finite number that was written with a point or an exponent.
    Real(f64),
}

/// One object with its keys sorted, and the line's end that Flask adds.
pub(crate) fn object(fields: &[(&str, &Value)]) -> String {
    let mut sorted: Vec<_> = fields.iter().collect();
    sorted.sort_by_key(|(key, _)| *key);
    let mut out = String::with_capacity(160);
    let mut before = '{';
    for (key, value) in sorted {
        out.push(before);
        quote(&mut out, key);
        out.push(':');
        write(&mut out, value);
        before = ',';
    }
    out.push_str(if before == '{' { "{}\n" } else { "}\n" });
    out
}

pub(crate) fn write(out: &mut String, value: &Value) {
    match value {
        Value::Text(text) => quote(out, text),
        Value::Whole(number) => out.push_str(itoa::Buffer::new().format(*number)),
        Value::Real(number) => out.push_str(&real(*number)),
    }
}

/// A text in quotes, surrogate pairs included.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            _ => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| escape(out, *unit)),
        }
    }
    out.push('"');
}

fn escape(out: &mut String, unit: u16) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push_str("\\u");
    for shift in [12, 8, 4, 0] {
        out.push(char::from(DIGITS[usize::from(unit >> shift & 15)]));
    }
}

/// Python's `repr`: the shortest digits that read back as the same number,
/// with an exponent of two digits or more below 0.0001 and from 10^16 on.
fn real(number: f64) -> String {
    let size = number.abs();
    if size == 0.0 || (1e-4..1e16).contains(&size) {
        return format!("{number:?}");
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
    format!("{digits}e{sign}{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_python_does() {
        for (number, text) in [
            (72.0, "72.0"),
            (65.5, "65.5"),
            (0.0, "0.0"),
            (0.1 + 0.2, "0.30000000000000004"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e-10, "1.5e-10"),
            (1e-300, "1e-300"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
        ] {
            assert_eq!(real(number), text);
        }
    }

    #[test]
    fn text_outside_printable_ascii_is_escaped() {
        let text = Value::Text("a\"\\/\u{7f}\u{8}\u{c}\n\u{e9}\u{1f600}'<&>".to_owned());
        let expected = "{\"k\":\"a\\\"\\\\/\\u007f\\b\\f\\n\\u00e9\\ud83d\\ude00'<&>\"}\n";
        assert_eq!(object(&[("k", &text)]), expected);
    }
}
