//! JSON of one order, and what other replies are made of, written by hand into a buffer that its caller reuses.
//!
//! This is the reply that storms, so it is written without an allocation; a
//! test holds it against serde's rendering of the contract type. Must never
//! know who asked, or over which lane.

use jiff::Timestamp;
use kilat_api::order::OrderStatus as Status;
use kilat_api::problem::{Code, Problem};
use kilat_engine::{Order, OrderStatus, Time};
use std::io::Write;
use std::sync::LazyLock;

/// Appends `order` as the contract's `OrderReply`.
pub(crate) fn order_json(
    out: &mut Vec<u8>,
    order: &Order,
    sale: &str,
    customer: &str,
    node: &str,
    replayed: bool,
) {
    out.extend_from_slice(b"{\"order\":\"");
    put_hex(out, order.id.to_bits());
    out.extend_from_slice(b"\",\"sale\":");
    put_string(out, sale);
    out.extend_from_slice(b",\"customer\":");
    put_string(out, customer);
    out.extend_from_slice(b",\"quantity\":");
    out.extend_from_slice(itoa::Buffer::new().format(order.quantity).as_bytes());
    out.extend_from_slice(b",\"status\":\"");
    out.extend_from_slice(status(order.status).as_str().as_bytes());
    out.extend_from_slice(b"\",\"expires_at\":");
    match order.expires_at {
        Some(time) => put_time(out, time),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"sequence\":");
    out.extend_from_slice(itoa::Buffer::new().format(order.sequence).as_bytes());
    out.extend_from_slice(b",\"node\":");
    put_string(out, node);
    out.extend_from_slice(if replayed { b",\"replayed\":true}" } else { b"}" });
}

/// Appends the refusal of one order of a batch.
pub(crate) fn refusal_json(out: &mut Vec<u8>, code: Code) {
    out.extend_from_slice(b"{\"code\":\"");
    out.extend_from_slice(code.as_str().as_bytes());
    out.extend_from_slice(b"\"}");
}

/// The problem document of `code` without detail, rendered once.
#[must_use]
pub(crate) fn problem_body(code: Code) -> &'static [u8] {
    static BODIES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let render = |&code: &Code| serde_json::to_vec(&Problem::new(code)).unwrap_or_default();
        Code::ALL.iter().map(render).collect()
    });
    // `Code::ALL` lists the codes in the order of their declaration.
    BODIES.get(code as usize).map_or(b"{}", Vec::as_slice)
}

/// The ledger's word for a status in the contract's.
#[must_use]
pub(crate) const fn status(status: OrderStatus) -> Status {
    match status {
        OrderStatus::Held => Status::Held,
        OrderStatus::Confirmed => Status::Confirmed,
        OrderStatus::Cancelled => Status::Cancelled,
        OrderStatus::Expired => Status::Expired,
    }
}

/// The ledger's instant in the contract's type; beyond its years, the nearest it has.
#[must_use]
pub(crate) fn timestamp(time: Time) -> Timestamp {
    Timestamp::from_millisecond(time.as_millis()).unwrap_or(if time.as_millis() < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

fn put_hex(out: &mut Vec<u8>, bits: u128) {
    let mut digits = [0; 32];
    crate::ids::write_hex(&mut digits, bits);
    out.extend_from_slice(&digits);
}

/// A JSON string (RFC 8259, section 7). Texts were checked at the door and hold
/// no control characters, but this does not rely on it.
pub(crate) fn put_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    if text.bytes().any(must_escape) {
        put_escaped(out, text);
    } else {
        out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
}

const fn must_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn put_escaped(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => {
                let mut digits = [b'0'; 4];
                crate::ids::write_hex(&mut digits, byte.into());
                out.extend_from_slice(b"\\u");
                out.extend_from_slice(&digits);
            }
            _ => out.push(byte),
        }
    }
}

const MILLIS_PER_DAY: i64 = 86_400_000;
/// 0000-01-01 and 9999-12-30 as days since 1970-01-01. Years of four digits lie between, and
/// all of it within what jiff can tell.
const FOUR_DIGIT_DAYS: std::ops::Range<i64> = -719_528..2_932_895;

/// An instant as RFC 3339 in UTC, between quotes.
pub(crate) fn put_time(out: &mut Vec<u8>, time: Time) {
    let (days, millis) =
        (time.as_millis().div_euclid(MILLIS_PER_DAY), time.as_millis().rem_euclid(MILLIS_PER_DAY));
    if !FOUR_DIGIT_DAYS.contains(&days) {
        // Rare enough for the general writer. Writing to a Vec can't fail.
        let _ = write!(out, "\"{}\"", timestamp(time));
        return;
    }
    let (year, month, day) = civil(days);
    let mut text = *b"\"0000-00-00T00:00:00.000";
    put_digits(&mut text[1..5], year);
    put_digits(&mut text[6..8], month);
    put_digits(&mut text[9..11], day);
    put_digits(&mut text[12..14], millis / 3_600_000);
    put_digits(&mut text[15..17], millis / 60_000 % 60);
    put_digits(&mut text[18..20], millis / 1_000 % 60);
    put_digits(&mut text[21..24], millis % 1_000);
    out.extend_from_slice(&text[..seconds_end(millis % 1_000)]);
    out.extend_from_slice(b"Z\"");
}

/// Where the text of an instant ends: without zeros after the last digit that counts.
const fn seconds_end(millis: i64) -> usize {
    match millis {
        0 => 20,
        _ if millis % 100 == 0 => 22,
        _ if millis % 10 == 0 => 23,
        _ => 24,
    }
}

fn put_digits(out: &mut [u8], number: i64) {
    let mut rest = number;
    for place in out.iter_mut().rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

/// Year, month and day of a day since 1970-01-01 (Howard Hinnant, "chrono-compatible
/// low-level date algorithms", `civil_from_days`).
const fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kilat_api::order::OrderReply;
    use kilat_engine::OrderId;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    use std::borrow::Cow;

    const STATUSES: [OrderStatus; 4] =
        [OrderStatus::Held, OrderStatus::Confirmed, OrderStatus::Cancelled, OrderStatus::Expired];

    /// The hand-written text must be serde's, byte for byte once both are parsed and written again.
    fn check(order: &Order, customer: &str, node: &str, replayed: bool) {
        let mut text = Vec::new();
        order_json(&mut text, order, "iphone-17", customer, node, replayed);
        let reply = OrderReply {
            order: Cow::Owned(order.id.to_string()),
            sale: Cow::Borrowed("iphone-17"),
            customer: Cow::Borrowed(customer),
            quantity: order.quantity,
            status: status(order.status),
            expires_at: order.expires_at.map(timestamp),
            sequence: order.sequence,
            node: Cow::Borrowed(node),
            replayed,
        };
        let written: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(
            written,
            serde_json::to_value(&reply).unwrap(),
            "{}",
            String::from_utf8_lossy(&text)
        );
        assert_eq!(serde_json::from_slice::<OrderReply<'_>>(&text).unwrap(), reply);
    }

    fn order(bits: u128, millis: Option<i64>) -> Order {
        Order {
            id: OrderId::from_bits(bits),
            sale: 0,
            quantity: (bits as u32).max(1),
            status: STATUSES[(bits & 3) as usize],
            hold: millis.is_some(),
            expires_at: millis.map(Time::from_millis),
            sequence: bits as u64,
        }
    }

    #[test]
    fn texts_are_escaped_as_json_asks() {
        for customer in ["budi", "a \"b\" \\ c", "客户😀", "\u{0}\u{1f}\n\t\u{7f}", "</script>", ""]
        {
            check(&order(1, None), customer, "node \"1\"", true);
        }
    }

    #[test]
    fn instants_are_written_like_jiff_does() {
        let day = MILLIS_PER_DAY;
        let edges = [FOUR_DIGIT_DAYS.start * day, FOUR_DIGIT_DAYS.end * day, i64::MAX, i64::MIN, 0];
        for millis in edges
            .into_iter()
            .flat_map(|edge| [edge, edge.saturating_sub(1), edge.saturating_add(1)])
        {
            check(&order(2, Some(millis)), "budi", "n", false);
        }
        for millis in [100, 120, 123, 1_000, 951_782_400_000, 1_709_164_800_000, 4_107_542_400_000]
        {
            check(&order(2, Some(millis)), "budi", "n", false);
        }
    }

    #[test]
    fn any_order_is_written_like_serde_does() {
        let seed =
            std::env::var("KILAT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(17_u64);
        println!("KILAT_SEED={seed}");
        let mut random = StdRng::seed_from_u64(seed);
        for _ in 0..20_000 {
            let millis = random.random_range(-62_200_000_000_000..253_500_000_000_000);
            let bits: u128 = random.random();
            check(&order(bits, (bits & 4 == 0).then_some(millis)), "budi", "n", bits & 8 == 0);
        }
    }

    #[test]
    fn every_code_has_its_body() {
        for &code in Code::ALL {
            let problem: Problem = serde_json::from_slice(problem_body(code)).unwrap();
            assert_eq!(problem, Problem::new(code));
        }
    }
}
