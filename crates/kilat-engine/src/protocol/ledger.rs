//! Orders, changes, reads and their outcomes as bytes.

use super::wire::{Input, Malformed, Put as _};
use crate::orders::OrderHasher;
use crate::query::{OwnedOrder, Page};
use crate::refusals::REFUSALS;
use crate::{BATCH_COMMANDS_MAX, Change, OrderRef, OrderText, Orders, Sale, TraceContext, Traced};
use kilat_ledger::{
    Counters, Order, OrderId, OrderStatus, Outcome, SaleChange, SaleSwitch, SaleTerms,
};

/// What can be read of the ledger.
#[derive(Debug)]
pub(crate) enum Question {
    Sale(String),
    Sales,
    Order(String, OrderId),
    Orders(Page),
}

pub(crate) fn put_orders(orders: &Orders, out: &mut Vec<u8>) {
    out.put_count(orders.len());
    for order in orders.iter() {
        out.put(order.id.to_bits().to_le_bytes());
        out.put(order.quantity.to_le_bytes());
        out.put_bool(order.hold);
        out.put_text(order.sale);
        out.put_text(order.customer);
        out.put_text(order.key);
    }
    if !orders.traced().is_empty() {
        put_traced(orders.traced(), out);
    }
}

fn put_traced(traced: &[Traced], out: &mut Vec<u8>) {
    out.put_count(traced.len());
    for Traced { order, context } in traced {
        out.put(order.to_le_bytes());
        out.put(context.trace_id.to_le_bytes());
        out.put(context.span_id.to_le_bytes());
    }
}

/// Reads which of `orders` orders are traced.
fn traced(input: &mut Input<'_>, orders: usize) -> Result<Vec<Traced>, Malformed> {
    let mut next = 0;
    let traced = input.list(|input| {
        let order = input.u32()?;
        if order < next || order as usize >= orders {
            return Err(Malformed("a traced order is none of the group, or out of turn"));
        }
        next = order + 1;
        let context = TraceContext { trace_id: input.u128()?, span_id: input.u64()? };
        Ok(Traced { order, context })
    })?;
    input.end().map(|()| traced)
}

/// Reads a group into `orders`, which hash here: a replica does not know the key for that.
pub(crate) fn orders(
    input: &mut Input<'_>,
    hasher: OrderHasher,
    orders: &mut Orders,
) -> Result<(), Malformed> {
    let count = input.u32()? as usize;
    if count > BATCH_COMMANDS_MAX {
        return Err(Malformed("a group has more orders than a batch"));
    }
    for _ in 0..count {
        let id = OrderId::from_bits(input.u128()?);
        let (quantity, hold) = (input.u32()?, input.boolean()?);
        let text = OrderText { sale: input.text()?, customer: input.text()?, key: input.text()? };
        orders.push(hasher, id, &text, quantity, hold);
    }
    // Most groups end here.
    if input.end().is_err() {
        orders.set_traced(traced(input, count)?);
    }
    Ok(())
}

pub(crate) fn put_outcomes(outcomes: &[Outcome], out: &mut Vec<u8>) {
    out.put_count(outcomes.len());
    outcomes.iter().for_each(|outcome| put_outcome(*outcome, out));
}

pub(crate) fn outcomes(
    input: &mut Input<'_>,
    asked: usize,
    outcomes: &mut Vec<Outcome>,
) -> Result<(), Malformed> {
    outcomes.clear();
    if input.u32()? as usize != asked {
        return Err(Malformed("a group has not one outcome an order"));
    }
    outcomes.reserve(asked);
    for _ in 0..asked {
        outcomes.push(outcome(input)?);
    }
    input.end()
}

pub(crate) fn put_outcome(outcome: Outcome, out: &mut Vec<u8>) {
    match outcome {
        Outcome::SaleCreated => out.push(0),
        Outcome::SaleAlreadyCreated => out.push(1),
        Outcome::SaleChanged { replayed } => {
            out.push(2);
            out.put_bool(replayed);
        }
        Outcome::Order { order, replayed } => {
            out.push(3);
            out.put_bool(replayed);
            put_order(&order, out);
        }
        Outcome::Refused(why) => {
            out.push(4);
            let number = REFUSALS.iter().position(|known| *known == why);
            out.push(number.map_or(u8::MAX, |number| number as u8));
        }
    }
}

pub(crate) fn outcome(input: &mut Input<'_>) -> Result<Outcome, Malformed> {
    Ok(match input.u8()? {
        0 => Outcome::SaleCreated,
        1 => Outcome::SaleAlreadyCreated,
        2 => Outcome::SaleChanged { replayed: input.boolean()? },
        3 => {
            let replayed = input.boolean()?;
            Outcome::Order { order: order(input)?, replayed }
        }
        4 => {
            let refusal = REFUSALS.get(usize::from(input.u8()?));
            Outcome::Refused(*refusal.ok_or(Malformed("an outcome is refused for no reason"))?)
        }
        _ => return Err(Malformed("an outcome is of no known kind")),
    })
}

fn put_order(order: &Order, out: &mut Vec<u8>) {
    out.put(order.id.to_bits().to_le_bytes());
    out.put(order.sale.to_le_bytes());
    out.put(order.quantity.to_le_bytes());
    out.push(match order.status {
        OrderStatus::Held => 0,
        OrderStatus::Confirmed => 1,
        OrderStatus::Cancelled => 2,
        OrderStatus::Expired => 3,
    });
    out.put_bool(order.hold);
    out.put_option(order.expires_at, |out, at| out.put_time(at));
    out.put(order.sequence.to_le_bytes());
}

fn order(input: &mut Input<'_>) -> Result<Order, Malformed> {
    Ok(Order {
        id: OrderId::from_bits(input.u128()?),
        sale: input.u32()?,
        quantity: input.u32()?,
        status: match input.u8()? {
            0 => OrderStatus::Held,
            1 => OrderStatus::Confirmed,
            2 => OrderStatus::Cancelled,
            3 => OrderStatus::Expired,
            _ => return Err(Malformed("an order has no known status")),
        },
        hold: input.boolean()?,
        expires_at: input.option(Input::time)?,
        sequence: input.u64()?,
    })
}

pub(crate) fn put_change(change: &Change, out: &mut Vec<u8>) {
    match change {
        Change::CreateSale { terms } => {
            out.push(0);
            put_terms(terms, out);
        }
        Change::ChangeSale { sale, key, change } => {
            out.push(1);
            out.put_text(sale);
            out.put_text(key);
            put_sale_change(change, out);
        }
        Change::ConfirmOrder(order) => {
            out.push(2);
            put_reference(order, out);
        }
        Change::CancelOrder(order) => {
            out.push(3);
            put_reference(order, out);
        }
    }
}

pub(crate) fn change(input: &mut Input<'_>) -> Result<Change, Malformed> {
    let change = match input.u8()? {
        0 => Change::CreateSale { terms: Box::new(terms(input)?) },
        1 => Change::ChangeSale {
            sale: input.owned()?,
            key: input.owned()?,
            change: sale_change(input)?,
        },
        2 => Change::ConfirmOrder(reference(input)?),
        3 => Change::CancelOrder(reference(input)?),
        _ => return Err(Malformed("a change is of no known kind")),
    };
    input.end()?;
    Ok(change)
}

fn put_reference(order: &OrderRef, out: &mut Vec<u8>) {
    out.put_text(&order.sale);
    out.put(order.order.to_bits().to_le_bytes());
    out.put_option(order.by.as_deref(), |out, by| out.put_text(by));
}

fn reference(input: &mut Input<'_>) -> Result<OrderRef, Malformed> {
    Ok(OrderRef {
        sale: input.owned()?,
        order: OrderId::from_bits(input.u128()?),
        by: input.option(Input::owned)?,
    })
}

fn put_sale_change(change: &SaleChange, out: &mut Vec<u8>) {
    let SaleChange { add_supply, state, opens_at, closes_at } = change;
    out.put(add_supply.to_le_bytes());
    out.put_option(*state, |out, state| out.push(switch_number(state)));
    for time in [opens_at, closes_at] {
        out.put_option(*time, |out, time| out.put_option(time, |out, time| out.put_time(time)));
    }
}

fn sale_change(input: &mut Input<'_>) -> Result<SaleChange, Malformed> {
    Ok(SaleChange {
        add_supply: input.u64()?,
        state: input.option(switch)?,
        opens_at: input.option(|input| input.option(Input::time))?,
        closes_at: input.option(|input| input.option(Input::time))?,
    })
}

const fn switch_number(switch: SaleSwitch) -> u8 {
    match switch {
        SaleSwitch::Open => 0,
        SaleSwitch::Paused => 1,
        SaleSwitch::Closed => 2,
    }
}

fn switch(input: &mut Input<'_>) -> Result<SaleSwitch, Malformed> {
    match input.u8()? {
        0 => Ok(SaleSwitch::Open),
        1 => Ok(SaleSwitch::Paused),
        2 => Ok(SaleSwitch::Closed),
        _ => Err(Malformed("a sale is set to no known state")),
    }
}

fn put_terms(terms: &SaleTerms, out: &mut Vec<u8>) {
    let texts = [&terms.id, &terms.title, &terms.sku, &terms.price_amount, &terms.price_currency];
    texts.into_iter().for_each(|text| out.put_text(text));
    out.put(terms.supply.to_le_bytes());
    out.put_option(terms.per_customer, |out, most| out.put(most.to_le_bytes()));
    out.put_option(terms.opens_at, |out, at| out.put_time(at));
    out.put_option(terms.closes_at, |out, at| out.put_time(at));
    out.put(terms.hold_seconds.to_le_bytes());
}

fn terms(input: &mut Input<'_>) -> Result<SaleTerms, Malformed> {
    Ok(SaleTerms {
        id: input.owned()?,
        title: input.owned()?,
        sku: input.owned()?,
        price_amount: input.owned()?,
        price_currency: input.owned()?,
        supply: input.u64()?,
        per_customer: input.option(Input::u32)?,
        opens_at: input.option(Input::time)?,
        closes_at: input.option(Input::time)?,
        hold_seconds: input.u32()?,
    })
}

pub(crate) fn put_sale(sale: &Sale, out: &mut Vec<u8>) {
    out.put(sale.number.to_le_bytes());
    put_terms(&sale.terms, out);
    out.put_option(sale.opens_at, |out, at| out.put_time(at));
    out.put_option(sale.closes_at, |out, at| out.put_time(at));
    out.push(switch_number(sale.switch));
    let Counters { supply, available, held, sold, cancelled, expired } = sale.counters;
    for units in [supply, available, held, sold, cancelled, expired] {
        out.put(units.to_le_bytes());
    }
    out.put(sale.sequence.to_le_bytes());
}

pub(crate) fn sale(input: &mut Input<'_>) -> Result<Sale, Malformed> {
    Ok(Sale {
        number: input.u32()?,
        terms: terms(input)?,
        opens_at: input.option(Input::time)?,
        closes_at: input.option(Input::time)?,
        switch: switch(input)?,
        counters: Counters {
            supply: input.u64()?,
            available: input.u64()?,
            held: input.u64()?,
            sold: input.u64()?,
            cancelled: input.u64()?,
            expired: input.u64()?,
        },
        // A core's sales are in one piece.
        in_transit: 0,
        sequence: input.u64()?,
    })
}

pub(crate) fn put_owned(owned: &OwnedOrder, out: &mut Vec<u8>) {
    put_order(&owned.order, out);
    out.put_text(&owned.customer);
}

pub(crate) fn owned(input: &mut Input<'_>) -> Result<OwnedOrder, Malformed> {
    Ok(OwnedOrder { order: order(input)?, customer: input.owned()? })
}

pub(crate) fn question(input: &mut Input<'_>) -> Result<Question, Malformed> {
    let question = match input.u8()? {
        0 => Question::Sale(input.owned()?),
        1 => Question::Sales,
        2 => Question::Order(input.owned()?, OrderId::from_bits(input.u128()?)),
        3 => Question::Orders(Page {
            sale: input.owned()?,
            customer: input.option(Input::owned)?,
            after: input.u64()?,
            limit: input.u32()? as usize,
        }),
        _ => return Err(Malformed("a question is of no known kind")),
    };
    input.end()?;
    Ok(question)
}

/// Appends a question about one sale.
pub(crate) fn put_question_sale(sale: &str, out: &mut Vec<u8>) {
    out.push(0);
    out.put_text(sale);
}

/// Appends the question for all sales.
pub(crate) fn put_question_sales(out: &mut Vec<u8>) {
    out.push(1);
}

/// Appends a question about one order.
pub(crate) fn put_question_order(sale: &str, order: OrderId, out: &mut Vec<u8>) {
    out.push(2);
    out.put_text(sale);
    out.put(order.to_bits().to_le_bytes());
}

/// Appends a question for a page of orders.
pub(crate) fn put_question_orders(page: &Page, out: &mut Vec<u8>) {
    out.push(3);
    out.put_text(&page.sale);
    out.put_option(page.customer.as_deref(), |out, customer| out.put_text(customer));
    out.put(page.after.to_le_bytes());
    out.put_count(page.limit.min(u32::MAX as usize));
}
