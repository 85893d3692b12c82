//! Length-delimited frames.
//!
//! ```text
//! u32 bytes that follow │ u8 kind │ u64 number of the request, 0 for none │ body
//! ```

use super::wire::{Input, Malformed, Put as _};
use std::io::{self, Read};

/// Bytes of kind and number.
const HEAD_BYTES: usize = 9;
/// Bytes read before more memory is taken: a length alone costs nothing.
const READ_AHEAD_BYTES: usize = 64 << 10;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    // The handshake, in this order.
    Hello = 1,
    Challenge = 2,
    Proof = 3,
    Welcome = 4,
    Refusal = 5,
    // From a replica.
    Place = 0x10,
    Change = 0x11,
    Query = 0x12,
    Publish = 0x13,
    Forget = 0x14,
    ReadEvents = 0x15,
    ReadTopics = 0x16,
    PublishFacts = 0x17,
    Ask = 0x18,
    Alive = 0x1f,
    // From a core, to a request.
    Placed = 0x20,
    Changed = 0x21,
    Answer = 0x22,
    Published = 0x23,
    Forgotten = 0x24,
    Events = 0x25,
    Topics = 0x26,
    Reply = 0x27,
    Declined = 0x2f,
    // From a core, unasked.
    Tick = 0x30,
    Sale = 0x31,
    Synced = 0x32,
    LogState = 0x33,
}

impl Kind {
    const ALL: [Kind; 28] = [
        Kind::Hello,
        Kind::Challenge,
        Kind::Proof,
        Kind::Welcome,
        Kind::Refusal,
        Kind::Place,
        Kind::Change,
        Kind::Query,
        Kind::Publish,
        Kind::Forget,
        Kind::ReadEvents,
        Kind::ReadTopics,
        Kind::PublishFacts,
        Kind::Ask,
        Kind::Alive,
        Kind::Placed,
        Kind::Changed,
        Kind::Answer,
        Kind::Published,
        Kind::Forgotten,
        Kind::Events,
        Kind::Topics,
        Kind::Reply,
        Kind::Declined,
        Kind::Tick,
        Kind::Sale,
        Kind::Synced,
        Kind::LogState,
    ];

    fn of(byte: u8) -> Result<Kind, Malformed> {
        let known = Kind::ALL.into_iter().find(|kind| *kind as u8 == byte);
        known.ok_or(Malformed("a frame is of no known kind"))
    }
}

/// A frame that was read.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: Kind,
    pub(crate) number: u64,
    pub(crate) body: Input<'a>,
}

impl Frame<'_> {
    /// The body of a frame that must be of this kind.
    pub(crate) fn expect(self, kind: Kind) -> Result<Self, Malformed> {
        if self.kind == kind { Ok(self) } else { Err(Malformed("a frame came out of turn")) }
    }
}

/// Appends a frame whose body `write` appends.
pub(crate) fn put_frame(
    out: &mut Vec<u8>,
    kind: Kind,
    number: u64,
    write: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    out.put([0; 4]);
    out.push(kind as u8);
    out.put(number.to_le_bytes());
    write(out);
    let len = out.len() - start - 4;
    out[start..start + 4].copy_from_slice(&(len as u32).to_le_bytes());
}

/// Reads frames one by one into memory that is used again.
pub(crate) struct FrameReader<R> {
    source: R,
    buffer: Vec<u8>,
    bytes_max: usize,
}

impl<R: Read> FrameReader<R> {
    pub(crate) fn new(source: R, bytes_max: usize) -> Self {
        FrameReader { source, buffer: Vec::new(), bytes_max }
    }

    /// From now on frames may be so long.
    pub(crate) fn allow(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// The next frame; an error of kind `InvalidData` is garbage, `UnexpectedEof` an end.
    pub(crate) fn next(&mut self) -> io::Result<Frame<'_>> {
        let mut len = [0; 4];
        self.source.read_exact(&mut len)?;
        let len = u32::from_le_bytes(len) as usize;
        if len < HEAD_BYTES || len > self.bytes_max {
            return Err(garbage(Malformed("a frame is of no possible length")));
        }
        self.buffer.clear();
        if self.buffer.capacity() > self.bytes_max.min(READ_AHEAD_BYTES) && len < READ_AHEAD_BYTES {
            self.buffer.shrink_to(READ_AHEAD_BYTES);
        }
        let read = (&mut self.source).take(len as u64).read_to_end(&mut self.buffer)?;
        if read < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        parse(&self.buffer).map_err(garbage)
    }
}

fn parse(bytes: &[u8]) -> Result<Frame<'_>, Malformed> {
    let mut body = Input::new(bytes);
    let kind = Kind::of(body.u8()?)?;
    let number = body.u64()?;
    Ok(Frame { kind, number, body })
}

/// What was read makes no sense.
pub(crate) fn garbage(why: Malformed) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
