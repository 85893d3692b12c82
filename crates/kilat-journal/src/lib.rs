//! Durability: a segmented, checksummed, append-only log with group commit and recovery, a store
//! of snapshots, and the data directory they live in. It knows nothing of what the bytes mean, and
//! nothing of async.
//!
//! Reading order: `format` (sectors, marks, frames) → `segment` (files) → `walk` (where a log ends)
//! → `recovery` and `verify` → `journal` (the writer) → `space` and `committer` (group commit) →
//! `reader` (frames by their place), `forget` (sealed segments without some bodies) and `copy`;
//! `manifest` → `snapshot`; `data_directory`, `unfinished`. `storage` is the seam under all of it, `simulation`
//! its other implementer.
//!
#![doc = include_str!("../../../docs/formats/journal.md")]

mod committer;
mod copy;
mod data_directory;
mod direct;
mod error;
mod forget;
mod format;
mod hex;
mod journal;
mod manifest;
mod output;
mod reader;
mod recovery;
mod segment;
pub mod simulation;
mod snapshot;
mod space;
mod storage;
mod unfinished;
mod verify;
mod walk;

pub use committer::{Committed, Committer, Done, Frame, JournalFailure, OnFailure};
pub use copy::{Copied, CopiedFile, CopyError, copy};
pub use data_directory::{
    BACKUP_MANIFEST, DataDirectory, DirectoryError, Identity, PeekedDirectory,
};
pub use error::{
    AppendError, Corruption, IoFailure, Problem, RecoverError, ReserveError, StorageFull,
    SubmitError,
};
pub use forget::{ForgetError, Forgotten, forget_bodies};
pub use format::{Chain, FORMAT_VERSION, JournalId, Place, Position, SECTOR_BYTES};
pub use journal::{FIRST_SEGMENT_BYTES, Journal, Options, PAYLOAD_BYTES_MAX, SEGMENT_BYTES_MAX};
pub use reader::{FrameInfo, LogReader, ReadError};
pub use recovery::Recovery;
pub use snapshot::{
    Encode, Loaded, Part, PartError, PartRecord, Snapshot, SnapshotError, SnapshotStore, Written,
};
pub use storage::{Directory, RealFile, Storage, StorageFile};
pub use unfinished::UnfinishedDirectory;
pub use verify::{Verified, no_frames, verify};
pub use walk::FrameView;
