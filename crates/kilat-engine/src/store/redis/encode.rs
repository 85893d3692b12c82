//! Commands as arguments of the rules in Lua, sale by sale.

use super::refusals;
use super::stripes;
use kilat_ledger::{
    BATCH_HEADER_BYTES, Batch, CUSTOMER_BYTES_MAX, Command, Fact, FactKind, KEY_BYTES_MAX, OrderId,
    PlaceOrder, Refusal, SUPPLY_MAX, SaleChange, SaleSwitch, SaleTerms, TERMS_TEXT_BYTES_MAX, Time,
};
use redis::Cmd;
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes of tag, sale and sequence before what a fact says.
const FACT_HEADER_BYTES: usize = 13;
/// Bytes of id, quantity and lengths of an order, before its texts.
const ORDER_FIXED_BYTES: usize = 23;

mod op {
    pub(super) const CREATE: u8 = 1;
    pub(super) const CHANGE: u8 = 2;
    pub(super) const BUY: u8 = 3;
    pub(super) const HOLD: u8 = 4;
    pub(super) const CONFIRM: u8 = 5;
    pub(super) const CANCEL: u8 = 6;
}

/// The commands of one sale or stripe, by their place in the batch.
pub(super) struct Group<'a> {
    pub(super) sale: &'a str,
    /// Which of how many stripes; 0 of 1 is a whole sale.
    pub(super) stripe: u16,
    pub(super) stripes: u16,
    pub(super) commands: Vec<usize>,
}

/// A batch by sale, in the order in which sales are first named. Commands that no ledger could ever
/// have taken are left out: a text of theirs is too long to be remembered.
pub(super) fn by_sale<'a>(commands: &[Command<'a>]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    for (index, command) in commands.iter().enumerate() {
        if is_too_long(command) {
            continue;
        }
        let sale = sale_of(command);
        let group = *known.entry(sale).or_insert_with(|| {
            groups.push(Group::of(sale, 0, 1));
            groups.len() - 1
        });
        groups[group].commands.push(index);
    }
    groups
}

impl<'a> Group<'a> {
    /// One without commands.
    pub(super) fn of(sale: &'a str, stripe: u16, stripes: u16) -> Group<'a> {
        Group { sale, stripe, stripes, commands: Vec::new() }
    }

    /// The same with some of its commands only.
    pub(super) fn only(&self, is_wanted: impl Fn(usize) -> bool) -> Group<'a> {
        let commands = self.commands.iter().copied().filter(|index| is_wanted(*index)).collect();
        Group { commands, ..*self }
    }

    /// The groups of each stripe: first what is the leader's to decide, then what is everyone's. An
    /// order whose customer is not told is looked for everywhere.
    pub(super) fn split(
        self,
        stripes: u16,
        commands: &[Command<'_>],
    ) -> (Option<Group<'a>>, Vec<Group<'a>>) {
        let mut admin = Group::of(self.sale, stripes::leader(stripes), stripes);
        let mut parts: Vec<Group<'a>> =
            stripes::numbers(stripes).map(|stripe| Group::of(self.sale, stripe, stripes)).collect();
        for index in self.commands {
            let mut add = |customer: &str| {
                let stripe = usize::from(stripes::of_customer(customer, stripes));
                parts[stripe.saturating_sub(1)].commands.push(index);
            };
            match &commands[index] {
                Command::CreateSale { .. } | Command::ChangeSale { .. } => {
                    admin.commands.push(index);
                }
                Command::PlaceOrder(place) => add(place.customer),
                Command::ConfirmOrder { by: Some(by), .. }
                | Command::CancelOrder { by: Some(by), .. } => add(by),
                Command::ConfirmOrder { .. } | Command::CancelOrder { .. } => {
                    parts.iter_mut().for_each(|part| part.commands.push(index));
                }
            }
        }
        parts.retain(|part| !part.commands.is_empty());
        (Some(admin).filter(|admin| !admin.commands.is_empty()), parts)
    }
}

fn sale_of<'a>(command: &Command<'a>) -> &'a str {
    match command {
        Command::CreateSale { terms } => &terms.id,
        Command::PlaceOrder(place) => place.sale,
        Command::ChangeSale { sale, .. }
        | Command::ConfirmOrder { sale, .. }
        | Command::CancelOrder { sale, .. } => sale,
    }
}

fn is_too_long(command: &Command<'_>) -> bool {
    matches!(command, Command::PlaceOrder(place)
        if place.customer.len() > CUSTOMER_BYTES_MAX || place.key.len() > KEY_BYTES_MAX)
}

/// Why terms are refused whatever the ledger holds.
pub(super) fn terms_refusal(terms: &SaleTerms) -> Option<Refusal> {
    let texts = [&terms.id, &terms.title, &terms.sku, &terms.price_amount, &terms.price_currency];
    if texts.iter().any(|text| text.len() > TERMS_TEXT_BYTES_MAX) {
        return Some(Refusal::TooLong);
    }
    if let (Some(start), Some(end)) = (terms.opens_at, terms.closes_at)
        && start >= end
    {
        return Some(Refusal::InvalidSchedule);
    }
    (terms.supply > SUPPLY_MAX).then_some(Refusal::SupplyOverflow)
}

/// Writes commands as arguments; its memory is used again.
#[derive(Default)]
pub(super) struct Encoder {
    fact: Batch,
}

impl Encoder {
    /// Adds the commands of a group. `number_of` tells the number of a sale that is to be made.
    pub(super) fn group(
        &mut self,
        cmd: &mut Cmd,
        group: &Group<'_>,
        commands: &[Command<'_>],
        number_of: impl Fn(&str) -> u32,
    ) {
        cmd.arg(group.stripes).arg(group.commands.len());
        for index in &group.commands {
            match &commands[*index] {
                Command::PlaceOrder(place) => self.place(cmd, place),
                Command::ConfirmOrder { order, by, .. } => settle(cmd, op::CONFIRM, *order, *by),
                Command::CancelOrder { order, by, .. } => settle(cmd, op::CANCEL, *order, *by),
                Command::CreateSale { terms } => self.create(cmd, terms, number_of(&terms.id)),
                Command::ChangeSale { key, change, .. } => self.change(cmd, key, change),
            }
        }
    }

    fn place(&mut self, cmd: &mut Cmd, place: &PlaceOrder<'_>) {
        let said = self.said(FactKind::OrderPlaced {
            id: place.id,
            customer: place.customer,
            key: place.key,
            quantity: place.quantity,
            expires_at: None,
            prints: None,
        });
        let mut head = [0; 1 + ORDER_FIXED_BYTES];
        head[0] = if place.hold { op::HOLD } else { op::BUY };
        head[1..].copy_from_slice(&said[..ORDER_FIXED_BYTES]);
        cmd.arg(&head).arg(&print(place.customer, place.key)).arg(place.customer).arg(place.key);
    }

    fn create(&mut self, cmd: &mut Cmd, terms: &SaleTerms, number: u32) {
        let refusal = terms_refusal(terms);
        let mut head = vec![op::CREATE];
        head.extend_from_slice(&number.to_le_bytes());
        head.push(refusal.map_or(0, refusals::code));
        cmd.arg(head);
        match refusal {
            // Too long to be written; and no sale has such terms.
            Some(Refusal::TooLong) => cmd.arg(""),
            _ => cmd.arg(self.said(FactKind::SaleCreated { terms: Arc::new(terms.clone()) })),
        };
        cmd.arg(terms.supply);
        match terms.per_customer {
            Some(limit) => cmd.arg(limit),
            None => cmd.arg(""),
        };
        cmd.arg(terms.hold_seconds);
        for time in [terms.opens_at, terms.closes_at] {
            match time {
                Some(time) => cmd.arg(&time.as_millis().to_le_bytes()),
                None => cmd.arg(""),
            };
        }
    }

    fn change(&mut self, cmd: &mut Cmd, key: &str, change: &SaleChange) {
        let fits = key.len() <= KEY_BYTES_MAX;
        let refusal = if fits { 0 } else { refusals::code(Refusal::TooLong) };
        cmd.arg(&[op::CHANGE, refusal]).arg(key);
        match fits {
            true => cmd.arg(self.said(FactKind::SaleChanged { key, change: *change })),
            false => cmd.arg(""),
        };
        cmd.arg(change.add_supply);
        match change.state {
            Some(SaleSwitch::Open) => cmd.arg(0),
            Some(SaleSwitch::Paused) => cmd.arg(1),
            Some(SaleSwitch::Closed) => cmd.arg(2),
            None => cmd.arg(""),
        };
        cmd.arg(rescheduled(change.opens_at)).arg(rescheduled(change.closes_at));
    }

    /// What the fact says after tag, sale and sequence, which the rules put before it.
    fn said(&mut self, kind: FactKind<'_>) -> &[u8] {
        self.fact.clear();
        self.fact.push(&Fact { at: Time::from_millis(0), sale: 0, sequence: 0, kind });
        &self.fact.bytes()[BATCH_HEADER_BYTES + FACT_HEADER_BYTES..]
    }
}

fn settle(cmd: &mut Cmd, op: u8, order: OrderId, by: Option<&str>) {
    let mut head = [op; 17];
    head[1..].copy_from_slice(&id_bytes(order));
    cmd.arg(&head);
    match by {
        Some(customer) => cmd.arg(format!("={customer}")),
        None => cmd.arg(""),
    };
}

/// An order id as facts write it.
pub(super) fn id_bytes(order: OrderId) -> [u8; 16] {
    order.to_bits().to_le_bytes()
}

/// Stands for a customer's key. Nobody can look for two that are alike: that would take 2^64 tries,
/// and would only give one customer their own order back.
fn print(customer: &str, key: &str) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(customer.len() as u64).to_le_bytes());
    hasher.update(customer.as_bytes());
    hasher.update(key.as_bytes());
    let mut print = [0; 16];
    hasher.finalize_xof().fill(&mut print);
    print
}

/// Empty leaves the time, `n` takes it away, `t` and eight bytes set it.
fn rescheduled(time: Option<Option<Time>>) -> Vec<u8> {
    match time {
        None => Vec::new(),
        Some(None) => b"n".to_vec(),
        Some(Some(time)) => [&b"t"[..], &time.as_millis().to_le_bytes()].concat(),
    }
}
