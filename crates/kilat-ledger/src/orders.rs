//! The orders of all sales, by number, with the tables and chains that find them.
//! Tables and chains are derived: no snapshot holds them.

use crate::column::Column;
use crate::log::Log;
use crate::order_id::OrderId;
use crate::outcome::{Order, OrderStatus};
use crate::table::{Place, Table};
use crate::time::Time;

/// The end of a chain.
pub(crate) const NONE: u32 = u32::MAX;

/// One order, exactly one cache line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OrderRecord {
    pub(crate) id: u128,
    pub(crate) print: u128,
    pub(crate) sequence: u64,
    /// Meaningless unless `hold`.
    pub(crate) expires_at: Time,
    pub(crate) customer: u32,
    pub(crate) sale: u32,
    pub(crate) quantity: u32,
    pub(crate) status: OrderStatus,
    pub(crate) hold: bool,
}

const _: () = assert!(size_of::<OrderRecord>() == 64);

impl OrderRecord {
    pub(crate) fn expires_at(&self) -> Option<Time> {
        self.hold.then_some(self.expires_at)
    }

    #[inline]
    pub(crate) fn order(&self) -> Order {
        Order {
            id: OrderId::from_bits(self.id),
            sale: self.sale,
            quantity: self.quantity,
            status: self.status,
            hold: self.hold,
            expires_at: self.expires_at(),
            sequence: self.sequence,
        }
    }
}

/// The orders that follow an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Link {
    /// The next one of the same customer in the same sale.
    pub(crate) of_customer: u32,
    /// The next one of the same sale.
    pub(crate) of_sale: u32,
}

impl Link {
    pub(crate) const END: Self = Self { of_customer: NONE, of_sale: NONE };
}

#[derive(Debug)]
pub(crate) struct Orders {
    pub(crate) records: Log<OrderRecord>,
    pub(crate) links: Column<Link>,
    pub(crate) by_id: Table,
    pub(crate) by_print: Table,
}

impl Orders {
    pub(crate) fn new() -> Self {
        Self {
            records: Log::new(),
            links: Column::new(),
            by_id: Table::new(),
            by_print: Table::new(),
        }
    }

    #[inline]
    pub(crate) fn find(&self, id: OrderId) -> Option<u32> {
        let id = id.to_bits();
        self.by_id.find(Place::of_id(id), |number| self.records.get(number).id == id)
    }

    #[inline]
    pub(crate) fn find_print(&self, print: u128) -> Option<u32> {
        self.by_print.find(Place::of_print(print), |number| self.records.get(number).print == print)
    }

    /// Appends an order that neither `find` nor `find_print` finds.
    #[inline(always)]
    pub(crate) fn push(&mut self, record: OrderRecord) -> u32 {
        let number = self.records.len();
        self.by_id.insert(Place::of_id(record.id), number);
        self.by_print.insert(Place::of_print(record.print), number);
        self.links.push(Link::END);
        self.records.push(record);
        number
    }
}
