//! Lines of an input, one in memory at a time.

use super::Halt;
use super::place::Place;
use crate::ClientError;
use std::io::{BufRead, BufReader, Read};

/// Longest line, in bytes: an object with much beside the id.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;
/// The byte order mark that some programs put in front of UTF-8.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

pub(super) struct Lines<R> {
    reader: BufReader<R>,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(input: R) -> Lines<R> {
        Lines { reader: BufReader::with_capacity(READ_BYTES, input) }
    }

    /// Gives each line, without its end, and its number to `take`.
    pub(super) fn read(
        mut self,
        place: &Place,
        mut take: impl FnMut(&[u8], u64) -> Result<(), Halt>,
    ) -> Result<(), Halt> {
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let mut reader = self.reader.by_ref().take(LINE_BYTES_MAX as u64 + 2);
            let read = reader.read_until(b'\n', &mut line);
            if read.map_err(|e| place.unreadable(&e))? == 0 {
                break;
            }
            if number == 1 {
                place.refuse_beginning(&line)?;
            }
            let mark = if number == 1 { BYTE_ORDER_MARK } else { b"" };
            let bare = line.strip_prefix(mark).unwrap_or(&line);
            let bare = bare.strip_suffix(b"\n").unwrap_or(bare);
            let bare = bare.strip_suffix(b"\r").unwrap_or(bare);
            if bare.len() > LINE_BYTES_MAX {
                return Err(too_long(place, number).into());
            }
            take(bare, number)?;
        }
        Ok(())
    }
}

fn too_long(place: &Place, number: u64) -> ClientError {
    place.wrong(number, &place.lang.say("ids.line_too_long", &[("most", &LINE_BYTES_MAX)]))
}
