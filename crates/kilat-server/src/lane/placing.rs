//! The orders of a round: joined here, placed as one group, answered one by one.

use super::connection::Ticket;
use crate::metrics::OrderCounts;
use kilat_engine::{Handle, OrderText, Orders};

/// Groups kept for reuse.
const SPARE_GROUPS_MAX: usize = 8;

/// A lane's orders that are not sent yet.
pub(super) struct Placing {
    handle: Handle,
    orders: Orders,
    tickets: Vec<Ticket>,
    spare: Vec<(Orders, Vec<Ticket>)>,
    pub(super) counts: OrderCounts,
}

impl Placing {
    pub(super) fn new(handle: Handle) -> Placing {
        let (orders, counts) = (Orders::default(), OrderCounts::default());
        Placing { handle, orders, tickets: Vec::new(), spare: Vec::new(), counts }
    }

    /// Adds an order, and whose it is.
    pub(super) fn push(&mut self, text: &OrderText<'_>, quantity: u32, hold: bool, whose: Ticket) {
        let prints = self.handle.hasher();
        self.orders.push(prints, crate::ids::order_id(), text, quantity, hold);
        if let Some(trip) = &whose.trip {
            self.orders.trace_last(trip.context());
        }
        self.tickets.push(whose);
    }

    pub(super) fn len(&self) -> usize {
        self.tickets.len()
    }

    /// The group, and whose orders they are.
    pub(super) fn take(&mut self) -> (Orders, Vec<Ticket>) {
        let (orders, tickets) = self.spare.pop().unwrap_or_default();
        let orders = std::mem::replace(&mut self.orders, orders);
        (orders, std::mem::replace(&mut self.tickets, tickets))
    }

    /// Keeps the memory of a group that was answered.
    pub(super) fn recycle(&mut self, mut orders: Orders, mut tickets: Vec<Ticket>) {
        if self.spare.len() < SPARE_GROUPS_MAX {
            orders.clear();
            tickets.clear();
            self.spare.push((orders, tickets));
        }
    }
}
