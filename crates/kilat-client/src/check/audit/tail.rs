//! What stands at the end of a log after a death: a fragment of a line, or zeros where a power
//! cut lost what was never reported as durable.
//!
//! A file system may write the pages of an append in any order. So after a power cut zeros may
//! stand before lines that are whole. They were lost before any of the lines behind them was
//! durable, unless one of those says otherwise: a first record says that everything before it
//! was durable, and `synced` says so of a record. What is contradicted is damage, and stays.

use super::RunId;
use super::chain::{BEFORE_SUM, SEAL_BYTES};
use super::lines::{LINE_BYTES_MAX, Line, Lines};
use super::record::{Kind, RECORD, Record};
use memchr::{memchr, memmem, memrchr};
use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes that one run may have appended and not yet made durable; then its writer waits. A
/// power cut can take no more than that from each run.
pub(super) const UNSYNCED_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Bytes at the end that are searched for zeros: what eight processes may have appended and not
/// yet made durable.
pub(super) const TAIL_BYTES_MAX: u64 = 8 * UNSYNCED_BYTES_MAX;
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
    let mut holes = Holes::new(file, from, size);
    let mut hole = holes.next()?;
    if hole.is_none() {
        return end_of_lines(file, 0, size);
    }
    // Once over the lines, whatever their number and that of the holes is: the lock is held.
    let mut losses = Losses::default();
    let mut begin = end_of_lines(file, 0, from)?;
    let mut lines = Lines::new(file, from, size);
    while let Some(line) = lines.next()? {
        while let Some(found) = hole.filter(|hole| hole.begin < line.offset) {
            losses.hole(found, begin, size);
            hole = holes.next()?;
        }
        // The first may be the end of a line.
        begin = if line.offset == from { begin } else { line.offset };
        losses.line(&line);
    }
    while let Some(found) = hole {
        losses.hole(found, begin, size);
        hole = holes.next()?;
    }
    match losses.first() {
        Some(end) => Ok(end),
        None => end_of_lines(file, 0, size),
    }
}

/// Where a log may have lost lines, as far as the lines that have been read tell.
#[derive(Default)]
struct Losses {
    /// Where the lines begin that hold zeros as a power cut leaves them, in order.
    begins: VecDeque<u64>,
    /// For each run, its records: number and place.
    records: HashMap<RunId, Vec<(u64, u64)>>,
}

impl Losses {
    /// There are zeros, in the line that begins at `line`.
    fn hole(&mut self, hole: Hole, line: u64, size: u64) {
        if hole.is_lost(line, size) {
            self.begins.push_back(line);
        }
    }

    /// A line follows, which may say what before it was durable.
    fn line(&mut self, line: &Line<'_>) {
        if !line.whole || memchr(0, line.bytes).is_some() {
            return;
        }
        let record = Record::read(line.bytes);
        let durable = match record.as_ref().map(|record| &record.kind) {
            // Of a text nobody can say when it was durable.
            None | Some(Kind::Start { .. }) => Some(line.offset),
            Some(Kind::Lookup { synced: Some(synced), .. }) => {
                // A record that is not there could be among any of the zeros.
                let place = record.as_ref().and_then(|record| self.place(record.run, *synced));
                Some(place.unwrap_or(line.offset))
            }
            Some(_) => None,
        };
        if let Some(record) = &record {
            self.keep(record, line.offset);
        }
        if let Some(durable) = durable {
            while self.begins.pop_front_if(|begin| *begin <= durable).is_some() {}
        }
    }

    fn keep(&mut self, record: &Record<'_>, at: u64) {
        let records = self.records.entry(record.run).or_default();
        if records.last().is_none_or(|(last, _)| *last < record.n) {
            records.push((record.n, at));
        }
    }

    /// Where the first record of a run stands that has this number or a higher one.
    fn place(&self, run: RunId, n: u64) -> Option<u64> {
        let records = self.records.get(&run)?;
        let (_, place) = records.get(records.partition_point(|(number, _)| *number < n))?;
        Some(*place)
    }

    /// The first line that was lost and nothing contradicts.
    fn first(&self) -> Option<u64> {
        self.begins.front().copied()
    }
}

/// Whether what stands behind the last newline can be what a death left of a line: a part of one
/// record, or zeros. A whole record with something else than a newline behind it was changed.
///
/// # Errors
/// Those of reading.
pub(super) fn is_torn(file: &File, end: u64, size: u64) -> io::Result<bool> {
    let mut lines = Lines::new(file, end, size);
    let Some(line) = lines.next()? else { return Ok(true) };
    if line.whole || memchr(0, line.bytes).is_some() {
        return Ok(true);
    }
    let begin = &line.bytes[..line.bytes.len().min(RECORD.len())];
    let ends = memmem::find_iter(line.bytes, BEFORE_SUM).map(|at| at + SEAL_BYTES);
    let mut whole = ends.filter_map(|end| line.bytes.get(..end));
    let is_changed =
        whole.any(|text| text.len() < line.bytes.len() && Record::read(text).is_some());
    let is_short = line.bytes.len() < LINE_BYTES_MAX;
    Ok(is_short && RECORD.starts_with(begin) && !is_changed)
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

/// Goes from zeros to zeros, and reads each byte once.
struct Holes<'f> {
    file: &'f File,
    buffer: Vec<u8>,
    /// Of the first byte in the buffer that has not been looked at.
    start: usize,
    /// Where in the file the buffer ends.
    at: u64,
    size: u64,
}

impl<'f> Holes<'f> {
    fn new(file: &'f File, from: u64, size: u64) -> Holes<'f> {
        Holes { file, buffer: Vec::new(), start: 0, at: from, size }
    }

    fn next(&mut self) -> io::Result<Option<Hole>> {
        let Some(begin) = self.seek(|bytes| memchr(0, bytes))? else { return Ok(None) };
        let end = self.seek(|bytes| bytes.iter().position(|byte| *byte != 0))?;
        let end = end.unwrap_or(self.size);
        Ok(Some(Hole { begin, end }))
    }

    /// Goes to the first byte that is wanted, and says where it is.
    fn seek(&mut self, wanted: impl Fn(&[u8]) -> Option<usize>) -> io::Result<Option<u64>> {
        loop {
            let rest = &self.buffer[self.start..];
            if let Some(length) = wanted(rest) {
                let found = self.at - (rest.len() - length) as u64;
                self.start += length;
                return Ok(Some(found));
            }
            if self.at >= self.size {
                self.start = self.buffer.len();
                return Ok(None);
            }
            let end = self.size.min(self.at + STEP_BYTES);
            read(self.file, self.at, end, &mut self.buffer)?;
            (self.start, self.at) = (0, end);
        }
    }
}

/// The first zeros between `from` and `size`, where the file is taken to end.
///
/// # Errors
/// Those of reading.
pub(super) fn next_hole(file: &File, from: u64, size: u64) -> io::Result<Option<Hole>> {
    Holes::new(file, from, size).next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    /// A line for each letter: a first record, records of two runs, zeros as a power cut leaves
    /// them, other zeros, a letter, or a line of text; a digit is a record that calls that one durable.
    fn log(lines: &str) -> (tempfile::NamedTempFile, Vec<u64>) {
        const RUNS: [&str; 2] =
            ["01960000-0000-7000-8000-000000000000", "01960000-0000-7000-8000-000000000001"];
        let (mut text, mut begins, mut numbers) = (String::new(), Vec::new(), [0, 0]);
        for line in lines.chars() {
            begins.push(text.len() as u64);
            let run = usize::from(line == 'b');
            let n = numbers[run];
            let mut record = |rest: &str| {
                let sum = "0".repeat(32);
                let run = RUNS[run];
                writeln!(text, "{{\"run\":\"{run}\",\"n\":{n},{rest},\"sum\":\"{sum}\"}}").unwrap();
            };
            let found = "\"kind\":\"lookup\",\"id\":\"x\",\"outcome\":\"found\"";
            match line {
                'S' => record(r#""kind":"start","format":1,"profile":"p","url":"u""#),
                'a' | 'b' => record(found),
                '0'..='9' => record(&format!("{found},\"synced\":{line}")),
                // Its own newline is gone too.
                'z' => text.push_str(&"\0".repeat(1_024 - text.len() % 512)),
                'y' => text.push_str("y\0y\n"),
                'x' => text.push('x'),
                _ => text.push_str("text\n"),
            }
            numbers[run] += 1;
        }
        begins.push(text.len() as u64);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        (file, begins)
    }

    #[test]
    fn zeros_that_nothing_contradicts_are_the_end() {
        for (lines, kept) in [
            ("Saa", 3),
            ("Saaz", 3),
            ("Saazaaa", 3),
            ("Saazaa2", 3),
            ("Saazaa3", 7),
            // Only the second zeros were not yet durable.
            ("Saazaa3zaa6", 7),
            ("Saazaa3zaa7", 11),
            ("Saazaa3zaa2", 7),
            // A claim counts for what stands before it, also behind a smaller one.
            ("Sazaa1", 2),
            ("Sazaa4za1", 6),
            ("SazbazaS", 8),
            ("Sazbaz", 2),
            ("Sazataza", 6),
            ("Sayazb", 4),
            ("Sayaa", 5),
            ("zaa", 0),
            ("za1", 3),
        ] {
            let (file, begins) = log(lines);
            let size = begins[lines.len()];
            assert_eq!(end(file.as_file(), size).unwrap(), begins[kept], "{lines}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_tail_is_read_a_few_times_however_many_holes_it_has() {
        let read = || {
            let text = std::fs::read_to_string("/proc/thread-self/io").unwrap();
            text.strip_prefix("rchar: ")
                .unwrap()
                .split('\n')
                .next()
                .unwrap()
                .parse::<u64>()
                .unwrap()
        };
        for lines in ["za".repeat(2_000) + "S", "zx".repeat(2_000) + "tt", "y".repeat(2_000)] {
            let (file, begins) = log(&lines);
            let size = begins[begins.len() - 1];
            let before = read();
            end(file.as_file(), size).unwrap();
            let times = (read() - before) / size;
            assert!(times <= 4, "{times} times {size} bytes");
        }
    }
}
