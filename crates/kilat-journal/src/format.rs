//! The bytes of a segment: sectors, marks and frames, encoded and checked in memory.
//!
//! Pure: no files. What a sequence of sectors means (torn, corrupt, complete) is decided by
//! [`walk`](crate::walk); what is here only says what one sector or one frame is.

use crc32fast::Hasher;

/// The unit that the device writes whole or not at all.
pub const SECTOR_BYTES: usize = 512;
/// Bytes of frame data in one sector.
pub(crate) const SECTOR_DATA_BYTES: usize = SECTOR_BYTES - SECTOR_HEADER_BYTES;
/// crc u32, index u32, frame number u64.
pub(crate) const SECTOR_HEADER_BYTES: usize = 16;
/// payload length u32, kind u32, digest 32, chain 32.
const WHOLE_HEADER_BYTES: usize = 72;
/// The same, and the length of the head u32.
const SPLIT_HEADER_BYTES: usize = WHOLE_HEADER_BYTES + 4;
/// The version written into segment headers.
pub const FORMAT_VERSION: u16 = 1;
/// A payload in one piece.
const KIND_WHOLE: u32 = 1;
/// A head, over which the chain runs, and a body.
const KIND_SPLIT: u32 = 2;
/// The same, some of whose body was forgotten.
const KIND_FORGOTTEN: u32 = 3;
/// The sector index that marks carry instead of a position in a frame.
const MARK_INDEX: u32 = u32::MAX;
const MAGIC: &[u8; 8] = b"KILATSEG";
const ZERO_SECTOR: [u8; SECTOR_BYTES] = [0; SECTOR_BYTES];

/// Sectors of a segment that hold no frames: its header and its opening mark.
pub(crate) const FIRST_FRAME_SECTOR: u32 = 2;
/// The opening mark's place.
pub(crate) const OPENING_SECTOR: u32 = 1;

/// The hash that ties a frame to all frames before it.
pub type Chain = [u8; 32];

/// 16 random bytes that name one journal for ever. Sectors of another journal never validate.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct JournalId(pub [u8; 16]);

impl JournalId {
    /// The chain before the first frame.
    pub fn genesis(&self) -> Chain {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"kilat journal 1");
        hasher.update(&self.0);
        *hasher.finalize().as_bytes()
    }
}

impl std::fmt::Debug for JournalId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "JournalId({})", crate::hex::encode(&self.0))
    }
}

/// Where a journal stands: the number of its last frame and the chain after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The number of the last frame; 0 before the first.
    pub frame: u64,
    /// The chain after that frame.
    pub chain: Chain,
}

/// Where a frame starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The segment's number, from 1.
    pub segment: u64,
    /// The sector in that segment.
    pub sector: u32,
}

/// How a frame's payload is made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// In one piece: the digest is of all of it.
    Whole,
    /// A head of so many bytes, of which the digest is, and a body.
    Split { head_bytes: u32, forgotten: bool },
}

impl Shape {
    pub(crate) fn of(head_bytes: Option<u32>) -> Self {
        head_bytes.map_or(Self::Whole, |head_bytes| Self::Split { head_bytes, forgotten: false })
    }

    pub(crate) fn head_bytes(self) -> Option<u32> {
        match self {
            Self::Whole => None,
            Self::Split { head_bytes, .. } => Some(head_bytes),
        }
    }

    /// What is left of this shape when some of the body has been forgotten.
    pub(crate) fn forgotten(self) -> Self {
        match self {
            Self::Whole => Self::Whole,
            Self::Split { head_bytes, .. } => Self::Split { head_bytes, forgotten: true },
        }
    }

    pub(crate) fn is_forgotten(self) -> bool {
        matches!(self, Self::Split { forgotten: true, .. })
    }

    /// Bytes before the payload.
    pub(crate) fn header_bytes(self) -> usize {
        match self {
            Self::Whole => WHOLE_HEADER_BYTES,
            Self::Split { .. } => SPLIT_HEADER_BYTES,
        }
    }

    /// What the digest is of.
    fn digested(self, payload: &[u8]) -> &[u8] {
        self.head_bytes().map_or(payload, |head| &payload[..head as usize])
    }

    fn kind(self) -> u32 {
        match self {
            Self::Whole => KIND_WHOLE,
            Self::Split { forgotten: false, .. } => KIND_SPLIT,
            Self::Split { forgotten: true, .. } => KIND_FORGOTTEN,
        }
    }

    /// How many sectors a frame of this shape takes.
    pub(crate) fn sectors(self, payload_bytes: usize) -> u64 {
        ((self.header_bytes() + payload_bytes) as u64).div_ceil(SECTOR_DATA_BYTES as u64)
    }

    /// The first sector of a frame that holds nothing but body.
    pub(crate) fn first_body_sector(self) -> Option<u32> {
        let before = SPLIT_HEADER_BYTES + self.head_bytes()? as usize;
        u32::try_from(before.div_ceil(SECTOR_DATA_BYTES)).ok()
    }

    /// Whether sector `index` of the frame may be blank, since all of it was forgotten.
    pub(crate) fn may_be_blank(self, index: u32) -> bool {
        self.is_forgotten() && self.first_body_sector().is_some_and(|first| index >= first)
    }
}

/// How many sectors a frame with a payload of `bytes` takes at most.
pub(crate) fn sectors_of(bytes: usize) -> u64 {
    Shape::of(Some(0)).sectors(bytes)
}

/// Seals and checks the sectors of one segment of one journal.
#[derive(Clone)]
pub(crate) struct SectorCodec {
    seeded: Hasher,
}

/// What one sector holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sector<'a> {
    Zero,
    Frame { number: u64, index: u32, data: &'a [u8] },
    Mark { kind: MarkKind, at: Mark },
    Damaged,
}

/// A one-sector note about the log's way through the segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MarkKind {
    /// The log has come to this segment.
    Opening,
    /// The log has left this segment; nothing follows.
    Seal,
}

/// Where the log stood at a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) next_frame: u64,
    pub(crate) chain: Chain,
}

impl SectorCodec {
    pub(crate) fn new(journal: JournalId, segment: u64) -> Self {
        let mut seeded = Hasher::new();
        seeded.update(&journal.0);
        seeded.update(&segment.to_le_bytes());
        Self { seeded }
    }

    /// Fills in the header of a sector whose data bytes are in place.
    fn seal(&self, sector: &mut [u8], index: u32, number: u64) {
        sector[4..8].copy_from_slice(&index.to_le_bytes());
        sector[8..16].copy_from_slice(&number.to_le_bytes());
        let crc = self.crc(&sector[4..]);
        sector[..4].copy_from_slice(&crc.to_le_bytes());
    }

    fn crc(&self, bytes: &[u8]) -> u32 {
        let mut hasher = self.seeded.clone();
        hasher.update(bytes);
        hasher.finalize()
    }

    pub(crate) fn mark(&self, kind: MarkKind, at: &Mark) -> [u8; SECTOR_BYTES] {
        let mut sector = ZERO_SECTOR;
        sector[16] = match kind {
            MarkKind::Opening => 1,
            MarkKind::Seal => 2,
        };
        sector[24..56].copy_from_slice(&at.chain);
        self.seal(&mut sector, MARK_INDEX, at.next_frame);
        sector
    }

    pub(crate) fn read<'a>(&self, sector: &'a [u8]) -> Sector<'a> {
        if sector == ZERO_SECTOR {
            return Sector::Zero;
        }
        if u32_at(sector, 0) != self.crc(&sector[4..]) {
            return Sector::Damaged;
        }
        let (index, number) = (u32_at(sector, 4), u64_at(sector, 8));
        if index != MARK_INDEX {
            return Sector::Frame { number, index, data: &sector[SECTOR_HEADER_BYTES..] };
        }
        let at = Mark { next_frame: number, chain: array_at(sector, 24) };
        match sector[16] {
            1 => Sector::Mark { kind: MarkKind::Opening, at },
            2 => Sector::Mark { kind: MarkKind::Seal, at },
            _ => Sector::Damaged,
        }
    }

    /// Encodes a frame into `buffer` (cleared first) and returns the chain after it.
    pub(crate) fn encode_frame(
        &self,
        number: u64,
        before: &Chain,
        payload: &[u8],
        shape: Shape,
        buffer: &mut Vec<u8>,
    ) -> Chain {
        let header = FrameHeader::of(number, before, payload, shape);
        let sectors = shape.sectors(payload.len()) as usize;
        // Bytes kept from an earlier frame are all overwritten, so only growth is zeroed.
        buffer.resize(sectors * SECTOR_BYTES, 0);
        let header_bytes = shape.header_bytes();
        let first = (SECTOR_DATA_BYTES - header_bytes).min(payload.len());
        let (head, rest) = payload.split_at(first);
        let mut pieces = rest.chunks(SECTOR_DATA_BYTES);
        for (index, sector) in buffer.chunks_exact_mut(SECTOR_BYTES).enumerate() {
            let data = &mut sector[SECTOR_HEADER_BYTES..];
            if index == 0 {
                header.write(&mut data[..header_bytes]);
                fill(&mut data[header_bytes..], head);
            } else {
                fill(data, pieces.next().unwrap_or_default());
            }
            self.seal(sector, index as u32, number);
        }
        header.chain
    }

    /// A sector of a frame again, with other data.
    pub(crate) fn frame_sector(&self, number: u64, index: u32, data: &[u8]) -> [u8; SECTOR_BYTES] {
        let mut sector = ZERO_SECTOR;
        fill(&mut sector[SECTOR_HEADER_BYTES..], data);
        self.seal(&mut sector, index, number);
        sector
    }
}

/// Copies `bytes` to the start of `place` and zeroes the rest.
fn fill(place: &mut [u8], bytes: &[u8]) {
    let (used, padding) = place.split_at_mut(bytes.len());
    used.copy_from_slice(bytes);
    padding.fill(0);
}

/// The start of a frame's data stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) payload_bytes: u32,
    pub(crate) shape: Shape,
    digest: [u8; 32],
    pub(crate) chain: Chain,
}

impl FrameHeader {
    /// What the header of this frame must be. The payload is at least as long as its head.
    pub(crate) fn of(number: u64, before: &Chain, payload: &[u8], shape: Shape) -> Self {
        let digest = *blake3::hash(shape.digested(payload)).as_bytes();
        let payload_bytes = payload.len() as u32;
        let mut link = [0; 32 + 8 + 4 + 32];
        link[..32].copy_from_slice(before);
        link[32..40].copy_from_slice(&number.to_le_bytes());
        link[40..44].copy_from_slice(&payload_bytes.to_le_bytes());
        link[44..].copy_from_slice(&digest);
        Self { payload_bytes, shape, digest, chain: *blake3::hash(&link).as_bytes() }
    }

    pub(crate) fn has_digest_of(&self, other: &Self) -> bool {
        self.digest == other.digest
    }

    /// The same frame after some of its body was forgotten.
    pub(crate) fn forgotten(&self) -> Self {
        Self { shape: self.shape.forgotten(), ..self.clone() }
    }

    pub(crate) fn write(&self, place: &mut [u8]) {
        place[..4].copy_from_slice(&self.payload_bytes.to_le_bytes());
        place[4..8].copy_from_slice(&self.shape.kind().to_le_bytes());
        place[8..40].copy_from_slice(&self.digest);
        place[40..WHOLE_HEADER_BYTES].copy_from_slice(&self.chain);
        if let Some(head_bytes) = self.shape.head_bytes() {
            place[WHOLE_HEADER_BYTES..].copy_from_slice(&head_bytes.to_le_bytes());
        }
    }

    /// The header at the start of a frame's first sector, or `None` for one that can't be.
    pub(crate) fn read(data: &[u8]) -> Option<Self> {
        let payload_bytes = u32_at(data, 0);
        let head_bytes = u32_at(data, WHOLE_HEADER_BYTES);
        let shape = match u32_at(data, 4) {
            KIND_WHOLE => Shape::Whole,
            KIND_SPLIT => Shape::Split { head_bytes, forgotten: false },
            KIND_FORGOTTEN => Shape::Split { head_bytes, forgotten: true },
            _ => return None,
        };
        let fits = shape.head_bytes().is_none_or(|head| head <= payload_bytes);
        fits.then(|| Self {
            payload_bytes,
            shape,
            digest: array_at(data, 8),
            chain: array_at(data, 40),
        })
    }
}

/// The first sector of every segment, written before the segment gets its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) journal: JournalId,
    pub(crate) segment: u64,
    pub(crate) sectors: u32,
}

/// Why a first sector is not a segment header that can be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadHeader {
    Damaged,
    Newer(u16),
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SECTOR_BYTES] {
        let mut sector = ZERO_SECTOR;
        sector[..8].copy_from_slice(MAGIC);
        sector[8..10].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        sector[12..16].copy_from_slice(&self.sectors.to_le_bytes());
        sector[16..24].copy_from_slice(&self.segment.to_le_bytes());
        sector[24..40].copy_from_slice(&self.journal.0);
        let crc = crc32fast::hash(&sector[..508]);
        sector[508..].copy_from_slice(&crc.to_le_bytes());
        sector
    }

    pub(crate) fn decode(sector: &[u8]) -> Result<Self, BadHeader> {
        if &sector[..8] != MAGIC || u32_at(sector, 508) != crc32fast::hash(&sector[..508]) {
            return Err(BadHeader::Damaged);
        }
        let version = u16::from_le_bytes(array_at(sector, 8));
        if version != FORMAT_VERSION {
            return Err(BadHeader::Newer(version));
        }
        Ok(Self {
            journal: JournalId(array_at(sector, 24)),
            segment: u64_at(sector, 16),
            sectors: u32_at(sector, 12),
        })
    }
}

fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[offset..offset + N]);
    array
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, offset))
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a header of this kind can be read.
    fn is_possible(payload_bytes: u32, kind: u32, head_bytes: u32) -> bool {
        let mut data = [0; SECTOR_DATA_BYTES];
        data[..4].copy_from_slice(&payload_bytes.to_le_bytes());
        data[4..8].copy_from_slice(&kind.to_le_bytes());
        data[72..76].copy_from_slice(&head_bytes.to_le_bytes());
        FrameHeader::read(&data).is_some()
    }

    #[test]
    fn a_head_is_a_part_of_its_payload() {
        for kind in [KIND_SPLIT, KIND_FORGOTTEN] {
            assert!(is_possible(10, kind, 0) && is_possible(10, kind, 10));
            assert!(!is_possible(10, kind, 11) && !is_possible(10, kind, u32::MAX));
        }
        assert!(is_possible(10, KIND_WHOLE, 11), "these are bytes of the payload");
        assert!(!is_possible(10, 0, 0) && !is_possible(10, 4, 0));
    }

    #[test]
    fn only_sectors_that_are_all_body_may_be_blank() {
        let shape = |head_bytes| Shape::of(Some(head_bytes)).forgotten();
        // The head ends with the first sector, and one byte later.
        assert!(!shape(420).may_be_blank(0) && shape(420).may_be_blank(1));
        assert!(!shape(421).may_be_blank(1) && shape(421).may_be_blank(2));
        assert!(!Shape::of(Some(0)).may_be_blank(1), "nothing was forgotten");
        assert!(!Shape::Whole.forgotten().may_be_blank(1), "there is no body");
    }
}
