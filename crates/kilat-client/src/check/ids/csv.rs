//! A column of CSV (RFC 4180), read by the csv crate. Where the comma is the decimal mark, as in
//! Indonesia, spreadsheets separate cells by semicolons; what is copied out of one has tabs.

use super::Halt;
use super::place::{Place, Take, is_utf_16};
use super::printable;
use crate::ClientError;
use ::csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};
use std::fmt::Display;
use std::io::{self, BufRead as _, BufReader, Chain, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;
/// Longest row, in bytes, give or take what is read at once. A quotation mark that is never
/// closed makes one row of all that follows.
const ROW_BYTES_MAX: usize = 1 << 20;
/// What may separate cells; of two that fit the first row as well, the earlier.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];
/// Most columns that a message names.
const NAMES_MAX: usize = 20;

pub(super) struct Rows<R: Read> {
    reader: Reader<Metered<Whole<R>>>,
    /// Bytes read since the last row.
    bytes: Arc<AtomicUsize>,
    column: usize,
}

impl<R: Read> Rows<R> {
    /// Reads the first row and finds the column in it.
    pub(super) fn open(input: R, column: &str, place: &Place) -> Result<Rows<R>, ClientError> {
        let bytes = Arc::new(AtomicUsize::new(0));
        let (first_line, input) = with_first_line(input).map_err(|e| place.unreadable(&e))?;
        let metered = Metered { input, bytes: Arc::clone(&bytes) };
        let mut reader = ReaderBuilder::new()
            .buffer_capacity(READ_BYTES)
            .delimiter(separator(&first_line, column))
            .from_reader(metered);
        let names = reader.byte_headers().map_err(|e| fault(&e, 1, place))?;
        let first = names.get(0).unwrap_or_default();
        if is_utf_16(first) {
            return Err(place.wrong(1, &place.lang.say("ids.utf_16", &[])));
        }
        let Some(at) = names.iter().position(|name| name == column.as_bytes()) else {
            return Err(missing(column, names, place));
        };
        Ok(Rows { reader, bytes, column: at })
    }

    /// Gives the cell of each row to `take`.
    pub(super) fn read(mut self, place: &Place, take: &mut Take<'_>) -> Result<(), Halt> {
        let mut row = ByteRecord::new();
        loop {
            self.bytes.store(0, Relaxed);
            let line = self.reader.position().line();
            if !self.reader.read_byte_record(&mut row).map_err(|e| fault(&e, line, place))? {
                return Ok(());
            }
            let line = row.position().map_or(line, ::csv::Position::line);
            let cell = place.text(row.get(self.column).unwrap_or_default(), line)?;
            if !cell.is_empty() {
                place.take(cell, line, take)?;
            }
        }
    }
}

/// An input that begins with what was read of it already.
type Whole<R> = Chain<Cursor<Vec<u8>>, BufReader<R>>;

/// The first line, at most as long as a row, and the whole input again.
fn with_first_line<R: Read>(input: R) -> io::Result<(Vec<u8>, Whole<R>)> {
    let mut input = BufReader::with_capacity(READ_BYTES, input);
    let mut line = Vec::new();
    input.by_ref().take(ROW_BYTES_MAX as u64).read_until(b'\n', &mut line)?;
    Ok((line.clone(), Cursor::new(line).chain(input)))
}

/// What separates the cells of a first line: what makes a cell of the column's name, else what
/// makes most cells.
fn separator(first_line: &[u8], column: &str) -> u8 {
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
        (row.iter().any(|name| name == column.as_bytes()), row.len())
    };
    // Of equals, `max_by_key` takes the last.
    SEPARATORS.into_iter().rev().max_by_key(fits).unwrap_or(b',')
}

fn missing(column: &str, names: &ByteRecord, place: &Place) -> ClientError {
    let mut there: Vec<_> = names
        .iter()
        .take(NAMES_MAX)
        .map(|name| printable(&String::from_utf8_lossy(name)))
        .collect();
    if names.len() > NAMES_MAX {
        there.push("…".to_owned());
    }
    let values: [(&str, &dyn Display); 2] =
        [("column", &printable(column)), ("names", &there.join(", "))];
    place.wrong(1, &place.lang.say("ids.column", &values))
}

fn fault(error: &::csv::Error, line: u64, place: &Place) -> ClientError {
    match error.kind() {
        ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let values: [(&str, &dyn Display); 2] = [("cells", len), ("columns", expected_len)];
            let line = pos.as_ref().map_or(line, ::csv::Position::line);
            place.wrong(line, &place.lang.say("ids.cells", &values))
        }
        ErrorKind::Io(e) if e.kind() == io::ErrorKind::FileTooLarge => {
            place.wrong(line, &place.lang.say("ids.row_too_long", &[("most", &ROW_BYTES_MAX)]))
        }
        _ => place.unreadable(error),
    }
}

/// Refuses to go on within a row that does not end.
struct Metered<R> {
    input: R,
    bytes: Arc<AtomicUsize>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.bytes.load(Relaxed) > ROW_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let count = self.input.read(buffer)?;
        self.bytes.fetch_add(count, Relaxed);
        Ok(count)
    }
}
