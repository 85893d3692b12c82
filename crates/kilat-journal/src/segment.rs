//! One segment file: its name, its birth, and opening it again.
//!
//! A segment has its full size, real zeros and a durable header before it gets its name, so that a
//! file under that name that is shorter is damage and never a crash.

use std::io;

use crate::error::{Corruption, IoFailure, Problem, RecoverError};
use crate::format::{
    BadHeader, FIRST_FRAME_SECTOR, FORMAT_VERSION, JournalId, Mark, MarkKind, OPENING_SECTOR,
    SECTOR_BYTES, Sector, SectorCodec, SegmentHeader,
};
use crate::storage::{Storage, StorageFile};

/// The end of the names of files that are not finished; such a file is never read.
pub(crate) const TEMPORARY_SUFFIX: &str = ".tmp";
const SEGMENT_SUFFIX: &str = ".seg";
/// How many zeros are written at once.
const ZERO_BYTES: usize = 1 << 20;
/// What a new segment leaves free. Without it, one that can't be whole would take the last bytes
/// for a moment at each attempt, and whoever writes a small file then would fail.
const SPARE_BYTES: u64 = 1 << 20;
/// The smallest segment: header, opening mark, one sector of frames, seal.
pub(crate) const SEGMENT_SECTORS_MIN: u32 = FIRST_FRAME_SECTOR + 2;

/// An open segment file.
pub(crate) struct Segment<F> {
    pub(crate) file: F,
    pub(crate) name: String,
    pub(crate) number: u64,
    pub(crate) sectors: u32,
    pub(crate) codec: SectorCodec,
}

/// What a segment to be made is like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) journal: JournalId,
    pub(crate) number: u64,
    pub(crate) sectors: u32,
    /// Only the first segment of a journal is born open.
    pub(crate) opening: Option<Mark>,
}

pub(crate) fn name_of(number: u64) -> String {
    format!("{number:020}{SEGMENT_SUFFIX}")
}

/// The number in a segment's name, or `None` for any other file.
pub(crate) fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SEGMENT_SUFFIX)?;
    let number = digits.parse().ok()?;
    (digits.len() == 20 && name_of(number) == name).then_some(number)
}

pub(crate) fn is_temporary(name: &str) -> bool {
    name.strip_suffix(TEMPORARY_SUFFIX).is_some_and(|name| number_of(name).is_some())
}

/// Makes a segment durable under its name, or leaves nothing behind.
pub(crate) fn prepare<S: Storage>(storage: &S, plan: &Plan) -> Result<Segment<S::File>, IoFailure> {
    let name = name_of(plan.number);
    let temporary = format!("{name}{TEMPORARY_SUFFIX}");
    match write_whole(storage, plan, &name, &temporary) {
        Ok(file) => Ok(Segment {
            file,
            name,
            number: plan.number,
            sectors: plan.sectors,
            codec: SectorCodec::new(plan.journal, plan.number),
        }),
        Err(error) => {
            // The cause is what is reported; a temporary file that stays is removed at the
            // next attempt or start.
            let _ = storage.remove(&temporary);
            Err(IoFailure::new("make segment", &name, error))
        }
    }
}

fn write_whole<S: Storage>(
    storage: &S,
    plan: &Plan,
    name: &str,
    temporary: &str,
) -> io::Result<S::File> {
    let bytes = u64::from(plan.sectors) * SECTOR_BYTES as u64;
    if storage.room()? < bytes + SPARE_BYTES {
        return Err(rustix::io::Errno::NOSPC.into());
    }
    let file = storage.create(temporary)?;
    write_zeros(&file, bytes)?;
    file.write_at(&plan.header().encode(), 0)?;
    if let Some(opening) = &plan.opening {
        let codec = SectorCodec::new(plan.journal, plan.number);
        file.write_at(&codec.mark(MarkKind::Opening, opening), offset_of(OPENING_SECTOR))?;
    }
    file.sync_data()?;
    storage.rename(temporary, name)?;
    storage.sync_directory()?;
    Ok(file)
}

/// Written, not allocated (`fallocate`): the first sync over space that was only allocated is
/// several times slower, and making it durable piece by piece slows the commits next to it.
fn write_zeros(file: &impl StorageFile, bytes: u64) -> io::Result<()> {
    let zeros = vec![0; ZERO_BYTES.min(bytes as usize)];
    let mut offset = 0;
    while offset < bytes {
        let piece = (bytes - offset).min(zeros.len() as u64) as usize;
        file.write_at(&zeros[..piece], offset)?;
        offset += piece as u64;
    }
    Ok(())
}

impl Plan {
    fn header(&self) -> SegmentHeader {
        SegmentHeader { journal: self.journal, segment: self.number, sectors: self.sectors }
    }
}

/// The byte at which a sector starts.
pub(crate) fn offset_of(sector: u32) -> u64 {
    u64::from(sector) * SECTOR_BYTES as u64
}

impl<F: StorageFile> Segment<F> {
    /// Opens segment `number` and checks that the file is that segment, whole.
    pub(crate) fn open<S: Storage<File = F>, E>(
        storage: &S,
        journal: JournalId,
        number: u64,
    ) -> Result<Self, RecoverError<E>> {
        Self::check(S::open, storage, journal, number)
    }

    /// The same, for reading only.
    pub(crate) fn open_to_read<S: Storage<File = F>, E>(
        storage: &S,
        journal: JournalId,
        number: u64,
    ) -> Result<Self, RecoverError<E>> {
        Self::check(S::open_to_read, storage, journal, number)
    }

    fn check<S: Storage<File = F>, E>(
        open: impl FnOnce(&S, &str) -> io::Result<F>,
        storage: &S,
        journal: JournalId,
        number: u64,
    ) -> Result<Self, RecoverError<E>> {
        let name = name_of(number);
        let file = match open(storage, &name) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(corruption(&name, 0, Problem::MissingSegment).into());
            }
            Err(error) => return Err(IoFailure::new("open", &name, error).into()),
        };
        let sectors = checked_sectors(&file, &name, journal, number)?;
        Ok(Self { file, name, number, sectors, codec: SectorCodec::new(journal, number) })
    }

    /// The opening mark, or `None` while the log has not come here.
    pub(crate) fn opening<E>(&self) -> Result<Option<Mark>, RecoverError<E>> {
        let mut sector = [0; SECTOR_BYTES];
        self.read(&mut sector, OPENING_SECTOR)?;
        match self.codec.read(&sector) {
            Sector::Zero => Ok(None),
            Sector::Mark { kind: MarkKind::Opening, at } => Ok(Some(at)),
            Sector::Damaged => Err(self.corrupt(OPENING_SECTOR, Problem::DamagedSector).into()),
            _ => Err(self.corrupt(OPENING_SECTOR, Problem::MisplacedSector).into()),
        }
    }

    pub(crate) fn read(&self, buffer: &mut [u8], sector: u32) -> Result<(), IoFailure> {
        self.file
            .read_at(buffer, offset_of(sector))
            .map_err(|error| IoFailure::new("read", &self.name, error))
    }

    pub(crate) fn write(&self, bytes: &[u8], sector: u32) -> Result<(), IoFailure> {
        self.file
            .write_at(bytes, offset_of(sector))
            .map_err(|error| IoFailure::new("write", &self.name, error))
    }

    pub(crate) fn sync(&self) -> Result<(), IoFailure> {
        self.file.sync_data().map_err(|error| IoFailure::new("sync", &self.name, error))
    }

    pub(crate) fn settle(&self) -> Result<(), IoFailure> {
        self.file.settle().map_err(|error| IoFailure::new("sync", &self.name, error))
    }

    /// Makes later reads of these sectors ask the device.
    pub(crate) fn refresh(&self, sectors: std::ops::Range<u32>) -> Result<(), IoFailure> {
        self.file
            .refresh(offset_of(sectors.start)..offset_of(sectors.end))
            .map_err(|error| IoFailure::new("read", &self.name, error))
    }

    pub(crate) fn corrupt(&self, sector: u32, problem: Problem) -> Corruption {
        corruption(&self.name, offset_of(sector), problem)
    }
}

pub(crate) fn corruption(name: &str, offset: u64, problem: Problem) -> Corruption {
    Corruption { segment: name.to_owned(), offset, problem }
}

fn checked_sectors<E>(
    file: &impl StorageFile,
    name: &str,
    journal: JournalId,
    number: u64,
) -> Result<u32, RecoverError<E>> {
    let bytes = file.len().map_err(|error| IoFailure::new("read", name, error))?;
    if bytes < offset_of(SEGMENT_SECTORS_MIN) {
        return Err(corruption(name, bytes, Problem::WrongLength).into());
    }
    let mut sector = [0; SECTOR_BYTES];
    file.read_at(&mut sector, 0).map_err(|error| IoFailure::new("read", name, error))?;
    let header = match SegmentHeader::decode(&sector) {
        Ok(header) => header,
        Err(BadHeader::Damaged) => {
            return Err(corruption(name, 0, Problem::DamagedHeader).into());
        }
        Err(BadHeader::Newer(found)) => {
            let segment = name.to_owned();
            return Err(RecoverError::NewerFormat { segment, found, supported: FORMAT_VERSION });
        }
    };
    if header.journal != journal || header.segment != number {
        return Err(corruption(name, 0, Problem::ForeignSegment).into());
    }
    if bytes != offset_of(header.sectors) {
        return Err(corruption(name, bytes, Problem::WrongLength).into());
    }
    Ok(header.sectors)
}
