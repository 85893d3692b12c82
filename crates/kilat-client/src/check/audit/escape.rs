//! Text that others wrote, made safe for one line of a log: it can neither end the line, nor
//! pretend to be another, nor reorder what a terminal shows.

/// What must not stand in a line as it is, besides what its format reserves: control characters,
/// other line ends that tools split at, marks that change the direction of text (Unicode Standard
/// Annex #9, section 2), and spaces without width.
pub(in crate::check) fn is_unsafe(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{61c}'
        | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        | '\u{feff}')
}

/// Which bytes of UTF-8 make a look at a character due.
type Suspects = [bool; 256];

/// ASCII that is unsafe, and first bytes of unsafe characters.
const UNSAFE: Suspects = {
    let mut suspect = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        suspect[byte] = true;
        byte += 1;
    }
    suspect[0x7f] = true;
    suspect[0xc2] = true;
    suspect[0xd8] = true;
    suspect[0xe2] = true;
    suspect[0xef] = true;
    suspect
};

/// Those, and what a JSON string reserves.
const RESERVED: Suspects = {
    let mut suspect = UNSAFE;
    suspect[b'"' as usize] = true;
    suspect[b'\\' as usize] = true;
    suspect
};

/// Appends the inside of a JSON string.
pub(super) fn json(text: &str, out: &mut Vec<u8>) {
    escape(text, &RESERVED, out, |c, out| match c {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        c => push_json(c, out),
    });
}

/// Appends JSON that is valid. Unsafe characters can be in its strings only, but for spaces
/// between values, where another space means the same.
pub(super) fn raw_json(json: &str, out: &mut Vec<u8>) {
    escape(json, &UNSAFE, out, |c, out| match c {
        '\n' | '\r' | '\t' => out.push(b' '),
        c => push_json(c, out),
    });
}

/// Appends text for a line of plain text. A backslash stays as it is, so this can't always be
/// undone: it is for people.
pub(super) fn plain(text: &str, out: &mut Vec<u8>) {
    escape(text, &UNSAFE, out, |c, out| match c {
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        c if is_unsafe(c) => {
            out.extend_from_slice(format!("\\u{{{:x}}}", u32::from(c)).as_bytes());
        }
        c => push(c, out),
    });
}

fn push_json(c: char, out: &mut Vec<u8>) {
    if is_unsafe(c) {
        // All unsafe characters are in the basic plane.
        out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes());
    } else {
        push(c, out);
    }
}

fn push(c: char, out: &mut Vec<u8>) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn escape(
    text: &str,
    suspects: &Suspects,
    out: &mut Vec<u8>,
    mut special: impl FnMut(char, &mut Vec<u8>),
) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| suspects[usize::from(byte)]) {
        let (clean, from) = rest.split_at(at);
        out.extend_from_slice(clean.as_bytes());
        let mut characters = from.chars();
        if let Some(c) = characters.next() {
            special(c, out);
        }
        rest = characters.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: fn(&str, &mut Vec<u8>), text: &str) -> String {
        let mut out = Vec::new();
        write(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_character_comes_back_from_json_and_none_ends_a_line() {
        for c in '\0'..=char::MAX {
            let escaped = text(json, &format!("a{c}b"));
            let back: String = serde_json::from_str(&format!("\"{escaped}\"")).unwrap();
            assert_eq!(back, format!("a{c}b"), "{escaped}");
            assert!(!escaped.chars().any(is_unsafe), "{escaped}");
            assert!(!text(plain, &format!("a{c}b")).chars().any(is_unsafe), "{escaped}");
        }
    }

    #[test]
    fn plain_text_keeps_what_people_can_read() {
        for (given, wanted) in [
            ("Stok 'é' “habis” 🙂 \\ \"", "Stok 'é' “habis” 🙂 \\ \""),
            ("a\nb\r\n\tc", "a\\nb\\r\\n\\tc"),
            ("\0\u{85}\u{2028}\u{202e}", "\\u{0}\\u{85}\\u{2028}\\u{202e}"),
            ("\u{61c}ص", "\\u{61c}ص"),
        ] {
            assert_eq!(text(plain, given), wanted);
        }
    }

    #[test]
    fn json_of_others_stays_the_same_value_in_safe_characters() {
        for json in [
            "{\r\n\t\"a\" : [ 1 ,\n\"x\\n\\\"\"]}",
            "{\"a\u{202e}\u{2028}\":\"\u{200b}\u{85}\u{9b}\u{7f}\u{feff}\"}",
            "{\"\u{2066}é€\u{1f600}\\u202e\":\"\\\\\u{80}\"}",
        ] {
            let safe = text(raw_json, json);
            assert!(!safe.chars().any(is_unsafe), "{safe:?}");
            let value = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
            assert_eq!(value(&safe), value(json));
        }
    }
}
