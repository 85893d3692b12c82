//! The newest orders and events, read off the end of the event log while somebody looks.

use super::message::Happening;
use kilat_engine::{Events, SALE_TOPIC_PREFIX, StoredEvent};
use serde::Deserialize;
use std::collections::VecDeque;

/// Rows of each kind that are kept.
const ROWS_MAX: usize = 10;
/// Events that are read at a time; what came before them is passed over.
const READ_EVENTS_MAX: u64 = 60;
/// Bytes of bodies that are read at a time.
const READ_BYTES_MAX: usize = 256 << 10;

/// See the module.
#[derive(Clone, Default)]
pub(super) struct Tail {
    /// Offset of the newest event that was read.
    read: Option<u64>,
    pub(super) orders: VecDeque<Happening>,
    pub(super) events: VecDeque<Happening>,
}

/// What is looked at of a body.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    payload: Payload,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Payload {
    #[serde(rename = "type")]
    kind: String,
    order: String,
    customer: String,
    quantity: u64,
}

impl Tail {
    /// Reads what is new. Reads files: for a thread that may wait.
    pub(super) fn follow(&mut self, events: &Events) {
        let end = *events.ends().borrow();
        let from = self.read.map_or(0, |read| read + 1).max(end.saturating_sub(READ_EVENTS_MAX));
        if from >= end {
            return;
        }
        let after = from.checked_sub(1);
        match events.read(None, after, READ_EVENTS_MAX as usize, READ_BYTES_MAX) {
            Ok(page) => page.events.iter().for_each(|event| self.take(event)),
            Err(error) => tracing::debug!(%error, "the newest events can't be read"),
        }
    }

    fn take(&mut self, event: &StoredEvent) {
        if self.read.is_some_and(|read| read >= event.offset) {
            return;
        }
        self.read = Some(event.offset);
        let of_sale = event.topic.starts_with(SALE_TOPIC_PREFIX);
        let rows = if of_sale { &mut self.orders } else { &mut self.events };
        rows.push_front(happening(event));
        rows.truncate(ROWS_MAX);
    }
}

fn happening(event: &StoredEvent) -> Happening {
    // A stored body is the members of an object without its braces.
    let body = event.body.as_ref().map(|body| [b"{", body.as_slice(), b"}"].concat());
    let body: Body = body.and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
    let Payload { kind, order, customer, quantity } = body.payload;
    Happening {
        topic: event.topic.to_string(),
        id: event.id.clone(),
        at: event.received_ms,
        kind,
        order,
        customer,
        quantity,
    }
}
