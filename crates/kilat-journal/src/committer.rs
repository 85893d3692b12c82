//! Group commit: a frame is written, made durable, and only then acknowledged. One frame at a
//! time, on the writer's thread or, when nothing else is under way, on the caller's own.
//!
//! Callers hand over one frame at a time and collect the next batch while this one is on its way
//! to the disk, so batches grow with the load by themselves. Knows nothing of what is committed.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::error::{AppendError, ReserveError, StorageFull, SubmitError};
use crate::format::{Place, Position, Shape, sectors_of};
use crate::journal::{Journal, Options};
use crate::segment::prepare;
use crate::space::{Extent, RETRY_PAUSE, Room, Space};
use crate::storage::{Directory, Storage};

/// Called once when what was submitted is durable; dropped uncalled if that can't be known.
pub type Done = Box<dyn FnOnce(Committed) + Send>;

/// Called once when nothing more can be committed.
pub type OnFailure = Box<dyn FnOnce(JournalFailure) + Send>;

/// Something to commit.
pub struct Frame {
    /// The bytes. Empty: nothing is written, `done` only waits for earlier frames.
    pub payload: Vec<u8>,
    /// How many of the bytes are the head, over which alone the chain runs; `None`: over all.
    pub head_bytes: Option<u32>,
    /// Whether the log goes on in a new segment with this frame, so that bodies in all segments
    /// before it can be forgotten once it is durable. Of no meaning for an empty payload.
    pub begins_segment: bool,
    /// Called on the thread that committed it, in the order of submission. It must not block.
    pub done: Done,
}

/// A frame that is on stable storage.
#[derive(Debug)]
pub struct Committed {
    /// The frame (for an empty payload: the last frame before it) and the chain after it.
    pub position: Position,
    /// Where the frame starts; for an empty payload where the last one does.
    pub place: Place,
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

/// The threads that run a journal. Dropping it does what [`Committer::close`] does.
pub struct Committer<S: Storage = Directory> {
    shared: Arc<Shared<S>>,
    writer: Option<JoinHandle<()>>,
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
    /// Here while nobody writes; whoever takes it commits one frame and puts it back.
    journal: Option<Journal<S>>,
    on_failure: Option<OnFailure>,
    space: Space<S::File>,
    /// No new frames; those taken are still committed.
    closing: bool,
    /// Nothing will be committed any more.
    stopped: bool,
}

impl<S: Storage> Committer<S> {
    /// Starts the threads. `on_failure` is called at most once, on the thread that was writing,
    /// when nothing more can be committed; the frames concerned are dropped after it returns.
    pub fn spawn(mut journal: Journal<S>, on_failure: OnFailure) -> std::io::Result<Self> {
        let next = journal.next_segment();
        let space = Space::new(journal.room(), std::mem::take(&mut journal.spares));
        let (storage, options) = (journal.storage.clone(), journal.options);
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                journal: Some(journal),
                on_failure: Some(on_failure),
                slot: None,
                space,
                closing: false,
                stopped: false,
            }),
            for_writer: Condvar::new(),
            for_maker: Condvar::new(),
            for_callers: Condvar::new(),
            options,
        });
        let for_maker = Arc::clone(&shared);
        let for_writer = Arc::clone(&shared);
        let mut committer = Self { shared, writer: None, maker: None };
        committer.maker = Some(
            thread::Builder::new()
                .name("journal-maker".into())
                .spawn(move || make_segments(&storage, &for_maker, next))?,
        );
        committer.writer = Some(
            thread::Builder::new()
                .name("journal".into())
                .spawn(move || write_frames(&for_writer))?,
        );
        Ok(committer)
    }

    /// Makes sure that a frame of up to `bytes` has zero-filled space on disk. It holds until the
    /// caller's next [`Committer::submit`] or [`Committer::commit`], for one caller at a time.
    ///
    /// Waits while a segment is being made; a failed attempt is repeated by a later call, at
    /// most every 100 ms.
    pub fn reserve(&self, bytes: usize) -> Result<(), ReserveError> {
        self.reserve_extent(bytes, false)
    }

    /// As [`Committer::reserve`], for a frame that begins a segment.
    pub fn reserve_segment(&self, bytes: usize) -> Result<(), ReserveError> {
        self.reserve_extent(bytes, true)
    }

    fn reserve_extent(&self, bytes: usize, begins_segment: bool) -> Result<(), ReserveError> {
        let wanted = Extent { sectors: sectors_of(bytes), begins_segment };
        let bytes_max = self.shared.options.payload_bytes_max;
        if bytes > bytes_max {
            return Err(ReserveError::TooLarge { bytes_max });
        }
        let mut state = self.shared.lock();
        loop {
            if state.closing || state.stopped {
                return Err(ReserveError::Stopped);
            }
            match self.shared.room_for(&mut state, wanted) {
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

    /// Blocks until nothing is being committed (or the committer has stopped). A caller with a
    /// small batch waits for this: what arrives meanwhile joins the batch, and the batch is
    /// decided in less time than a second commit would cost.
    pub fn wait_idle(&self) {
        let mut state = self.shared.lock();
        while !state.is_idle() && !state.stopped {
            state = wait(&self.shared.for_callers, state);
        }
    }

    /// Hands a frame over to the writer's thread; waits while the one before it has not been
    /// picked up. A frame that was not reserved also waits for room on disk.
    pub fn submit(&self, frame: Frame) -> Result<(), SubmitError> {
        let mut state = self.place(&frame)?;
        state.slot = Some(frame);
        drop(state);
        self.shared.for_writer.notify_one();
        Ok(())
    }

    /// Commits a frame on the calling thread if nothing is being committed, which spares two
    /// changes of thread; otherwise hands it over as [`Committer::submit`] does.
    pub fn commit(&self, frame: Frame) -> Result<(), SubmitError> {
        let mut state = self.place(&frame)?;
        match state.take_journal() {
            Some(journal) => {
                drop(state);
                self.shared.commit(journal, frame);
            }
            None => {
                state.slot = Some(frame);
                drop(state);
                self.shared.for_writer.notify_one();
            }
        }
        Ok(())
    }

    /// Waits for an empty hand-over place and takes room on disk for a frame.
    fn place(&self, frame: &Frame) -> Result<MutexGuard<'_, State<S>>, SubmitError> {
        let bytes = frame.payload.len();
        let extent = Extent {
            sectors: Shape::of(frame.head_bytes).sectors(bytes),
            begins_segment: frame.begins_segment,
        };
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
                return Ok(state);
            }
            match self.shared.room_for(&mut state, extent) {
                Room::Yes => {
                    state.space.place(extent);
                    if state.space.is_wanted() {
                        self.shared.for_maker.notify_one();
                    }
                    return Ok(state);
                }
                Room::No { .. } => state = wait_a_while(&self.shared.for_callers, state),
                Room::Soon => state = wait(&self.shared.for_callers, state),
            }
        }
    }

    /// Calls `done` once everything submitted before is durable.
    pub fn submit_barrier(&self, done: Done) -> Result<(), SubmitError> {
        self.submit(Frame { payload: Vec::new(), head_bytes: None, begins_segment: false, done })
    }

    /// Commits what was taken, stops the threads, and gives the journal back (`None` if it had
    /// failed).
    pub fn close(mut self) -> Option<Journal<S>> {
        self.stop()
    }

    fn stop(&mut self) -> Option<Journal<S>> {
        self.shared.lock().closing = true;
        self.shared.notify_all();
        if let Some(writer) = self.writer.take() {
            // What it had to say it has said: a panic in it is caught and reported.
            let _ = writer.join();
        }
        if let Some(maker) = self.maker.take() {
            // It has nothing to say; a panic there left a temporary file at worst.
            let _ = maker.join();
        }
        let mut state = self.shared.lock();
        let mut journal = state.journal.take()?;
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

    fn room_for(&self, state: &mut State<S>, wanted: Extent) -> Room {
        let room = state.space.room_for(wanted);
        if state.space.is_wanted() {
            self.for_maker.notify_one();
        }
        room
    }

    /// The next frame with the journal to write it to, or `None` at the end.
    fn next_frame(&self) -> Option<(Journal<S>, Frame)> {
        let mut state = self.lock();
        loop {
            if state.stopped || (state.closing && state.is_idle()) {
                return None;
            }
            if state.slot.is_some()
                && let Some(journal) = state.take_journal()
            {
                let frame = state.slot.take();
                drop(state);
                self.for_callers.notify_all();
                return frame.map(|frame| (journal, frame));
            }
            state = wait(&self.for_writer, state);
        }
    }

    /// Commits one frame and puts the journal back, or ends everything.
    fn commit(&self, mut journal: Journal<S>, frame: Frame) {
        let failure = match catch_unwind(AssertUnwindSafe(|| commit(&mut journal, frame))) {
            Ok(Ok(())) => return self.put_back(journal),
            Ok(Err((error, frame))) => (JournalFailure::Append(error), Some(frame)),
            Err(_) => (JournalFailure::Panicked, None),
        };
        // Callers learn of the failure before their frames are let go.
        let (failure, failed) = failure;
        let (waiting, on_failure) = self.stop();
        if let Some(on_failure) = on_failure {
            on_failure(failure);
        }
        drop((failed, waiting));
    }

    fn put_back(&self, journal: Journal<S>) {
        let mut state = self.lock();
        state.journal = Some(journal);
        let wanted = state.slot.is_some() || state.closing;
        drop(state);
        if wanted {
            self.for_writer.notify_one();
        }
        self.for_callers.notify_all();
    }

    /// Ends everything and gives back the frame that will never be written.
    fn stop(&self) -> (Option<Frame>, Option<OnFailure>) {
        let mut state = self.lock();
        state.stopped = true;
        let left = (state.slot.take(), state.on_failure.take());
        drop(state);
        self.notify_all();
        left
    }
}

impl<S: Storage> State<S> {
    /// Nothing is being committed and nothing waits for it.
    fn is_idle(&self) -> bool {
        self.slot.is_none() && self.journal.is_some()
    }

    /// The journal, with the segments that the frames placed so far need.
    fn take_journal(&mut self) -> Option<Journal<S>> {
        let mut journal = self.journal.take()?;
        journal.spares.extend(self.space.take_promised());
        Some(journal)
    }
}

fn wait<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condition.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

fn wait_a_while<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condition.wait_timeout(guard, RETRY_PAUSE).unwrap_or_else(PoisonError::into_inner).0
}

/// The writer's thread.
fn write_frames<S: Storage>(shared: &Shared<S>) {
    while let Some((journal, frame)) = shared.next_frame() {
        shared.commit(journal, frame);
    }
}

/// Writes one frame and says so. This is the only place where anything is acknowledged, and it
/// comes after a successful sync.
fn commit<S: Storage>(journal: &mut Journal<S>, frame: Frame) -> Result<(), (AppendError, Frame)> {
    let started = Instant::now();
    if !frame.payload.is_empty()
        && let Err(error) = append(journal, &frame)
    {
        return Err((error, frame));
    }
    let written = Instant::now();
    if let Err(error) = journal.sync() {
        return Err((error, frame));
    }
    let synced = Instant::now();
    let Frame { mut payload, done, .. } = frame;
    payload.clear();
    done(Committed {
        position: journal.position(),
        place: journal.last_place(),
        payload,
        write_ns: nanoseconds(started, written),
        sync_ns: nanoseconds(written, synced),
    });
    Ok(())
}

fn append<S: Storage>(journal: &mut Journal<S>, frame: &Frame) -> Result<u64, AppendError> {
    if frame.begins_segment {
        journal.begin_segment()?;
    }
    match frame.head_bytes {
        Some(head_bytes) => journal.append_split(&frame.payload, head_bytes),
        None => journal.append(&frame.payload),
    }
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
