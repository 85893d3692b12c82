//! What a check is asked to do, as plain values.

use super::pace::PaceOptions;
use super::stop::Stop;
use crate::Lang;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Reads a secret by the name of its environment variable.
pub type Secret = Box<dyn Fn(&str) -> Option<String>>;

/// What to check, how, and where to write it down.
pub struct CheckOptions {
    /// Name of a built-in profile, or the path of a file: it has a `/` or ends in `.toml`.
    pub profile: String,
    /// Ids; `-` stands for stdin. Without ids and files the profile's own list is used.
    pub ids: Vec<String>,
    /// Files of ids; `-` is stdin.
    pub files: Vec<PathBuf>,
    /// What files and stdin hold; by the file's ending without it.
    pub form: Option<InputForm>,
    /// The column of CSV files that holds the ids.
    pub column: Option<String>,
    /// The member of each JSON line that holds the id.
    pub field: Option<String>,
    /// A log: the ids that it says last to be unknown are asked again.
    pub unknown_from: Option<PathBuf>,
    /// The server to ask in place of the profile's.
    pub url: Option<String>,
    /// IANA's list of RDAP servers.
    pub bootstrap: Option<PathBuf>,
    /// HTTP/2 also without TLS.
    pub http2: bool,
    /// Further certificate authorities to trust.
    pub ca: Option<PathBuf>,
    /// Ask private addresses also when they come from data.
    pub allow_private: bool,
    /// How hard to ask.
    pub pace: PaceOptions,
    /// The audit log; named after the profile without it.
    pub log: Option<PathBuf>,
    /// How the log is written.
    pub format: LogFormat,
    /// Leave out ids that the log has already.
    pub resume: bool,
    /// Begin an existing log and page anew.
    pub overwrite: bool,
    /// Repeat this often.
    pub watch: Option<Duration>,
    /// What goes to stdout.
    pub output: OutputForm,
    /// Escape codes for colour may be used on stdout.
    pub colour: bool,
    /// Write a page for people to this file.
    pub html: Option<PathBuf>,
    /// Where secrets of a profile's headers come from: this crate reads no environment.
    pub secret: Secret,
    /// The command that asked for this, to say how to go on.
    pub command: Vec<String>,
    /// Ends it.
    pub stop: Arc<Stop>,
    /// Language of messages; a log in the seed's form is in Indonesian nevertheless.
    pub lang: Lang,
}

/// What files and stdin hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputForm {
    /// One id a line.
    Text,
    /// CSV with a header.
    Csv,
    /// JSON Lines: strings, or objects.
    JsonLines,
}

/// How a log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Checksummed JSON Lines.
    Json,
    /// The text of the seed's exercises.
    Seed,
}

/// What goes to stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputForm {
    /// A table and a summary for people.
    Text,
    /// One JSON object an id as soon as it is on disk, then a summary.
    Json,
    /// CSV with one row an id as soon as it is on disk.
    Csv,
}
