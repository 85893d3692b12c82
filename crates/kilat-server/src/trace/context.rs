//! `traceparent`, the header of W3C Trace Context.

use hyper::header::HeaderValue;

/// Bytes of a `traceparent` of version 00.
const BYTES: usize = 55;
/// The flag that says: whoever sent this records its part.
const SAMPLED: u8 = 1;

/// Where a request stands in a trace, as whoever sent it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parent {
    /// The trace, never 0.
    pub(crate) trace_id: u128,
    /// The sender's span, never 0.
    pub(crate) span_id: u64,
    /// Whether the sender records its part.
    pub(crate) sampled: bool,
}

impl Parent {
    /// Reads `VERSION-TRACE-PARENT-FLAGS` in lower-case hexadecimal (section 3.2). Later versions
    /// may append; nothing else is taken.
    pub(crate) fn read(value: &[u8]) -> Option<Parent> {
        let (head, more) = value.split_at_checked(BYTES)?;
        let dashes = [2, 35, 52].iter().all(|at| head[*at] == b'-');
        let version = hex(&head[..2])?;
        let ends =
            if version == 0 { more.is_empty() } else { more.first().is_none_or(|b| *b == b'-') };
        if !dashes || !ends || version == 0xff {
            return None;
        }
        let trace_id = hex(&head[3..35]).filter(|id| *id != 0)?;
        let span_id = u64::try_from(hex(&head[36..52])?).ok().filter(|id| *id != 0)?;
        let flags = u8::try_from(hex(&head[53..])?).ok()?;
        Some(Parent { trace_id, span_id, sampled: flags & SAMPLED != 0 })
    }

    /// The header for whoever is asked next.
    pub(crate) fn header(&self) -> HeaderValue {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        crate::ids::write_hex(&mut text[3..35], self.trace_id);
        crate::ids::write_hex(&mut text[36..52], self.span_id.into());
        text[54] += u8::from(self.sampled);
        // Digits and dashes can stand in a header.
        HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("-"))
    }

    /// The trace's id as it is written.
    pub(crate) fn trace(&self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// The span's id as it is written.
    pub(crate) fn span(&self) -> String {
        format!("{:016x}", self.span_id)
    }
}

fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number: u128, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_was_read_is_written_the_same() {
        for text in [GOOD, &GOOD.replace("-01", "-00")] {
            let parent = Parent::read(text.as_bytes()).unwrap();
            assert_eq!(parent.header(), text);
            assert_eq!(parent.trace(), "4bf92f3577b34da6a3ce929d0e0e4736");
            assert_eq!(parent.span(), "00f067aa0ba902b7");
            assert_eq!(parent.sampled, text.ends_with('1'));
        }
    }

    #[test]
    fn a_later_version_may_append_and_set_flags() {
        for text in [format!("01{}-more", &GOOD[2..]), GOOD.replace("-01", "-ff")] {
            assert!(Parent::read(text.as_bytes()).unwrap().sampled, "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_trace() {
        for bad in [
            &format!("{GOOD}-more"),
            &format!("01{}more", &GOOD[2..]),
            &format!("ff{}", &GOOD[2..]),
            &GOOD.to_uppercase(),
            &GOOD.replace('-', "_"),
            &GOOD[..54],
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "",
        ] {
            assert_eq!(Parent::read(bad.as_bytes()), None, "{bad}");
        }
    }
}
