//! A snapshot in parts, made while the ledger goes on.
//!
//! [`Ledger::freeze`] shares the ledger's chunks; whoever writes the snapshot encodes part by
//! part on a thread of its own, and skips the parts whose version it has written before. Every
//! part begins with `[format u16][kind u8][number u32][version u64]`, little-endian like all
//! that follows. What can be derived (tables, chains, totals, due holds) is in no part.
//! The owner adds checksums and takes care that a snapshot holds only durable facts.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::corrupt::Corrupt;
use crate::customers::CustomerRecord;
use crate::ledger::Ledger;
use crate::log::Chunk;
use crate::orders::OrderRecord;
use crate::outcome::OrderStatus;
use crate::sale::Sale;
use crate::sale_code::{put_change, put_terms, switch_byte};
use crate::time::Time;
use crate::wire::put_option;

pub(crate) const FORMAT: u16 = 1;
/// Bytes of an order besides the end of its hold.
pub(crate) const ORDER_BYTES: usize = 16 + 16 + 8 + 4 + 4 + 4 + 1;
/// Bytes of a customer besides the name.
pub(crate) const CUSTOMER_BYTES: usize = 16 + 4 + 4;

/// What a part holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PartKind {
    /// All sales and the clock; there is one such part.
    Sales,
    /// A chunk of 16,384 orders; the last may hold fewer.
    Orders,
    /// A chunk of 16,384 customers; the last may hold fewer.
    Customers,
}

/// Names a part. Written like `orders-000012`; safe as a file name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PartName {
    /// What it holds.
    pub kind: PartKind,
    /// 0, 1, 2 … within the kind.
    pub number: u32,
}

/// A part and the version of its content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Part {
    /// Its name.
    pub name: PartName,
    /// How many facts have written to the part. The facts alone decide it: within one history,
    /// also across replay and thaw, the same version of a part has the same bytes. A history
    /// that lost its last facts and went on is another one.
    pub version: u64,
}

/// The ledger as it was when it was frozen. Cheap to keep: chunks are shared until the ledger
/// writes to them.
#[derive(Clone, Debug)]
pub struct Frozen {
    key_check: u128,
    clock: Time,
    sales: Vec<Sale>,
    orders: Vec<Arc<Chunk<OrderRecord>>>,
    customers: Vec<Arc<Chunk<CustomerRecord>>>,
}

impl Ledger {
    /// The state as it is now, to be written by another thread while this ledger goes on.
    /// Costs a pointer a chunk, at most two copied chunks, and a small record a sale.
    #[must_use]
    pub fn freeze(&self) -> Frozen {
        Frozen {
            key_check: self.fingerprinter.check_value(),
            clock: self.clock,
            sales: self.sales.list.clone(),
            orders: self.orders.records.freeze(),
            customers: self.customers.records.freeze(),
        }
    }
}

impl Frozen {
    /// All parts; each is needed to thaw.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        let sales =
            Part { name: PartName { kind: PartKind::Sales, number: 0 }, version: self.facts() };
        let orders = chunk_parts(PartKind::Orders, &self.orders);
        let customers = chunk_parts(PartKind::Customers, &self.customers);
        std::iter::once(sales).chain(orders).chain(customers).collect()
    }

    /// How many facts the state is made of.
    #[must_use]
    pub fn facts(&self) -> u64 {
        self.sales.iter().map(|sale| sale.sequence).sum()
    }

    /// Appends the bytes of a part to `out`. `false`, and nothing appended, if this snapshot has
    /// no such part in that version.
    #[must_use]
    pub fn encode(&self, part: &Part, out: &mut Vec<u8>) -> bool {
        let number = part.name.number as usize;
        match part.name.kind {
            PartKind::Sales if number == 0 && part.version == self.facts() => {
                self.encode_sales(part, out);
                true
            }
            PartKind::Sales => false,
            PartKind::Orders => encode_chunk(self.orders.get(number), part, out, encode_orders),
            PartKind::Customers => {
                encode_chunk(self.customers.get(number), part, out, encode_customers)
            }
        }
    }

    fn encode_sales(&self, part: &Part, out: &mut Vec<u8>) {
        put_part_header(part, out);
        out.extend_from_slice(&self.key_check.to_le_bytes());
        out.extend_from_slice(&self.clock.as_millis().to_le_bytes());
        for count in [records(&self.orders), records(&self.customers)] {
            out.extend_from_slice(&count.to_le_bytes());
        }
        out.extend_from_slice(&(self.sales.len() as u32).to_le_bytes());
        for sale in &self.sales {
            put_sale(sale, out);
        }
    }
}

fn chunk_parts<T>(kind: PartKind, chunks: &[Arc<Chunk<T>>]) -> impl Iterator<Item = Part> {
    chunks.iter().zip(0..).map(move |(chunk, number)| Part {
        name: PartName { kind, number },
        version: chunk.version,
    })
}

fn records<T>(chunks: &[Arc<Chunk<T>>]) -> u32 {
    chunks.iter().map(|chunk| chunk.records.len() as u32).sum()
}

fn encode_chunk<T>(
    chunk: Option<&Arc<Chunk<T>>>,
    part: &Part,
    out: &mut Vec<u8>,
    encode: fn(&Chunk<T>, &mut Vec<u8>),
) -> bool {
    let Some(chunk) = chunk.filter(|chunk| chunk.version == part.version) else {
        return false;
    };
    put_part_header(part, out);
    out.extend_from_slice(&(chunk.records.len() as u32).to_le_bytes());
    encode(chunk, out);
    true
}

fn put_part_header(part: &Part, out: &mut Vec<u8>) {
    out.extend_from_slice(&FORMAT.to_le_bytes());
    out.push(part.name.kind.byte());
    out.extend_from_slice(&part.name.number.to_le_bytes());
    out.extend_from_slice(&part.version.to_le_bytes());
}

/// Records of a fixed size first, so that decoding runs over an array; then the holds' ends.
fn encode_orders(chunk: &Chunk<OrderRecord>, out: &mut Vec<u8>) {
    out.reserve(chunk.records.len() * (ORDER_BYTES + 8));
    for record in &chunk.records {
        let mut fixed = [0; ORDER_BYTES];
        fixed[..16].copy_from_slice(&record.id.to_le_bytes());
        fixed[16..32].copy_from_slice(&record.print.to_le_bytes());
        fixed[32..40].copy_from_slice(&record.sequence.to_le_bytes());
        fixed[40..44].copy_from_slice(&record.customer.to_le_bytes());
        fixed[44..48].copy_from_slice(&record.sale.to_le_bytes());
        fixed[48..52].copy_from_slice(&record.quantity.to_le_bytes());
        fixed[52] = status_byte(record.status) | u8::from(record.hold) << 2;
        out.extend_from_slice(&fixed);
    }
    for end in chunk.records.iter().filter_map(OrderRecord::expires_at) {
        out.extend_from_slice(&end.as_millis().to_le_bytes());
    }
}

fn encode_customers(chunk: &Chunk<CustomerRecord>, out: &mut Vec<u8>) {
    out.reserve(4 + chunk.text.len() + chunk.records.len() * CUSTOMER_BYTES);
    for record in &chunk.records {
        out.extend_from_slice(&record.print.to_le_bytes());
        out.extend_from_slice(&record.sale.to_le_bytes());
        out.extend_from_slice(&record.end.to_le_bytes());
    }
    out.extend_from_slice(&(chunk.text.len() as u32).to_le_bytes());
    out.extend_from_slice(chunk.text.as_bytes());
}

fn put_sale(sale: &Sale, out: &mut Vec<u8>) {
    put_terms(out, &sale.terms);
    for time in [sale.opens_at, sale.closes_at] {
        put_option(out, time.map(|time| time.as_millis().to_le_bytes()));
    }
    out.push(switch_byte(sale.switch));
    let units = &sale.counters;
    for value in [
        units.supply,
        units.available,
        units.held,
        units.sold,
        units.cancelled,
        units.expired,
        sale.sequence,
    ] {
        out.extend_from_slice(&value.to_le_bytes());
    }
    out.extend_from_slice(&(sale.changes.len() as u32).to_le_bytes());
    for (key, change) in sale.changes.iter() {
        put_change(out, key, change);
    }
}

const fn status_byte(status: OrderStatus) -> u8 {
    match status {
        OrderStatus::Held => 0,
        OrderStatus::Confirmed => 1,
        OrderStatus::Cancelled => 2,
        OrderStatus::Expired => 3,
    }
}

/// The status in the lower two bits.
#[inline]
pub(crate) const fn status_of(byte: u8) -> OrderStatus {
    match byte & 3 {
        0 => OrderStatus::Held,
        1 => OrderStatus::Confirmed,
        2 => OrderStatus::Cancelled,
        _ => OrderStatus::Expired,
    }
}

impl PartKind {
    const ALL: [Self; 3] = [Self::Sales, Self::Orders, Self::Customers];

    const fn word(self) -> &'static str {
        match self {
            Self::Sales => "sales",
            Self::Orders => "orders",
            Self::Customers => "customers",
        }
    }

    pub(crate) const fn byte(self) -> u8 {
        match self {
            Self::Sales => 0,
            Self::Orders => 1,
            Self::Customers => 2,
        }
    }
}

impl fmt::Display for PartName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:06}", self.kind.word(), self.number)
    }
}

impl FromStr for PartName {
    type Err = Corrupt;

    /// Accepts exactly what `Display` writes, so that a part has one name.
    fn from_str(name: &str) -> Result<Self, Corrupt> {
        let unknown = Corrupt::Malformed("a part has an unknown name");
        let (word, number) = name.split_once('-').ok_or(unknown)?;
        let kind = PartKind::ALL.into_iter().find(|kind| kind.word() == word);
        let part =
            Self { kind: kind.ok_or(unknown)?, number: number.parse().map_err(|_| unknown)? };
        if part.to_string() == name { Ok(part) } else { Err(unknown) }
    }
}
