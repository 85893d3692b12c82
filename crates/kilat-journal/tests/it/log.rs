//! What the tests share: small journals, their contents, and seeds.

use std::convert::Infallible;
use std::ops::Range;

use kilat_journal::simulation::{CrashingStorage, Random};
use kilat_journal::{
    AppendError, Chain, Journal, JournalId, Options, Position, RecoverError, Recovery, Storage,
};

pub(crate) const ID: JournalId = JournalId(*b"journal-for-test");

pub(crate) type Opened<S> = Result<(Journal<S>, Recovery, Log), RecoverError<Infallible>>;

/// Frames in order, and the chain after each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) payloads: Vec<Vec<u8>>,
    pub(crate) chains: Vec<Chain>,
}

impl Log {
    pub(crate) fn push(&mut self, payload: &[u8], chain: Chain) {
        self.payloads.push(payload.to_vec());
        self.chains.push(chain);
    }

    /// The position after `frames` frames.
    pub(crate) fn position(&self, frames: usize) -> Option<Position> {
        let chain = *self.chains.get(frames.checked_sub(1)?)?;
        Some(Position { frame: frames as u64, chain })
    }
}

pub(crate) fn options(segment_bytes: u64, payload_bytes_max: usize) -> Options {
    Options {
        first_segment_bytes: segment_bytes,
        segment_bytes_max: segment_bytes,
        payload_bytes_max,
        ..Options::new(ID)
    }
}

/// Opens the journal and collects what recovery hands over.
pub(crate) fn open<S: Storage>(
    storage: &S,
    options: Options,
    after: Option<Position>,
) -> Opened<S> {
    let mut log = Log::default();
    let (journal, recovery) = Journal::recover(storage.clone(), options, after, |frame| {
        assert_eq!(frame.head_bytes, head_of(frame.payload), "frame {}", frame.number);
        log.push(frame.payload, *frame.chain);
        Ok(())
    })?;
    Ok((journal, recovery, log))
}

/// Opens a journal that must be sound and returns its contents.
pub(crate) fn contents<S: Storage>(storage: &S, options: Options) -> Log {
    open(storage, options, None).expect("a sound journal").2
}

/// The head of a payload that is appended as head and body: every second length.
pub(crate) fn head_of(payload: &[u8]) -> Option<u32> {
    (payload.len() % 2 == 1).then_some(payload.len() as u32 / 3)
}

/// Appends a payload whole or as head and body, as [`head_of`] says.
pub(crate) fn append<S: Storage>(
    journal: &mut Journal<S>,
    payload: &[u8],
) -> Result<u64, AppendError> {
    match head_of(payload) {
        Some(head_bytes) => journal.append_split(payload, head_bytes),
        None => journal.append(payload),
    }
}

/// Appends durably.
pub(crate) fn commit<S: Storage>(journal: &mut Journal<S>, log: &mut Log, payload: &[u8]) {
    append(journal, payload).expect("an append");
    journal.sync().expect("a sync");
    log.push(payload, journal.position().chain);
}

/// A storage with a journal of these payload lengths.
pub(crate) fn journal_of(options: Options, lengths: &[usize]) -> (CrashingStorage, Log) {
    let storage = CrashingStorage::new(1);
    let (mut journal, _, mut log) = open(&storage, options, None).expect("a new journal");
    let mut random = Random::new(7);
    for length in lengths {
        commit(&mut journal, &mut log, &bytes(&mut random, *length));
    }
    (storage, log)
}

/// One range, as what is to be forgotten is said.
pub(crate) fn only(range: Range<usize>) -> Vec<Range<usize>> {
    vec![range]
}

pub(crate) fn bytes(random: &mut Random, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    for piece in bytes.chunks_mut(8) {
        piece.copy_from_slice(&random.draw().to_le_bytes()[..piece.len()]);
    }
    bytes
}

/// The seed of a random test: from the environment, else new. It is printed, and shown when the
/// test fails.
pub(crate) fn seed() -> u64 {
    let seed = number_from("KILAT_SEED").unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(0, |now| now.as_nanos() as u64)
    });
    println!("KILAT_SEED={seed}");
    seed
}

pub(crate) fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}
