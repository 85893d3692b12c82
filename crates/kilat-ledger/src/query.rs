//! What readers ask. Answers may be ahead of the disk: the owner decides when they leave.

use crate::ledger::Ledger;
use crate::order_id::OrderId;
use crate::orders::NONE;
use crate::outcome::Order;
use crate::sale::{Counters, SaleView};

/// Most orders of one page.
pub const ORDERS_PAGE_MAX: usize = 10_000;

impl Ledger {
    /// A sale by id.
    #[must_use]
    pub fn sale(&self, id: &str) -> Option<SaleView<'_>> {
        self.sales.find(id).map(|(number, sale)| sale.view(number))
    }

    /// A sale by number, as facts and orders refer to it.
    #[must_use]
    pub fn sale_by_number(&self, number: u32) -> Option<SaleView<'_>> {
        let sale = self.sales.list.get(number as usize)?;
        Some(sale.view(number))
    }

    /// All sales in the order of their creation.
    pub fn sales(&self) -> impl ExactSizeIterator<Item = SaleView<'_>> {
        let sales = self.sales.list.iter().enumerate();
        sales.map(|(number, sale)| sale.view(number as u32))
    }

    /// The units of a sale, all read at one instant.
    #[must_use]
    pub fn audit(&self, sale: &str) -> Option<Counters> {
        self.sales.find(sale).map(|(_, sale)| sale.counters)
    }

    /// An order of a sale and its customer. The status is as of the latest fact; see
    /// [`Order::at`] for holds that are due.
    #[must_use]
    pub fn order(&self, sale: &str, id: OrderId) -> Option<(Order, &str)> {
        let (sale, _) = self.sales.find(sale)?;
        let number = self.orders.find(id)?;
        let found = self.order_and_customer(number);
        (found.0.sale == sale).then_some(found)
    }

    /// Up to `limit` orders of a sale with a sequence above `after`, in sequence, with their
    /// customers; at most [`ORDERS_PAGE_MAX`]. `None` if there is no such sale.
    #[must_use]
    pub fn orders(&self, sale: &str, after: u64, limit: usize) -> Option<Vec<(Order, &str)>> {
        let (sale, _) = self.sales.find(sale)?;
        let first = self.first_after(sale, after);
        Some(self.page(first, limit, |number| self.orders.links.get(number).of_sale))
    }

    /// The same of one customer.
    #[must_use]
    pub fn orders_of(
        &self,
        sale: &str,
        customer: &str,
        after: u64,
        limit: usize,
    ) -> Option<Vec<(Order, &str)>> {
        let (number, _) = self.sales.find(sale)?;
        let print = self.fingerprinter.customer(sale, customer);
        let Some(customer) = self.customers.find(print.0) else {
            return Some(Vec::new());
        };
        let first = self.first_of_after(number, customer, after);
        let next = |number| self.orders.links.get(number).of_customer;
        Some(self.page(first, limit, next))
    }

    /// How many orders there are in all sales.
    #[must_use]
    pub fn orders_len(&self) -> u32 {
        self.orders.records.len()
    }

    /// How many (sale, customer) pairs have an order.
    #[must_use]
    pub fn customers_len(&self) -> u32 {
        self.customers.records.len()
    }

    /// How many holds are neither confirmed, cancelled nor expired.
    #[must_use]
    pub fn holds_len(&self) -> usize {
        self.holds.len()
    }

    fn page(&self, first: u32, limit: usize, next: impl Fn(u32) -> u32) -> Vec<(Order, &str)> {
        let follow = |number: &u32| Some(next(*number)).filter(|number| *number != NONE);
        let start = (first != NONE).then_some(first);
        std::iter::successors(start, follow)
            .take(limit.min(ORDERS_PAGE_MAX))
            .map(|number| self.order_and_customer(number))
            .collect()
    }

    fn order_and_customer(&self, number: u32) -> (Order, &str) {
        let record = self.orders.records.get(number);
        (record.order(), self.customers.name(record.customer))
    }

    /// The first order of a sale with a sequence above `after`.
    fn first_after(&self, sale: u32, after: u64) -> u32 {
        let mut number = self.sales.chains[sale as usize].mark_before(after);
        while number != NONE && self.orders.records.get(number).sequence <= after {
            number = self.orders.links.get(number).of_sale;
        }
        number
    }

    /// The first order of a customer with a sequence above `after`. The usual `after` is the
    /// last order of a page of the same customer: then its link leads on without a walk.
    fn first_of_after(&self, sale: u32, customer: u32, after: u64) -> u32 {
        let at_after = self.first_after(sale, after.saturating_sub(1));
        let mut number = self.customers.totals.get(customer).first_order;
        if at_after != NONE {
            let record = self.orders.records.get(at_after);
            if record.customer == customer && record.sequence == after {
                return self.orders.links.get(at_after).of_customer;
            }
        }
        while number != NONE && self.orders.records.get(number).sequence <= after {
            number = self.orders.links.get(number).of_customer;
        }
        number
    }
}
