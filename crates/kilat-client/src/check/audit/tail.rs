//! What stands at the end of a log after a death: a fragment of a line, or zeros where a power
//! cut lost what was never reported as durable.
//!
//! A file system may write the pages of an append in any order. So after a power cut zeros may
//! stand before lines that are whole. They were lost before any of the lines behind them was
//! durable, unless one of those says otherwise: a first record says that everything before it
//! was durable, and `synced` says so of a record. What is contradicted is damage, and stays.

use super::lines::Lines;
use super::record::{Kind, Record};
use memchr::{memchr, memrchr};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes at the end that are searched for zeros: what eight processes may have appended and not
/// yet made durable.
pub(super) const TAIL_BYTES_MAX: u64 = 8 * super::durable::UNSYNCED_BYTES_MAX;
/// A device writes so many bytes whole or not at all, from multiples of it.
const SECTOR_BYTES: u64 = 512;
/// Bytes looked at in one step.
const STEP_BYTES: u64 = 64 * 1024;

/// Where what can be kept of the first `size` bytes of a log ends: behind a whole line, before
/// which nothing was lost.
///
/// # Errors
/// Those of reading.
pub(super) fn end(file: &File, size: u64) -> io::Result<u64> {
    let from = size.saturating_sub(TAIL_BYTES_MAX);
    let mut at = from;
    while let Some(hole) = next_hole(file, at, size)? {
        let end = end_of_lines(file, 0, hole.begin)?;
        if hole.is_lost(end, size) && !is_contradicted(file, from, end, size)? {
            return Ok(end);
        }
        at = hole.end;
    }
    end_of_lines(file, 0, size)
}

/// Cuts what stands behind the last newline between `from`, where a line begins, and `size`,
/// the end of the file. Returns the size that is left. The lock must be held.
///
/// # Errors
/// Those of reading and cutting.
pub(super) fn cut_fragment(file: &File, from: u64, size: u64) -> io::Result<u64> {
    let end = end_of_lines(file, from, size)?;
    if end < size {
        file.set_len(end)?;
    }
    Ok(end)
}

/// Where the last whole line between `from` and `size` ends; `from` if there is none.
///
/// # Errors
/// Those of reading.
pub(super) fn end_of_lines(file: &File, from: u64, size: u64) -> io::Result<u64> {
    let mut buffer = Vec::new();
    let mut end = size;
    // Nearly always the last byte is the newline.
    let mut step = 1;
    while end > from {
        let begin = end.saturating_sub(step).max(from);
        read(file, begin, end, &mut buffer)?;
        if let Some(at) = memrchr(b'\n', &buffer) {
            return Ok(begin + at as u64 + 1);
        }
        (end, step) = (begin, STEP_BYTES);
    }
    Ok(from)
}

/// Reads [`STEP_BYTES`] at most.
fn read(file: &File, begin: u64, end: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.resize((end - begin) as usize, 0);
    file.read_exact_at(buffer, begin)
}

/// Zeros, which no line holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    begin: u64,
    pub(super) end: u64,
}

impl Hole {
    /// Whether a power cut leaves such zeros: from the beginning of a sector or of an append,
    /// which is the beginning of a line, to the end of a sector or of the file.
    fn is_lost(self, line: u64, size: u64) -> bool {
        let begins = self.begin.is_multiple_of(SECTOR_BYTES) || self.begin == line;
        begins && (self.end.is_multiple_of(SECTOR_BYTES) || self.end == size)
    }
}

/// The first zeros between `from` and `size`, where the file is taken to end.
///
/// # Errors
/// Those of reading.
pub(super) fn next_hole(file: &File, from: u64, size: u64) -> io::Result<Option<Hole>> {
    let mut buffer = Vec::new();
    let mut begin = None;
    let mut at = from;
    while at < size {
        read(file, at, size.min(at + STEP_BYTES), &mut buffer)?;
        let first = match begin {
            None => memchr(0, &buffer),
            Some(_) => Some(0),
        };
        if let Some(first) = first {
            let begin = *begin.get_or_insert(at + first as u64);
            if let Some(length) = buffer[first..].iter().position(|byte| *byte != 0) {
                return Ok(Some(Hole { begin, end: at + (first + length) as u64 }));
            }
        }
        at += buffer.len() as u64;
    }
    Ok(begin.map(|begin| Hole { begin, end: size }))
}

/// Whether a line behind `end` says that something behind `end` was durable before it.
fn is_contradicted(file: &File, from: u64, end: u64, size: u64) -> io::Result<bool> {
    // The last record of each run before the zeros. As far back as needed, since a run with
    // lines behind the zeros but none here could have any of them among the zeros.
    let mut kept = HashMap::new();
    let mut lines = Lines::new(file, from, end.max(from));
    while let Some(line) = lines.next()? {
        if let Some(record) = Record::read(line.bytes) {
            kept.insert(record.run, record.n);
        }
    }
    let mut lines = Lines::new(file, end, size);
    while let Some(line) = lines.next()? {
        if !line.whole || memchr(0, line.bytes).is_some() {
            continue;
        }
        let contradicts = match Record::read(line.bytes) {
            // Of a text nobody can say when it was durable.
            None => true,
            Some(Record { kind: Kind::Start { .. }, .. }) => true,
            Some(Record { kind: Kind::Lookup { synced: Some(synced), .. }, run, .. }) => {
                kept.get(&run).is_none_or(|kept| *kept < synced)
            }
            Some(_) => false,
        };
        if contradicts {
            return Ok(true);
        }
    }
    Ok(false)
}
