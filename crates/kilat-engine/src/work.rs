//! What the batcher is asked to do.

use crate::intake::{IntakeLimits, Queued};
use crate::query::{Query, Reply};
use crate::{
    BATCH_BYTES_MAX, BATCH_COMMANDS_MAX, Change, Orders, PlacedCallback, QUEUE_COMMANDS_MAX,
    Unavailable,
};
use kilat_ledger::{Outcome, Time};

/// How many commands wait at most. Their bytes need no limit of their own: names and keys are short.
pub(crate) const LIMITS: IntakeLimits = IntakeLimits {
    queue_weight_max: QUEUE_COMMANDS_MAX,
    queue_bytes_max: usize::MAX,
    batch_weight_max: BATCH_COMMANDS_MAX,
    batch_bytes_max: BATCH_BYTES_MAX,
};

/// Something for the batcher to do, with where the result goes.
pub(crate) enum Work {
    Orders { orders: Orders, done: PlacedCallback },
    Change { change: Change, reply: Reply<(Outcome, Time)> },
    Query(Query),
}

impl Queued for Work {
    fn weight(&self) -> usize {
        match self {
            Work::Orders { orders, .. } => orders.len().max(1),
            Work::Change { .. } | Work::Query(_) => 1,
        }
    }

    fn frame_bytes_max(&self) -> usize {
        match self {
            Work::Orders { orders, .. } => orders.fact_bytes_max(),
            Work::Change { change, .. } => change.fact_bytes_max(),
            Work::Query(_) => 0,
        }
    }

    fn refuse(self, why: Unavailable) {
        match self {
            Work::Orders { done, .. } => done(Err(why)),
            Work::Change { reply, .. } => reply(Err(why)),
            Work::Query(query) => query.refuse(why),
        }
    }
}
