//! Events from JSON Lines into the event log.
//!
//! Sending an event again is safe, so a batch without an answer is simply sent
//! again, and a run that was killed is simply started again.
//!
//! | module | holds |
//! |---|---|
//! | `input`, `line` | lines from files and stdin, and what is wrong with one |
//! | `batch`, `hopper` | events on their way, a bounded number of them |
//! | `sender` | delivers batches over one connection |
//! | `board` | what was found out so far |
//! | `resume` | how far each file is published, on disk |
//! | `report` | the result as data and text |
//! | `demo` | three events of which one is a duplicate |

mod batch;
mod board;
mod demo;
mod hopper;
mod input;
mod line;
mod report;
mod resume;
mod sender;

pub use board::{Finding, Stop};
pub use demo::demo;
pub use input::Input;
pub use report::PublishReport;

pub(crate) use line::is_open_topic;

use crate::events::courier::{Courier, Meter, Policy};
use crate::events::receipt::Detail;
use crate::events::{BATCH_EVENTS_MAX, CONNECTIONS_MAX, Progress, check_range};
use crate::http::{Access, Api, random_bits};
use crate::{ClientError, Lang};
use board::Board;
use hopper::Hopper;
use input::{Reader, Source};
use resume::{Position, Resume};
use sender::Sender;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// First wait before a batch is sent again.
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
/// Longest wait before a batch is sent again, unless the server asks for more.
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// Most retries that can be asked for.
const RETRIES_MAX: u32 = 1_000_000;
/// Time between two looks at how far it is. Each writes the resume state.
const TICK: Duration = Duration::from_millis(100);
/// How late the end of the last sender is noticed at most.
const NAP: Duration = Duration::from_millis(2);

/// What to do with a line that is no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnInvalid {
    /// Publish everything before it and stop.
    Stop,
    /// Count it and go on.
    Skip,
}

/// What to publish, where and how.
#[derive(Clone, Debug)]
pub struct PublishOptions {
    /// Where the server is, the publishing token, and the longest that one request may take.
    pub access: Access,
    /// Read one after the other.
    pub inputs: Vec<Input>,
    /// Most events of a batch, 1 to [`BATCH_EVENTS_MAX`].
    pub batch: u32,
    /// Connections, 1 to [`CONNECTIONS_MAX`]. With one, events are stored in the order read.
    pub connections: u32,
    /// How often a batch is sent again before giving up.
    pub retries: u32,
    /// What to do with a line that is no event.
    pub on_invalid: OnInvalid,
    /// Keeps how far each file is published.
    pub resume: Option<PathBuf>,
    /// Language of progress, findings and errors.
    pub lang: Lang,
    /// Set it to stop: batches in flight are finished.
    pub cancel: Arc<AtomicBool>,
}

/// Publishes all inputs.
///
/// Events that were not stored are in the report, not an error.
///
/// # Errors
/// [`ClientError::Usage`] for options that can't work, files that can't be
/// read, and a resume state that belongs to other files or another server.
pub fn run(
    options: &PublishOptions,
    progress: &mut Progress,
) -> Result<PublishReport, ClientError> {
    check(options)?;
    let began = Instant::now();
    let (sources, mut resume) = open(options)?;
    let all = sources.iter().map(|source| source.bytes).sum::<Option<u64>>();
    let work = Arc::new(Work::new(options));
    let apis: Result<Vec<Api>, ClientError> =
        (0..options.connections).map(|_| Api::new(&options.access, options.lang)).collect();
    read_apart(Arc::clone(&work), sources);
    let outcome = work.send(options, &apis?, resume.as_mut(), progress, all);
    progress.finish();
    outcome?;
    let cancelled = options.cancel.load(Ordering::Relaxed);
    let found = work.board.found();
    let next = (found.stop.is_some() || cancelled).then(|| next_step(options));
    Ok(PublishReport::new(found, &work.meter, began.elapsed(), cancelled, next))
}

fn check(options: &PublishOptions) -> Result<(), ClientError> {
    let lang = options.lang;
    check_range("batch", f64::from(options.batch), 1.0, f64::from(BATCH_EVENTS_MAX), lang)?;
    check_range(
        "connections",
        f64::from(options.connections),
        1.0,
        f64::from(CONNECTIONS_MAX),
        lang,
    )?;
    check_range("retries", f64::from(options.retries), 0.0, f64::from(RETRIES_MAX), lang)?;
    if options.inputs.iter().filter(|input| **input == Input::Stdin).count() > 1 {
        return Err(ClientError::Usage(lang.say("publish.stdin_twice", &[])));
    }
    Ok(())
}

fn open(options: &PublishOptions) -> Result<(Vec<Source>, Option<Resume>), ClientError> {
    let lang = options.lang;
    let resume = match &options.resume {
        Some(path) => Some(Resume::open(path, &options.access.url, &options.inputs, lang)?),
        None => None,
    };
    let mut sources = Vec::new();
    for (at, input) in options.inputs.iter().enumerate() {
        let from = resume.as_ref().map_or(Ok(Position::default()), |resume| resume.position(at))?;
        sources.push(Source::open(input, from, lang)?);
    }
    Ok((sources, resume))
}

/// How to go on after a run that did not reach the end.
fn next_step(options: &PublishOptions) -> String {
    let lang = options.lang;
    match &options.resume {
        Some(state) => lang.say("publish.next_resume", &[("state", &state.display())]),
        None => lang.say("publish.next_again", &[]),
    }
}

/// What the reader and the senders share.
struct Work {
    names: Vec<String>,
    hopper: Hopper,
    board: Board,
    meter: Meter,
    bytes: AtomicU64,
    lang: Lang,
}

/// On a thread of its own that nobody waits for: a read from a terminal can't be interrupted.
fn read_apart(work: Arc<Work>, sources: Vec<Source>) {
    std::thread::spawn(move || {
        let Work { names, hopper, board, bytes, lang, .. } = &*work;
        Reader { names, hopper, board, bytes, lang: *lang }.run(sources);
    });
}

impl Work {
    fn new(options: &PublishOptions) -> Work {
        Work {
            names: options.inputs.iter().map(Input::name).collect(),
            hopper: Hopper::new(options.batch as usize, options.connections as usize),
            board: Board::new(options.on_invalid, options.lang),
            meter: Meter::default(),
            bytes: AtomicU64::new(0),
            lang: options.lang,
        }
    }

    /// Sends until everything is dealt with; meanwhile shows and keeps how far it is.
    fn send(
        &self,
        options: &PublishOptions,
        apis: &[Api],
        mut resume: Option<&mut Resume>,
        progress: &mut Progress,
        all: Option<u64>,
    ) -> Result<(), ClientError> {
        std::thread::scope(|scope| {
            let senders: Vec<_> = apis
                .iter()
                .map(|api| scope.spawn(move || self.sender(options, api).run()))
                .collect();
            let mut looked = Instant::now();
            loop {
                let is_over = senders.iter().all(|sender| sender.is_finished());
                if options.cancel.load(Ordering::Relaxed) {
                    self.hopper.shut();
                }
                if is_over || looked.elapsed() >= TICK {
                    looked = Instant::now();
                    let looked = self.look(resume.as_deref_mut(), progress, all);
                    if looked.is_err() {
                        self.hopper.shut();
                        self.board.halt.set();
                    }
                    if is_over || looked.is_err() {
                        return looked;
                    }
                }
                std::thread::sleep(NAP);
            }
        })
    }

    fn look(
        &self,
        resume: Option<&mut Resume>,
        progress: &mut Progress,
        all: Option<u64>,
    ) -> Result<(), ClientError> {
        let counts = self.board.counts();
        for sentence in self.board.news() {
            progress.line(&sentence);
        }
        progress.tick(&crate::events::Scene {
            events: counts.stored + counts.duplicates + counts.conflicts,
            done: self.bytes.load(Ordering::Relaxed),
            all,
            meter: &self.meter,
        });
        let news = self.hopper.news();
        resume.map_or(Ok(()), |resume| resume.save(&news))
    }

    fn sender<'a>(&'a self, options: &'a PublishOptions, api: &'a Api) -> Sender<'a> {
        let path = match options.on_invalid {
            OnInvalid::Stop => "/publish",
            OnInvalid::Skip => "/publish?on_invalid=skip",
        };
        let policy = Policy {
            retries: options.retries,
            patience: Duration::MAX,
            first: BACKOFF_FIRST,
            longest: BACKOFF_MAX,
        };
        Sender {
            courier: Courier {
                api,
                path,
                detail: Detail::Full,
                policy,
                cancel: &options.cancel,
                halt: &self.board.halt,
                meter: &self.meter,
                random: random_bits(),
            },
            hopper: &self.hopper,
            board: &self.board,
            names: &self.names,
            url: &options.access.url,
            lang: options.lang,
            body: Vec::new(),
        }
    }
}
