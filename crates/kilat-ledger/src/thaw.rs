//! A ledger from the parts of a snapshot, in pure steps.
//!
//! The caller decodes the parts ([`Piece::decode`]), collects them ([`Pieces::collect`]), builds
//! the indexes ([`Pieces::build`]) and assembles ([`Pieces::assemble`]). Parts are independent
//! of each other and so are indexes, so the first and the third step run on as many threads as
//! the caller has; this module has none. [`Ledger::thaw`] does it all on one.
//!
//! What can't follow from facts is refused: gaps, duplicates, counters that differ from the sum
//! of the orders, units that don't balance.

use std::collections::BTreeSet;

use crate::column::Column;
use crate::corrupt::Corrupt;
use crate::customers::{CustomerRecord, Customers, Totals};
use crate::fingerprint::Fingerprinter;
use crate::frozen::PartName;
use crate::ledger::Ledger;
use crate::log::{CHUNK_RECORDS, Chunk, Log};
use crate::orders::{Link, NONE, OrderRecord, Orders};
use crate::outcome::OrderStatus;
use crate::piece::{Content, Piece, SalesPiece};
use crate::sale::{Counters, Sale};
use crate::sales::{SaleChain, Sales};
use crate::table::{Place, Table};
use crate::time::Time;

/// All parts of a snapshot, decoded and in order.
#[derive(Debug)]
pub struct Pieces {
    fingerprinter: Fingerprinter,
    clock: Time,
    sales: Vec<Sale>,
    orders: Log<OrderRecord>,
    customers: Log<CustomerRecord>,
}

/// What is derived from the parts, in pieces of similar work.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum IndexKind {
    /// From order ids to orders.
    OrderIds,
    /// From (sale, customer, key) to orders.
    OrderPrints,
    /// From (sale, customer) to customers.
    CustomerPrints,
    /// Orders of a sale, orders and units of a customer, holds; checks all counters.
    Chains,
}

impl IndexKind {
    /// All that a ledger needs; threads take them from the front.
    pub const ALL: [Self; 4] =
        [Self::OrderIds, Self::OrderPrints, Self::Chains, Self::CustomerPrints];
}

/// A built index.
#[derive(Debug)]
pub struct Index(Built);

#[derive(Debug)]
enum Built {
    OrderIds(Table),
    OrderPrints(Table),
    CustomerPrints(Table),
    Chains(Chains),
}

#[derive(Debug)]
struct Chains {
    links: Column<Link>,
    totals: Column<Totals>,
    sales: Vec<SaleChain>,
    holds: BTreeSet<(Time, u32)>,
}

impl Ledger {
    /// A ledger from all parts of a snapshot, on the calling thread alone.
    ///
    /// # Errors
    /// If a part is malformed or missing, the parts contradict each other, or the snapshot was
    /// made with another fingerprint key.
    pub fn thaw<'b>(
        fingerprinter: Fingerprinter,
        parts: impl IntoIterator<Item = (PartName, &'b [u8])>,
    ) -> Result<Self, Corrupt> {
        let decoded = parts.into_iter().map(|(name, bytes)| Piece::decode(name, bytes));
        Pieces::collect(fingerprinter, decoded.collect::<Result<_, _>>()?)?.assemble(Vec::new())
    }
}

impl Pieces {
    /// Puts the pieces in order, whatever order they come in.
    ///
    /// # Errors
    /// If a piece is missing or there twice, or the fingerprint key is another one.
    pub fn collect(fingerprinter: Fingerprinter, pieces: Vec<Piece>) -> Result<Self, Corrupt> {
        let (mut sales, mut orders, mut customers) = (Vec::new(), Vec::new(), Vec::new());
        for piece in pieces {
            match piece.content {
                Content::Sales(piece) => sales.push(piece),
                Content::Orders(chunk) => orders.push((piece.number, chunk)),
                Content::Customers(chunk) => customers.push((piece.number, chunk)),
            }
        }
        let sales = match <[SalesPiece; 1]>::try_from(sales) {
            Ok([sales]) => sales,
            Err(_) => return Err(Corrupt::Contradiction("there is not one sales part")),
        };
        if sales.key_check != fingerprinter.check_value() {
            return Err(Corrupt::OtherKey);
        }
        Ok(Self {
            fingerprinter,
            clock: sales.clock,
            orders: in_order(orders, sales.orders)?,
            customers: in_order(customers, sales.customers)?,
            sales: sales.sales,
        })
    }

    /// Builds one index.
    ///
    /// # Errors
    /// If the parts contradict each other.
    pub fn build(&self, kind: IndexKind) -> Result<Index, Corrupt> {
        Ok(Index(match kind {
            IndexKind::OrderIds => Built::OrderIds(self.order_ids()?),
            IndexKind::OrderPrints => Built::OrderPrints(self.order_prints()?),
            IndexKind::CustomerPrints => Built::CustomerPrints(self.customer_prints()?),
            IndexKind::Chains => Built::Chains(self.chains()?),
        }))
    }

    /// The ledger. Builds the indexes that are not given.
    ///
    /// # Errors
    /// If the parts contradict each other.
    pub fn assemble(self, indexes: Vec<Index>) -> Result<Ledger, Corrupt> {
        let (mut ids, mut prints, mut names, mut chains) = (None, None, None, None);
        for index in indexes {
            match index.0 {
                Built::OrderIds(table) => ids = Some(table),
                Built::OrderPrints(table) => prints = Some(table),
                Built::CustomerPrints(table) => names = Some(table),
                Built::Chains(built) => chains = Some(built),
            }
        }
        let by_id = ids.map_or_else(|| self.order_ids(), Ok)?;
        let by_print = prints.map_or_else(|| self.order_prints(), Ok)?;
        let by_name = names.map_or_else(|| self.customer_prints(), Ok)?;
        let chains = chains.map_or_else(|| self.chains(), Ok)?;
        Ok(Ledger {
            fingerprinter: self.fingerprinter,
            clock: self.clock,
            sales: number_sales(self.fingerprinter, self.sales, chains.sales)?,
            orders: Orders { records: self.orders, links: chains.links, by_id, by_print },
            customers: Customers {
                records: self.customers,
                totals: chains.totals,
                by_print: by_name,
            },
            holds: chains.holds,
        })
    }

    fn order_ids(&self) -> Result<Table, Corrupt> {
        let places = self.orders.iter().map(|order| Place::of_id(order.id));
        let same = |a, b| self.orders.get(a).id == self.orders.get(b).id;
        Table::filled(self.orders.len(), places, same)
            .ok_or(Corrupt::Contradiction("an order id exists twice"))
    }

    fn order_prints(&self) -> Result<Table, Corrupt> {
        let places = self.orders.iter().map(|order| Place::of_print(order.print));
        let same = |a, b| self.orders.get(a).print == self.orders.get(b).print;
        Table::filled(self.orders.len(), places, same)
            .ok_or(Corrupt::Contradiction("an idempotency key sold twice"))
    }

    fn customer_prints(&self) -> Result<Table, Corrupt> {
        let customers = self.customers.iter();
        let places = customers.map(|customer| Place::of_print(customer.print));
        let same = |a, b| self.customers.get(a).print == self.customers.get(b).print;
        Table::filled(self.customers.len(), places, same)
            .ok_or(Corrupt::Contradiction("a customer exists twice"))
    }

    fn chains(&self) -> Result<Chains, Corrupt> {
        let mut sums = Sums::new(self);
        let mut due = Vec::new();
        for (order, number) in self.orders.iter().zip(0..) {
            sums.add(order, number)?;
            if order.status == OrderStatus::Held {
                due.push((order.expires_at, number));
            }
        }
        sums.check()?;
        // A set from a sorted vector is built in one pass.
        due.sort_unstable();
        Ok(Chains {
            links: sums.links,
            totals: sums.totals,
            sales: sums.sales.into_iter().map(|sum| sum.chain).collect(),
            holds: due.into_iter().collect(),
        })
    }
}

fn in_order<T: Copy>(mut chunks: Vec<(u32, Chunk<T>)>, records: u32) -> Result<Log<T>, Corrupt> {
    chunks.sort_unstable_by_key(|(number, _)| *number);
    let numbered = chunks.iter().zip(0..).all(|((number, _), at)| *number == at);
    let mut lens = chunks.iter().map(|(_, chunk)| chunk.records.len()).rev();
    let last = lens.next().unwrap_or(0);
    let full = lens.all(|len| len == CHUNK_RECORDS);
    let all = chunks.len().saturating_sub(1) * CHUNK_RECORDS + last == records as usize;
    if !(numbered && full && all) {
        return Err(Corrupt::Contradiction("a part is missing or there twice"));
    }
    Ok(Log::from_chunks(chunks.into_iter().map(|(_, chunk)| chunk).collect()))
}

fn number_sales(
    fingerprinter: Fingerprinter,
    list: Vec<Sale>,
    chains: Vec<SaleChain>,
) -> Result<Sales, Corrupt> {
    let mut sales = Sales::new(fingerprinter);
    for sale in list {
        if sales.find(&sale.terms.id).is_some() {
            return Err(Corrupt::Contradiction("a sale exists twice"));
        }
        sales.push(sale);
    }
    sales.chains = chains;
    Ok(sales)
}

/// What the orders add up to, to be compared with what the sales say.
struct Sums<'a> {
    pieces: &'a Pieces,
    links: Column<Link>,
    totals: Column<Totals>,
    sales: Vec<SaleSum>,
}

#[derive(Clone, Default)]
struct SaleSum {
    chain: SaleChain,
    sequence: u64,
    counters: Counters,
}

impl<'a> Sums<'a> {
    fn new(pieces: &'a Pieces) -> Self {
        Self {
            pieces,
            links: Column::filled(Link::END, pieces.orders.len()),
            totals: Column::filled(Totals::NOTHING, pieces.customers.len()),
            sales: vec![SaleSum::default(); pieces.sales.len()],
        }
    }

    #[inline]
    fn add(&mut self, order: &OrderRecord, number: u32) -> Result<(), Corrupt> {
        let known = order.customer < self.pieces.customers.len();
        if !known || self.pieces.customers.get(order.customer).sale != order.sale {
            return Err(Corrupt::Contradiction("an order has no customer"));
        }
        let sum = self.sales.get_mut(order.sale as usize);
        let sum = sum.ok_or(Corrupt::Contradiction("an order has no sale"))?;
        // A sale's own fact has sequence 1.
        if order.sequence <= sum.sequence.max(1) {
            return Err(Corrupt::Contradiction("orders are out of sequence"));
        }
        sum.sequence = order.sequence;
        if order.quantity == 0 || (!order.hold && order.status != OrderStatus::Confirmed) {
            return Err(Corrupt::Contradiction("an order can't be"));
        }
        let before = std::mem::replace(&mut sum.chain.last_order, NONE);
        if before != NONE {
            self.links.get_mut(before).of_sale = number;
        }
        sum.chain.push(order.sequence, number);
        self.add_units(order, number);
        Ok(())
    }

    fn add_units(&mut self, order: &OrderRecord, number: u32) {
        let units = u64::from(order.quantity);
        let counters = &mut self.sales[order.sale as usize].counters;
        let totals = self.totals.get_mut(order.customer);
        // A u32 of orders of a u32 of units each can't overflow a u64.
        match order.status {
            OrderStatus::Held => counters.held += units,
            OrderStatus::Confirmed => counters.sold += units,
            OrderStatus::Cancelled => counters.cancelled += units,
            OrderStatus::Expired => counters.expired += units,
        }
        if matches!(order.status, OrderStatus::Held | OrderStatus::Confirmed) {
            totals.units += units;
        }
        match std::mem::replace(&mut totals.last_order, number) {
            NONE => totals.first_order = number,
            before => self.links.get_mut(before).of_customer = number,
        }
    }

    fn check(&self) -> Result<(), Corrupt> {
        let agree = |(sale, sum): (&Sale, &SaleSum)| {
            let counters = Counters {
                supply: sale.counters.supply,
                available: sale.counters.available,
                ..sum.counters
            };
            counters == sale.counters && counters.balanced() && sale.sequence >= sum.sequence.max(1)
        };
        if self.pieces.sales.iter().zip(&self.sales).all(agree) {
            Ok(())
        } else {
            Err(Corrupt::Contradiction("a sale's counters differ from its orders"))
        }
    }
}
