//! When to write a snapshot, and the thread that does it.
//!
//! A snapshot bounds how much of the journal a restart has to replay. It is
//! written behind the sale's back: the batcher freezes the ledger, which costs
//! a pointer a chunk, and this thread encodes and writes what has changed.

use kilat_journal::{Directory, Part, Position, SnapshotStore};
use kilat_ledger::{Frozen, Ledger};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// Bytes of facts after which a snapshot is due: about half a second of replay at most.
pub(crate) const SNAPSHOT_BYTES: usize = 64 << 20;

/// Snapshots that wait: one under way leaves room for the last one at a stop.
const JOBS_MAX: usize = 2;

/// A frozen ledger and the frame it stands for.
type Job = (Frozen, Position);

/// The batcher's side.
pub(crate) struct Snapshots {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    busy: Arc<AtomicBool>,
    bytes: usize,
    /// There were facts since the start.
    written: bool,
    every_bytes: usize,
}

/// A frozen ledger whose frame is not durable yet.
pub(crate) struct Due {
    frozen: Frozen,
    jobs: SyncSender<Job>,
}

impl Due {
    /// The frame is durable: the snapshot may be written.
    pub(crate) fn start(self, position: Position) {
        // Without its thread the process is stopping, and writes a last snapshot of its own.
        drop(self.jobs.send((self.frozen, position)));
    }
}

impl Snapshots {
    /// Starts the thread.
    pub(crate) fn start(
        store: SnapshotStore<Directory>,
        every_bytes: usize,
    ) -> std::io::Result<Snapshots> {
        let (jobs, incoming) = mpsc::sync_channel(JOBS_MAX);
        let busy = Arc::new(AtomicBool::new(false));
        let free = Arc::clone(&busy);
        let thread = thread::Builder::new()
            .name("snapshots".to_owned())
            .spawn(move || write_all(store, &incoming, &free))?;
        Ok(Snapshots {
            jobs: Some(jobs),
            thread: Some(thread),
            busy,
            bytes: 0,
            written: false,
            every_bytes,
        })
    }

    /// Counts what the journal grows by; a frozen ledger when it was enough and none is under way.
    pub(crate) fn when_due(&mut self, bytes: usize, ledger: &Ledger) -> Option<Due> {
        self.bytes += bytes;
        self.written = true;
        if self.bytes < self.every_bytes || self.busy.swap(true, Ordering::Acquire) {
            return None;
        }
        self.bytes = 0;
        Some(Due { frozen: ledger.freeze(), jobs: self.jobs.clone()? })
    }

    /// Writes the state at a clean stop, so that the next start replays nothing.
    pub(crate) fn finish(mut self, ledger: &Ledger, position: Option<Position>) {
        if let (Some(jobs), Some(position)) = (&self.jobs, position)
            && self.written
        {
            drop(jobs.send((ledger.freeze(), position)));
        }
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the snapshot thread panicked; the next start replays the journal");
        }
    }
}

fn write_all(mut store: SnapshotStore<Directory>, jobs: &Receiver<Job>, busy: &AtomicBool) {
    for (frozen, position) in jobs {
        write(&mut store, &frozen, position);
        drop(frozen);
        busy.store(false, Ordering::Release);
    }
}

/// A snapshot only makes restarts faster: without one the journal is replayed.
fn write(store: &mut SnapshotStore<Directory>, frozen: &Frozen, position: Position) {
    let started = Instant::now();
    let parts = frozen.parts();
    let names: Vec<String> = parts.iter().map(|part| part.name.to_string()).collect();
    let parts = parts.iter().zip(&names).map(|(part, name)| Part {
        name,
        version: part.version,
        encode: Box::new(move |out| {
            let mut bytes = Vec::new();
            if !frozen.encode(part, &mut bytes) {
                return Err(std::io::Error::other(format!(
                    "the frozen ledger has no part {}",
                    part.name
                )));
            }
            out.write_all(&bytes)
        }),
    });
    match store.write(position, parts.collect()) {
        Ok(written) => tracing::info!(
            frame = position.frame,
            parts = written.parts_written,
            bytes = written.bytes_written,
            ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "snapshot written"
        ),
        Err(error) => {
            tracing::warn!(%error, "no snapshot was written; a restart will replay more of the journal");
        }
    }
}
