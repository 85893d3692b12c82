//! The seed's text: whether its lines have the form, and whether each worker that began also
//! ended, with one result. More can't be said: its lines carry no sums.

use super::fault::What;
use super::report::Checked;
use crate::check::audit::lines::Lines;
use crate::check::audit::seed::{HEADER, SENDS, STARTED};
use std::collections::HashMap;
use std::io;

/// A digit for each `0`, the rest as it stands.
const STAMP: &[u8] = b"[0000-00-00 00:00:00.000000] [";

/// Checks all lines. Lines of several processes may interleave, so workers of the same number
/// are counted together.
pub(super) fn check(mut lines: Lines<'_>) -> io::Result<Checked> {
    let mut checked = Checked { is_text: true, ..Checked::default() };
    // As many as there are workers at a time.
    let mut workers = HashMap::new();
    while let Some(line) = lines.next()? {
        checked.lines += 1;
        let number = checked.lines;
        match std::str::from_utf8(line.bytes).ok().and_then(Said::read) {
            Some(Said::Header) => checked.runs += 1,
            Some(Said::Main | Said::Sends) => {}
            Some(Said::Worker(index, step)) => {
                if !follow(&mut workers, index, step) {
                    checked.fault(number, What::Worker(index));
                }
            }
            None => checked.fault(number, What::Form),
        }
    }
    Ok(checked)
}

/// What a line says.
#[derive(Clone, Copy)]
enum Said {
    Header,
    Main,
    Sends,
    Worker(u64, Step),
}

#[derive(Clone, Copy)]
enum Step {
    Begins,
    Result,
    Ends,
}

impl Said {
    fn read(line: &str) -> Option<Said> {
        if line.starts_with(HEADER) {
            return (line.contains(STARTED) && line.ends_with(" ---")).then_some(Said::Header);
        }
        let (stamp, rest) = line.split_at_checked(STAMP.len())?;
        let fits = |(byte, form): (u8, &u8)| match form {
            b'0' => byte.is_ascii_digit(),
            form => byte == *form,
        };
        if !stamp.bytes().zip(STAMP).all(fits) {
            return None;
        }
        let (who, text) = rest.split_once("] ")?;
        if who == "MainClient" {
            return Some(Said::Main);
        }
        let index = who.strip_prefix("Worker-")?.parse().ok()?;
        Some(match text {
            text if text.starts_with("Memulai ") => Said::Worker(index, Step::Begins),
            text if text.starts_with("Selesai ") => Said::Worker(index, Step::Ends),
            text if text.starts_with(SENDS) => Said::Sends,
            _ => Said::Worker(index, Step::Result),
        })
    }
}

/// Counts, for a worker's number, how many have begun and how many of them have a result.
fn follow(workers: &mut HashMap<u64, (u32, u32)>, index: u64, step: Step) -> bool {
    let (begun, results) = workers.entry(index).or_default();
    match step {
        Step::Begins => *begun += 1,
        Step::Result => *results += 1,
        Step::Ends if *begun > 0 && *results > 0 => {
            (*begun, *results) = (*begun - 1, *results - 1);
            if *begun == 0 {
                workers.remove(&index);
            }
        }
        Step::Ends => return false,
    }
    workers.get(&index).is_none_or(|(begun, results)| results <= begun)
}
