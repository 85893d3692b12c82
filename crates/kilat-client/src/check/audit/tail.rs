//! What stands at the end of a log after a death: a fragment of a line, or zeros where a power
//! cut lost what was never reported as durable.

use memchr::memrchr;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes looked at in one step backwards.
const STEP_BYTES: u64 = 64 * 1024;

/// Cuts what a death left at the end of a whole file and returns its size. The lock must be held.
///
/// # Errors
/// Those of reading and cutting.
pub(super) fn mend(file: &File) -> io::Result<u64> {
    cut_fragment(file, 0, file.metadata()?.len())
}

/// Cuts what stands behind the last newline between `from`, where a line begins, and `size`,
/// the end of the file. Returns the size that is left. The lock must be held.
pub(super) fn cut_fragment(file: &File, from: u64, size: u64) -> io::Result<u64> {
    let end = end_of_lines(file, from, size)?;
    if end < size {
        file.set_len(end)?;
    }
    Ok(end)
}

/// Where the last whole line between `from` and `size` ends; `from` if there is none.
pub(super) fn end_of_lines(file: &File, from: u64, size: u64) -> io::Result<u64> {
    let mut buffer = Vec::new();
    let mut end = size;
    // Nearly always the last byte is the newline.
    let mut step = 1;
    while end > from {
        let begin = end.saturating_sub(step).max(from);
        // At most STEP_BYTES.
        buffer.resize((end - begin) as usize, 0);
        file.read_exact_at(&mut buffer, begin)?;
        if let Some(at) = memrchr(b'\n', &buffer) {
            return Ok(begin + at as u64 + 1);
        }
        (end, step) = (begin, STEP_BYTES);
    }
    Ok(from)
}
