//! Text from ids and APIs as it can be shown: it stays on its line, and no terminal obeys it.

use crate::check::audit::is_unsafe;
use std::borrow::Cow;
use std::fmt::Write as _;

/// Characters of an id that are shown.
pub(crate) const ID_CHARS_MAX: usize = 60;
/// Characters of a message that are shown.
pub(crate) const MESSAGE_CHARS_MAX: usize = 300;

/// `text` with everything escaped that would leave its line, move the cursor or turn the
/// direction of what follows; one `…` stands for what is past `chars_max` characters.
pub(crate) fn plain(text: &str, chars_max: usize) -> Cow<'_, str> {
    let end = text.char_indices().nth(chars_max).map(|(at, _)| at);
    let kept = &text[..end.unwrap_or(text.len())];
    if end.is_none() && !kept.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(kept.len() + 8);
    for c in kept.chars() {
        push(&mut shown, c);
    }
    shown.extend(end.map(|_| '…'));
    Cow::Owned(shown)
}

fn push(shown: &mut String, c: char) {
    match c {
        '\n' => shown.push_str("\\n"),
        '\r' => shown.push_str("\\r"),
        '\t' => shown.push_str("\\t"),
        c if is_unsafe(c) => {
            // Writing into a string fails for no input.
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
        }
        c => shown.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        for (text, shown) in [
            ("SKU-001", "SKU-001"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\u{202e}b\u{2028}", "a\\u{202e}b\\u{2028}"),
            ("🛒 é ü", "🛒 é ü"),
        ] {
            assert_eq!(plain(text, 100), shown);
        }
    }

    #[test]
    fn what_is_too_long_is_cut_at_a_character() {
        assert_eq!(plain("ééé", 3), "ééé");
        assert_eq!(plain("éééé", 3), "ééé…");
        assert_eq!(plain("a\nbc", 2), "a\\n…");
        assert_eq!(plain("", 0), "");
    }
}
