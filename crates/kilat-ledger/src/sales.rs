//! The sales by number and by id, and where each one's orders are.

use std::collections::HashMap;

use crate::fingerprint::Fingerprinter;
use crate::orders::NONE;
use crate::sale::Sale;

/// Every how many orders of a sale one is marked: finding an order by sequence walks at most
/// that many links.
const ORDERS_PER_MARK: u64 = 256;

#[derive(Debug)]
pub(crate) struct Sales {
    pub(crate) list: Vec<Sale>,
    /// By sale number, like `list`; derived, and so no part of [`Sale`].
    pub(crate) chains: Vec<SaleChain>,
    by_id: HashMap<Box<str>, u32, Fingerprinter>,
}

impl Sales {
    pub(crate) fn new(fingerprinter: Fingerprinter) -> Self {
        Self { list: Vec::new(), chains: Vec::new(), by_id: HashMap::with_hasher(fingerprinter) }
    }

    #[inline]
    pub(crate) fn find(&self, id: &str) -> Option<(u32, &Sale)> {
        let number = *self.by_id.get(id)?;
        self.list.get(number as usize).map(|sale| (number, sale))
    }

    /// Appends a sale whose id `find` does not find.
    pub(crate) fn push(&mut self, sale: Sale) {
        let number = self.list.len() as u32;
        self.by_id.insert(sale.terms.id.as_str().into(), number);
        self.chains.push(SaleChain::default());
        self.list.push(sale);
    }
}

/// The chain of a sale's orders, with marks to enter it.
#[derive(Clone, Debug)]
pub(crate) struct SaleChain {
    pub(crate) last_order: u32,
    orders: u64,
    /// (sequence, number) of every `ORDERS_PER_MARK`th order, from the first on.
    marks: Vec<(u64, u32)>,
}

impl Default for SaleChain {
    fn default() -> Self {
        Self { last_order: NONE, orders: 0, marks: Vec::new() }
    }
}

impl SaleChain {
    /// Appends an order; its sequence is above those before. Linking is up to the caller.
    #[inline]
    pub(crate) fn push(&mut self, sequence: u64, number: u32) {
        if self.orders.is_multiple_of(ORDERS_PER_MARK) {
            self.marks.push((sequence, number));
        }
        self.orders += 1;
        self.last_order = number;
    }

    /// The last marked order with a sequence of at most `sequence`, or the first order.
    pub(crate) fn mark_before(&self, sequence: u64) -> u32 {
        let after = self.marks.partition_point(|mark| mark.0 <= sequence);
        self.marks.get(after.saturating_sub(1)).map_or(NONE, |mark| mark.1)
    }
}
