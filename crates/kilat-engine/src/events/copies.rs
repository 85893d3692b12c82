//! Whether the event log's copies of the sale's facts are those facts, all of them, in order.

use super::SALE_TOPIC_PREFIX;
use super::fact::FactEvent;
use kilat_eventlog::{Content, StoredEvent};
use kilat_ledger::{Corrupt, FactKind, Facts};

/// A running print over copies or facts, so that two long lists can be compared without keeping
/// either.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Copies {
    count: u64,
    print: [u8; 16],
}

impl Copies {
    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Adds an event of the log, if it is a copy.
    pub(crate) fn event(&mut self, event: &StoredEvent) {
        if event.topic.starts_with(SALE_TOPIC_PREFIX) {
            self.add(&event.topic, &event.id, event.content);
        }
    }

    fn add(&mut self, topic: &str, id: &str, content: Content) {
        let parts = [&self.print[..], topic.as_bytes(), b"\xff", id.as_bytes(), content.as_bytes()];
        self.print = *Content::of(&parts.concat()).as_bytes();
        self.count += 1;
    }
}

/// The same over the ledger's facts, from its first frame on.
#[derive(Default)]
pub(crate) struct Originals {
    copies: Copies,
    sales: Vec<String>,
    event: FactEvent,
}

impl Originals {
    /// Adds a frame's facts, up to `count` in all.
    pub(crate) fn frame(&mut self, batch: &[u8], count: u64) -> Result<(), Corrupt> {
        if self.copies.count == count {
            return Ok(());
        }
        for fact in Facts::decode(batch)? {
            let fact = fact?;
            if let FactKind::SaleCreated { terms } = &fact.kind {
                self.sales.push(terms.id.clone());
            }
            let sale = self.sales.get(fact.sale as usize);
            let sale = sale.ok_or(Corrupt::Malformed("a fact names an unknown sale"))?;
            if self.copies.count < count {
                self.event.set(sale, &fact);
                let FactEvent { topic, id, body, .. } = &self.event;
                self.copies.add(topic, id, Content::of(body));
            }
        }
        Ok(())
    }

    pub(crate) fn copies(&self) -> &Copies {
        &self.copies
    }
}
