//! What an identifier may look like.
//!
//! Every name that a stranger can send passes through here, at the door, so
//! that no later layer meets a control character, a path separator in a sale
//! id, or a key of unbounded length.

use std::ops::RangeInclusive;

/// Longest sale id, in bytes.
pub const SALE_ID_BYTES_MAX: usize = 64;
/// Longest customer name, in characters.
pub const CUSTOMER_CHARS_MAX: usize = 128;
/// Longest SKU, in characters.
pub const SKU_CHARS_MAX: usize = 64;
/// Longest sale title, in characters.
pub const TITLE_CHARS_MAX: usize = 200;
/// Longest idempotency key, in bytes of printable ASCII.
pub const KEY_BYTES_MAX: usize = 255;
/// Start of every customer id that the buy page gives to a visitor.
///
/// API callers can't claim such a name, so nobody can act as a visitor without
/// the visitor's signed cookie.
pub const VISITOR_PREFIX: &str = "visitor:";

/// Start of the id of every sale that `kilat attack` makes for itself. It is
/// an ordinary sale, but shop pages don't offer it to visitors.
pub const REHEARSAL_PREFIX: &str = "rehearsal-";

/// Control characters, and the format marks that make one text look like
/// another (soft hyphen, zero width, bidirectional overrides, line and paragraph
/// separators, the byte order mark, language tags).
pub const UNPRINTABLE: [RangeInclusive<char>; 11] = [
    '\0'..='\u{1f}',
    '\u{7f}'..='\u{9f}',
    '\u{ad}'..='\u{ad}',
    '\u{61c}'..='\u{61c}',
    '\u{180e}'..='\u{180e}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{feff}'..='\u{feff}',
    '\u{fff9}'..='\u{fffb}',
    '\u{e0000}'..='\u{e007f}',
];

/// Longest topic of an event, in bytes.
pub const TOPIC_BYTES_MAX: usize = 249;
/// Longest id of an event, in characters.
pub const EVENT_ID_CHARS_MAX: usize = 255;
/// Longest source of an event, in characters.
pub const SOURCE_CHARS_MAX: usize = 1_024;
/// Start of the topics that are the sales' own: nobody else publishes to them.
pub const SALE_TOPIC_PREFIX: &str = "sale.";

/// Whether `topic` matches `[A-Za-z0-9._-]{1,249}` and is neither `.` nor `..`.
#[must_use]
pub fn is_topic(topic: &str) -> bool {
    (1..=TOPIC_BYTES_MAX).contains(&topic.len())
        && topic.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        && topic != "."
        && topic != ".."
}

/// Whether `topic` is one of the sales' own.
#[must_use]
pub fn is_sale_topic(topic: &str) -> bool {
    topic.starts_with(SALE_TOPIC_PREFIX)
}

/// Whether `id` matches `[a-z0-9][a-z0-9-]{0,63}`.
#[must_use]
pub fn is_sale_id(id: &str) -> bool {
    let bytes = id.as_bytes();
    (1..=SALE_ID_BYTES_MAX).contains(&bytes.len())
        && bytes[0] != b'-'
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}

/// Whether `key` is 1–255 printable ASCII characters (space included).
#[must_use]
pub fn is_idempotency_key(key: &str) -> bool {
    (1..=KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(|b| (b' '..=b'~').contains(&b))
}

/// Whether `text` has 1 to `chars_max` characters, none of them a control
/// character or an invisible direction or format mark.
#[must_use]
pub fn is_printable(text: &str, chars_max: usize) -> bool {
    if text.is_empty() || text.len() > chars_max * 4 {
        return false;
    }
    if text.is_ascii() {
        return text.len() <= chars_max && text.bytes().all(|b| (b' '..=b'~').contains(&b));
    }
    text.chars().count() <= chars_max && !text.chars().any(is_unprintable)
}

/// Whether `c` is one of [`UNPRINTABLE`].
fn is_unprintable(c: char) -> bool {
    UNPRINTABLE.iter().any(|range| range.contains(&c))
}

/// Whether `customer` may be named by an API caller: printable and not a visitor's id.
#[must_use]
pub fn is_customer(customer: &str) -> bool {
    is_printable(customer, CUSTOMER_CHARS_MAX) && !customer.starts_with(VISITOR_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sale_ids() {
        let longest = "a".repeat(64);
        for good in ["a", "0", "iphone-17-pro-max", "a-", &longest] {
            assert!(is_sale_id(good), "{good}");
        }
        let too_long = "a".repeat(65);
        for bad in ["", "-a", "A", "a_b", "a/b", "..", "é", "a b", "a\n", &too_long] {
            assert!(!is_sale_id(bad), "{bad:?}");
        }
    }

    #[test]
    fn topics() {
        let longest = "t".repeat(249);
        for good in ["a", "Order.Created_v2-x", "...", "sale", "sale.x", "-", &longest] {
            assert!(is_topic(good), "{good}");
        }
        let too_long = "t".repeat(250);
        for bad in ["", ".", "..", "a b", "a/b", "é", "a\0", "a\n", "a%2e", &too_long] {
            assert!(!is_topic(bad), "{bad:?}");
        }
        assert!(is_sale_topic("sale.x") && is_sale_topic("sale."));
        assert!(!is_sale_topic("sale") && !is_sale_topic("sales.x") && !is_sale_topic("Sale.x"));
    }

    #[test]
    fn idempotency_keys() {
        for good in ["k", "a b", "~", &"k".repeat(255)] {
            assert!(is_idempotency_key(good), "{good}");
        }
        for bad in ["", "\t", "k\n", "ké", &"k".repeat(256)] {
            assert!(!is_idempotency_key(bad), "{bad:?}");
        }
    }

    #[test]
    fn customers() {
        for good in ["budi", "Siti Nurhaliza", "客户", "😀", &"é".repeat(128)] {
            assert!(is_customer(good), "{good}");
        }
        for bad in [
            "",
            "a\0",
            "a\nb",
            "a\u{7f}",
            "a\u{85}",
            "a\u{202e}b",
            "a\u{200b}",
            "visitor:1",
            &"a".repeat(129),
            &"é".repeat(129),
        ] {
            assert!(!is_customer(bad), "{bad:?}");
        }
    }
}
