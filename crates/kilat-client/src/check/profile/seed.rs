//! The words with which a profile's text log is written.

/// Words of the text log of `--format seed`; Indonesian, as the log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedTexts {
    /// `--- {header} Log Started: … ---`
    pub header: String,
    /// Plain file name of the log.
    pub log_file: String,
    /// What an id is: `Timeout: {label} {id} melewati … detik.`
    pub label: String,
    /// `Memulai {n} {all} secara concurrent.`
    pub all: String,
    /// `Memulai {each}: {id}` and `Selesai {each}: {id}`
    pub each: String,
    /// `Semua {done} selesai dalam … detik.`
    pub done: String,
}
