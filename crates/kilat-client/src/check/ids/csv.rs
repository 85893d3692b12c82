//! A column of CSV (RFC 4180). Where the comma is the decimal mark, as in Indonesia, spreadsheets
//! separate cells by semicolons; what is copied out of one has tabs.
//!
//! Cells are told apart by csv-core. The csv crate around it says neither that a quote is still
//! open at the end of the input, nor on which line a row begins when lines end with CRLF.

mod head;

use super::Halt;
use super::place::{Place, Take};
use super::printable;
use crate::ClientError;
use csv_core::ReadRecordResult;
use head::{Head, Whole};
use std::fmt::Display;
use std::io::{self, BufRead as _, Read};

/// Longest row, in bytes. A quotation mark that is never closed makes one row of all that follows.
const ROW_BYTES_MAX: usize = 1 << 20;
/// Most columns that a message names.
const NAMES_MAX: usize = 20;

pub(super) struct Rows<R: Read> {
    input: Whole<R>,
    core: csv_core::Reader,
    /// Where the input is read.
    lines: LineCount,
    row: Row,
    column: usize,
    /// Cells of the first row, and so of each.
    columns: usize,
}

impl<R: Read> Rows<R> {
    /// Reads the first row and finds the column in it.
    pub(super) fn open(input: R, column: &str, place: &Place) -> Result<Rows<R>, ClientError> {
        let column = column.trim();
        let Head { separator, lines, input } = Head::read(input, column, place)?;
        let core = csv_core::ReaderBuilder::new().delimiter(separator).build();
        let mut rows = Rows { input, core, lines, row: Row::default(), column: 0, columns: 0 };
        rows.next(place)?;
        rows.column = find(column, &rows.row, place)?;
        rows.columns = rows.row.len;
        Ok(rows)
    }

    /// Gives the cell of each row to `take`.
    pub(super) fn read(mut self, place: &Place, take: &mut Take<'_>) -> Result<(), Halt> {
        while self.next(place)? {
            let Rows { row, columns, .. } = &self;
            if row.is_blank() {
                continue;
            }
            if row.len != *columns {
                let values: [(&str, &dyn Display); 2] = [("cells", &row.len), ("columns", columns)];
                return Err(place.wrong(row.line, &place.lang.say("ids.cells", &values)).into());
            }
            let cell = place.text(row.cell(self.column), row.line)?.trim();
            if !cell.is_empty() {
                place.take(cell, row.line, take)?;
            }
        }
        Ok(())
    }

    /// Reads the next row; `false` when there is none.
    fn next(&mut self, place: &Place) -> Result<bool, ClientError> {
        let unreadable = |e: io::Error| place.unreadable(&e);
        self.pass_line_ends().map_err(unreadable)?;
        self.row.begin(self.lines.number);
        loop {
            let chunk = self.input.fill_buf().map_err(unreadable)?;
            let is_end = chunk.is_empty();
            if is_end && self.row.bytes == 0 {
                return Ok(false);
            }
            // One more line end ends the last row, unless a quote is open.
            let (result, used) = self.row.read(&mut self.core, if is_end { b"\n" } else { chunk });
            if !is_end {
                self.lines.pass(&chunk[..used]);
                self.input.consume(used);
            }
            match result {
                _ if self.row.bytes > ROW_BYTES_MAX => return Err(too_long(&self.row, place)),
                ReadRecordResult::Record => return Ok(true),
                ReadRecordResult::InputEmpty if is_end => return Err(unclosed(&self.row, place)),
                _ => {}
            }
        }
    }

    /// So that a row begins on its own line: csv-core leaves the LF of CRLF to the next one, and
    /// blank lines too.
    fn pass_line_ends(&mut self) -> io::Result<()> {
        loop {
            let chunk = self.input.fill_buf()?;
            let ends = chunk.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            if ends == 0 {
                return Ok(());
            }
            self.lines.pass(&chunk[..ends]);
            self.input.consume(ends);
        }
    }
}

/// Counts lines: LF, CRLF and CR end one.
struct LineCount {
    /// The line that follows what has been passed.
    number: u64,
    last: u8,
}

impl LineCount {
    const fn new(number: u64) -> LineCount {
        LineCount { number, last: 0 }
    }

    fn pass(&mut self, bytes: &[u8]) {
        for at in memchr::memchr2_iter(b'\r', b'\n', bytes) {
            let before = at.checked_sub(1).map_or(self.last, |before| bytes[before]);
            self.number += u64::from((before, bytes[at]) != (b'\r', b'\n'));
        }
        self.last = bytes.last().copied().unwrap_or(self.last);
    }
}

/// One row.
#[derive(Default)]
struct Row {
    /// On which line it begins.
    line: u64,
    /// Bytes of the input in it.
    bytes: usize,
    /// All cells, without their quotes: room for them, of which `written` is used.
    text: Vec<u8>,
    written: usize,
    /// Where each cell ends: room for them, of which `len` is used.
    ends: Vec<usize>,
    /// How many cells it has.
    len: usize,
}

impl Row {
    fn begin(&mut self, line: u64) {
        (self.line, self.bytes, self.written, self.len) = (line, 0, 0, 0);
    }

    /// Reads on; what came of it and how many bytes that took. It may have been for want of room
    /// that it took few: there is more at the next call.
    fn read(&mut self, core: &mut csv_core::Reader, bytes: &[u8]) -> (ReadRecordResult, usize) {
        let text = self.text.len().max(self.written + bytes.len());
        self.text.resize(text, 0);
        if self.ends.len() == self.len {
            self.ends.resize(2 * self.len + 16, 0);
        }
        let (text, ends) = (&mut self.text[self.written..], &mut self.ends[self.len..]);
        let (result, used, written, ended) = core.read_record(bytes, text, ends);
        self.bytes += used;
        self.written += written;
        self.len += ended;
        (result, used)
    }

    /// A line with nothing but white space.
    fn is_blank(&self) -> bool {
        self.len == 1 && std::str::from_utf8(self.cell(0)).is_ok_and(|cell| cell.trim().is_empty())
    }

    fn cells(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len).map(|at| self.cell(at))
    }

    /// A cell; nothing where there is none.
    fn cell(&self, at: usize) -> &[u8] {
        let ends = &self.ends[..self.len];
        let from = at.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
        ends.get(at).and_then(|&to| self.text.get(from..to)).unwrap_or_default()
    }

    /// On which line the cell begins that is not complete yet.
    fn line_of_last_cell(&self) -> u64 {
        let mut lines = LineCount::new(self.line);
        (0..self.len).for_each(|at| lines.pass(self.cell(at)));
        lines.number
    }
}

/// Whether a cell of the first row is the column's name, which has no white space around it.
fn is_name(cell: &[u8], column: &str) -> bool {
    std::str::from_utf8(cell).is_ok_and(|name| name.trim() == column)
}

/// Where the column is. Of two with its name, nobody knows which is meant.
fn find(column: &str, names: &Row, place: &Place) -> Result<usize, ClientError> {
    let mut found = names.cells().enumerate().filter(|(_, name)| is_name(name, column));
    match (found.next(), found.count() + 1) {
        (None, _) => Err(missing(column, names, place)),
        (Some((at, _)), 1) => Ok(at),
        (Some(_), count) => {
            let values: [(&str, &dyn Display); 2] =
                [("column", &printable(column)), ("count", &count)];
            Err(place.wrong(names.line, &place.lang.say("ids.columns", &values)))
        }
    }
}

fn missing(column: &str, names: &Row, place: &Place) -> ClientError {
    let mut there: Vec<_> = names
        .cells()
        .take(NAMES_MAX)
        .map(|name| printable(String::from_utf8_lossy(name).trim()))
        .filter(|name| !name.is_empty())
        .collect();
    if names.len > NAMES_MAX {
        there.push("…".to_owned());
    }
    let values: [(&str, &dyn Display); 2] =
        [("column", &printable(column)), ("names", &there.join(", "))];
    place.wrong(names.line, &place.lang.say("ids.column", &values))
}

fn too_long(row: &Row, place: &Place) -> ClientError {
    place.wrong(row.line, &place.lang.say("ids.row_too_long", &[("most", &ROW_BYTES_MAX)]))
}

/// The input ended in this row, within a quote: its last cell is what that one began.
fn unclosed(row: &Row, place: &Place) -> ClientError {
    place.wrong(row.line_of_last_cell(), &place.lang.say("ids.quote", &[]))
}
