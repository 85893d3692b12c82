//! Text that others wrote, made safe for one line of a log: it can neither end the line, nor
//! pretend to be another, nor reorder what a terminal shows.

/// What must not stand in a line as it is, besides what its format reserves: control characters,
/// other line ends that tools split at, and marks that change the direction of text.
fn is_unsafe(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}'
        | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        | '\u{feff}')
}

/// Bytes of UTF-8 after which a look at the character is due: ASCII that a format reserves or
/// that is unsafe, and first bytes of unsafe characters.
const SUSPECT: [bool; 256] = {
    let mut suspect = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        suspect[byte] = true;
        byte += 1;
    }
    suspect[b'"' as usize] = true;
    suspect[b'\\' as usize] = true;
    suspect[0x7f] = true;
    suspect[0xc2] = true;
    suspect[0xe2] = true;
    suspect[0xef] = true;
    suspect
};

/// Appends the inside of a JSON string.
pub(super) fn json(text: &str, out: &mut Vec<u8>) {
    escape(text, out, |c, out| match c {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        // All unsafe characters are in the basic plane.
        c if is_unsafe(c) => out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes()),
        c => push(c, out),
    });
}

/// Appends text for a line of plain text. A backslash stays as it is, so this can't always be
/// undone: it is for people.
pub(super) fn plain(text: &str, out: &mut Vec<u8>) {
    escape(text, out, |c, out| match c {
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        c if is_unsafe(c) => {
            out.extend_from_slice(format!("\\u{{{:x}}}", u32::from(c)).as_bytes());
        }
        c => push(c, out),
    });
}

fn push(c: char, out: &mut Vec<u8>) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn escape(text: &str, out: &mut Vec<u8>, mut special: impl FnMut(char, &mut Vec<u8>)) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| SUSPECT[usize::from(byte)]) {
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
        ] {
            assert_eq!(text(plain, given), wanted);
        }
    }
}
