//! What is wrong with a value's shape, as advice: what serde says is meant for programmers.
//!
//! What is not known here is passed on as it was said.

/// Most characters of a wrong value that are repeated.
const SHOWN_CHARS_MAX: usize = 40;

/// What serde said, as what to do.
pub(crate) fn of(said: &str) -> String {
    let begins = |start: &str| said.strip_prefix(start);
    if begins("missing field ").is_some() {
        return "is missing: add it".to_owned();
    }
    if begins("duplicate field ").is_some() {
        return "is given twice: leave one out".to_owned();
    }
    if let Some(rest) = begins("unknown field ") {
        return match names(rest) {
            Some(known) => format!("is unknown here: known are {known}"),
            None => "is unknown here: leave it out".to_owned(),
        };
    }
    if let Some(rest) = begins("unknown variant ") {
        let not = rest.split('`').nth(1).unwrap_or_default();
        let one_of = names(rest).unwrap_or_default();
        return format!("must be one of {one_of}, not {}", shortened(not));
    }
    let value = begins("invalid type: ").or_else(|| begins("invalid value: "));
    match value.and_then(|rest| rest.rsplit_once(", expected ")) {
        Some((found, wanted)) => format!("must be {}, not {}", kind(wanted), shown(found)),
        None => match begins("invalid length ").and_then(|rest| rest.rsplit_once(", expected ")) {
            Some((_, wanted)) => format!("must be {}", kind(wanted)),
            None => said.to_owned(),
        },
    }
}

/// The names that serde lists behind "expected", in back-quotes.
fn names(rest: &str) -> Option<String> {
    let (_, list) = rest.rsplit_once(", expected ")?;
    let names: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
    Some(names.join(", "))
}

/// A type in words of JSON.
fn kind(wanted: &str) -> String {
    let whole = |most: u64| format!("a whole number from 0 to {most}");
    match wanted {
        "u8" => whole(u8::MAX.into()),
        "u16" => whole(u16::MAX.into()),
        "u32" => whole(u32::MAX.into()),
        "u64" => whole(u64::MAX),
        "i8" | "i16" | "i32" | "i64" => "a whole number".to_owned(),
        "a borrowed string" | "string" | "str" => "a string".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "an object".to_owned(),
        wanted if wanted.starts_with("struct ") => "an object".to_owned(),
        wanted => wanted.to_owned(),
    }
}

/// A value that was found, as it stood in the JSON.
fn shown(found: &str) -> String {
    let value = ["integer `", "floating point `", "boolean `"]
        .iter()
        .find_map(|start| found.strip_prefix(start)?.strip_suffix('`'));
    match (value, found) {
        (Some(value), _) => shortened(value),
        (None, "map") => "an object".to_owned(),
        (None, "sequence") => "a list".to_owned(),
        (None, found) => shortened(found.strip_prefix("string ").unwrap_or(found)),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_told_as_advice() {
        let long = format!("invalid type: string \"{}\", expected u8", "x".repeat(99));
        let shortened = format!("must be a whole number from 0 to 255, not \"{}…", "x".repeat(39));
        for (said, told) in [
            ("missing field `quantity`", "is missing: add it"),
            ("duplicate field `customer`", "is given twice: leave one out"),
            ("unknown field `a`, expected `b` or `c`", "is unknown here: known are b, c"),
            (
                "unknown field `a`, expected one of `b`, `c`, `d`",
                "is unknown here: known are b, c, d",
            ),
            ("unknown field `a`, there are no fields", "is unknown here: leave it out"),
            (
                "unknown variant `x`, expected `open` or `closed`",
                "must be one of open, closed, not x",
            ),
            (
                "invalid type: string \"1, expected u8\", expected u32",
                "must be a whole number from 0 to 4294967295, not \"1, expected u8\"",
            ),
            (
                "invalid value: integer `-1`, expected u8",
                "must be a whole number from 0 to 255, not -1",
            ),
            ("invalid type: floating point `1.5`, expected i64", "must be a whole number, not 1.5"),
            ("invalid type: null, expected a string", "must be a string, not null"),
            ("invalid type: map, expected a boolean", "must be true or false, not an object"),
            ("invalid type: sequence, expected struct Price", "must be an object, not a list"),
            ("invalid length 0, expected struct Price with 2 elements", "must be an object"),
            ("must be at least 1", "must be at least 1"),
            (&long, &shortened),
        ] {
            assert_eq!(of(said), told, "{said}");
        }
    }
}
