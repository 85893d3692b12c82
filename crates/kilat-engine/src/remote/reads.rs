//! Reads of the event log behind a core. They have a connection of their own, so that no sale and
//! no publication waits for a file.

use super::in_flight::Sent;
use super::ledger::answer;
use super::link::Traffic;
use crate::Unavailable;
use crate::intake::{Intake, IntakeLimits, Queued};
use crate::protocol::events::{self, Span};
use crate::protocol::frame::{Frame, Kind};
use crate::protocol::hello::Role;
use crate::protocol::wire::{Malformed, Put as _};
use crate::query::Reply;
use kilat_eventlog::{Page, TopicCount};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Most reads that wait; the server allows itself far fewer at a time.
const QUEUE_READS_MAX: usize = 1_024;

pub(crate) const LIMITS: IntakeLimits = IntakeLimits {
    queue_weight_max: QUEUE_READS_MAX,
    queue_bytes_max: usize::MAX,
    batch_weight_max: QUEUE_READS_MAX,
    batch_bytes_max: usize::MAX,
};

/// Something to be read.
pub(crate) enum ReadWork {
    Events {
        span: Span,
        reply: Reply<Page>,
    },
    /// Topics after the first `known`, and whether those are all.
    Topics {
        known: usize,
        reply: Reply<(bool, Vec<TopicCount>)>,
    },
    /// Something that only the processes around replica and core know to read.
    Ask {
        question: Vec<u8>,
        reply: Reply<Vec<u8>>,
    },
}

/// Asks the process around the core, whose [`CoreOptions::on_ask`](crate::CoreOptions::on_ask)
/// answers. Clones ask over the same connection.
#[derive(Clone)]
pub struct Asker(pub(super) Arc<Intake<ReadWork>>);

impl Asker {
    /// The answer to `question`, of at most 8 MiB. After a connection that broke it is sent again,
    /// so what it asks for must be the same when done twice.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn ask(&self, question: Vec<u8>) -> Result<Vec<u8>, Unavailable> {
        let (send, answer) = oneshot::channel();
        // A caller who left is no fault.
        let reply: Reply<Vec<u8>> = Box::new(move |result| drop(send.send(result)));
        self.0.put_or_refuse(ReadWork::Ask { question, reply });
        answer.await.unwrap_or(Err(Unavailable::Unknown))
    }
}

impl Queued for ReadWork {
    fn weight(&self) -> usize {
        1
    }

    fn frame_bytes_max(&self) -> usize {
        0
    }

    fn refuse(self, why: Unavailable) {
        match self {
            ReadWork::Events { reply, .. } => reply(Err(why)),
            ReadWork::Topics { reply, .. } => reply(Err(why)),
            ReadWork::Ask { reply, .. } => reply(Err(why)),
        }
    }
}

/// See the module.
pub(super) struct ReadTraffic;

impl Traffic for ReadTraffic {
    type Work = ReadWork;
    const ROLE: Role = Role::Reads;

    fn can_repeat(_: &ReadWork) -> bool {
        true
    }

    fn kind(work: &ReadWork) -> Kind {
        match work {
            ReadWork::Events { .. } => Kind::ReadEvents,
            ReadWork::Topics { .. } => Kind::ReadTopics,
            ReadWork::Ask { .. } => Kind::Ask,
        }
    }

    fn write(work: &ReadWork, out: &mut Vec<u8>) {
        match work {
            ReadWork::Events { span, .. } => events::put_span(span, out),
            ReadWork::Topics { known, .. } => out.put_count(*known),
            ReadWork::Ask { question, .. } => {
                out.put_count(question.len());
                out.extend_from_slice(question);
            }
        }
    }

    fn settle(sent: Sent<ReadWork>, reply: Frame<'_>) -> Result<(), Malformed> {
        let Frame { kind, mut body, .. } = reply;
        match (sent.work, kind) {
            (ReadWork::Events { reply, .. }, Kind::Events) => {
                answer(reply, &mut body, events::page)
            }
            (ReadWork::Topics { reply, .. }, Kind::Topics) => {
                answer(reply, &mut body, events::topics)
            }
            (ReadWork::Ask { reply, .. }, Kind::Reply) => {
                answer(reply, &mut body, |body| body.blob().map(<[u8]>::to_vec))
            }
            (work, _) => {
                work.refuse(Unavailable::Unknown);
                Err(Malformed("a reply is of another kind than its request"))
            }
        }
    }

    fn hear(&self, _: Frame<'_>) -> Result<(), Malformed> {
        Err(Malformed("the core tells what was not asked for"))
    }

    fn cut_off(&self) {}
}
