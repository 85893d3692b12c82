//! What a file is, judged by its first bytes: nothing is ever appended to, or cut from, a file
//! that is no log.

use super::seed;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes of the beginning by which a log is known.
const HEAD_BYTES: usize = 512;
/// How every record begins; the run's id follows, of so many bytes.
pub(super) const RECORD: &[u8] = b"{\"run\":\"";
pub(super) const RUN_ID_BYTES: usize = 36;
/// After the id.
const NUMBER: &[u8] = b"\",\"n\":";

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing, or what a death left of the very first line.
    Empty,
    /// Records.
    Json,
    /// The seed's text.
    Seed,
    /// No log of Kilat.
    Foreign,
}

/// Judges a file.
///
/// # Errors
/// When it can't be read.
pub(super) fn of(file: &File) -> io::Result<Kind> {
    let mut head = [0; HEAD_BYTES];
    let mut length = 0;
    while length < HEAD_BYTES {
        match file.read_at(&mut head[length..], length as u64)? {
            0 => break,
            read => length += read,
        }
    }
    Ok(of_head(&head[..length]))
}

fn of_head(head: &[u8]) -> Kind {
    let is_record = head.strip_prefix(RECORD).and_then(|rest| rest.get(RUN_ID_BYTES..));
    if is_record.is_some_and(|rest| rest.starts_with(NUMBER)) {
        return Kind::Json;
    }
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let started = seed::STARTED.as_bytes();
    if line.starts_with(seed::HEADER.as_bytes()) && memchr::memmem::find(line, started).is_some() {
        return Kind::Seed;
    }
    // A first line is shorter than the head, so this is all there is.
    let is_fragment =
        head.starts_with(RECORD) && line.len() == head.len() && head.len() < HEAD_BYTES;
    if head.iter().all(|byte| *byte == 0) || is_fragment { Kind::Empty } else { Kind::Foreign }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_logs_are_taken_for_logs() {
        let record = r#"{"run":"01960000-0000-7000-8000-000000000000","n":17,"kind""#;
        for (head, kind) in [
            ("", Kind::Empty),
            ("\0\0\0", Kind::Empty),
            (record, Kind::Json),
            (&record[..30], Kind::Empty),
            (&format!("{}\n", &record[..30]), Kind::Foreign),
            ("--- Stock Checker Log Started: 2026-11-21 09:00:00.000000 ---\n", Kind::Seed),
            ("--- Stock\n Log Started: ", Kind::Foreign),
            ("\n", Kind::Foreign),
            ("{", Kind::Foreign),
            ("{\"run\":1}\n", Kind::Foreign),
            ("root:x:0:0:", Kind::Foreign),
        ] {
            assert_eq!(of_head(head.as_bytes()), kind, "{head:?}");
        }
    }
}
