//! What can go wrong with index files, classed by what the caller must do.

use std::io;

use kilat_journal::SnapshotError;

/// Why a run could not be read. None of it says anything about the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IndexError {
    /// Condemn the index and rebuild it from the log: a page is not what was written.
    #[error("page {page} of the index file {run} is damaged; the index has to be rebuilt")]
    Damaged {
        /// The run's file.
        run: String,
        /// The page, counted from the file's start.
        page: u64,
    },
    /// Rebuild the index: the file is not a run, or not whole.
    #[error("the index file {run} cannot be used: {why}; the index has to be rebuilt")]
    Unusable {
        /// The run's file.
        run: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Retry once the cause is gone: the operating system refused.
    #[error("the index file {run} cannot be read: {error}")]
    Unreadable {
        /// The run's file.
        run: String,
        /// What the system said.
        error: io::Error,
    },
}

impl IndexError {
    /// Whether reading again cannot help.
    pub(crate) fn is_damage(&self) -> bool {
        !matches!(self, Self::Unreadable { .. })
    }
}

/// Why a run could not be sealed or merged. What was there before is as it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    /// Retry once the cause is gone: a file could not be written.
    #[error("the index file {run} cannot be written: {error}")]
    Write {
        /// The run's file.
        run: String,
        /// What the system said.
        error: io::Error,
    },
    /// A run could not be read.
    #[error(transparent)]
    Read(#[from] IndexError),
    /// Retry once the cause is gone.
    #[error("the index cannot be recorded: {0}")]
    Record(#[from] SnapshotError),
    /// Retry after the next seal: the newest state is not recorded yet.
    #[error("the index cannot record a merge before the last seal is recorded")]
    Unsettled,
    /// Report: the caller sealed something else than what follows the runs.
    #[error("the index file {run} does not follow the others; restart to rebuild the index")]
    OutOfOrder {
        /// The run's file.
        run: String,
    },
    /// The indexer was told to end.
    #[error("the index was closed")]
    Stopped,
}
