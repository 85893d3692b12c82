//! A sale's terms, changes and switch as bytes, in facts and in snapshots alike.

use crate::command::{SaleChange, SaleSwitch, SaleTerms};
use crate::corrupt::Corrupt;
use crate::time::Time;
use crate::wire::{Reader, put_option, put_text_u16};

/// Bytes of terms besides the texts: five lengths, supply, hold, and three options at their largest.
const TERMS_FIXED_BYTES_MAX: usize = 5 * 2 + 8 + 4 + 5 + 2 * 9;

pub(crate) fn terms_bytes_max(terms: &SaleTerms) -> usize {
    TERMS_FIXED_BYTES_MAX + terms_texts(terms).map(str::len).iter().sum::<usize>()
}

/// The texts of the terms, in the order in which they are stored.
pub(crate) fn terms_texts(terms: &SaleTerms) -> [&str; 5] {
    [&terms.id, &terms.title, &terms.sku, &terms.price_amount, &terms.price_currency]
}

pub(crate) fn put_terms(out: &mut Vec<u8>, terms: &SaleTerms) {
    for text in terms_texts(terms) {
        put_text_u16(out, text);
    }
    out.extend_from_slice(&terms.supply.to_le_bytes());
    out.extend_from_slice(&terms.hold_seconds.to_le_bytes());
    put_option(out, terms.per_customer.map(u32::to_le_bytes));
    for time in [terms.opens_at, terms.closes_at] {
        put_option(out, time.map(|time| time.as_millis().to_le_bytes()));
    }
}

pub(crate) fn read_terms(reader: &mut Reader<'_>) -> Result<SaleTerms, Corrupt> {
    let mut text = || reader.text_u16().map(str::to_owned);
    let [id, title, sku] = [text()?, text()?, text()?];
    let [price_amount, price_currency] = [text()?, text()?];
    Ok(SaleTerms {
        id,
        title,
        sku,
        price_amount,
        price_currency,
        supply: reader.u64()?,
        hold_seconds: reader.u32()?,
        per_customer: reader.option(Reader::u32)?,
        opens_at: read_time_option(reader)?,
        closes_at: read_time_option(reader)?,
    })
}

/// Bytes of a change besides its key, at most.
const CHANGE_FIXED_BYTES_MAX: usize = 1 + 8 + 2 + 2 * 10;

pub(crate) const fn change_bytes_max(key: &str) -> usize {
    CHANGE_FIXED_BYTES_MAX + key.len()
}

pub(crate) fn put_change(out: &mut Vec<u8>, key: &str, change: &SaleChange) {
    out.push(key.len() as u8);
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(&change.add_supply.to_le_bytes());
    put_option(out, change.state.map(|state| [switch_byte(state)]));
    for schedule in [change.opens_at, change.closes_at] {
        out.push(schedule.is_some().into());
        if let Some(time) = schedule {
            put_option(out, time.map(|time| time.as_millis().to_le_bytes()));
        }
    }
}

pub(crate) fn read_change<'a>(reader: &mut Reader<'a>) -> Result<(&'a str, SaleChange), Corrupt> {
    let key_len = reader.u8()?;
    let key = reader.text(key_len.into())?;
    let change = SaleChange {
        add_supply: reader.u64()?,
        state: reader.option(read_switch)?,
        opens_at: reader.option(read_time_option)?,
        closes_at: reader.option(read_time_option)?,
    };
    Ok((key, change))
}

pub(crate) fn read_time_option(reader: &mut Reader<'_>) -> Result<Option<Time>, Corrupt> {
    reader.option(|reader| reader.i64().map(Time::from_millis))
}

pub(crate) const fn switch_byte(switch: SaleSwitch) -> u8 {
    match switch {
        SaleSwitch::Open => 0,
        SaleSwitch::Paused => 1,
        SaleSwitch::Closed => 2,
    }
}

pub(crate) fn read_switch(reader: &mut Reader<'_>) -> Result<SaleSwitch, Corrupt> {
    match reader.u8()? {
        0 => Ok(SaleSwitch::Open),
        1 => Ok(SaleSwitch::Paused),
        2 => Ok(SaleSwitch::Closed),
        _ => Err(Corrupt::Malformed("a sale's switch is unknown")),
    }
}
