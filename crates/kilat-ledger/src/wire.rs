//! Bounds-checked reading and writing of little-endian bytes. Total: no input makes it panic,
//! and no length is believed before the bytes are there.

use crate::corrupt::Corrupt;

/// Reads from the front of a slice.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Corrupt> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(TOO_SHORT)?;
        self.rest = rest;
        Ok(*head)
    }

    /// The next `len` bytes.
    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], Corrupt> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(TOO_SHORT)?;
        self.rest = rest;
        Ok(head)
    }

    /// `count` records of `N` bytes each.
    pub(crate) fn records<const N: usize>(
        &mut self,
        count: usize,
    ) -> Result<&'a [[u8; N]], Corrupt> {
        let len = count.checked_mul(N).ok_or(TOO_SHORT)?;
        let (records, _) = self.bytes(len)?.as_chunks::<N>();
        Ok(records)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Corrupt> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Corrupt> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Corrupt> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Corrupt> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn u128(&mut self) -> Result<u128, Corrupt> {
        self.array().map(u128::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Corrupt> {
        self.array().map(i64::from_le_bytes)
    }

    /// `len` bytes of UTF-8.
    pub(crate) fn text(&mut self, len: usize) -> Result<&'a str, Corrupt> {
        str::from_utf8(self.bytes(len)?).map_err(|_| Corrupt::Malformed("a text is not UTF-8"))
    }

    /// UTF-8 after its length in 16 bits.
    pub(crate) fn text_u16(&mut self) -> Result<&'a str, Corrupt> {
        let len = self.u16()?;
        self.text(len.into())
    }

    /// A value after a byte that tells whether it is there.
    pub(crate) fn option<T>(
        &mut self,
        value: impl FnOnce(&mut Self) -> Result<T, Corrupt>,
    ) -> Result<Option<T>, Corrupt> {
        match self.u8()? {
            0 => Ok(None),
            1 => value(self).map(Some),
            _ => Err(Corrupt::Malformed("an option is neither absent nor present")),
        }
    }

    /// A format version that must be `known` or older (there is no older one yet).
    pub(crate) fn version(&mut self, known: u16) -> Result<(), Corrupt> {
        match self.u16()? {
            found if found == known => Ok(()),
            found if found > known => Err(Corrupt::NewerFormat { found, known }),
            _ => Err(Corrupt::Malformed("the format version was never in use")),
        }
    }

    /// Nothing may follow.
    pub(crate) const fn end(&self) -> Result<(), Corrupt> {
        if self.rest.is_empty() { Ok(()) } else { Err(Corrupt::Malformed("bytes follow the end")) }
    }
}

const TOO_SHORT: Corrupt = Corrupt::Malformed("the bytes end too early");

/// Appends `text` after its length in 16 bits. The ledger's limits keep every text below that.
pub(crate) fn put_text_u16(out: &mut Vec<u8>, text: &str) {
    debug_assert!(text.len() <= usize::from(u16::MAX));
    out.extend_from_slice(&(text.len() as u16).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Appends a byte that tells whether the value is there, and the value.
pub(crate) fn put_option<const N: usize>(out: &mut Vec<u8>, value: Option<[u8; N]>) {
    out.push(value.is_some().into());
    out.extend_from_slice(value.as_ref().map_or(&[], |bytes| bytes.as_slice()));
}
