//! Checking a data directory from its first frame, without the lock and without changing it.

use crate::StartError;
use crate::events::{Copies, EVENTS, EVENTS_INDEX, Originals, SALE_TOPIC_PREFIX};
use crate::recovery::JOURNAL;
use kilat_eventlog::{Content, StoredEvent, Verified as EventsVerified};
use kilat_journal::{DataDirectory, PeekedDirectory, RecoverError};
use kilat_ledger::{Fingerprinter, Ledger, Time};
use std::path::Path;

/// What a check found.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Whole frames, each with its checksums, digest and chain in order.
    pub frames: u64,
    /// Segments they are in.
    pub segments: u64,
    /// Bytes of an unfinished frame after the last whole one.
    pub torn_bytes: u64,
    /// The chain after the last frame, in hexadecimal: it names this history.
    pub chain: String,
    /// Damage, if there is any: where and what.
    pub corruption: Option<String>,
    /// Orders placed.
    pub orders: u32,
    /// When the latest fact happened, if there is one.
    pub last_fact: Option<Time>,
    /// Every sale as it stands after the last frame.
    pub sales: Vec<crate::Sale>,
    /// What the check of the event log found.
    pub events: EventsVerified,
    /// The event log's copies of the sale's facts are the first facts of the ledger, each once
    /// and in order.
    pub copies_hold: bool,
}

impl Verified {
    /// Whether there is no damage, every sale conserves its supply, every event is stored once,
    /// and what was copied is what happened.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.corruption.is_none()
            && self.sales.iter().all(|sale| sale.counters.balanced())
            && self.events.holds()
            && self.copies_hold
    }
}

/// Replays the whole journal at `data`, with every invariant checked after every fact, and checks
/// the event log beside it: its frames, its index, that nothing is stored twice, and that its
/// copies of the sale's facts are those facts. `content_of` says what a published event says.
///
/// # Errors
/// [`StartError`] when there is nothing that could be checked.
pub fn verify(
    data: &Path,
    mut content_of: impl FnMut(&StoredEvent) -> Option<Content>,
) -> Result<Verified, StartError> {
    let directory = DataDirectory::peek(data)?;
    let identity = directory.identity();
    // Events first: the ledger is never behind them, also while both are being written.
    let (events, copies) = verify_events(&directory, &mut content_of)?;
    let mut originals = Originals::default();
    let mut ledger = Ledger::new(Fingerprinter::new(identity.fingerprint_key));
    let storage = directory.directory(JOURNAL);
    let found = kilat_journal::verify(&storage, identity.journal_id(JOURNAL), |frame| {
        ledger.replay(frame.payload)?;
        originals.frame(frame.payload, copies.count())
    });
    let found = match found {
        Ok(found) => found,
        Err(RecoverError::Refused { frame, error }) => {
            return Ok(contradicts(&ledger, frame, &error.to_string(), events));
        }
        Err(other) => return Err(StartError::Journal(other.to_string())),
    };
    Ok(Verified {
        frames: found.frames,
        segments: found.segments,
        torn_bytes: found.torn_bytes,
        chain: hex(&found.position.chain),
        corruption: found.corruption.map(|corruption| corruption.to_string()),
        orders: ledger.orders_len(),
        last_fact: last_fact(&ledger),
        sales: ledger.sales().map(crate::Sale::from).collect(),
        copies_hold: *originals.copies() == copies,
        events,
    })
}

/// Checks the event log and sums its copies up. A directory that never had one has no events.
fn verify_events(
    directory: &PeekedDirectory,
    content_of: &mut impl FnMut(&StoredEvent) -> Option<Content>,
) -> Result<(EventsVerified, Copies), StartError> {
    let mut copies = Copies::default();
    if !directory.path().join(EVENTS).exists() {
        return Ok((EventsVerified::default(), copies));
    }
    let identity = directory.identity();
    let (log, index) = (directory.directory(EVENTS), directory.directory(EVENTS_INDEX));
    let (id, key) = (identity.journal_id(EVENTS), &identity.fingerprint_key);
    let index = Some(&index).filter(|_| directory.path().join(EVENTS_INDEX).exists());
    let found = kilat_eventlog::verify(&log, index, id, key, |event| {
        copies.event(event);
        match &event.body {
            Some(body) if event.topic.starts_with(SALE_TOPIC_PREFIX) => Some(Content::of(body)),
            _ => content_of(event),
        }
    });
    let found = found.map_err(|error| StartError::Events(error.to_string()))?;
    Ok((found, copies))
}

/// Whole frames that do not follow the ledger's invariants.
fn contradicts(ledger: &Ledger, frame: u64, why: &str, events: EventsVerified) -> Verified {
    Verified {
        frames: frame.saturating_sub(1),
        segments: 0,
        torn_bytes: 0,
        chain: String::new(),
        corruption: Some(format!("frame {frame} can't be replayed: {why}")),
        orders: ledger.orders_len(),
        last_fact: last_fact(ledger),
        sales: ledger.sales().map(crate::Sale::from).collect(),
        copies_hold: false,
        events,
    }
}

fn last_fact(ledger: &Ledger) -> Option<Time> {
    Some(ledger.clamp(Time::MIN)).filter(|at| *at > Time::MIN)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
