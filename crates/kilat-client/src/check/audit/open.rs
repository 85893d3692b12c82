//! Finding or making the file of a log, and the first record of a run.

use super::durable::Durability;
use super::failure::{Failure, Stop};
use super::file::{self, LogFile, Medium, Place};
use super::lines as log_lines;
use super::records::{Origin, PROGRAM, Records};
use super::resume::{Past, begins};
use super::seed::SeedText;
use super::writer::{Lines, Writer};
use super::{
    Audit, AuditOptions, Counts, Format, OnDurable, QUEUE_ENTRIES_MAX, Resumed, RunFacts, RunId,
    Seen, kind, record, tail,
};
use crate::ClientError;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use kind::Kind;
use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::SystemTime;
use tokio::sync::mpsc;

/// How often the file may be replaced between opening and locking it.
const OPENINGS_MAX: u32 = 8;

/// What can't be opened, for the reason that the system gives.
fn unusable(why: impl Display) -> Stop {
    Stop::Usage("audit.open", why.to_string())
}

pub(super) fn open(options: AuditOptions) -> Result<(Audit, Resumed), ClientError> {
    open_with(options, |file| Arc::new(file))
}

/// As [`open`], on what is made of the file.
pub(super) fn open_with(
    options: AuditOptions,
    medium: impl Fn(File) -> Arc<dyn Medium>,
) -> Result<(Audit, Resumed), ClientError> {
    let AuditOptions { path, format, overwrite, resume, run, on_durable } = options;
    let lang = run.lang;
    let opening = Opening { path: &path, format: &format, overwrite, resume, run: &run };
    let begun = opening.begin(medium).and_then(|begun| start(begun, &path, &run, on_durable));
    begun.map_err(|stop| stop.into_error(&path, lang))
}

/// What is wanted of a log.
struct Opening<'a> {
    path: &'a Path,
    format: &'a Format,
    overwrite: bool,
    resume: bool,
    run: &'a RunFacts,
}

/// A run whose first lines are appended but not yet durable.
struct Begun {
    log: LogFile,
    place: Place,
    lines: Lines,
    /// Bytes of the first lines.
    bytes: usize,
    resumed: Resumed,
}

impl Opening<'_> {
    fn begin(&self, medium: impl Fn(File) -> Arc<dyn Medium>) -> Result<Begun, Stop> {
        self.check()?;
        for _ in 0..OPENINGS_MAX {
            let file = open_file(self.path)?;
            let place = Place::of(self.path, &file).map_err(unusable)?;
            if place.is_output() {
                return Err(Stop::Usage("audit.is_output", String::new()));
            }
            match self.begin_in(&medium(file), place) {
                // It was replaced between two looks at it.
                Err(Stop::Failure(Failure::Replaced | Failure::Moved)) => {}
                begun => return begun,
            }
        }
        Err(Failure::Moved.into())
    }

    fn check(&self) -> Result<(), Stop> {
        let wrong = |key| Err(Stop::Usage(key, String::new()));
        match self.format {
            _ if self.resume && self.overwrite => wrong("audit.resume_overwrite"),
            Format::Seed(_) if self.resume => wrong("audit.resume_seed"),
            _ if !is_datable(SystemTime::now()) => wrong("audit.clock"),
            _ => Ok(()),
        }
    }

    fn begin_in(&self, medium: &Arc<dyn Medium>, place: Place) -> Result<Begun, Stop> {
        let guard = file::lock(medium.file())?;
        if !place.holds() {
            return Err(Failure::Moved.into());
        }
        let size = self.make_ready(medium)?;
        let log = LogFile::new(Arc::clone(medium), size)?;
        let directory = directory_of(self.path).map_err(unusable)?;
        if !self.resume {
            return self.first(log, size, None, place, &directory);
        }
        // Reading a long log takes seconds, in which others must be able to write.
        drop(guard);
        let file = medium.file();
        let mut past = Past::read(file, size, self.run)?;
        let _guard = file::lock(file)?;
        let (read, size) = (size, log.catch_up()?);
        match &mut past {
            Some(past) => past.read_on(file, size)?,
            // Who found nothing to go on with either may have been faster.
            None if begins(file, read, size)? => {
                past = Past::read(file, size, self.run)?;
            }
            None => {}
        }
        medium.sync().map_err(Failure::Sync)?;
        self.first(log, size, past, place, &directory)
    }

    /// Appends the first lines; the lock is held.
    fn first(
        &self,
        mut log: LogFile,
        size: u64,
        past: Option<Past>,
        place: Place,
        directory: &Path,
    ) -> Result<Begun, Stop> {
        let (origin, resumed) = match past {
            Some(past) => past.into_origin(),
            None => {
                let (seen, done) = (Seen::in_temp_dir(), Counts::default());
                (None, Resumed { seen, root: None, done })
            }
        };
        let mut bytes = Vec::new();
        let lines = self.first_lines(origin.as_ref(), &mut bytes);
        if matches!(lines, Lines::Json(_)) {
            log.set_fence(record::fence(resumed.root.unwrap_or(lines.run())));
        }
        log.write(size, &bytes)?;
        // A file that nobody finds by its name after a power cut is lost, however durable. One that
        // was there before may be in a directory that can't be read, and so not be flushed.
        match File::open(directory).and_then(|directory| directory.sync_all()) {
            Err(error) if size == 0 || error.kind() != io::ErrorKind::PermissionDenied => {
                return Err(unusable(error));
            }
            _ => {}
        }
        Ok(Begun { log, place, lines, bytes: bytes.len(), resumed })
    }

    /// Makes the file a log that ends with a whole line, all of it durable; returns its size.
    fn make_ready(&self, medium: &Arc<dyn Medium>) -> Result<u64, Stop> {
        let file = medium.file();
        let found = kind::of(file).map_err(unusable)?;
        let is_wanted = match found {
            Kind::Empty => true,
            Kind::Json => self.overwrite || matches!(self.format, Format::Json),
            Kind::Seed => self.overwrite || matches!(self.format, Format::Seed(_)),
            Kind::Headless => return Err(Stop::Usage("audit.damaged", "1".to_owned())),
            Kind::Foreign => return Err(Stop::Usage("audit.foreign", String::new())),
        };
        if !is_wanted {
            return Err(Stop::Usage("audit.other_format", String::new()));
        }
        if self.overwrite {
            file.set_len(0).map_err(unusable)?;
            return Ok(0);
        }
        let size = file.metadata().map_err(unusable)?.len();
        if size == 0 {
            return Ok(0);
        }
        // What the first record follows, it calls durable, and what is resumed must be. After a
        // flush that failed, the kernel may still show what the device never took.
        medium.sync().map_err(Failure::Sync)?;
        let tail = size.saturating_sub(tail::TAIL_BYTES_MAX);
        rustix::fs::fadvise(file, tail, None, rustix::fs::Advice::DontNeed)
            .map_err(|errno| Failure::Read(errno.into()))?;
        let end = tail::end(file, size).map_err(Failure::Read)?;
        if found == Kind::Json && !tail::is_torn(file, end, size).map_err(Failure::Read)? {
            // Whoever cut it would make a damaged log look whole.
            return Err(damaged_behind(file, end)?);
        }
        if end < size {
            file.set_len(end).map_err(Failure::Read)?;
        }
        Ok(end)
    }

    fn first_lines(&self, origin: Option<&Origin>, out: &mut Vec<u8>) -> Lines {
        let now = Timestamp::now();
        let run = RunId::new();
        match self.format {
            Format::Json => {
                let mut records = Records::new(run);
                records.start(PROGRAM, self.run, origin, now, out);
                Lines::Json(records)
            }
            Format::Seed(words) => {
                let text = SeedText::new(words.clone(), TimeZone::system());
                text.start(self.run.total, now, out);
                Lines::Seed { text, run, lines: 2 }
            }
        }
    }
}

/// What stands behind the last newline, at `end`, is no part of a record.
pub(super) fn damaged_behind(file: &File, end: u64) -> Result<Stop, Failure> {
    let mut lines = log_lines::Lines::new(file, 0, end);
    let mut number = 1_u64;
    while lines.next().map_err(Failure::Read)?.is_some() {
        number += 1;
    }
    Ok(Stop::Usage("audit.damaged", number.to_string()))
}

/// Whether the log can say when: a run's id needs a time from 1970 on, its records one before
/// the year 10,000.
fn is_datable(time: SystemTime) -> bool {
    time.duration_since(SystemTime::UNIX_EPOCH).is_ok() && Timestamp::try_from(time).is_ok()
}

/// Opens or makes the file. What is there and is no file is not even opened: for a pipe or a
/// device that would have effects.
fn open_file(path: &Path) -> Result<File, Stop> {
    let no_file = || Stop::Usage("audit.no_file", String::new());
    if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return Err(no_file());
    }
    let file = OpenOptions::new().read(true).append(true).create(true).open(path);
    let file = file.map_err(unusable)?;
    if file.metadata().map_err(unusable)?.is_file() { Ok(file) } else { Err(no_file()) }
}

/// Where the file itself is; the name may be a link.
fn directory_of(path: &Path) -> io::Result<PathBuf> {
    let path = path.canonicalize()?;
    Ok(path.parent().unwrap_or(&path).to_owned())
}

/// Starts the threads.
fn start(
    begun: Begun,
    path: &Path,
    run: &RunFacts,
    on_durable: OnDurable,
) -> Result<(Audit, Resumed), Stop> {
    let Begun { log, place, lines, bytes, resumed } = begun;
    let (durability, appended) =
        Durability::start(log.medium(), place, on_durable).map_err(unusable)?;
    let records = lines.written();
    appended.push(&mut Vec::new(), bytes, records);
    let (entries, receiver) = mpsc::channel(QUEUE_ENTRIES_MAX);
    let ending = Arc::new(Mutex::new(None));
    let (id, steps) = (lines.run(), matches!(lines, Lines::Seed { .. }));
    let writer = Writer::new(lines, log, appended, receiver, Arc::clone(&ending));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(unusable)?;
    let writer = thread::Builder::new()
        .name("audit-writer".to_owned())
        .spawn(move || runtime.block_on(writer.run()))
        .map_err(unusable)?;
    let (path, lang) = (path.to_owned(), run.lang);
    Ok((Audit { run: id, steps, entries, ending, writer, durability, path, lang }, resumed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn only_times_that_the_log_can_hold_are_datable() {
        for (time, datable) in [
            (SystemTime::UNIX_EPOCH - Duration::from_nanos(1), false),
            (SystemTime::UNIX_EPOCH, true),
            (SystemTime::now(), true),
            // 9999-12-30 and 10000-01-02.
            (SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_128_000), true),
            (SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_387_200), false),
        ] {
            assert_eq!(is_datable(time), datable, "{time:?}");
        }
    }
}
