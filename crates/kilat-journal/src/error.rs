//! What can go wrong with a journal, classed by what the caller must do.

use std::fmt;
use std::io;

/// The log on disk is not what was acknowledged. Report it; nothing on disk was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corruption {
    /// The segment's file name.
    pub segment: String,
    /// The byte in that file where the damage was found.
    pub offset: u64,
    /// What is wrong there.
    pub problem: Problem,
}

/// Kinds of damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// A sector is neither blank nor valid for this journal and segment.
    DamagedSector,
    /// A sector is blank although what follows proves that its frame was acknowledged.
    MissingSector,
    /// A valid sector stands where another one belongs.
    MisplacedSector,
    /// A frame's header cannot be right.
    ImpossibleFrame,
    /// A frame's payload is not what its digest says.
    WrongDigest,
    /// A frame or mark does not follow from the frames before it.
    BrokenChain,
    /// The file is shorter or longer than it was made.
    WrongLength,
    /// The file's header is damaged.
    DamagedHeader,
    /// The file belongs to another journal or carries another segment's number.
    ForeignSegment,
    /// The file does not exist although the log went through it.
    MissingSegment,
    /// The log ends before the position that recovery was asked to start after.
    EndsTooEarly,
    /// The log holds other frames than those that lead to the position asked for.
    OtherHistory,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DamagedSector => "the sector is damaged",
            Self::MissingSector => "a sector of an acknowledged frame is blank",
            Self::MisplacedSector => "the sector belongs somewhere else",
            Self::ImpossibleFrame => "the frame header is impossible",
            Self::WrongDigest => "the payload does not match its digest",
            Self::BrokenChain => "the frame does not follow from the ones before it",
            Self::WrongLength => "the file does not have the length it was made with",
            Self::DamagedHeader => "the segment header is damaged",
            Self::ForeignSegment => "the file belongs to another journal or place",
            Self::MissingSegment => "the file is missing",
            Self::EndsTooEarly => "the log ends before the snapshot's frame",
            Self::OtherHistory => "the log is not the one the snapshot was made from",
        })
    }
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "segment {} is corrupt at byte {}: {}; nothing was changed, restore the file from a backup",
            self.segment, self.offset, self.problem
        )
    }
}

impl std::error::Error for Corruption {}

/// An operation on a file failed.
#[derive(Debug)]
pub struct IoFailure {
    /// What was being done, as in "cannot read".
    pub doing: &'static str,
    /// The file, or the directory's listing.
    pub file: String,
    /// What the operating system said.
    pub source: io::Error,
}

impl IoFailure {
    pub(crate) fn new(doing: &'static str, file: &str, source: io::Error) -> Self {
        Self { doing, file: file.to_owned(), source }
    }
}

impl fmt::Display for IoFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.doing, self.file, self.source)
    }
}

impl std::error::Error for IoFailure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Why a journal could not be opened or checked. `E` is the error of the caller's own callback.
#[derive(Debug)]
pub enum RecoverError<E> {
    /// Report: the log is damaged. Nothing on disk was changed.
    Corrupt(Corruption),
    /// Use the version that wrote it: a segment has a format unknown here.
    NewerFormat {
        /// The segment's file name.
        segment: String,
        /// The format that was found.
        found: u16,
        /// The newest format known here.
        supported: u16,
    },
    /// Retry once the cause is gone: the operating system refused.
    Io(IoFailure),
    /// The callback refused a frame.
    Refused {
        /// The frame's number.
        frame: u64,
        /// What the callback said.
        error: E,
    },
}

impl<E: fmt::Display> fmt::Display for RecoverError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt(corruption) => corruption.fmt(f),
            Self::NewerFormat { segment, found, supported } => write!(
                f,
                "segment {segment} has format {found} and this version reads up to {supported}; \
                 use the version that wrote it"
            ),
            Self::Io(failure) => failure.fmt(f),
            Self::Refused { frame, error } => write!(f, "frame {frame} was refused: {error}"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for RecoverError<E> {}

impl<E> From<Corruption> for RecoverError<E> {
    fn from(corruption: Corruption) -> Self {
        Self::Corrupt(corruption)
    }
}

impl<E> From<IoFailure> for RecoverError<E> {
    fn from(failure: IoFailure) -> Self {
        Self::Io(failure)
    }
}

/// Why a frame was not appended.
#[derive(Debug)]
pub enum AppendError {
    /// Fix the request: the payload is longer than the journal's limit. Nothing was written.
    TooLarge {
        /// The payload's length in bytes.
        bytes: usize,
        /// The longest payload taken.
        bytes_max: usize,
    },
    /// Retry later: there is no room for another segment. Nothing was written.
    StorageFull(IoFailure),
    /// Reopen: a write or sync failed, and what is on disk is unknown until recovery has read it.
    Failed(IoFailure),
    /// Reopen: an earlier write or sync failed.
    Poisoned,
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes, bytes_max } => {
                write!(f, "a payload of {bytes} bytes is over the limit of {bytes_max}; split it")
            }
            Self::StorageFull(cause) => {
                write!(f, "there is no room for another segment ({cause}); free some space")
            }
            Self::Failed(cause) => write!(f, "{cause}; restart to recover what is on disk"),
            Self::Poisoned => {
                f.write_str("the journal stopped after a failed write; restart to recover")
            }
        }
    }
}

impl std::error::Error for AppendError {}

/// There is no room on disk for another segment. Retry later: another attempt is made by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageFull {
    /// What the operating system said.
    pub cause: String,
}

/// Why there is no room for a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReserveError {
    /// Retry later.
    StorageFull(StorageFull),
    /// Fix the request: no frame may be that long.
    TooLarge {
        /// The longest payload taken.
        bytes_max: usize,
    },
    /// Reopen: the committer failed or was closed.
    Stopped,
}

impl fmt::Display for ReserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StorageFull(StorageFull { cause }) => {
                write!(f, "there is no room for another segment ({cause}); free some space")
            }
            Self::TooLarge { bytes_max } => {
                write!(f, "a frame holds at most {bytes_max} bytes; split the batch")
            }
            Self::Stopped => f.write_str("the journal has stopped; open it again"),
        }
    }
}

impl std::error::Error for ReserveError {}

/// Why a frame was not taken. Its `done` was dropped uncalled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubmitError {
    /// Fix the request: the payload is too long.
    TooLarge {
        /// The longest payload taken.
        bytes_max: usize,
    },
    /// Reopen: the committer failed or was closed.
    Stopped,
}

impl fmt::Display for SubmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes_max } => {
                write!(f, "a frame holds at most {bytes_max} bytes; split the batch")
            }
            Self::Stopped => f.write_str("the journal has stopped; open it again"),
        }
    }
}

impl std::error::Error for SubmitError {}
