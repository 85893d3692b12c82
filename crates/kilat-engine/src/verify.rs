//! Checking a data directory from its first frame, without the lock and without changing it.

use crate::StartError;
use crate::recovery::JOURNAL;
use kilat_journal::{DataDirectory, RecoverError};
use kilat_ledger::{Fingerprinter, Ledger};
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
    /// Every sale as it stands after the last frame.
    pub sales: Vec<crate::Sale>,
}

impl Verified {
    /// Whether there is no damage and every sale conserves its supply.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.corruption.is_none() && self.sales.iter().all(|sale| sale.counters.balanced())
    }
}

/// Replays the whole journal at `data`, with every invariant checked after every fact.
///
/// # Errors
/// [`StartError`] when there is nothing that could be checked.
pub fn verify(data: &Path) -> Result<Verified, StartError> {
    let directory = DataDirectory::peek(data)?;
    let identity = directory.identity();
    let mut ledger = Ledger::new(Fingerprinter::new(identity.fingerprint_key));
    let storage = directory.directory(JOURNAL);
    let found = kilat_journal::verify(&storage, identity.journal_id(JOURNAL), |frame| {
        ledger.replay(frame.payload)
    });
    let found = match found {
        Ok(found) => found,
        Err(RecoverError::Refused { frame, error }) => {
            return Ok(contradicts(&ledger, frame, &error.to_string()));
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
        sales: ledger.sales().map(crate::Sale::from).collect(),
    })
}

/// Whole frames that do not follow the ledger's invariants.
fn contradicts(ledger: &Ledger, frame: u64, why: &str) -> Verified {
    Verified {
        frames: frame.saturating_sub(1),
        segments: 0,
        torn_bytes: 0,
        chain: String::new(),
        corruption: Some(format!("frame {frame} can't be replayed: {why}")),
        orders: ledger.orders_len(),
        sales: ledger.sales().map(crate::Sale::from).collect(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
