//! What CSV begins with: which line is the first row, and what separates its cells.

use super::{LineCount, ROW_BYTES_MAX, is_name};
use crate::ClientError;
use crate::check::ids::lines::BYTE_ORDER_MARK;
use crate::check::ids::place::Place;
use ::csv::{ByteRecord, ReaderBuilder};
use std::io::{BufRead as _, BufReader, Chain, Cursor, Read};

/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;
/// What may separate cells; of two that fit the first row as well, the earlier.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];
/// By which a line before the first row names the separator, for spreadsheets: `sep=;`.
const SEPARATOR_PREFIX: &[u8] = b"sep=";

/// An input that begins with what was read of it already.
pub(super) type Whole<R> = Chain<Cursor<Vec<u8>>, BufReader<R>>;

/// An input from its first row on.
pub(super) struct Head<R> {
    pub(super) separator: u8,
    /// What has been passed before the first row.
    pub(super) lines: LineCount,
    pub(super) input: Whole<R>,
}

impl<R: Read> Head<R> {
    /// Passes over blank lines and the one that names the separator.
    pub(super) fn read(input: R, column: &str, place: &Place) -> Result<Head<R>, ClientError> {
        let mut input = BufReader::with_capacity(READ_BYTES, input);
        let (mut lines, mut named) = (LineCount::new(1), None);
        loop {
            let mut line = Vec::new();
            let mut start = input.by_ref().take(ROW_BYTES_MAX as u64);
            let read = start.read_until(b'\n', &mut line).map_err(|e| place.unreadable(&e))?;
            if read == 0 {
                return Err(place.empty());
            }
            if lines.number == 1 {
                place.refuse_beginning(&line)?;
                line.drain(..if line.starts_with(BYTE_ORDER_MARK) { 3 } else { 0 });
            }
            let names = named_separator(&line);
            if names.is_none() && !is_blank(&line) {
                let separator = named.unwrap_or_else(|| likely_separator(&line, column));
                return Ok(Head { separator, lines, input: Cursor::new(line).chain(input) });
            }
            named = names.or(named);
            lines.pass(&line);
        }
    }
}

/// Whether nothing is in a line, or only cells with nothing in them, as spreadsheets write a row
/// that is empty.
fn is_blank(line: &[u8]) -> bool {
    let is_separator = |c: char| u8::try_from(c).is_ok_and(|byte| SEPARATORS.contains(&byte));
    let is_nothing = |c: char| c.is_whitespace() || is_separator(c);
    std::str::from_utf8(line).is_ok_and(|line| line.chars().all(is_nothing))
}

/// The separator, when the line is there to name it.
fn named_separator(line: &[u8]) -> Option<u8> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let bare = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\""));
    let (prefix, rest) = bare.unwrap_or(line).split_at_checked(SEPARATOR_PREFIX.len())?;
    match rest {
        [separator] if prefix.eq_ignore_ascii_case(SEPARATOR_PREFIX) => {
            (separator.is_ascii_punctuation() || *separator == b'\t').then_some(*separator)
        }
        _ => None,
    }
}

/// What separates the cells of a first line that nothing is said of: what makes a cell of the column's name, else what
/// makes most cells.
fn likely_separator(first_line: &[u8], column: &str) -> u8 {
    let cells = |separator: u8| {
        let mut row = ByteRecord::new();
        let mut reader =
            ReaderBuilder::new().has_headers(false).delimiter(separator).from_reader(first_line);
        // What is wrong with the row is said where it is read for good.
        let _ = reader.read_byte_record(&mut row);
        row
    };
    let fits = |separator: &u8| {
        let row = cells(*separator);
        (row.iter().any(|name| is_name(name, column)), row.len())
    };
    // Of equals, `max_by_key` takes the last.
    SEPARATORS.into_iter().rev().max_by_key(fits).unwrap_or(b',')
}
