//! Decoding the parts of a snapshot. Total: no bytes make it panic, and nothing is allocated
//! that the bytes don't pay for. Whether the parts fit together is for `thaw` to say.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::corrupt::Corrupt;
use crate::customers::CustomerRecord;
use crate::frozen::{CUSTOMER_BYTES, FORMAT, ORDER_BYTES, PartKind, PartName, status_of};
use crate::log::{CHUNK_RECORDS, Chunk};
use crate::orders::OrderRecord;
use crate::sale::{Counters, SALES_MAX, Sale};
use crate::sale_code::{read_change, read_switch, read_terms, read_time_option};
use crate::time::Time;
use crate::wire::Reader;

/// A decoded part of a snapshot.
#[derive(Debug)]
pub struct Piece {
    pub(crate) number: u32,
    pub(crate) content: Content,
}

#[derive(Debug)]
pub(crate) enum Content {
    Sales(SalesPiece),
    Orders(Chunk<OrderRecord>),
    Customers(Chunk<CustomerRecord>),
}

/// The sales, and how much of the rest there must be.
#[derive(Debug)]
pub(crate) struct SalesPiece {
    pub(crate) key_check: u128,
    pub(crate) clock: Time,
    pub(crate) orders: u32,
    pub(crate) customers: u32,
    pub(crate) sales: Vec<Sale>,
}

impl Piece {
    /// Decodes the part called `name`. Parts are independent: decode them on as many threads
    /// as there are.
    ///
    /// # Errors
    /// `NewerFormat` if a newer program wrote it, else `Malformed`.
    pub fn decode(name: PartName, bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader::new(bytes);
        reader.version(FORMAT)?;
        let named = (reader.u8()?, reader.u32()?);
        if named != (name.kind.byte(), name.number) {
            return Err(Corrupt::Malformed("a part has another part's name"));
        }
        let version = reader.u64()?;
        let content = match name.kind {
            PartKind::Sales => Content::Sales(read_sales(&mut reader)?),
            PartKind::Orders => Content::Orders(read_orders(&mut reader, version)?),
            PartKind::Customers => Content::Customers(read_customers(&mut reader, version)?),
        };
        reader.end()?;
        Ok(Self { number: name.number, content })
    }
}

fn read_sales(reader: &mut Reader<'_>) -> Result<SalesPiece, Corrupt> {
    let key_check = reader.u128()?;
    let clock = Time::from_millis(reader.i64()?);
    let [orders, customers] = [reader.u32()?, reader.u32()?];
    let count = reader.u32()?;
    if count as usize > SALES_MAX {
        return Err(Corrupt::Malformed("there are too many sales"));
    }
    let sales = (0..count).map(|_| read_sale(reader)).collect::<Result<_, _>>()?;
    Ok(SalesPiece { key_check, clock, orders, customers, sales })
}

fn read_sale(reader: &mut Reader<'_>) -> Result<Sale, Corrupt> {
    let terms = Arc::new(read_terms(reader)?);
    let [opens_at, closes_at] = [read_time_option(reader)?, read_time_option(reader)?];
    let switch = read_switch(reader)?;
    let counters = Counters {
        supply: reader.u64()?,
        available: reader.u64()?,
        held: reader.u64()?,
        sold: reader.u64()?,
        cancelled: reader.u64()?,
        expired: reader.u64()?,
    };
    let sequence = reader.u64()?;
    let mut changes = BTreeMap::new();
    for _ in 0..reader.u32()? {
        let (key, change) = read_change(reader)?;
        changes.insert(key.into(), change);
    }
    Ok(Sale { terms, opens_at, closes_at, switch, counters, sequence, changes: Arc::new(changes) })
}

fn read_orders(reader: &mut Reader<'_>, version: u64) -> Result<Chunk<OrderRecord>, Corrupt> {
    let count = read_count(reader)?;
    let stored = reader.records::<ORDER_BYTES>(count)?;
    let mut chunk = Chunk::new();
    chunk.version = version;
    for bytes in stored {
        let mut record = order_record(bytes)?;
        if record.hold {
            record.expires_at = Time::from_millis(reader.i64()?);
        }
        chunk.records.push(record);
    }
    Ok(chunk)
}

#[inline]
fn order_record(bytes: &[u8; ORDER_BYTES]) -> Result<OrderRecord, Corrupt> {
    let mut reader = Reader::new(bytes);
    let id = reader.u128()?;
    let print = reader.u128()?;
    let sequence = reader.u64()?;
    let [customer, sale, quantity] = [reader.u32()?, reader.u32()?, reader.u32()?];
    let flags = reader.u8()?;
    if flags > 0b111 {
        return Err(Corrupt::Malformed("an order has an unknown status"));
    }
    Ok(OrderRecord {
        id,
        print,
        sequence,
        expires_at: Time::MIN,
        customer,
        sale,
        quantity,
        status: status_of(flags),
        hold: flags & 0b100 != 0,
    })
}

fn read_customers(reader: &mut Reader<'_>, version: u64) -> Result<Chunk<CustomerRecord>, Corrupt> {
    let count = read_count(reader)?;
    let stored = reader.records::<CUSTOMER_BYTES>(count)?;
    let text_len = reader.u32()?;
    let text = reader.text(text_len as usize)?;
    let mut chunk = Chunk::new();
    chunk.version = version;
    let mut start = 0;
    for bytes in stored {
        let mut reader = Reader::new(bytes);
        let record = CustomerRecord {
            print: reader.u128()?,
            sale: reader.u32()?,
            start,
            end: reader.u32()?,
        };
        if text.get(start as usize..record.end as usize).is_none() {
            return Err(Corrupt::Malformed("a customer's name is out of place"));
        }
        start = record.end;
        chunk.records.push(record);
    }
    if start != text_len {
        return Err(Corrupt::Malformed("text belongs to no customer"));
    }
    chunk.text.push_str(text);
    Ok(chunk)
}

fn read_count(reader: &mut Reader<'_>) -> Result<usize, Corrupt> {
    match reader.u32()? as usize {
        0 => Err(Corrupt::Malformed("a chunk is empty")),
        count if count > CHUNK_RECORDS => Err(Corrupt::Malformed("a chunk is too large")),
        count => Ok(count),
    }
}
