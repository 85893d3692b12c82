//! A scanner of JSON text (RFC 8259) that moves over it once and copies nothing.
//!
//! Whoever calls decides what a value means; this only says where it begins
//! and ends and whether it is written as the grammar asks. Must never know
//! about events.

use std::borrow::Cow;

/// A place at which the text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Syntax {
    /// Byte of the text.
    pub(super) at: usize,
    /// What is wrong there.
    pub(super) what: &'static str,
}

/// A JSON string as written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quoted<'a> {
    /// With the quotes.
    raw: &'a str,
    escaped: bool,
}

/// A position in a text.
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Quoted<'a> {
    /// As written, with the quotes.
    pub(super) fn raw(&self) -> &'a str {
        self.raw
    }

    /// Whether there are escapes between the quotes.
    pub(super) fn is_escaped(&self) -> bool {
        self.escaped
    }

    /// A string that was written for us: with quotes, and escapes that are right.
    pub(super) fn trusted(raw: &'a str) -> Self {
        Quoted { raw, escaped: raw.contains('\\') }
    }

    /// What the string says.
    pub(super) fn text(&self) -> Cow<'a, str> {
        let inside = &self.raw[1..self.raw.len() - 1];
        if self.escaped { Cow::Owned(unescape(inside)) } else { Cow::Borrowed(inside) }
    }
}

impl<'a> Scanner<'a> {
    /// At `at`, a boundary of characters, in `text`.
    pub(super) fn new(text: &'a str, at: usize) -> Self {
        Scanner { text, at }
    }

    /// Where it is, in bytes from the text's beginning.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The text from `start` to here.
    pub(super) fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    /// The next byte that is not white space, without passing it.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.byte() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other,
            }
        }
    }

    /// Passes white space and then `wanted`.
    #[inline]
    pub(super) fn expect(&mut self, wanted: u8, what: &'static str) -> Result<(), Syntax> {
        if self.peek() == Some(wanted) {
            self.at += 1;
            return Ok(());
        }
        Err(self.wrong(what))
    }

    /// Passes white space, and `wanted` if it is next; tells whether it was.
    #[inline]
    pub(super) fn passes(&mut self, wanted: u8) -> bool {
        let next = self.peek() == Some(wanted);
        self.at += usize::from(next);
        next
    }

    /// Nothing but white space may follow.
    pub(super) fn end(&mut self) -> Result<(), Syntax> {
        if self.peek().is_none() { Ok(()) } else { Err(self.wrong("the text should end here")) }
    }

    /// A fault at this place.
    pub(super) fn wrong(&self, what: &'static str) -> Syntax {
        let what = if self.at >= self.text.len() { "the text ends too early" } else { what };
        Syntax { at: self.at, what }
    }

    /// Passes an object; `member` is called behind each name's colon and must pass the value.
    #[inline]
    pub(super) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Quoted<'a>) -> Result<(), Syntax>,
    ) -> Result<(), Syntax> {
        self.expect(b'{', "an object should begin here")?;
        if self.passes(b'}') {
            return Ok(());
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.wrong("a member's name in quotes should be here"));
            }
            let name = self.string()?;
            self.expect(b':', "a colon should be here")?;
            member(self, name)?;
            if self.passes(b'}') {
                return Ok(());
            }
            self.expect(b',', "a comma or } should be here")?;
        }
    }

    /// Passes an array; `element` is called before each and must pass it.
    pub(super) fn array<E: From<Syntax>>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect(b'[', "an array should begin here")?;
        if self.passes(b']') {
            return Ok(());
        }
        loop {
            element(self)?;
            if self.passes(b']') {
                return Ok(());
            }
            self.expect(b',', "a comma or ] should be here")?;
        }
    }

    /// Passes `true`, `false` or `null`.
    pub(super) fn literal(&mut self) -> Result<&'static str, Syntax> {
        let rest = &self.text.as_bytes()[self.at..];
        for word in ["true", "false", "null"] {
            if rest.starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(word);
            }
        }
        Err(self.wrong("a value should be here"))
    }

    /// Passes a number and returns it as written.
    pub(super) fn number(&mut self) -> Result<&'a str, Syntax> {
        let start = self.at;
        self.at += usize::from(self.byte() == Some(b'-'));
        if self.byte() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(self.since(start))
    }

    fn digits(&mut self) -> Result<(), Syntax> {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.wrong("a digit should be here"));
        }
        self.at += count;
        Ok(())
    }

    /// Passes a string; its escapes are checked, so that it can be unescaped without fault.
    #[inline]
    pub(super) fn string(&mut self) -> Result<Quoted<'a>, Syntax> {
        let start = self.at;
        self.at += 1;
        let mut escaped = false;
        loop {
            self.at += plain_bytes(&self.text.as_bytes()[self.at..]);
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Quoted { raw: self.since(start), escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(self.wrong("a control character in a string must be escaped")),
            }
        }
    }

    /// Passes one escape, or two that together name one character.
    fn escape(&mut self) -> Result<(), Syntax> {
        const LONE: &str = "half of a surrogate pair names no character";
        let start = self.at;
        self.at += 1;
        match self.byte() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                return Ok(());
            }
            Some(b'u') => {}
            _ => return Err(self.wrong("there is no such escape")),
        }
        match self.code_unit()? {
            0xd800..0xdc00 => {}
            0xdc00..0xe000 => return Err(Syntax { at: start, what: LONE }),
            _ => return Ok(()),
        }
        let low = self.text.as_bytes()[self.at..].starts_with(b"\\u");
        self.at += usize::from(low);
        if low && (0xdc00..0xe000).contains(&self.code_unit()?) {
            Ok(())
        } else {
            Err(Syntax { at: start, what: LONE })
        }
    }

    /// Passes the `u` and four digits of an escape.
    fn code_unit(&mut self) -> Result<u32, Syntax> {
        self.at += 1;
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.byte().and_then(|byte| char::from(byte).to_digit(16));
            unit = unit << 4 | digit.ok_or(self.wrong("four hexadecimal digits should be here"))?;
            self.at += 1;
        }
        Ok(unit)
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

/// How many bytes at the beginning stand for themselves in a JSON string: no quote, no
/// backslash, no control character. Eight at a time (Hacker's Delight, section 6-1).
#[inline]
fn plain_bytes(bytes: &[u8]) -> usize {
    const fn splat(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    // The top bit of each byte that is less than `bound`. A byte above one that is may be
    // marked by mistake; only the lowest mark is used.
    const fn less(word: u64, bound: u8) -> u64 {
        word.wrapping_sub(splat(bound)) & !word
    }
    let mut passed = 0;
    while let Some(chunk) = bytes.get(passed..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*chunk);
        let marks = less(word, 0x20) | less(word ^ splat(b'"'), 1) | less(word ^ splat(b'\\'), 1);
        let marks = marks & splat(0x80);
        if marks != 0 {
            return passed + marks.trailing_zeros() as usize / 8;
        }
        passed += 8;
    }
    let plain = |byte: &&u8| **byte >= 0x20 && **byte != b'"' && **byte != b'\\';
    passed + bytes[passed..].iter().take_while(plain).count()
}

/// What the inside of a checked string says.
fn unescape(inside: &str) -> String {
    let mut text = String::with_capacity(inside.len());
    let mut rest = inside;
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let (character, passed) = unescaped(escape);
        text.push(character);
        rest = &escape[passed..];
    }
    text.push_str(rest);
    text
}

/// The character that an escape names, and the bytes of the escape behind its backslash.
fn unescaped(escape: &str) -> (char, usize) {
    let unit = |at: usize| {
        escape.get(at..at + 4).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0)
    };
    let character = match escape.as_bytes().first() {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => match unit(1) {
            high @ 0xd800..0xdc00 => {
                let code = 0x1_0000 + ((high - 0xd800) << 10 | (unit(7) & 0x3ff));
                return (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 11);
            }
            code => return (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 5),
        },
        // A quote, a backslash or a slash.
        Some(byte) => char::from(*byte),
        None => return (char::REPLACEMENT_CHARACTER, 0),
    };
    (character, 1)
}
