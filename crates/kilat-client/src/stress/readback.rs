//! Every stored event of the run, read back page by page in constant memory.

use super::options::Plan;
use super::render::{Renderer, Stored};
use super::told::{Bits, Told};
use crate::attack::Promises;
use crate::http::{Api, CallError, Patience, decode};
use serde::Deserialize;

/// Events asked for in one page.
const PAGE_EVENTS: u32 = 1_000;

/// What reading back brought to light.
#[derive(Debug, Default)]
pub(crate) struct ReadBack {
    /// Acknowledged events: each stored, and once.
    pub once: Promises,
    /// Stored events: what was sent.
    pub content: Promises,
    /// Offsets: strictly increasing, and as told.
    pub order: Promises,
    /// Events of this run that are stored.
    pub found: u64,
}

#[derive(Deserialize)]
struct Page<'a> {
    count: u64,
    #[serde(borrow)]
    events: Vec<Stored<'a>>,
    next: Option<u64>,
}

/// Pages through the run's topic.
pub(crate) fn read(
    api: &Api,
    plan: &Plan,
    renderer: &Renderer,
    patience: &Patience<'_>,
    told: &Told,
    tried: impl Fn(u64) -> bool,
) -> Result<ReadBack, CallError> {
    let seen = Bits::new(plan.deck.events());
    let mut reading =
        Reading { plan, renderer, told, tried, seen, last: None, found: ReadBack::default() };
    let mut after: Option<u64> = None;
    loop {
        let from = after.map_or(String::new(), |after| format!("&after={after}"));
        let path = format!("/events?topic={}&limit={PAGE_EVENTS}{from}", plan.topic);
        let body = patience.call(|| api.get(&path))?;
        let page: Page<'_> = decode(&body)?;
        if page.count != page.events.len() as u64 {
            let subject = format!("count {}, events {}", page.count, page.events.len());
            reading.found.order.broke("wrong_count", subject);
        }
        for event in &page.events {
            reading.take(event);
        }
        match page.next {
            None => break,
            Some(next) if after.is_none_or(|after| next > after) => after = Some(next),
            Some(next) => return Err(CallError::Unreadable(format!("next = {next}"))),
        }
    }
    reading.finish();
    Ok(reading.found)
}

struct Reading<'a, T> {
    plan: &'a Plan,
    renderer: &'a Renderer,
    told: &'a Told,
    /// Whether an event was sent at all.
    tried: T,
    seen: Bits,
    last: Option<u64>,
    found: ReadBack,
}

impl<T: Fn(u64) -> bool> Reading<'_, T> {
    fn take(&mut self, stored: &Stored<'_>) {
        let named = || format!("{} @{}", stored.event_id, stored.offset);
        if self.last.is_some_and(|last| stored.offset <= last) {
            self.found.order.broke("out_of_order", named());
        }
        self.last = Some(stored.offset);
        let number = self.renderer.number_of(&stored.event_id);
        let Some(event) = number.filter(|&event| event < self.plan.deck.events()) else {
            // Of another run in the same topic, or of nobody in a topic that is the run's own.
            if number.is_some() || self.plan.topic.ends_with(&self.plan.run) {
                self.found.once.broke("stray_event", named());
            }
            return;
        };
        if self.seen.set(event) {
            return self.found.once.broke("stored_twice", named());
        }
        self.found.found += 1;
        if !(self.tried)(event) {
            self.found.once.broke("stray_event", named());
        }
        self.found.order.checked += 1;
        if !self.told.agrees(event, stored.offset) {
            self.found.order.broke("another_offset", named());
        }
        self.found.content.checked += 1;
        if let Some(field) = self.renderer.difference(event, stored) {
            self.found.content.broke("other_content", format!("{}: {field}", named()));
        }
    }

    fn finish(&mut self) {
        for event in 0..self.plan.deck.events() {
            if self.told.acknowledged.has(event) {
                self.found.once.checked += 1;
                if !self.seen.has(event) {
                    self.found.once.broke("event_missing", self.renderer.id(event));
                }
            }
        }
    }
}
