//! What the grouping thread is asked to do.

use super::{
    Forgotten, GROUP_BYTES_MAX, PublishedCallback, QUEUE_EVENT_BYTES_MAX, QUEUE_EVENTS_MAX,
};
use crate::Unavailable;
use crate::intake::{IntakeLimits, Queued};
use crate::query::Reply;
use kilat_eventlog::{ForgetRule, Publication};

pub(crate) const LIMITS: IntakeLimits = IntakeLimits {
    queue_weight_max: QUEUE_EVENTS_MAX,
    queue_bytes_max: QUEUE_EVENT_BYTES_MAX,
    batch_weight_max: QUEUE_EVENTS_MAX,
    batch_bytes_max: GROUP_BYTES_MAX,
};

/// Something for the grouping thread to do, with where the result goes.
pub(crate) enum Work {
    Publish { publication: Box<Publication>, done: PublishedCallback },
    Forget { rule: ForgetRule, reply: Reply<Forgotten> },
}

impl Queued for Work {
    fn weight(&self) -> usize {
        match self {
            Work::Publish { publication, .. } => publication.len().max(1),
            Work::Forget { .. } => 1,
        }
    }

    fn frame_bytes_max(&self) -> usize {
        match self {
            Work::Publish { publication, .. } => publication.frame_bytes_max(),
            Work::Forget { .. } => 0,
        }
    }

    fn refuse(self, why: Unavailable) {
        match self {
            Work::Publish { done, .. } => done(Err(why)),
            Work::Forget { reply, .. } => reply(Err(why)),
        }
    }
}
