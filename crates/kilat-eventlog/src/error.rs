//! What can go wrong, classed by what the caller must do.

use std::fmt;

use kilat_journal::RecoverError;

use crate::frame::Malformed;

/// Why something stored could not be read.
#[derive(Debug)]
pub enum ReadError {
    /// The log's files can't be read or are damaged: report it.
    Log(kilat_journal::ReadError),
    /// A whole frame makes no sense: report it.
    Frame {
        /// The frame's number.
        frame: u64,
        /// What is wrong with it.
        why: Malformed,
    },
    /// The index can't be read, or does not agree with the log: start again, and it is rebuilt.
    Index(String),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log(error) => error.fmt(f),
            Self::Frame { frame, why } => {
                write!(f, "frame {frame} of the event log makes no sense: {why}; report it")
            }
            Self::Index(why) => {
                write!(f, "the index of the event log failed: {why}; start again to rebuild it")
            }
        }
    }
}

impl std::error::Error for ReadError {}

impl From<kilat_journal::ReadError> for ReadError {
    fn from(error: kilat_journal::ReadError) -> Self {
        Self::Log(error)
    }
}

/// Why a publication was refused as a whole. Nothing of it was applied.
#[derive(Debug)]
pub enum Refusal {
    /// Fix the request: there are as many topics as there can be, and it names others.
    TooManyTopics,
    /// Its events could not be looked up; see the cause.
    LookUp(ReadError),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyTopics => write!(
                f,
                "there are {} topics and there can't be more; publish to one that exists",
                crate::topics::TOPICS_MAX
            ),
            Self::LookUp(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Refusal {}

/// Why the log could not be opened. What is on disk was not changed.
#[derive(Debug)]
pub enum OpenError {
    /// The log is damaged or can't be read: do what the message says.
    Log(RecoverError<Malformed>),
    /// The index can't be listed, or not be written though the log has more events than fit into
    /// memory: retry once the cause is gone.
    Index(String),
    /// The system has no more threads: retry later.
    Threads(std::io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log(error) => write!(f, "the event log: {error}"),
            Self::Index(why) => write!(f, "the index of the event log: {why}"),
            Self::Threads(error) => {
                write!(f, "a thread can't be started ({error}); free resources and start again")
            }
        }
    }
}

impl std::error::Error for OpenError {}

/// Why bytes were not given back. What was rewritten stays rewritten; try again later.
#[derive(Debug)]
pub enum ReclaimError {
    /// The log can't be read.
    Read(ReadError),
    /// A segment can't be rewritten.
    Rewrite(String),
}

impl fmt::Display for ReclaimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => error.fmt(f),
            Self::Rewrite(error) => {
                write!(f, "{error}; forgotten bodies still take their space, try again")
            }
        }
    }
}

impl std::error::Error for ReclaimError {}
