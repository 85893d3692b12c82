//! A group of orders that travels to the batcher as one.
//!
//! One buffer holds every text of the group, so that a group of any size costs
//! three allocations, which its sender can use again.

use crate::Unavailable;
use crate::traced::{Stages, TraceContext, Traced};
use kilat_ledger::{Fingerprinter, OrderId, Outcome, PlaceOrder, Prints, Time};

/// Most bytes of an order's fact beside its texts.
const FACT_BYTES_MAX: usize = 64;

/// What hashes customers and keys for the ledger behind a [`Handle`](crate::Handle).
#[derive(Clone, Copy, Debug)]
pub struct OrderHasher(Where);

#[derive(Clone, Copy, Debug)]
enum Where {
    /// The ledger is in this process, and so is its key.
    Here(Fingerprinter),
    /// The ledger is elsewhere and hashes for itself: its key does not travel.
    Elsewhere(Prints),
}

impl OrderHasher {
    pub(crate) fn here(prints: Fingerprinter) -> OrderHasher {
        OrderHasher(Where::Here(prints))
    }

    pub(crate) fn elsewhere() -> OrderHasher {
        OrderHasher(Where::Elsewhere(Fingerprinter::new([0; 16]).prints("", "", "")))
    }

    fn prints(&self, text: &OrderText<'_>) -> Prints {
        match self.0 {
            Where::Here(prints) => prints.prints(text.sale, text.customer, text.key),
            Where::Elsewhere(nothing) => nothing,
        }
    }
}

/// Orders to place, each decided by itself.
#[derive(Default)]
pub struct Orders {
    text: String,
    items: Vec<Item>,
    /// In ascending order; hardly ever any.
    traced: Vec<Traced>,
    /// Filled by the batcher; kept here so that its memory is used again with the rest.
    pub(crate) outcomes: Vec<Outcome>,
}

struct Item {
    id: OrderId,
    prints: Prints,
    start: u32,
    sale_end: u32,
    customer_end: u32,
    key_end: u32,
    quantity: u32,
    hold: bool,
}

impl Orders {
    /// Adds an order. Hashes here, on the sender's thread, to spare the batcher.
    pub fn push(
        &mut self,
        hasher: OrderHasher,
        id: OrderId,
        request: &OrderText<'_>,
        quantity: u32,
        hold: bool,
    ) {
        let prints = hasher.prints(request);
        let start = self.offset();
        self.text.push_str(request.sale);
        let sale_end = self.offset();
        self.text.push_str(request.customer);
        let customer_end = self.offset();
        self.text.push_str(request.key);
        let key_end = self.offset();
        self.items.push(Item {
            id,
            prints,
            start,
            sale_end,
            customer_end,
            key_end,
            quantity,
            hold,
        });
    }

    /// Says that the way of the order that was added last is recorded.
    pub fn trace_last(&mut self, context: TraceContext) {
        if let Some(last) = self.items.len().checked_sub(1) {
            // A group is far smaller than 2^32 orders, see below.
            self.traced.push(Traced { order: u32::try_from(last).unwrap_or(u32::MAX), context });
        }
    }

    /// The orders whose way is recorded.
    #[must_use]
    pub fn traced(&self) -> &[Traced] {
        &self.traced
    }

    pub(crate) fn set_traced(&mut self, traced: Vec<Traced>) {
        self.traced = traced;
    }

    /// Texts of a group are bounded by its number of orders, far below 4 GiB.
    fn offset(&self) -> u32 {
        u32::try_from(self.text.len()).unwrap_or(u32::MAX)
    }

    /// Number of orders.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Most bytes that the facts of this group can take.
    pub(crate) fn fact_bytes_max(&self) -> usize {
        self.text.len() + self.items.len() * FACT_BYTES_MAX
    }

    /// Empties the group and keeps its buffers.
    pub fn clear(&mut self) {
        self.text.clear();
        self.items.clear();
        self.traced.clear();
        self.outcomes.clear();
    }

    /// The order at `index` as it was asked.
    #[must_use]
    pub fn get(&self, index: usize) -> PlaceOrder<'_> {
        let item = &self.items[index];
        PlaceOrder::with_prints(
            item.prints,
            item.id,
            &self.text[item.start as usize..item.sale_end as usize],
            &self.text[item.sale_end as usize..item.customer_end as usize],
            &self.text[item.customer_end as usize..item.key_end as usize],
            item.quantity,
            item.hold,
        )
    }

    /// An order that has the id of this very command was placed by it, when it was sent before:
    /// to who asked it is no replay.
    pub(crate) fn own_up(&mut self) {
        let mut outcomes = std::mem::take(&mut self.outcomes);
        for (asked, outcome) in self.iter().zip(&mut outcomes) {
            if let Outcome::Order { order, replayed } = outcome {
                *replayed &= order.id != asked.id;
            }
        }
        self.outcomes = outcomes;
    }

    /// The orders as they were asked, in turn.
    pub fn iter(&self) -> impl Iterator<Item = PlaceOrder<'_>> {
        (0..self.len()).map(|index| self.get(index))
    }
}

/// The texts of an order; all of them checked at the door.
pub struct OrderText<'a> {
    /// The sale's id.
    pub sale: &'a str,
    /// Who buys.
    pub customer: &'a str,
    /// The idempotency key.
    pub key: &'a str,
}

/// What became of a group.
pub struct Placed {
    /// The group as it was sent.
    pub orders: Orders,
    /// The instant at which its orders were decided.
    pub at: Time,
    /// When it passed which stage, if any of its orders is traced and the ledger is in this
    /// process.
    pub stages: Option<Stages>,
}

impl Placed {
    /// An [`Outcome::Order`] or [`Outcome::Refused`] for each order, in the same order.
    #[must_use]
    pub fn outcomes(&self) -> &[Outcome] {
        &self.orders.outcomes
    }
}

/// Called once when the group is decided and durable, or was not taken.
pub type PlacedCallback = Box<dyn FnOnce(Result<Placed, Unavailable>) + Send>;
