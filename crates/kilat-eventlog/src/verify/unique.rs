//! That no topic and id is stored twice: prints first, then the ids of those whose prints are
//! equal.

use std::collections::{HashMap, HashSet};

use kilat_journal::{FrameView, JournalId, RecoverError, Storage};

use super::Verified;
use crate::error::OpenError;
use crate::frame::{Head, Malformed};
use crate::publication::Printer;

/// The prints that occur more than once. Sorts what it is given.
pub(super) fn twice(prints: &mut [u64]) -> HashSet<u64> {
    prints.sort_unstable();
    let equal = prints.windows(2).filter(|pair| pair[0] == pair[1]);
    equal.map(|pair| pair[0]).collect()
}

/// Reads the log again and reports the topics and ids among these prints that are stored twice.
pub(super) fn confirm<S: Storage>(
    log: &S,
    journal: JournalId,
    printer: &Printer,
    twice: &HashSet<u64>,
    found: &mut Verified,
) -> Result<(), OpenError> {
    let frames = found.frames;
    let mut seen = HashMap::new();
    let each = |frame: FrameView<'_>| {
        if frame.number > frames {
            return Ok(());
        }
        let head_bytes = frame.head_bytes.ok_or(Malformed("it is not split"))? as usize;
        let Head::Events(events) =
            Head::decode(&frame.payload[..head_bytes], frame.payload.len() - head_bytes)?
        else {
            return Ok(());
        };
        for (offset, record, _) in events.events() {
            let record = record?;
            if !twice.contains(&printer.print(record.topic, record.id)) {
                continue;
            }
            let key = (record.topic.to_owned(), record.id.to_owned());
            if let Some(original) = seen.insert(key, offset) {
                found.find(format!("event {offset} is stored already, at {original}"));
            }
        }
        Ok(())
    };
    match kilat_journal::verify(log, journal, each) {
        // A frame that makes no sense was reported when it was read first.
        Ok(_) | Err(RecoverError::Refused { .. }) => Ok(()),
        Err(other) => Err(OpenError::Log(other)),
    }
}
