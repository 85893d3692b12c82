//! Where the event log is: in this process, or behind a core.

use crate::Unavailable;
use crate::intake::Intake;
use crate::protocol::events::{LogState, Span};
use crate::remote::ReadWork;
use crate::watchers::Watchers;
use kilat_eventlog::{Counters, Origin, Page, Publication, Reader, TopicCount};
use kilat_journal::Directory;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Why stored events could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The log's files or its index: see there.
    #[error(transparent)]
    Log(#[from] kilat_eventlog::ReadError),
    /// The core did not answer, or could not.
    #[error(transparent)]
    Core(#[from] Unavailable),
}

/// See the module.
#[derive(Clone)]
pub(crate) enum Log {
    Local(LocalLog),
    Remote(Arc<RemoteLog>),
}

/// A log in this process.
#[derive(Clone)]
pub(crate) struct LocalLog {
    pub(crate) reader: Reader<Directory>,
    pub(crate) at_start: Counters,
    pub(crate) started: Instant,
    pub(crate) watchers: Arc<Watchers<u64>>,
}

/// A log behind a core: what it told last, and the way to ask for more.
pub(crate) struct RemoteLog {
    reads: Arc<Intake<ReadWork>>,
    told: Mutex<Told>,
}

#[derive(Clone, Copy)]
struct Told {
    counters: Counters,
    at_start: Counters,
    started: Instant,
}

impl Log {
    pub(super) fn publication(&self) -> Publication {
        match self {
            Log::Local(log) => log.reader.publication(Origin::Published),
            Log::Remote(_) => Publication::in_transit(),
        }
    }

    /// Elsewhere the core does it.
    pub(super) fn look_up(
        &self,
        publication: &mut Publication,
    ) -> Result<(), kilat_eventlog::ReadError> {
        match self {
            Log::Local(log) => log.reader.look_up(publication),
            Log::Remote(_) => Ok(()),
        }
    }

    pub(super) fn read(
        &self,
        topic: Option<&str>,
        after: Option<u64>,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Page, ReadError> {
        match self {
            Log::Local(log) => Ok(log.reader.read(topic, after, limit, bytes_max)?),
            Log::Remote(log) => {
                let span = Span { topic: topic.map(str::to_owned), after, limit, bytes_max };
                Ok(log.ask(|reply| ReadWork::Events { span, reply })?)
            }
        }
    }

    pub(super) fn topics(&self) -> Result<Vec<TopicCount>, ReadError> {
        match self {
            Log::Local(log) => Ok(log.reader.topics()),
            Log::Remote(log) => Ok(log.topics()?),
        }
    }

    pub(crate) fn topics_here(&self) -> Option<usize> {
        match self {
            Log::Local(log) => Some(log.reader.topics().len()),
            Log::Remote(_) => None,
        }
    }

    pub(super) fn counters(&self) -> Counters {
        match self {
            Log::Local(log) => log.reader.counters(),
            Log::Remote(log) => log.told().counters,
        }
    }

    pub(super) fn at_start(&self) -> Counters {
        match self {
            Log::Local(log) => log.at_start,
            Log::Remote(log) => log.told().at_start,
        }
    }

    pub(super) fn started(&self) -> Instant {
        match self {
            Log::Local(log) => log.started,
            Log::Remote(log) => log.told().started,
        }
    }

    /// A replica serves no other replicas: nobody watches there.
    pub(super) fn watch(&self, watcher: Box<dyn Fn(&u64) -> bool + Send>) {
        if let Log::Local(log) = self {
            log.watchers.add(watcher);
        }
    }
}

impl RemoteLog {
    pub(crate) fn new(reads: Arc<Intake<ReadWork>>) -> RemoteLog {
        let (counters, at_start) = (Counters::default(), Counters::default());
        let told = Told { counters, at_start, started: Instant::now() };
        RemoteLog { reads, told: Mutex::new(told) }
    }

    /// The core says how far its log has come.
    pub(crate) fn tell(&self, state: &LogState) {
        let open = Duration::from_millis(state.open_ms);
        let now = Instant::now();
        *self.told() = Told {
            counters: state.counters,
            at_start: state.at_start,
            started: now.checked_sub(open).unwrap_or(now),
        };
    }

    /// No code panics while it holds the lock.
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All topics, a part at a time. Their order is that of their first events and never changes.
    fn topics(&self) -> Result<Vec<TopicCount>, Unavailable> {
        let mut topics = Vec::new();
        loop {
            let known = topics.len();
            let (all, more) = self.ask(|reply| ReadWork::Topics { known, reply })?;
            topics.extend(more);
            if all {
                return Ok(topics);
            }
        }
    }

    fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(crate::query::Reply<T>) -> ReadWork,
    ) -> Result<T, Unavailable> {
        let (reply, answer): (SyncSender<Result<T, Unavailable>>, _) = sync_channel(1);
        self.reads.put_or_refuse(work(Box::new(move |result| drop(reply.send(result)))));
        answer.recv().unwrap_or(Err(Unavailable::Unknown))
    }
}
