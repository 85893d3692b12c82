//! The file under a log: whole appends by several processes, and what a death leaves behind.
//!
//! Knows bytes and lines; it must never know what a line says, but for one: the line by which
//! another process goes on with this run.
//!
//! Every append is made under an exclusive lock of the file. Whoever holds it may cut what
//! stands behind the last newline: a process that died while it wrote it. Nothing else is
//! ever removed from a log by an append.

use super::failure::Failure;
use super::lines::Lines;
use super::tail;
use std::fs::{File, TryLockError};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Bytes handed to one write. Larger ones make the kernel allocate large pages in the middle of
/// an append, which was measured to be up to ten times slower.
const WRITE_BYTES: usize = 32 * 1024;
/// How long the lock may be held by others. An append holds it for about a millisecond, so
/// whoever holds it that long is stopped or is no Kilat.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(30);
/// First and longest pause between two looks at the lock.
const LOCK_PAUSE: (Duration, Duration) = (Duration::from_micros(50), Duration::from_millis(2));
/// Looks at the lock by one who only reads.
const LOCK_LOOKS_MAX: u32 = 500;
/// Bytes at the end of the own last append by which the file is known again.
const MARK_BYTES: usize = 48;

/// What can fail about a file, so that tests can make it fail.
pub(super) trait Medium: Send + Sync {
    /// Appends some of `bytes` and says how many.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;
    /// Makes what was appended durable.
    fn sync(&self) -> io::Result<()>;
    /// The file itself, for what needs no failing.
    fn file(&self) -> &File;
}

impl Medium for File {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        io::Write::write(&mut &*self, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn file(&self) -> &File {
        self
    }
}

/// An open log, between two appends.
pub(super) struct LogFile {
    medium: Arc<dyn Medium>,
    /// After the own last append, or after what was examined at the start.
    end: u64,
    /// The bytes before `end`, up to [`MARK_BYTES`].
    mark: Vec<u8>,
    /// Begins a line of the process that took this run over.
    fence: Option<Fence>,
}

/// A lock, until it is dropped.
pub(super) struct Guard<'a>(&'a File);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        // The lock goes with the file at the latest.
        let _ = self.0.unlock();
    }
}

/// Tells whether a line takes a run over.
type Fence = Box<dyn Fn(&[u8]) -> bool + Send>;

impl LogFile {
    /// A log of which the first `end` bytes have been examined: whole lines.
    ///
    /// # Errors
    /// When they can't be read.
    pub(super) fn new(medium: Arc<dyn Medium>, end: u64) -> Result<LogFile, Failure> {
        let mut mark = vec![0; usize::try_from(end).map_or(MARK_BYTES, |end| end.min(MARK_BYTES))];
        let from = end - mark.len() as u64;
        medium.file().read_exact_at(&mut mark, from).map_err(Failure::Read)?;
        Ok(LogFile { medium, end, mark, fence: None })
    }

    pub(super) fn medium(&self) -> Arc<dyn Medium> {
        Arc::clone(&self.medium)
    }

    pub(super) fn file(&self) -> &File {
        self.medium.file()
    }

    /// From now on an append fails when somebody else has appended such a line.
    pub(super) fn set_fence(&mut self, fence: impl Fn(&[u8]) -> bool + Send + 'static) {
        self.fence = Some(Box::new(fence));
    }

    /// Appends whole lines, all of them or none.
    ///
    /// # Errors
    /// After any of them nothing more may be appended: see [`Failure`].
    pub(super) fn append(&mut self, lines: &[u8]) -> Result<(), Failure> {
        let medium = self.medium();
        let _guard = lock(medium.file())?;
        let size = self.catch_up()?;
        self.write(size, lines)
    }

    /// Looks at what others appended since, cuts what one of them left when it died, and returns
    /// the size of the file. The lock must be held.
    ///
    /// # Errors
    /// [`Failure::Replaced`] and [`Failure::Superseded`].
    pub(super) fn catch_up(&self) -> Result<u64, Failure> {
        let file = self.file();
        let size = file.metadata().map_err(Failure::Read)?.len();
        if size < self.end {
            return Err(Failure::Replaced);
        }
        let mut mark = [0; MARK_BYTES];
        let mark = &mut mark[..self.mark.len()];
        file.read_exact_at(mark, self.end - mark.len() as u64).map_err(Failure::Read)?;
        if *mark != *self.mark {
            return Err(Failure::Replaced);
        }
        if size == self.end {
            return Ok(size);
        }
        let size = tail::cut_fragment(file, self.end, size).map_err(Failure::Read)?;
        self.look_for_fence(file, size)?;
        Ok(size)
    }

    fn look_for_fence(&self, file: &File, size: u64) -> Result<(), Failure> {
        let Some(fence) = &self.fence else { return Ok(()) };
        let mut lines = Lines::new(file, self.end, size);
        while let Some(line) = lines.next().map_err(Failure::Read)? {
            if fence(line.bytes) {
                return Err(Failure::Superseded);
            }
        }
        Ok(())
    }

    /// As [`LogFile::append`], when the lock is held and the file is known to be `size` bytes
    /// long, all of them whole lines.
    ///
    /// # Errors
    /// As [`LogFile::append`].
    pub(super) fn write(&mut self, size: u64, lines: &[u8]) -> Result<(), Failure> {
        if let Err(error) = write_all(&*self.medium, lines) {
            // Nobody else can have appended behind it. If this fails too, the fragment stays
            // for the next one to cut.
            let _ = self.file().set_len(size);
            return Err(Failure::Write(error));
        }
        self.end = size + lines.len() as u64;
        self.mark.extend_from_slice(&lines[lines.len().saturating_sub(MARK_BYTES)..]);
        self.mark.drain(..self.mark.len().saturating_sub(MARK_BYTES));
        Ok(())
    }
}

fn write_all(medium: &dyn Medium, bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match medium.write(first_piece(rest)) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whole lines if possible: whatever dies between two writes, the device included, then leaves
/// whole lines behind.
fn first_piece(bytes: &[u8]) -> &[u8] {
    match bytes.get(..WRITE_BYTES) {
        None => bytes,
        Some(piece) => memchr::memrchr(b'\n', piece).map_or(piece, |at| &piece[..=at]),
    }
}

/// Waits for the exclusive lock, but not for ever: its holder may be stopped.
///
/// # Errors
/// [`Failure::Lock`] and [`Failure::Busy`].
pub(super) fn lock(file: &File) -> Result<Guard<'_>, Failure> {
    let began = Instant::now();
    let mut pause = LOCK_PAUSE.0;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Guard(file)),
            Err(TryLockError::Error(error)) => return Err(Failure::Lock(error)),
            Err(TryLockError::WouldBlock) if began.elapsed() > LOCK_WAIT_MAX => {
                return Err(Failure::Busy(LOCK_WAIT_MAX));
            }
            Err(TryLockError::WouldBlock) => thread::sleep(pause),
        }
        pause = (pause * 2).min(LOCK_PAUSE.1);
    }
}

/// Takes the shared lock if it can be had soon.
pub(super) fn lock_shared(file: &File) -> Option<Guard<'_>> {
    for _ in 0..LOCK_LOOKS_MAX {
        match file.try_lock_shared() {
            Ok(()) => return Some(Guard(file)),
            Err(TryLockError::Error(_)) => return None,
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE.1),
        }
    }
    None
}

/// Where a log is, and which file was there when it was opened.
#[derive(Clone)]
pub(super) struct Place {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl Place {
    /// The place of an open file.
    ///
    /// # Errors
    /// When the file can't be asked.
    pub(super) fn of(path: &Path, file: &File) -> io::Result<Place> {
        let metadata = file.metadata()?;
        Ok(Place { path: path.to_owned(), identity: (metadata.dev(), metadata.ino()) })
    }

    /// Whether the file is still there under its name: nobody moved, removed or replaced it.
    pub(super) fn holds(&self) -> bool {
        std::fs::metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity)
    }

    /// Whether it is where this process writes its output or its messages.
    pub(super) fn is_output(&self) -> bool {
        let (output, messages) = (io::stdout(), io::stderr());
        [output.as_fd(), messages.as_fd()].into_iter().any(|stream| {
            let file = stream.try_clone_to_owned().map(File::from);
            let metadata = file.and_then(|file| file.metadata());
            metadata.is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity)
        })
    }
}
