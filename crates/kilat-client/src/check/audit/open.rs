//! Finding or making the file of a log, and the first record of a run.

use super::durable::Durability;
use super::failure::Failure;
use super::file::{self, LogFile, Medium, Place};
use super::records::Records;
use super::seed::SeedText;
use super::writer::{Lines, Writer};
use super::{
    Audit, AuditOptions, Format, OnDurable, QUEUE_ENTRIES_MAX, Resumed, RunFacts, RunId, kind, tail,
};
use crate::ClientError;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use kind::Kind;
use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use tokio::sync::mpsc;

/// How often the file may be replaced between opening and locking it.
const OPENINGS_MAX: u32 = 8;

/// Why a run can't begin.
pub(super) enum Stop {
    /// The key of the sentence, and what the system says.
    Usage(&'static str, String),
    /// As of any append.
    Failure(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failure(failure)
    }
}

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
    let begun = Opening { path: &path, format: &format, overwrite, resume, run: &run };
    begun.begin(medium).and_then(|begun| start(begun, &path, &run, on_durable)).map_err(|stop| {
        match stop {
            Stop::Usage(key, why) => {
                let why: &dyn Display = &why;
                ClientError::Usage(lang.say(key, &[("file", &path.display()), ("why", why)]))
            }
            Stop::Failure(failure) => failure.into_error(&path, lang),
        }
    })
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
        for _ in 0..OPENINGS_MAX {
            let file = open_file(self.path)?;
            let place = Place::of(self.path, &file).map_err(unusable)?;
            let medium = medium(file);
            let _guard = file::lock(medium.file())?;
            // Whoever replaced it since did so while nobody was looking.
            if place.holds() {
                return self.begin_locked(&medium, place);
            }
        }
        Err(Failure::Moved.into())
    }

    fn begin_locked(&self, medium: &Arc<dyn Medium>, place: Place) -> Result<Begun, Stop> {
        let size = self.make_ready(medium)?;
        let directory = directory_of(self.path).map_err(unusable)?;
        let resumed = Resumed {
            seen: super::Seen::new(&directory),
            root: None,
            done: super::Counts::default(),
        };
        let mut first = Vec::new();
        let lines = self.first_lines(&mut first);
        let mut log = LogFile::new(Arc::clone(medium));
        log.write(size, &first)?;
        // A file that nobody finds by its name after a power cut is lost, however durable.
        File::open(&directory).and_then(|directory| directory.sync_all()).map_err(unusable)?;
        Ok(Begun { log, place, lines, bytes: first.len(), resumed })
    }

    /// Makes the file a log that ends with a whole line, all of it durable; returns its size.
    fn make_ready(&self, medium: &Arc<dyn Medium>) -> Result<u64, Stop> {
        let file = medium.file();
        let found = kind::of(file).map_err(unusable)?;
        let is_wanted = match found {
            Kind::Empty => true,
            Kind::Json => self.overwrite || matches!(self.format, Format::Json),
            Kind::Seed => self.overwrite || matches!(self.format, Format::Seed(_)),
            Kind::Foreign => return Err(Stop::Usage("audit.foreign", String::new())),
        };
        if !is_wanted {
            return Err(Stop::Usage("audit.other_format", String::new()));
        }
        if self.overwrite {
            file.set_len(0).map_err(unusable)?;
            return Ok(0);
        }
        let size = tail::mend(file).map_err(Failure::Read)?;
        if size > 0 {
            // What the first record follows, it calls durable; and what is resumed must be.
            medium.sync().map_err(Failure::Sync)?;
        }
        Ok(size)
    }

    fn first_lines(&self, out: &mut Vec<u8>) -> Lines {
        let now = Timestamp::now();
        let run = RunId::new();
        match self.format {
            Format::Json => {
                let mut records = Records::new(run);
                records.start(self.run, None, now, out);
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
fn directory_of(path: &Path) -> io::Result<std::path::PathBuf> {
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
    appended.push(&mut Vec::new(), bytes, records)?;
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
