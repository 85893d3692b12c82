//! Group commit: one thread that writes a frame, makes it durable, and only then says so.
//!
//! Callers hand over one frame at a time and collect the next batch while this one is on its way
//! to the disk, so batches grow with the load by themselves. Knows nothing of what is committed.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::error::AppendError;
use crate::format::{Position, sectors_of};
use crate::journal::{Journal, Options};
use crate::segment::prepare;
use crate::space::{RETRY_PAUSE, Room, Space};
use crate::storage::{Directory, Storage};

/// Called once when what was submitted is durable; dropped uncalled if that can't be known.
pub type Done = Box<dyn FnOnce(Committed) + Send>;

/// Something to commit.
pub struct Frame {
    /// The bytes. Empty: nothing is written, `done` only waits for earlier frames.
    pub payload: Vec<u8>,
    /// Called on the committer's thread, in the order of submission. It must not block.
    pub done: Done,
}

/// A frame that is on stable storage.
#[derive(Debug)]
pub struct Committed {
    /// The frame (for an empty payload: the last frame before it) and the chain after it.
    pub position: Position,
    /// The submitted buffer, cleared, to be filled again.
    pub payload: Vec<u8>,
    /// Time spent encoding and handing the bytes to the operating system, in nanoseconds.
    pub write_ns: u64,
    /// Time spent waiting for the device, in nanoseconds.
    pub sync_ns: u64,
}

/// Why the committer stopped. Nothing submitted later than the last `done` is acknowledged; open
/// the journal again to learn what is on disk.
#[derive(Debug)]
pub enum JournalFailure {
    /// A write or sync failed.
    Append(AppendError),
    /// A `done` panicked.
    Panicked,
}

impl fmt::Display for JournalFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Append(error) => write!(f, "the journal stopped: {error}"),
            Self::Panicked => {
                f.write_str("the journal stopped because a completion panicked; restart to recover")
            }
        }
    }
}

impl std::error::Error for JournalFailure {}

/// There is no room on disk for another segment. Retry later: another attempt is made by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageFull {
    /// What the operating system said.
    pub cause: String,
}

/// Why there is no room for a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReserveError {
    /// Retry later.
    StorageFull(StorageFull),
    /// Fix the request: no frame may be that long.
    TooLarge {
        /// The longest payload taken.
        bytes_max: usize,
    },
    /// Reopen: the committer failed or was closed.
    Stopped,
}

impl fmt::Display for ReserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StorageFull(StorageFull { cause }) => {
                write!(
                    f,
                    "there is no room for another segment ({cause}); free some space"
                )
            }
            Self::TooLarge { bytes_max } => {
                write!(
                    f,
                    "a frame holds at most {bytes_max} bytes; split the batch"
                )
            }
            Self::Stopped => f.write_str("the journal has stopped; open it again"),
        }
    }
}

impl std::error::Error for ReserveError {}

/// Why a frame was not taken. Its `done` was dropped uncalled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubmitError {
    /// Fix the request: the payload is too long.
    TooLarge {
        /// The longest payload taken.
        bytes_max: usize,
    },
    /// Reopen: the committer failed or was closed.
    Stopped,
}

impl fmt::Display for SubmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes_max } => {
                write!(
                    f,
                    "a frame holds at most {bytes_max} bytes; split the batch"
                )
            }
            Self::Stopped => f.write_str("the journal has stopped; open it again"),
        }
    }
}

impl std::error::Error for SubmitError {}

/// The threads that run a journal. Dropping it does what [`Committer::close`] does.
pub struct Committer<S: Storage = Directory> {
    shared: Arc<Shared<S>>,
    writer: Option<JoinHandle<Option<Journal<S>>>>,
    maker: Option<JoinHandle<()>>,
}

struct Shared<S: Storage> {
    state: Mutex<State<S>>,
    /// There is a frame to write, or an end.
    for_writer: Condvar,
    /// There is a segment to make, or an end.
    for_maker: Condvar,
    /// The hand-over place is empty, room has changed, or an end.
    for_callers: Condvar,
    options: Options,
}

struct State<S: Storage> {
    slot: Option<Frame>,
    space: Space<S::File>,
    /// No new frames; those taken are still committed.
    closing: bool,
    /// The writer is gone.
    stopped: bool,
}

impl<S: Storage> Committer<S> {
    /// Starts the threads. `on_failure` is called at most once, on the writer's thread, when
    /// nothing more can be committed; the frames concerned are dropped after it returns.
    pub fn spawn(
        mut journal: Journal<S>,
        on_failure: Box<dyn FnOnce(JournalFailure) + Send>,
    ) -> std::io::Result<Self> {
        let next = journal.next_segment();
        let space = Space::new(journal.room(), std::mem::take(&mut journal.spares));
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                slot: None,
                space,
                closing: false,
                stopped: false,
            }),
            for_writer: Condvar::new(),
            for_maker: Condvar::new(),
            for_callers: Condvar::new(),
            options: journal.options,
        });
        let (storage, for_maker) = (journal.storage.clone(), Arc::clone(&shared));
        let for_writer = Arc::clone(&shared);
        let mut committer = Self {
            shared,
            writer: None,
            maker: None,
        };
        committer.maker = Some(
            thread::Builder::new()
                .name("journal-maker".into())
                .spawn(move || make_segments(&storage, &for_maker, next))?,
        );
        committer.writer = Some(
            thread::Builder::new()
                .name("journal".into())
                .spawn(move || write_frames(journal, &for_writer, on_failure))?,
        );
        Ok(committer)
    }

    /// Makes sure that a frame of up to `bytes` has zero-filled space on disk. It holds until the
    /// caller's next [`Committer::submit`], for one caller at a time.
    ///
    /// Waits while a segment is being made; a failed attempt is repeated by a later call, at
    /// most every 100 ms.
    pub fn reserve(&self, bytes: usize) -> Result<(), ReserveError> {
        let bytes_max = self.shared.options.payload_bytes_max;
        if bytes > bytes_max {
            return Err(ReserveError::TooLarge { bytes_max });
        }
        let mut state = self.shared.lock();
        loop {
            if state.closing || state.stopped {
                return Err(ReserveError::Stopped);
            }
            match self.shared.room_for(&mut state, bytes) {
                Room::Yes => return Ok(()),
                Room::No { cause } => {
                    return Err(ReserveError::StorageFull(StorageFull { cause }));
                }
                Room::Soon => state = wait(&self.shared.for_callers, state),
            }
        }
    }

    /// Blocks until a frame can be handed over without waiting (or the committer has stopped), so
    /// that the caller can collect its batch as late as possible.
    pub fn wait_ready(&self) {
        let mut state = self.shared.lock();
        while state.slot.is_some() && !state.stopped {
            state = wait(&self.shared.for_callers, state);
        }
    }

    /// Hands a frame over; waits while the one before it has not been picked up. A frame that was
    /// not reserved also waits for room on disk.
    pub fn submit(&self, frame: Frame) -> Result<(), SubmitError> {
        let bytes = frame.payload.len();
        let bytes_max = self.shared.options.payload_bytes_max;
        if bytes > bytes_max {
            return Err(SubmitError::TooLarge { bytes_max });
        }
        let mut state = self.shared.lock();
        loop {
            if state.closing || state.stopped {
                return Err(SubmitError::Stopped);
            }
            if state.slot.is_some() {
                state = wait(&self.shared.for_callers, state);
                continue;
            }
            if bytes == 0 {
                break;
            }
            match self.shared.room_for(&mut state, bytes) {
                Room::Yes => {
                    state.space.place(sectors_of(bytes));
                    self.shared.for_maker.notify_one();
                    break;
                }
                Room::No { .. } => state = wait_a_while(&self.shared.for_callers, state),
                Room::Soon => state = wait(&self.shared.for_callers, state),
            }
        }
        state.slot = Some(frame);
        drop(state);
        self.shared.for_writer.notify_one();
        Ok(())
    }

    /// Calls `done` once everything submitted before is durable.
    pub fn submit_barrier(&self, done: Done) -> Result<(), SubmitError> {
        self.submit(Frame {
            payload: Vec::new(),
            done,
        })
    }

    /// Commits what was taken, stops the threads, and gives the journal back (`None` if it had
    /// failed).
    pub fn close(mut self) -> Option<Journal<S>> {
        self.stop()
    }

    fn stop(&mut self) -> Option<Journal<S>> {
        self.shared.lock().closing = true;
        self.shared.notify_all();
        let journal = self
            .writer
            .take()
            .and_then(|writer| writer.join().ok().flatten());
        if let Some(maker) = self.maker.take() {
            // It has nothing to say; a panic there left a temporary file at worst.
            let _ = maker.join();
        }
        let mut journal = journal?;
        let mut state = self.shared.lock();
        journal.spares.extend(state.space.take_all());
        Some(journal)
    }
}

impl<S: Storage> Drop for Committer<S> {
    fn drop(&mut self) {
        self.stop();
    }
}

impl<S: Storage> Shared<S> {
    /// A panic elsewhere leaves the state whole: no code that can panic runs under the lock.
    fn lock(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notify_all(&self) {
        self.for_writer.notify_all();
        self.for_maker.notify_all();
        self.for_callers.notify_all();
    }

    fn room_for(&self, state: &mut State<S>, bytes: usize) -> Room {
        let room = state.space.room_for(sectors_of(bytes));
        if state.space.is_wanted() {
            self.for_maker.notify_one();
        }
        room
    }

    /// The next frame, with the segments that it and its predecessors need, or `None` at the end.
    fn next_frame(&self, journal: &mut Journal<S>) -> Option<Frame> {
        let mut state = self.lock();
        loop {
            if let Some(frame) = state.slot.take() {
                journal.spares.extend(state.space.take_promised());
                drop(state);
                self.for_callers.notify_all();
                return Some(frame);
            }
            if state.closing {
                return None;
            }
            state = wait(&self.for_writer, state);
        }
    }

    /// Ends everything and gives back the frame that will never be written.
    fn stop(&self) -> Option<Frame> {
        let mut state = self.lock();
        state.stopped = true;
        let frame = state.slot.take();
        drop(state);
        self.notify_all();
        frame
    }
}

fn wait<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condition
        .wait(guard)
        .unwrap_or_else(PoisonError::into_inner)
}

fn wait_a_while<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condition
        .wait_timeout(guard, RETRY_PAUSE)
        .unwrap_or_else(PoisonError::into_inner)
        .0
}

/// The writer's thread.
fn write_frames<S: Storage>(
    mut journal: Journal<S>,
    shared: &Shared<S>,
    on_failure: Box<dyn FnOnce(JournalFailure) + Send>,
) -> Option<Journal<S>> {
    let run = AssertUnwindSafe(|| {
        while let Some(frame) = shared.next_frame(&mut journal) {
            commit(&mut journal, frame)?;
        }
        Ok(())
    });
    let failure = match catch_unwind(run) {
        Ok(Ok(())) => {
            shared.stop();
            return Some(journal);
        }
        Ok(Err((error, frame))) => (JournalFailure::Append(error), Some(frame)),
        Err(_) => (JournalFailure::Panicked, None),
    };
    // Callers learn of the failure before their frames are let go.
    let (failure, failed) = failure;
    let waiting = shared.stop();
    on_failure(failure);
    drop((failed, waiting));
    None
}

/// Writes one frame and says so. This is the only place where anything is acknowledged, and it
/// comes after a successful sync.
fn commit<S: Storage>(journal: &mut Journal<S>, frame: Frame) -> Result<(), (AppendError, Frame)> {
    let started = Instant::now();
    if !frame.payload.is_empty()
        && let Err(error) = journal.append(&frame.payload)
    {
        return Err((error, frame));
    }
    let written = Instant::now();
    if let Err(error) = journal.sync() {
        return Err((error, frame));
    }
    let synced = Instant::now();
    let Frame { mut payload, done } = frame;
    payload.clear();
    done(Committed {
        position: journal.position(),
        payload,
        write_ns: nanoseconds(started, written),
        sync_ns: nanoseconds(written, synced),
    });
    Ok(())
}

fn nanoseconds(from: Instant, to: Instant) -> u64 {
    u64::try_from((to - from).as_nanos()).unwrap_or(u64::MAX)
}

/// The maker's thread: segments are made one ahead of the writer.
fn make_segments<S: Storage>(storage: &S, shared: &Shared<S>, mut next: u64) {
    loop {
        let mut state = shared.lock();
        while !state.space.is_wanted() && !state.closing && !state.stopped {
            state = wait(&shared.for_maker, state);
        }
        if state.closing || state.stopped {
            return;
        }
        state.space.start_making();
        drop(state);
        let made = prepare(storage, &shared.options.plan(next));
        if shared.lock().space.made(made) {
            next += 1;
        }
        shared.for_callers.notify_all();
    }
}
