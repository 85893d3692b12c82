//! Lines from files or stdin, one after the other, into the hopper.
//!
//! Memory holds one line and the batches on their way, however long the input is.

use super::batch::{Mark, Origin};
use super::board::{Board, Finding, Stop};
use super::hopper::Hopper;
use super::line::{self, LINE_BYTES_MAX};
use super::resume::Position;
use crate::{ClientError, Lang};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes read at once.
const READ_BYTES: usize = 256 << 10;
/// The byte order mark that some programs put in front of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Where events come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A file of JSON Lines.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

impl Input {
    /// The name shown to people.
    pub(crate) fn name(&self) -> String {
        match self {
            Input::File(path) => path.display().to_string(),
            Input::Stdin => "-".to_owned(),
        }
    }
}

/// An opened input, at the place to begin from.
pub(crate) struct Source {
    reader: Box<dyn Read + Send>,
    from: Position,
    /// Bytes to read; `None` for stdin.
    pub bytes: Option<u64>,
}

impl Source {
    /// # Errors
    /// [`ClientError::Usage`] when the file can't be read.
    pub(crate) fn open(input: &Input, from: Position, lang: Lang) -> Result<Source, ClientError> {
        let Input::File(path) = input else {
            return Ok(Source { reader: Box::new(io::stdin()), from, bytes: None });
        };
        let open = || {
            let mut file = File::open(path)?;
            let metadata = file.metadata()?;
            if metadata.is_dir() {
                return Err(io::Error::from(io::ErrorKind::IsADirectory));
            }
            if from.offset > 0 {
                file.seek(SeekFrom::Start(from.offset))?;
            }
            let bytes = metadata.is_file().then(|| metadata.len().saturating_sub(from.offset));
            Ok(Source { reader: Box::new(file), from, bytes })
        };
        open().map_err(|e| unreadable(path, &e, lang))
    }
}

fn unreadable(path: &Path, error: &io::Error, lang: Lang) -> ClientError {
    ClientError::Usage(
        lang.say("error.file_unreadable", &[("file", &path.display()), ("why", error)]),
    )
}

/// Reads all sources to their end, or until nothing more is wanted.
pub(crate) struct Reader<'a> {
    pub names: &'a [String],
    pub hopper: &'a Hopper,
    pub board: &'a Board,
    /// Bytes read so far.
    pub bytes: &'a AtomicU64,
    pub lang: Lang,
}

impl Reader<'_> {
    pub(crate) fn run(&self, sources: Vec<Source>) {
        for (input, source) in sources.into_iter().enumerate() {
            let from = source.from;
            let reader = BufReader::with_capacity(READ_BYTES, source.reader);
            match self.read(reader, input as u32, from) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    let error = unreadable(Path::new(&self.names[input]), &error, self.lang);
                    self.board.stop(Stop::of_error(&error));
                    break;
                }
            }
        }
        self.hopper.end();
    }

    /// Reads one input; `false` when nothing more is wanted.
    fn read(&self, mut reader: impl BufRead, input: u32, from: Position) -> io::Result<bool> {
        let mut line = Vec::new();
        let (mut offset, mut number) = (from.offset, from.lines);
        loop {
            let bytes = read_line(&mut reader, &mut line)?;
            if bytes == 0 {
                return Ok(true);
            }
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
            number += 1;
            let origin = Origin { input, line: number, offset };
            let mark = Mark { input, offset: offset + bytes, lines: number };
            if !self.take(&line, origin, mark) {
                return Ok(false);
            }
            offset += bytes;
        }
    }

    fn take(&self, line: &[u8], origin: Origin, mark: Mark) -> bool {
        let line = if origin.offset == 0 {
            line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line)
        } else {
            line
        };
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let bad = if line.len() > LINE_BYTES_MAX {
            let message = self.lang.say("publish.line_too_long", &[("bytes", &LINE_BYTES_MAX)]);
            line::BadLine { column: LINE_BYTES_MAX as u64, message }
        } else {
            match line::check(line, self.lang) {
                Ok(true) => {
                    self.board.read_one();
                    return self.hopper.push(line.trim_ascii(), origin, mark);
                }
                Ok(false) => {
                    self.hopper.pass(mark);
                    return true;
                }
                Err(bad) => bad,
            }
        };
        let file = self.names[origin.input as usize].clone();
        let goes_on = self.board.mistake(Finding {
            file,
            line: origin.line,
            column: Some(bad.column),
            fault: "invalid",
            message: bad.message,
        });
        if goes_on {
            self.hopper.pass(mark);
        }
        goes_on
    }
}

/// Reads one line with its end and returns its length; of a line that is too
/// long only the beginning is kept.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<u64> {
    line.clear();
    let mut bytes = 0;
    loop {
        let ready = match reader.fill_buf() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            ready => ready?,
        };
        let end = memchr::memchr(b'\n', ready).map(|at| at + 1);
        let part = &ready[..end.unwrap_or(ready.len())];
        // One byte beyond the limit and the line end tell that it was exceeded.
        let room = (LINE_BYTES_MAX + 2).saturating_sub(line.len());
        line.extend_from_slice(&part[..part.len().min(room)]);
        let used = part.len();
        reader.consume(used);
        bytes += used as u64;
        if end.is_some() || used == 0 {
            return Ok(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_any_length_are_counted_in_full_and_kept_in_part() {
        let long = vec![b'x'; LINE_BYTES_MAX + 10_000];
        let text = [b"ab\n\n".as_slice(), &long, b"\nlast"].concat();
        let mut reader = BufReader::with_capacity(1_000, text.as_slice());
        let mut line = Vec::new();
        let mut next =
            || read_line(&mut reader, &mut line).map(|bytes| (bytes, line.len())).unwrap();
        assert_eq!(next(), (3, 3));
        assert_eq!(next(), (1, 1));
        assert_eq!(next(), (LINE_BYTES_MAX as u64 + 10_001, LINE_BYTES_MAX + 2));
        assert_eq!(next(), (4, 4));
        assert_eq!(next(), (0, 0));
    }
}
