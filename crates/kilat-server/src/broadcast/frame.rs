//! Bytes as they are sent, made once for all readers.

use bytes::Bytes;
use std::ops::Range;

/// The end of a chunked body.
const LAST_CHUNK: Bytes = Bytes::from_static(b"0\r\n\r\n");

/// A piece of a body: chunked, and the same without.
#[derive(Clone)]
pub(super) struct Frame {
    chunk: Bytes,
    payload: Range<usize>,
}

impl Frame {
    pub(super) fn new(payload: &str) -> Frame {
        let length = format!("{:x}\r\n", payload.len());
        let payload_at = length.len()..length.len() + payload.len();
        Frame { chunk: [&length, payload, "\r\n"].concat().into(), payload: payload_at }
    }

    /// A comment, which keeps proxies from closing a silent stream.
    pub(super) fn comment() -> Frame {
        Frame::new(":\n\n")
    }

    pub(super) fn bytes(&self, is_chunked: bool) -> Bytes {
        if is_chunked { self.chunk.clone() } else { self.chunk.slice(self.payload.clone()) }
    }
}

/// What ends a body.
pub(super) fn last(is_chunked: bool) -> Bytes {
    if is_chunked { LAST_CHUNK } else { Bytes::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_a_chunk_with_its_length_or_bare() {
        let frame = Frame::new("a line of 18 bytes");
        assert_eq!(&frame.bytes(true)[..], b"12\r\na line of 18 bytes\r\n");
        assert_eq!(&frame.bytes(false)[..], b"a line of 18 bytes");
    }
}
