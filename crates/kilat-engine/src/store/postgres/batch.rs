//! A batch as the arrays that `kilat.commit` takes, and its answer as outcomes.

use super::codes;
use super::terms::{alteration, creation};
use crate::sale::Sale;
use crate::store::StoreFault;
use kilat_ledger::{
    CUSTOMER_BYTES_MAX, Command, KEY_BYTES_MAX, Order, OrderId, OrderStatus, Outcome, PlaceOrder,
    Refusal, Time,
};
use std::collections::{HashMap, HashSet};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

/// Most holds that one batch expires; further due ones wait for the next.
pub(super) const EXPIRIES_MAX: i32 = 8_192;

/// What `kilat.commit` calls a command.
mod kind {
    pub(super) const PLACE: i16 = 0;
    pub(super) const CONFIRM: i16 = 1;
    pub(super) const CANCEL: i16 = 2;
    pub(super) const CREATE: i16 = 3;
    pub(super) const CHANGE: i16 = 4;
}

/// The arguments of `kilat.commit`; the same place in each array is the same command.
#[derive(Default)]
pub(super) struct Batch<'a> {
    /// Ids of sales; slots count them from 1.
    pub(super) names: Vec<&'a str>,
    pub(super) kinds: Vec<i16>,
    pub(super) slots: Vec<i32>,
    pub(super) ids: Vec<Option<Uuid>>,
    pub(super) customers: Vec<Option<&'a str>>,
    pub(super) keys: Vec<Option<&'a str>>,
    pub(super) quantities: Vec<i64>,
    pub(super) holds: Vec<bool>,
    /// Empty unless there is a new sale or a change of one.
    pub(super) details: Vec<Option<String>>,
    /// All are orders of one sale, and no customer and no order id is there twice.
    pub(super) is_apart: bool,
}

impl<'a> Batch<'a> {
    pub(super) fn of(commands: &[Command<'a>]) -> Batch<'a> {
        let mut batch = Batch::default();
        let mut slots = HashMap::new();
        let has_details = commands.iter().any(|command| {
            matches!(command, Command::CreateSale { .. } | Command::ChangeSale { .. })
        });
        for command in commands {
            let name = sale_of(command);
            let next = slots.len() + 1;
            let slot = *slots.entry(name).or_insert(next);
            if slot == next {
                batch.names.push(name);
            }
            // A batch has far fewer commands than an i32 can count.
            batch.slots.push(i32::try_from(slot).unwrap_or(i32::MAX));
            let detail = batch.push(command);
            if has_details {
                batch.details.push(detail);
            }
        }
        batch.is_apart = batch.names.len() == 1 && all_apart(commands);
        batch
    }

    /// In the order in which `kilat.commit` takes them.
    pub(super) fn arguments(&self) -> [&(dyn ToSql + Sync); 11] {
        [
            &self.names,
            &self.kinds,
            &self.slots,
            &self.ids,
            &self.customers,
            &self.keys,
            &self.quantities,
            &self.holds,
            &self.details,
            &self.is_apart,
            &EXPIRIES_MAX,
        ]
    }

    fn push(&mut self, command: &Command<'a>) -> Option<String> {
        match command {
            Command::PlaceOrder(place) => {
                self.item(kind::PLACE, Some(place.id), Some(place.customer), Some(place.key));
                self.amount(place.quantity.into(), place.hold);
                return None;
            }
            Command::ConfirmOrder { order, by, .. } => {
                self.item(kind::CONFIRM, Some(*order), *by, None);
            }
            Command::CancelOrder { order, by, .. } => {
                self.item(kind::CANCEL, Some(*order), *by, None);
            }
            Command::CreateSale { .. } => self.item(kind::CREATE, None, None, None),
            Command::ChangeSale { key, .. } => self.item(kind::CHANGE, None, None, Some(key)),
        }
        self.amount(0, false);
        match command {
            Command::CreateSale { terms } => Some(creation(terms)),
            Command::ChangeSale { key, change, .. } => Some(alteration(key, change)),
            _ => None,
        }
    }

    fn item(
        &mut self,
        kind: i16,
        id: Option<OrderId>,
        customer: Option<&'a str>,
        key: Option<&'a str>,
    ) {
        self.kinds.push(kind);
        self.ids.push(id.map(uuid));
        self.customers.push(customer);
        self.keys.push(key);
    }

    fn amount(&mut self, quantity: i64, hold: bool) {
        self.quantities.push(quantity);
        self.holds.push(hold);
    }
}

/// Whether these are orders, none of which depends on another by its customer or id.
fn all_apart(commands: &[Command<'_>]) -> bool {
    let mut customers = HashSet::with_capacity(commands.len());
    let mut ids = HashSet::with_capacity(commands.len());
    commands.iter().all(|command| match command {
        Command::PlaceOrder(place) => customers.insert(place.customer) && ids.insert(place.id),
        _ => false,
    })
}

pub(super) fn uuid(id: OrderId) -> Uuid {
    Uuid::from_u128(id.to_bits())
}

pub(super) fn order_id(uuid: Uuid) -> OrderId {
    OrderId::from_bits(uuid.as_u128())
}

fn sale_of<'a>(command: &Command<'a>) -> &'a str {
    match command {
        Command::PlaceOrder(place) => place.sale,
        Command::ConfirmOrder { sale, .. }
        | Command::CancelOrder { sale, .. }
        | Command::ChangeSale { sale, .. } => sale,
        Command::CreateSale { terms } => &terms.id,
    }
}

/// The answer of `kilat.commit`.
pub(super) struct Answer<'a> {
    at: Time,
    codes: Vec<i16>,
    sequences: Vec<Option<i64>>,
    ids: Vec<Option<Uuid>>,
    quantities: Vec<Option<i64>>,
    statuses: Vec<Option<i16>>,
    expiries: Vec<Option<i64>>,
    sales: HashMap<&'a str, &'a Sale>,
}

impl<'a> Answer<'a> {
    /// Of a row, with the sales of the batch as they stand now.
    pub(super) fn read(row: &Row, sales: &'a [Sale]) -> Result<Answer<'a>, tokio_postgres::Error> {
        Ok(Answer {
            at: Time::from_millis(row.try_get("at")?),
            codes: row.try_get("codes")?,
            sequences: row.try_get("sequences")?,
            ids: row.try_get::<_, Option<_>>("r_ids")?.unwrap_or_default(),
            quantities: row.try_get::<_, Option<_>>("r_quantities")?.unwrap_or_default(),
            statuses: row.try_get::<_, Option<_>>("r_statuses")?.unwrap_or_default(),
            expiries: row.try_get::<_, Option<_>>("r_expiries")?.unwrap_or_default(),
            sales: sales.iter().map(|sale| (&*sale.terms.id, sale)).collect(),
        })
    }

    pub(super) fn at(&self) -> Time {
        self.at
    }

    /// One for each command.
    pub(super) fn outcomes(&self, commands: &[Command<'_>]) -> Result<Vec<Outcome>, StoreFault> {
        let outcomes = commands.iter().enumerate().map(|(index, command)| {
            self.outcome(index, command).ok_or_else(|| {
                // It was carried out, whatever it came to.
                StoreFault::Lost(format!(
                    "command {index} of a batch has the answer {:?}, which makes no sense: the \
                     schema kilat was changed by another hand",
                    self.codes.get(index)
                ))
            })
        });
        outcomes.collect()
    }

    fn outcome(&self, index: usize, command: &Command<'_>) -> Option<Outcome> {
        let code = *self.codes.get(index)?;
        Some(match code {
            codes::ORDER | codes::ORDER_AGAIN => Outcome::Order {
                order: self.order(index, command)?,
                replayed: code == codes::ORDER_AGAIN,
            },
            codes::SALE_CREATED => Outcome::SaleCreated,
            codes::SALE_CREATED_AGAIN => Outcome::SaleAlreadyCreated,
            codes::SALE_CHANGED => Outcome::SaleChanged { replayed: false },
            codes::SALE_CHANGED_AGAIN => Outcome::SaleChanged { replayed: true },
            code => Outcome::Refused(match (codes::refusal(code)?, command) {
                (Refusal::SaleNotFound, Command::PlaceOrder(place)) => without_sale(place),
                (refusal, _) => refusal,
            }),
        })
    }

    fn order(&self, index: usize, command: &Command<'_>) -> Option<Order> {
        let sale = *self.sales.get(sale_of(command))?;
        let sequence = u64::try_from((*self.sequences.get(index)?)?).ok()?;
        let Some(id) = self.ids.get(index).copied().flatten() else {
            let Command::PlaceOrder(place) = command else { return None };
            return Some(self.placed(place, sale, sequence));
        };
        let expires_at = self.expiries.get(index)?.map(Time::from_millis);
        Some(Order {
            id: order_id(id),
            sale: sale.number,
            quantity: u32::try_from((*self.quantities.get(index)?)?).ok()?,
            status: codes::status((*self.statuses.get(index)?)?)?,
            hold: expires_at.is_some(),
            expires_at,
            sequence,
        })
    }

    /// An order that this batch placed, as it was asked for.
    fn placed(&self, place: &PlaceOrder<'_>, sale: &Sale, sequence: u64) -> Order {
        Order {
            id: place.id,
            sale: sale.number,
            quantity: place.quantity,
            status: if place.hold { OrderStatus::Held } else { OrderStatus::Confirmed },
            hold: place.hold,
            expires_at: place.hold.then(|| self.at.plus_seconds(sale.terms.hold_seconds)),
            sequence,
        }
    }
}

/// What is checked before the sale is looked for.
fn without_sale(place: &PlaceOrder<'_>) -> Refusal {
    if place.customer.len() > CUSTOMER_BYTES_MAX || place.key.len() > KEY_BYTES_MAX {
        Refusal::TooLong
    } else if place.quantity == 0 {
        Refusal::InvalidQuantity
    } else {
        Refusal::SaleNotFound
    }
}
