//! A body in chunks (RFC 9112, 7.1), taken apart as it arrives.

use super::HEAD_BYTES_MAX;

/// Longest line before a chunk, with its extensions, in bytes.
const LINE_BYTES_MAX: usize = 1 << 10;

/// Why the chunks can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChunkFault {
    /// A line that is no length of a chunk, or a chunk that does not end where it said.
    Malformed,
    /// The body grows beyond the limit.
    TooLarge,
    /// The trailers grow beyond the limit.
    TrailersTooLarge,
}

/// Takes chunks apart, looking at each byte a few times however they are cut.
pub(super) struct Chunks {
    next: Next,
    /// Bytes of the next line that have been searched for its end.
    looked: usize,
    trailer_bytes: usize,
    body_bytes_max: usize,
}

/// What comes next.
enum Next {
    /// A line with a length.
    Length,
    /// So many more bytes of the body.
    Body(u64),
    /// The line end after a chunk.
    ChunkEnd,
    /// Lines until an empty one.
    Trailers,
    Nothing,
}

impl Chunks {
    pub(super) fn new(body_bytes_max: usize) -> Chunks {
        Chunks { next: Next::Length, looked: 0, trailer_bytes: 0, body_bytes_max }
    }

    /// Moves what it can from `raw` to `body`; whether the body is whole. What is left in
    /// `raw` is an incomplete line, or follows the body.
    pub(super) fn take(
        &mut self,
        raw: &mut Vec<u8>,
        body: &mut Vec<u8>,
    ) -> Result<bool, ChunkFault> {
        let mut used = 0;
        let whole = loop {
            let rest = &raw[used..];
            let step = match self.next {
                Next::Length => self.length(rest)?,
                Next::Body(left) => self.body(left, rest, body),
                Next::ChunkEnd => self.chunk_end(rest)?,
                Next::Trailers => self.trailer(rest)?,
                Next::Nothing => break true,
            };
            match step {
                0 => break false,
                step => used += step,
            }
        };
        raw.drain(..used);
        if body.len() > self.body_bytes_max { Err(ChunkFault::TooLarge) } else { Ok(whole) }
    }

    fn length(&mut self, rest: &[u8]) -> Result<usize, ChunkFault> {
        let Some(line) = self.line(rest) else {
            return if rest.len() > LINE_BYTES_MAX { Err(ChunkFault::Malformed) } else { Ok(0) };
        };
        // The parser takes a line without any digit for 0.
        let has_digit = line.first().is_some_and(u8::is_ascii_hexdigit);
        let (true, Ok(httparse::Status::Complete((bytes, length)))) =
            (has_digit, httparse::parse_chunk_size(line))
        else {
            return Err(ChunkFault::Malformed);
        };
        self.next = match length {
            0 => Next::Trailers,
            length if length > self.body_bytes_max as u64 => return Err(ChunkFault::TooLarge),
            length => Next::Body(length),
        };
        Ok(bytes)
    }

    fn body(&mut self, left: u64, rest: &[u8], body: &mut Vec<u8>) -> usize {
        let taken = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        body.extend_from_slice(&rest[..taken]);
        let left = left - taken as u64;
        self.next = if left == 0 { Next::ChunkEnd } else { Next::Body(left) };
        taken
    }

    fn chunk_end(&mut self, rest: &[u8]) -> Result<usize, ChunkFault> {
        match rest {
            [b'\r', b'\n', ..] => {
                self.next = Next::Length;
                Ok(2)
            }
            [] | [b'\r'] => Ok(0),
            _ => Err(ChunkFault::Malformed),
        }
    }

    fn trailer(&mut self, rest: &[u8]) -> Result<usize, ChunkFault> {
        let line = self.line(rest);
        let bytes = line.map_or(0, <[u8]>::len);
        if self.trailer_bytes + line.unwrap_or(rest).len() > HEAD_BYTES_MAX {
            return Err(ChunkFault::TrailersTooLarge);
        }
        self.trailer_bytes += bytes;
        if matches!(&rest[..bytes], b"\r\n" | b"\n") {
            self.next = Next::Nothing;
        }
        Ok(bytes)
    }

    /// The first line with its end.
    fn line<'a>(&mut self, rest: &'a [u8]) -> Option<&'a [u8]> {
        let end = memchr::memchr(b'\n', &rest[self.looked..]).map(|at| self.looked + at);
        self.looked = if end.is_some() { 0 } else { rest.len() };
        end.map(|end| &rest[..=end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Read = Result<Option<(Vec<u8>, Vec<u8>)>, ChunkFault>;

    /// The body and what follows it, fed in pieces of `piece` bytes; `None` when it is not whole.
    fn read(text: &[u8], piece: usize) -> Read {
        let (mut chunks, mut raw, mut body) = (Chunks::new(1_000), Vec::new(), Vec::new());
        let mut whole = false;
        for piece in text.chunks(piece) {
            raw.extend_from_slice(piece);
            whole = chunks.take(&mut raw, &mut body)?;
        }
        Ok(whole.then_some((body, raw)))
    }

    #[test]
    fn chunks_are_joined_however_they_are_cut() {
        let wide = format!("3e8\r\n{}\r\n0\r\n\r\n", "x".repeat(1_000));
        for (text, body, rest) in [
            ("3\r\nabc\r\n0\r\n\r\n", "abc", ""),
            ("0\r\n\r\nmore", "", "more"),
            ("1;a=b\r\na\r\n2\r\nbc\r\n000\r\nT: v\r\nU: w\r\n\r\n", "abc", ""),
            (wide.as_str(), &wide[5..1_005], ""),
        ] {
            for piece in [1, 2, 3, 7, 5_000] {
                let read = read(text.as_bytes(), piece).unwrap().unwrap();
                assert_eq!(read, (body.into(), rest.into()), "{text:?} by {piece}");
            }
            for end in 0..text.len() - rest.len() {
                assert_eq!(read(&text.as_bytes()[..end], 3), Ok(None), "{text:?} to {end}");
            }
        }
    }

    #[test]
    fn broken_and_endless_chunks_are_refused() {
        let trailers = format!("0\r\n{}", "T: v\r\n".repeat(HEAD_BYTES_MAX / 6 + 1));
        for (text, fault) in [
            ("x\r\n", ChunkFault::Malformed),
            ("\r\n", ChunkFault::Malformed),
            ("-1\r\n", ChunkFault::Malformed),
            ("1\r\nab", ChunkFault::Malformed),
            ("11111111111111111\r\n", ChunkFault::Malformed),
            (&format!("1;{}", "e".repeat(5_000)), ChunkFault::Malformed),
            ("3e9\r\n", ChunkFault::TooLarge),
            ("ffffffffffffffff\r\n", ChunkFault::TooLarge),
            (&"1\r\nx\r\n".repeat(1_001), ChunkFault::TooLarge),
            (&trailers, ChunkFault::TrailersTooLarge),
            (&format!("0\r\nT: {}", "v".repeat(HEAD_BYTES_MAX)), ChunkFault::TrailersTooLarge),
        ] {
            for piece in [1, 100, 100_000] {
                assert_eq!(read(text.as_bytes(), piece), Err(fault), "{text:.20} by {piece}");
            }
        }
    }
}
