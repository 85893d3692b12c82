//! The customers of all sales, by number: one record for each (sale, customer) with an order.
//! The table and the totals are derived: no snapshot holds them.

use crate::column::Column;
use crate::log::Log;
use crate::orders::NONE;
use crate::table::{Place, Table};

/// A customer of a sale. The name stands in the text of the record's chunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CustomerRecord {
    pub(crate) print: u128,
    pub(crate) sale: u32,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// What a customer has in a sale.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Totals {
    /// Units held and sold: what counts against the limit.
    pub(crate) units: u64,
    pub(crate) first_order: u32,
    pub(crate) last_order: u32,
}

impl Totals {
    pub(crate) const NOTHING: Self = Self { units: 0, first_order: NONE, last_order: NONE };
}

#[derive(Debug)]
pub(crate) struct Customers {
    pub(crate) records: Log<CustomerRecord>,
    pub(crate) totals: Column<Totals>,
    pub(crate) by_print: Table,
}

impl Customers {
    pub(crate) fn new() -> Self {
        Self { records: Log::new(), totals: Column::new(), by_print: Table::new() }
    }

    #[inline]
    pub(crate) fn find(&self, print: u128) -> Option<u32> {
        self.by_print.find(Place::of_print(print), |number| self.records.get(number).print == print)
    }

    pub(crate) fn name(&self, number: u32) -> &str {
        let record = self.records.get(number);
        let text = &self.records.chunk(number).text;
        &text[record.start as usize..record.end as usize]
    }

    /// Appends a customer that `find` does not find.
    #[inline]
    pub(crate) fn push(&mut self, print: u128, sale: u32, name: &str) -> u32 {
        let number = self.records.len();
        self.by_print.insert(Place::of_print(print), number);
        self.totals.push(Totals::NOTHING);
        self.records.push_with_text(name, |start| CustomerRecord {
            print,
            sale,
            // A chunk's text is at most CHUNK_RECORDS * CUSTOMER_BYTES_MAX bytes: 24 bits.
            start: start as u32,
            end: (start + name.len()) as u32,
        });
        number
    }
}
