//! Facts as bytes: what the journal keeps and recovery reads back.
//!
//! A batch is `[format version u16][time i64][fact count u32]` and then the facts, all
//! little-endian, without padding:
//!
//! | bytes | meaning |
//! |---|---|
//! | u8 | tag, see `tag` below; tag 0 is no fact but a new time (i64) for those that follow |
//! | u32, u64 | number of the sale, sequence |
//! | … | by tag: an order is id (16), quantity (4), customer length (2), key length (1), expiry of a hold (8), customer, key; confirm, cancel and expiry are the id |
//!
//! Knows the format only; whether facts make sense is for `evolve` to say.

use std::sync::Arc;

use crate::command::Command;
use crate::corrupt::Corrupt;
use crate::fact::{Fact, FactKind};
use crate::order_id::OrderId;
use crate::sale_code;
use crate::time::Time;
use crate::wire::Reader;

/// Bytes before the first fact.
pub const BATCH_HEADER_BYTES: usize = 14;
/// Most bytes that one order's confirmation, cancellation or expiry adds to a batch.
pub const STATUS_FACT_BYTES_MAX: usize = TIME_BYTES + FACT_HEADER_BYTES + 16;

const FORMAT: u16 = 1;
const COUNT_AT: usize = 10;
const TIME_BYTES: usize = 1 + 8;
const FACT_HEADER_BYTES: usize = 1 + 4 + 8;
const PLACED_BYTES: usize = FACT_HEADER_BYTES + 16 + 4 + 2 + 1;

mod tag {
    pub(super) const TIME: u8 = 0;
    pub(super) const SALE_CREATED: u8 = 1;
    pub(super) const SALE_CHANGED: u8 = 2;
    pub(super) const ORDER_BOUGHT: u8 = 3;
    pub(super) const ORDER_HELD: u8 = 4;
    pub(super) const ORDER_CONFIRMED: u8 = 5;
    pub(super) const ORDER_CANCELLED: u8 = 6;
    pub(super) const ORDER_EXPIRED: u8 = 7;
}

/// A reusable buffer of encoded facts. Its caller bounds it: by how many commands it executes
/// before it takes the bytes, see [`fact_bytes_max`].
#[derive(Clone, Debug)]
pub struct Batch {
    bytes: Vec<u8>,
    facts: u32,
    at: Time,
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl Batch {
    /// Empty.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// Empty, with room for this many bytes of facts.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        let mut batch =
            Self { bytes: Vec::with_capacity(BATCH_HEADER_BYTES + bytes), facts: 0, at: Time::MIN };
        batch.clear();
        batch
    }

    /// Empty, in the memory of `buffer`, whose content is forgotten.
    #[must_use]
    pub fn reusing(buffer: Vec<u8>) -> Self {
        let mut batch = Self { bytes: buffer, facts: 0, at: Time::MIN };
        batch.clear();
        batch
    }

    /// The encoded batch as an owned buffer.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Forgets the facts and keeps the memory.
    pub fn clear(&mut self) {
        self.facts = 0;
        self.at = Time::MIN;
        self.bytes.clear();
        self.bytes.extend_from_slice(&FORMAT.to_le_bytes());
        self.bytes.extend_from_slice(&[0; BATCH_HEADER_BYTES - 2]);
    }

    /// How many facts there are.
    #[must_use]
    pub const fn facts(&self) -> u32 {
        self.facts
    }

    /// Whether there is no fact: then nothing needs to be made durable.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.facts == 0
    }

    /// The encoded batch, ready for the journal.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends a fact.
    #[inline]
    pub fn push(&mut self, fact: &Fact<'_>) {
        if self.facts == 0 || fact.at != self.at {
            self.set_time(fact.at);
        }
        self.facts += 1;
        self.bytes[COUNT_AT..BATCH_HEADER_BYTES].copy_from_slice(&self.facts.to_le_bytes());
        put_fact(&mut self.bytes, fact);
    }

    /// The first fact's time stands in the header; a later one goes between the facts.
    fn set_time(&mut self, at: Time) {
        let time = at.as_millis().to_le_bytes();
        if self.facts == 0 {
            self.bytes[2..COUNT_AT].copy_from_slice(&time);
        } else {
            self.bytes.push(tag::TIME);
            self.bytes.extend_from_slice(&time);
        }
        self.at = at;
    }
}

/// The most bytes that `command` can add to a batch: what to reserve before it is decided.
#[must_use]
pub fn fact_bytes_max(command: &Command<'_>) -> usize {
    match command {
        Command::CreateSale { terms } => {
            TIME_BYTES + FACT_HEADER_BYTES + sale_code::terms_bytes_max(terms)
        }
        Command::ChangeSale { key, .. } => {
            TIME_BYTES + FACT_HEADER_BYTES + sale_code::change_bytes_max(key)
        }
        Command::PlaceOrder(place) => {
            TIME_BYTES + PLACED_BYTES + 8 + place.customer.len() + place.key.len()
        }
        Command::ConfirmOrder { .. } | Command::CancelOrder { .. } => STATUS_FACT_BYTES_MAX,
    }
}

#[inline]
fn put_fact(out: &mut Vec<u8>, fact: &Fact<'_>) {
    match &fact.kind {
        FactKind::OrderPlaced { .. } => put_placed(out, fact),
        FactKind::SaleCreated { terms } => {
            put_header(out, tag::SALE_CREATED, fact);
            sale_code::put_terms(out, terms);
        }
        FactKind::SaleChanged { key, change } => {
            put_header(out, tag::SALE_CHANGED, fact);
            sale_code::put_change(out, key, change);
        }
        FactKind::OrderConfirmed { id } => put_status(out, tag::ORDER_CONFIRMED, fact, *id),
        FactKind::OrderCancelled { id } => put_status(out, tag::ORDER_CANCELLED, fact, *id),
        FactKind::OrderExpired { id } => put_status(out, tag::ORDER_EXPIRED, fact, *id),
    }
}

/// One copy for all that has a fixed size: this runs once an order.
#[inline]
fn put_placed(out: &mut Vec<u8>, fact: &Fact<'_>) {
    let FactKind::OrderPlaced { id, customer, key, quantity, expires_at, .. } = &fact.kind else {
        return;
    };
    let mut fixed = [0; PLACED_BYTES];
    fixed[0] = match expires_at {
        Some(_) => tag::ORDER_HELD,
        None => tag::ORDER_BOUGHT,
    };
    fixed[1..5].copy_from_slice(&fact.sale.to_le_bytes());
    fixed[5..13].copy_from_slice(&fact.sequence.to_le_bytes());
    fixed[13..29].copy_from_slice(&id.to_bits().to_le_bytes());
    fixed[29..33].copy_from_slice(&quantity.to_le_bytes());
    fixed[33..35].copy_from_slice(&(customer.len() as u16).to_le_bytes());
    fixed[35] = key.len() as u8;
    out.reserve(PLACED_BYTES + 8 + customer.len() + key.len());
    out.extend_from_slice(&fixed);
    if let Some(end) = expires_at {
        out.extend_from_slice(&end.as_millis().to_le_bytes());
    }
    out.extend_from_slice(customer.as_bytes());
    out.extend_from_slice(key.as_bytes());
}

fn put_header(out: &mut Vec<u8>, tag: u8, fact: &Fact<'_>) {
    out.push(tag);
    out.extend_from_slice(&fact.sale.to_le_bytes());
    out.extend_from_slice(&fact.sequence.to_le_bytes());
}

fn put_status(out: &mut Vec<u8>, tag: u8, fact: &Fact<'_>, id: OrderId) {
    put_header(out, tag, fact);
    out.extend_from_slice(&id.to_bits().to_le_bytes());
}

/// The facts of an encoded batch, in order. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    reader: Reader<'a>,
    at: Time,
    left: u32,
}

impl<'a> Facts<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// `NewerFormat` if a newer program wrote the batch, else `Malformed`.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader::new(bytes);
        reader.version(FORMAT)?;
        let at = Time::from_millis(reader.i64()?);
        let left = reader.u32()?;
        if left == 0 {
            reader.end()?;
        }
        Ok(Self { reader, at, left })
    }

    /// Facts not yet read, if the header tells the truth.
    #[must_use]
    pub const fn left(&self) -> u32 {
        self.left
    }

    fn read(&mut self) -> Result<Fact<'a>, Corrupt> {
        let mut tag = self.reader.u8()?;
        if tag == tag::TIME {
            self.at = Time::from_millis(self.reader.i64()?);
            tag = self.reader.u8()?;
        }
        let fact = Fact {
            at: self.at,
            sale: self.reader.u32()?,
            sequence: self.reader.u64()?,
            kind: self.read_kind(tag)?,
        };
        self.left -= 1;
        if self.left == 0 {
            self.reader.end()?;
        }
        Ok(fact)
    }

    fn read_kind(&mut self, tag: u8) -> Result<FactKind<'a>, Corrupt> {
        let reader = &mut self.reader;
        let id = |reader: &mut Reader<'_>| reader.u128().map(OrderId::from_bits);
        Ok(match tag {
            tag::ORDER_BOUGHT | tag::ORDER_HELD => read_placed(reader, tag == tag::ORDER_HELD)?,
            tag::ORDER_CONFIRMED => FactKind::OrderConfirmed { id: id(reader)? },
            tag::ORDER_CANCELLED => FactKind::OrderCancelled { id: id(reader)? },
            tag::ORDER_EXPIRED => FactKind::OrderExpired { id: id(reader)? },
            tag::SALE_CREATED => {
                FactKind::SaleCreated { terms: Arc::new(sale_code::read_terms(reader)?) }
            }
            tag::SALE_CHANGED => {
                let (key, change) = sale_code::read_change(reader)?;
                FactKind::SaleChanged { key, change }
            }
            _ => return Err(Corrupt::Malformed("a fact has an unknown tag")),
        })
    }
}

fn read_placed<'a>(reader: &mut Reader<'a>, held: bool) -> Result<FactKind<'a>, Corrupt> {
    let id = OrderId::from_bits(reader.u128()?);
    let quantity = reader.u32()?;
    let customer_len = reader.u16()?;
    let key_len = reader.u8()?;
    let expires_at = match held {
        true => Some(Time::from_millis(reader.i64()?)),
        false => None,
    };
    Ok(FactKind::OrderPlaced {
        id,
        quantity,
        expires_at,
        customer: reader.text(customer_len.into())?,
        key: reader.text(key_len.into())?,
        prints: None,
    })
}

impl<'a> Iterator for Facts<'a> {
    type Item = Result<Fact<'a>, Corrupt>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let read = self.read();
        if read.is_err() {
            self.left = 0;
        }
        Some(read)
    }
}
