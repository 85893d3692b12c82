//! Bounds-checked reading and writing of little-endian bytes.
//!
//! No input makes it panic, and no length is believed before the bytes are there.

use kilat_ledger::Time;

/// Bytes from the other end that make no sense: the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

const TOO_SHORT: Malformed = Malformed("the bytes end too early");

/// Most values for which memory is taken before they were read.
const LIST_AHEAD: usize = 1_024;

/// Reads from the front of a slice.
#[derive(Clone, Debug)]
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Input(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(TOO_SHORT)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(TOO_SHORT)?;
        self.0 = rest;
        Ok(head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn u128(&mut self) -> Result<u128, Malformed> {
        self.array().map(u128::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Malformed> {
        self.array().map(i64::from_le_bytes)
    }

    pub(crate) fn time(&mut self) -> Result<Time, Malformed> {
        self.i64().map(Time::from_millis)
    }

    pub(crate) fn boolean(&mut self) -> Result<bool, Malformed> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed("a yes or no is neither")),
        }
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Malformed> {
        let len = self.u16()?;
        self.text_of(len.into())
    }

    pub(crate) fn text_of(&mut self, len: usize) -> Result<&'a str, Malformed> {
        str::from_utf8(self.bytes(len)?).map_err(|_| Malformed("a text is not UTF-8"))
    }

    /// Bytes behind a number of them that needs 32 bits.
    pub(crate) fn blob(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.u32()? as usize;
        self.bytes(len)
    }

    pub(crate) fn owned(&mut self) -> Result<String, Malformed> {
        self.text().map(str::to_owned)
    }

    pub(crate) fn option<T>(
        &mut self,
        value: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        if self.boolean()? { value(self).map(Some) } else { Ok(None) }
    }

    /// As many values as a number in front says. Memory grows with the bytes that are there,
    /// never with the number.
    pub(crate) fn list<T>(
        &mut self,
        mut value: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let count = self.u32()? as usize;
        let mut values = Vec::with_capacity(count.min(LIST_AHEAD));
        for _ in 0..count {
            values.push(value(self)?);
        }
        Ok(values)
    }

    pub(crate) const fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed("bytes follow the end")) }
    }
}

/// Appends to bytes.
pub(crate) trait Put {
    fn put<const N: usize>(&mut self, bytes: [u8; N]);
    fn put_bool(&mut self, value: bool);
    fn put_time(&mut self, time: Time);
    fn put_text(&mut self, text: &str);
    fn put_count(&mut self, count: usize);
    fn put_option<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T));
}

/// Texts and lists are bounded at the door, far below what their lengths can count.
impl Put for Vec<u8> {
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.extend_from_slice(&bytes);
    }

    fn put_bool(&mut self, value: bool) {
        self.push(value.into());
    }

    fn put_time(&mut self, time: Time) {
        self.put(time.as_millis().to_le_bytes());
    }

    /// A text is cut at 64 KiB, which no text reaches: names and keys end at 4 KiB.
    fn put_text(&mut self, text: &str) {
        let text = &text[..text.floor_char_boundary(usize::from(u16::MAX))];
        self.put((text.len() as u16).to_le_bytes());
        self.extend_from_slice(text.as_bytes());
    }

    fn put_count(&mut self, count: usize) {
        self.put((count as u32).to_le_bytes());
    }

    fn put_option<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        self.put_bool(value.is_some());
        if let Some(value) = value {
            put(self, value);
        }
    }
}
