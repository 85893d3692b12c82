//! What a file is, judged by its first bytes: nothing is ever appended to, or cut from, a file
//! that is no log.

use super::RunId;
use super::chain::Sum;
use super::lines::Lines;
use super::record::{RECORD, RUN_ID_BYTES};
use super::seed;
use super::tail::{UNSYNCED_BYTES_MAX, next_hole};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes of the beginning by which a log is known.
const HEAD_BYTES: usize = 512;
/// After the id.
const NUMBER: &[u8] = b"\",\"n\":";
/// Longest file of nothing but zeros that is taken for the first appends of a run, lost to a
/// power cut: what a run may have appended and not yet made durable.
const ZEROS_BYTES_MAX: u64 = UNSYNCED_BYTES_MAX;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing, or what a death left of the very first line.
    Empty,
    /// Records.
    Json,
    /// The seed's text.
    Seed,
    /// Records behind zeros: a log whose beginning is lost. Nothing tells what the zeros were.
    Headless,
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
    match &head[..length] {
        [] => Ok(Kind::Empty),
        [0, ..] => of_zeros(file),
        head => Ok(of_head(head)),
    }
}

/// Judges a file that begins with a zero, which no log does unless its beginning was lost.
fn of_zeros(file: &File) -> io::Result<Kind> {
    let size = file.metadata()?.len();
    let looked_at = size.min(ZEROS_BYTES_MAX);
    let end = next_hole(file, 0, looked_at)?.map_or(0, |zeros| zeros.end);
    if end == size {
        return Ok(Kind::Empty);
    }
    if end == looked_at {
        return Ok(Kind::Foreign);
    }
    // What is left of the line that the zeros end in, or the line behind it.
    let mut lines = Lines::new(file, end, size);
    for _ in 0..2 {
        if lines.next()?.is_some_and(|line| line.whole && Sum::split(line.bytes).is_some()) {
            return Ok(Kind::Headless);
        }
    }
    Ok(Kind::Foreign)
}

fn of_head(head: &[u8]) -> Kind {
    if let Some(rest) = head.strip_prefix(RECORD) {
        return of_record(rest);
    }
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let started = seed::STARTED.as_bytes();
    if line.starts_with(seed::HEADER.as_bytes()) && memchr::memmem::find(line, started).is_some() {
        return Kind::Seed;
    }
    Kind::Foreign
}

/// Judges what stands behind [`RECORD`]: a run's id and a number, or as much of that as a death
/// left.
fn of_record(rest: &[u8]) -> Kind {
    let Some((id, rest)) = rest.split_at_checked(RUN_ID_BYTES) else {
        let is_fragment = rest.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'));
        return if is_fragment { Kind::Empty } else { Kind::Foreign };
    };
    match std::str::from_utf8(id).ok().and_then(RunId::from_text) {
        Some(_) if rest.starts_with(NUMBER) => Kind::Json,
        Some(_) if NUMBER.starts_with(rest) => Kind::Empty,
        _ => Kind::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_logs_are_taken_for_logs() {
        let record = r#"{"run":"01960000-0000-7000-8000-000000000000","n":17,"kind""#;
        for (head, kind) in [
            (record, Kind::Json),
            (&record[..30], Kind::Empty),
            (&record[..44], Kind::Empty),
            (&record[..49], Kind::Empty),
            (&format!("{}\n", &record[..30]), Kind::Foreign),
            ("{\"run\":\"build\"}", Kind::Foreign),
            ("{\"run\":\"the build of a program, not a check\",\"n\":1}", Kind::Foreign),
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
