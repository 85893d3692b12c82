//! The one way to write a JSON value, so that equal values are equal bytes.
//!
//! Members are sorted by the UTF-8 bytes of their names, strings are escaped
//! only where JSON asks for it (as in RFC 8785, section 3.2.2.2), there is no
//! white space, and a number is its exact decimal: the digits without zeros at
//! either end, and `e` with the power of ten unless that is 0. So `1`, `1.0`
//! and `10e-1` are the same bytes, and two numbers that a double would confuse
//! are not. What is stored is compared by these bytes for ever: they must never
//! change.

use super::faults::Faults;
use super::scan::{Quoted, Scanner, Syntax};
use std::cmp::Ordering;

/// Deepest nesting of arrays and objects in a payload, the payload itself counted.
pub const PAYLOAD_DEPTH_MAX: usize = 64;
const _: () = assert!(PAYLOAD_DEPTH_MAX == 64, "TOO_DEEP names the limit");
const TOO_DEEP: &str = "arrays and objects are nested deeper than 64 levels";
/// Largest power of ten that a number may be written with, in digits.
const EXPONENT_DIGITS_MAX: usize = 15;
/// Longest name that a message repeats, in characters.
const NAME_CHARS_SHOWN: usize = 64;

/// Memory that is used for one value after the other.
#[derive(Default)]
pub(super) struct Canonical {
    /// What was written.
    pub(super) out: Vec<u8>,
    /// The members of the objects being written, innermost last.
    members: Vec<Member>,
}

/// A written member: ends within [`Canonical::out`].
#[derive(Clone, Copy)]
struct Member {
    start: u32,
    name_end: u32,
    end: u32,
}

impl Canonical {
    /// How much memory it keeps, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.out.capacity() + self.members.capacity() * size_of::<Member>()
    }

    /// Passes a value and writes it. What is JSON but not acceptable goes to `faults` as a
    /// fault of `field`.
    pub(super) fn value(
        &mut self,
        scanner: &mut Scanner<'_>,
        field: &str,
        faults: &mut Faults,
    ) -> Result<(), Syntax> {
        self.nested(scanner, PAYLOAD_DEPTH_MAX, field, faults)
    }

    /// As [`Canonical::value`], for a value that becomes a member of a payload.
    pub(super) fn member(
        &mut self,
        scanner: &mut Scanner<'_>,
        field: &str,
        faults: &mut Faults,
    ) -> Result<(), Syntax> {
        self.nested(scanner, PAYLOAD_DEPTH_MAX - 1, field, faults)
    }

    fn nested(
        &mut self,
        scanner: &mut Scanner<'_>,
        depth_left: usize,
        field: &str,
        faults: &mut Faults,
    ) -> Result<(), Syntax> {
        match scanner.peek() {
            Some(b'"') => {
                let string = scanner.string()?;
                self.string(&string);
            }
            Some(b'-' | b'0'..=b'9') => {
                let number = scanner.number()?;
                if !put_number(&mut self.out, number) {
                    let message = format!(
                        "a number's exponent may have at most {EXPONENT_DIGITS_MAX} digits"
                    );
                    faults.push(field, message);
                }
            }
            Some(b'{' | b'[') if depth_left == 0 => {
                return Err(scanner.wrong(TOO_DEEP));
            }
            Some(b'{') => self.object(scanner, depth_left - 1, field, faults)?,
            Some(b'[') => self.array(scanner, depth_left - 1, field, faults)?,
            _ => self.out.extend_from_slice(scanner.literal()?.as_bytes()),
        }
        Ok(())
    }

    fn array(
        &mut self,
        scanner: &mut Scanner<'_>,
        depth_left: usize,
        field: &str,
        faults: &mut Faults,
    ) -> Result<(), Syntax> {
        self.out.push(b'[');
        let first = self.out.len();
        scanner.array(|scanner| {
            if self.out.len() > first {
                self.out.push(b',');
            }
            self.nested(scanner, depth_left, field, faults)
        })?;
        self.out.push(b']');
        Ok(())
    }

    fn object(
        &mut self,
        scanner: &mut Scanner<'_>,
        depth_left: usize,
        field: &str,
        faults: &mut Faults,
    ) -> Result<(), Syntax> {
        let first = self.members.len();
        let mut ascending = true;
        self.out.push(b'{');
        scanner.object(|scanner, name| {
            let before = self.members[first..].last().copied();
            if before.is_some() {
                self.out.push(b',');
            }
            let start = position(&self.out);
            self.string(&name);
            let member = Member { start, name_end: position(&self.out), end: 0 };
            ascending =
                ascending && before.is_none_or(|before| names(&self.out, &before, &member).is_lt());
            self.out.push(b':');
            self.members.push(member);
            self.nested(scanner, depth_left, field, faults)?;
            let end = position(&self.out);
            if let Some(member) = self.members.last_mut() {
                member.end = end;
            }
            Ok(())
        })?;
        if !ascending {
            self.sort(first, field, faults);
        }
        self.members.truncate(first);
        self.out.push(b'}');
        Ok(())
    }

    /// Puts the members from `first` on into order, behind the text and then over it.
    fn sort(&mut self, first: usize, field: &str, faults: &mut Faults) {
        let Canonical { out, members } = self;
        let members = &mut members[first..];
        let (start, end) = (members.first().map_or(0, |member| member.start as usize), out.len());
        members.sort_unstable_by(|a, b| names(out, a, b));
        for pair in members.windows(2) {
            if names(out, &pair[0], &pair[1]).is_eq() {
                let name = String::from_utf8_lossy(name(out, &pair[0]));
                let shown: String = name.chars().take(NAME_CHARS_SHOWN).collect();
                faults.push(field, format!("the member {shown} is given more than once"));
            }
        }
        for (number, member) in members.iter().enumerate() {
            if number > 0 {
                out.push(b',');
            }
            out.extend_from_within(member.start as usize..member.end as usize);
        }
        out.copy_within(end.., start);
        out.truncate(end);
    }

    /// Writes a string.
    pub(super) fn string(&mut self, string: &Quoted<'_>) {
        if string.is_escaped() {
            put_string(&mut self.out, &string.text());
        } else {
            self.out.extend_from_slice(string.raw().as_bytes());
        }
    }
}

/// Bodies are far below 4 GiB, and so is what is written of them.
fn position(out: &[u8]) -> u32 {
    u32::try_from(out.len()).unwrap_or(u32::MAX)
}

/// A written name, without the quotes.
fn name<'a>(out: &'a [u8], member: &Member) -> &'a [u8] {
    &out[member.start as usize + 1..member.name_end as usize - 1]
}

/// The order of two written names by what they say. Only an escape can make that another
/// order than that of the written bytes.
fn names(out: &[u8], a: &Member, b: &Member) -> Ordering {
    let (a, b) = (name(out, a), name(out, b));
    if a.contains(&b'\\') || b.contains(&b'\\') { said(a).cmp(said(b)) } else { a.cmp(b) }
}

/// The bytes that a written name stands for; less than any of them at its end.
fn said(name: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = name.iter().copied();
    std::iter::from_fn(move || match rest.next()? {
        b'\\' => Some(match rest.next()? {
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let digits = [rest.next()?, rest.next()?, rest.next()?, rest.next()?];
                digits.iter().fold(0, |code: u8, digit| {
                    code << 4 | char::from(*digit).to_digit(16).map_or(0, |digit| digit as u8)
                })
            }
            other => other,
        }),
        other => Some(other),
    })
}

/// Writes `text` as a JSON string with the fewest escapes.
pub(super) fn put_string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            8 => out.extend_from_slice(b"\\b"),
            12 => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => {
                let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&digits);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Writes a number, checked by the grammar, as its exact decimal; tells whether its exponent
/// is short enough for that.
fn put_number(out: &mut Vec<u8>, number: &str) -> bool {
    let last = number.as_bytes().last().copied().unwrap_or(b'0');
    if last != b'0' && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        // An integer that does not end in a zero is its own normal form.
        out.extend_from_slice(number.as_bytes());
        return true;
    }
    let (mantissa, power) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let unsigned = mantissa.trim_start_matches('-');
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let start = out.len();
    if mantissa.len() > unsigned.len() {
        out.push(b'-');
    }
    let digits = out.len();
    let leading = if whole == "0" { fraction.trim_start_matches('0') } else { fraction };
    out.extend_from_slice(whole.trim_start_matches('0').as_bytes());
    out.extend_from_slice(leading.as_bytes());
    let written = out.len();
    while out.len() > digits && out.last() == Some(&b'0') {
        out.pop();
    }
    if out.len() == digits {
        // Zero has no sign and no power.
        out.truncate(start);
        out.push(b'0');
        return true;
    }
    let Some(power) = exponent(power) else {
        return false;
    };
    let power = power - count(fraction.len()) + count(written - out.len());
    if power != 0 {
        out.push(b'e');
        out.extend_from_slice(power.to_string().as_bytes());
    }
    true
}

/// The power of ten of a number; `None` when it is written with too many digits.
fn exponent(power: &str) -> Option<i64> {
    let (sign, digits) = match power.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, power.strip_prefix('+').unwrap_or(power)),
    };
    let digits = digits.trim_start_matches('0');
    match digits.len() {
        0 => Some(0),
        1..=EXPONENT_DIGITS_MAX => Some(sign * digits.parse::<i64>().ok()?),
        _ => None,
    }
}

/// A count of bytes of a body, which is far below 2^63.
fn count(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
