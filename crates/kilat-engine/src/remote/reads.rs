//! Reads of the event log behind a core. They have a connection of their own, so that no sale and
//! no publication waits for a file.

use super::in_flight::Sent;
use super::ledger::answer;
use super::link::Traffic;
use crate::Unavailable;
use crate::intake::{IntakeLimits, Queued};
use crate::protocol::events::{self, Span};
use crate::protocol::frame::{Frame, Kind};
use crate::protocol::hello::Role;
use crate::protocol::wire::{Malformed, Put as _};
use crate::query::Reply;
use kilat_eventlog::{Page, TopicCount};

/// Most reads that wait; the server allows itself far fewer at a time.
const QUEUE_READS_MAX: usize = 1_024;

pub(super) const LIMITS: IntakeLimits = IntakeLimits {
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
        }
    }

    fn write(work: &ReadWork, out: &mut Vec<u8>) {
        match work {
            ReadWork::Events { span, .. } => events::put_span(span, out),
            ReadWork::Topics { known, .. } => out.put_count(*known),
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
