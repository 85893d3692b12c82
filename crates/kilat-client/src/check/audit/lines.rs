//! A part of a file, line by line, in bounded memory.

use memchr::memchr;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Longest line of a log, in bytes. No record comes near it; what is longer is damage.
pub(super) const LINE_BYTES_MAX: usize = 1024 * 1024;
/// Bytes read at a time.
const READ_BYTES: usize = 256 * 1024;

/// One line, or what stands where a line should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Of its first byte in the file.
    pub(super) offset: u64,
    /// Without the newline; the first [`LINE_BYTES_MAX`] bytes at most.
    pub(super) bytes: &'a [u8],
    /// Nothing is missing: neither the newline nor bytes beyond the limit.
    pub(super) whole: bool,
}

/// Reads the lines of a part of a file.
pub(super) struct Lines<'f> {
    file: &'f File,
    buffer: Vec<u8>,
    /// Of the first byte in the buffer that has not been returned.
    start: usize,
    /// Bytes after `start` that hold no newline.
    searched: usize,
    /// Where in the file the buffer begins.
    offset: u64,
    end: u64,
    /// Within a line that is too long.
    skipping: bool,
}

impl<'f> Lines<'f> {
    /// The lines of the bytes from `from` up to `end`.
    pub(super) fn new(file: &'f File, from: u64, end: u64) -> Lines<'f> {
        let (buffer, start, searched) = (Vec::new(), 0, 0);
        Lines { file, buffer, start, searched, offset: from, end, skipping: false }
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// Those of reading, and when the file is shorter than it was.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            let from = self.start + self.searched;
            if let Some(length) = memchr(b'\n', &self.buffer[from..]) {
                let (begin, end) = (self.start, from + length);
                (self.start, self.searched) = (end + 1, 0);
                if !std::mem::take(&mut self.skipping) {
                    return Ok(Some(self.line(begin, end, true)));
                }
                continue;
            }
            self.searched = self.buffer.len() - self.start;
            let at_end = self.offset + self.buffer.len() as u64 >= self.end;
            if self.searched > LINE_BYTES_MAX || (at_end && self.searched > 0) {
                let begin = self.start;
                let end = begin + self.searched.min(LINE_BYTES_MAX);
                (self.start, self.searched) = (self.buffer.len(), 0);
                if !std::mem::replace(&mut self.skipping, true) {
                    return Ok(Some(self.line(begin, end, false)));
                }
            } else if at_end {
                return Ok(None);
            } else {
                self.fill()?;
            }
        }
    }

    fn line(&self, begin: usize, end: usize, whole: bool) -> Line<'_> {
        let whole = whole && end - begin <= LINE_BYTES_MAX;
        let offset = self.offset + begin as u64;
        Line { offset, bytes: &self.buffer[begin..end.min(begin + LINE_BYTES_MAX)], whole }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.start);
        self.offset += self.start as u64;
        self.start = 0;
        let held = self.buffer.len();
        let left = self.end - self.offset - held as u64;
        let more = usize::try_from(left).unwrap_or(usize::MAX).min(READ_BYTES);
        self.buffer.resize(held + more, 0);
        self.file.read_exact_at(&mut self.buffer[held..], self.offset + held as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &[u8], from: u64, wanted: &[(u64, usize, bool)]) {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(text, 0).unwrap();
        let mut lines = Lines::new(&file, from, text.len() as u64);
        let mut found = Vec::new();
        while let Some(Line { offset, bytes, whole }) = lines.next().unwrap() {
            let begin = usize::try_from(offset).unwrap();
            assert_eq!(bytes, &text[begin..begin + bytes.len()]);
            found.push((offset, bytes.len(), whole));
        }
        assert_eq!(found, wanted);
    }

    #[test]
    fn every_line_comes_once_with_its_place() {
        check(b"", 0, &[]);
        check(b"\n", 0, &[(0, 0, true)]);
        check(b"ab\n\ncd\n", 0, &[(0, 2, true), (3, 0, true), (4, 2, true)]);
        check(b"ab\n\ncd\n", 3, &[(3, 0, true), (4, 2, true)]);
        check(b"ab\ncd", 0, &[(0, 2, true), (3, 2, false)]);
        let long = [&vec![b'x'; READ_BYTES + 7][..], b"\ny\n"].concat();
        let end = READ_BYTES as u64 + 8;
        check(&long, 0, &[(0, READ_BYTES + 7, true), (end, 1, true)]);
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_skipped() {
        for length in [LINE_BYTES_MAX, LINE_BYTES_MAX + 1, LINE_BYTES_MAX * 3] {
            let text = [b"a\n", &vec![b'x'; length][..], b"\nb\n"].concat();
            let (whole, after) = (length <= LINE_BYTES_MAX, 2 + length as u64 + 1);
            check(&text, 0, &[(0, 1, true), (2, LINE_BYTES_MAX, whole), (after, 1, true)]);
            check(
                &text[..text.len() - 3],
                0,
                &[(0, 1, true), (2, length.min(LINE_BYTES_MAX), false)],
            );
        }
    }
}
