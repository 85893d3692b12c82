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
const SECTOR_HEADER_BYTES: usize = 16;
/// payload length u32, kind u32, digest 32, chain 32.
pub(crate) const FRAME_HEADER_BYTES: usize = 72;
/// The version written into segment headers.
pub const FORMAT_VERSION: u16 = 1;
/// The only kind of frame in format 1.
const KIND_DATA: u32 = 1;
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

/// How many sectors a frame with a payload of `bytes` takes.
pub(crate) fn sectors_of(bytes: usize) -> u64 {
    ((FRAME_HEADER_BYTES + bytes) as u64).div_ceil(SECTOR_DATA_BYTES as u64)
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
        buffer: &mut Vec<u8>,
    ) -> Chain {
        let header = FrameHeader::of(number, before, payload);
        let sectors = sectors_of(payload.len()) as usize;
        // Bytes kept from an earlier frame are all overwritten, so only growth is zeroed.
        buffer.resize(sectors * SECTOR_BYTES, 0);
        let first = (SECTOR_DATA_BYTES - FRAME_HEADER_BYTES).min(payload.len());
        let (head, rest) = payload.split_at(first);
        let mut pieces = rest.chunks(SECTOR_DATA_BYTES);
        for (index, sector) in buffer.chunks_exact_mut(SECTOR_BYTES).enumerate() {
            let data = &mut sector[SECTOR_HEADER_BYTES..];
            if index == 0 {
                header.write(&mut data[..FRAME_HEADER_BYTES]);
                fill(&mut data[FRAME_HEADER_BYTES..], head);
            } else {
                fill(data, pieces.next().unwrap_or_default());
            }
            self.seal(sector, index as u32, number);
        }
        header.chain
    }
}

/// Copies `bytes` to the start of `place` and zeroes the rest.
fn fill(place: &mut [u8], bytes: &[u8]) {
    let (used, padding) = place.split_at_mut(bytes.len());
    used.copy_from_slice(bytes);
    padding.fill(0);
}

/// The start of a frame's data stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) payload_bytes: u32,
    digest: [u8; 32],
    pub(crate) chain: Chain,
}

impl FrameHeader {
    /// What the header of this frame must be.
    pub(crate) fn of(number: u64, before: &Chain, payload: &[u8]) -> Self {
        let digest = *blake3::hash(payload).as_bytes();
        let payload_bytes = payload.len() as u32;
        let mut link = [0; 32 + 8 + 4 + 32];
        link[..32].copy_from_slice(before);
        link[32..40].copy_from_slice(&number.to_le_bytes());
        link[40..44].copy_from_slice(&payload_bytes.to_le_bytes());
        link[44..].copy_from_slice(&digest);
        Self { payload_bytes, digest, chain: *blake3::hash(&link).as_bytes() }
    }

    pub(crate) fn has_digest_of(&self, other: &Self) -> bool {
        self.digest == other.digest
    }

    fn write(&self, place: &mut [u8]) {
        place[..4].copy_from_slice(&self.payload_bytes.to_le_bytes());
        place[4..8].copy_from_slice(&KIND_DATA.to_le_bytes());
        place[8..40].copy_from_slice(&self.digest);
        place[40..72].copy_from_slice(&self.chain);
    }

    /// The header at the start of a frame's first sector, or `None` for a kind unknown here.
    pub(crate) fn read(data: &[u8]) -> Option<Self> {
        (u32_at(data, 4) == KIND_DATA).then(|| Self {
            payload_bytes: u32_at(data, 0),
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
