//! What the rules in Lua answer, as the ledger's words.

use super::fault::unexpected;
use super::refusals;
use crate::query::OwnedOrder;
use crate::sequence::of_stripe;
use crate::store::{StoreFault, StoredFact, StoredKind};
use kilat_ledger::{
    Command, Counters, Fact, FactKind, Facts, Order, OrderId, OrderStatus, Outcome, SaleSwitch,
    SaleTerms, Time,
};

/// Bytes of a record before its fact.
const RECORD_HEADER_BYTES: usize = 15;

/// Reads from the front of an answer.
pub(super) struct Answer<'a>(&'a [u8]);

/// A sale's state beside its terms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) number: u32,
    pub(super) sequence: u64,
    pub(super) counters: Counters,
    pub(super) switch: SaleSwitch,
    pub(super) opens_at: Option<Time>,
    pub(super) closes_at: Option<Time>,
    /// When the next hold is due.
    pub(super) next_due: Option<Time>,
    /// Units that went to other stripes, and that came from them, ever.
    pub(super) given: u64,
    pub(super) taken: u64,
    /// Changes that the leader has made, and that a stripe has heard of.
    pub(super) epoch: u64,
    /// Grows with every process that comes to the sale, and so over each failover.
    pub(super) era: u64,
}

impl State {
    /// Grows with every change of the state, but for what a failover takes back.
    pub(super) fn version(&self) -> u64 {
        [self.given, self.taken, self.epoch].into_iter().fold(self.sequence, u64::saturating_add)
    }

    /// Whether it is not older than another one of the same stripe.
    pub(super) fn follows(&self, other: &State) -> bool {
        (self.era, self.version()) >= (other.era, other.version())
    }
}

impl<'a> Answer<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Answer<'a> {
        Answer(bytes)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], StoreFault> {
        let (taken, rest) =
            self.0.split_first_chunk::<N>().ok_or_else(|| unexpected("all it should say"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<u8, StoreFault> {
        self.take().map(u8::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, StoreFault> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, StoreFault> {
        self.take().map(u64::from_le_bytes)
    }

    pub(super) fn time(&mut self) -> Result<Time, StoreFault> {
        self.take().map(i64::from_le_bytes).map(Time::from_millis)
    }

    fn time_option(&mut self) -> Result<Option<Time>, StoreFault> {
        match self.u8()? {
            0 => Ok(None),
            _ => self.time().map(Some),
        }
    }

    /// A sale's state; nothing stands for a sale that does not exist.
    pub(super) fn state(mut self) -> Result<Option<State>, StoreFault> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let (number, sequence) = (self.u32()?, self.u64()?);
        let counters = Counters {
            supply: self.u64()?,
            available: self.u64()?,
            held: self.u64()?,
            sold: self.u64()?,
            cancelled: self.u64()?,
            expired: self.u64()?,
        };
        let switch = switch(self.u8()?)?;
        let next_due = Some(self.time()?).filter(|due| due.as_millis() >= 0);
        let (opens_at, closes_at) = (self.time_option()?, self.time_option()?);
        let (given, taken) = (self.u64()?, self.u64()?);
        let (epoch, era) = (self.u64()?, self.u64()?);
        Ok(Some(State {
            number,
            sequence,
            counters,
            switch,
            opens_at,
            closes_at,
            next_due,
            given,
            taken,
            epoch,
            era,
        }))
    }

    /// The answer to `command`, of a stripe of the sale with this number.
    pub(super) fn outcome(
        &mut self,
        command: &Command<'_>,
        number: u32,
        stripe: u16,
    ) -> Result<Outcome, StoreFault> {
        let mut outcome = self.outcome_in_stripe(command, number)?;
        if let Outcome::Order { order, .. } = &mut outcome {
            order.sequence = of_stripe(stripe, order.sequence);
        }
        Ok(outcome)
    }

    fn outcome_in_stripe(
        &mut self,
        command: &Command<'_>,
        number: u32,
    ) -> Result<Outcome, StoreFault> {
        Ok(match self.u8()? {
            0 => Outcome::Refused(refusals::of(self.u8()?)?),
            1 => Outcome::SaleCreated,
            2 => Outcome::SaleAlreadyCreated,
            3 => Outcome::SaleChanged { replayed: false },
            4 => Outcome::SaleChanged { replayed: true },
            5 => Outcome::Order { order: self.new_order(command, number)?, replayed: false },
            6 => Outcome::Order { order: self.known_order(number)?, replayed: false },
            7 => Outcome::Order { order: self.known_order(number)?, replayed: true },
            _ => return Err(unexpected("an outcome")),
        })
    }

    /// An order that was just placed: what was asked, with what the ledger added.
    fn new_order(&mut self, command: &Command<'_>, sale: u32) -> Result<Order, StoreFault> {
        let (sequence, expires_at) = (self.u64()?, self.time()?);
        let Command::PlaceOrder(place) = command else {
            return Err(unexpected("the answer to what was asked"));
        };
        let status = if place.hold { OrderStatus::Held } else { OrderStatus::Confirmed };
        Ok(Order {
            id: place.id,
            sale,
            quantity: place.quantity,
            status,
            hold: place.hold,
            expires_at: place.hold.then_some(expires_at),
            sequence,
        })
    }

    fn known_order(&mut self, sale: u32) -> Result<Order, StoreFault> {
        let status = status(self.u8()?)?;
        let hold = self.u8()? == 1;
        let id = OrderId::from_bits(u128::from_le_bytes(self.take()?));
        let (quantity, sequence, expires_at) = (self.u32()?, self.u64()?, self.time()?);
        let expires_at = hold.then_some(expires_at);
        Ok(Order { id, sale, quantity, status, hold, expires_at, sequence })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// An order's record, as it stands at `now`.
pub(super) fn order(record: &[u8], now: Time, stripe: u16) -> Result<OwnedOrder, StoreFault> {
    let status = status(*record.first().ok_or_else(|| unexpected("a record"))?)?;
    with_fact(record, |fact| match fact.kind {
        FactKind::OrderPlaced { id, customer, quantity, expires_at, .. } => {
            let order = Order {
                id,
                sale: fact.sale,
                quantity,
                status,
                hold: expires_at.is_some(),
                expires_at,
                sequence: of_stripe(stripe, fact.sequence),
            };
            Some(OwnedOrder { order: order.at(now), customer: customer.to_owned() })
        }
        _ => None,
    })
}

/// The terms in the record of a sale's first fact.
pub(super) fn terms(record: &[u8]) -> Result<SaleTerms, StoreFault> {
    with_fact(record, |fact| match fact.kind {
        FactKind::SaleCreated { terms } => Some(terms.as_ref().clone()),
        _ => None,
    })
}

/// A record's fact, owned.
pub(super) fn fact(record: &[u8], sale: &str, stripe: u16) -> Result<StoredFact, StoreFault> {
    with_fact(record, |fact| {
        let kind = match fact.kind {
            FactKind::SaleCreated { terms } => StoredKind::SaleCreated { terms },
            FactKind::SaleChanged { key, change } => {
                StoredKind::SaleChanged { key: key.to_owned(), change }
            }
            FactKind::OrderPlaced { id, customer, key, quantity, expires_at, .. } => {
                let (customer, key) = (customer.to_owned(), key.to_owned());
                StoredKind::OrderPlaced { id, customer, key, quantity, expires_at }
            }
            FactKind::OrderConfirmed { id } => StoredKind::OrderConfirmed { id },
            FactKind::OrderCancelled { id } => StoredKind::OrderCancelled { id },
            FactKind::OrderExpired { id } => StoredKind::OrderExpired { id },
        };
        let (number, at) = (fact.sale, fact.at);
        let sequence = of_stripe(stripe, fact.sequence);
        Some(StoredFact { sale: sale.to_owned(), number, sequence, at, kind })
    })
}

/// Bytes of the record at the front, if all of them are there.
pub(super) fn record_bytes(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(13..RECORD_HEADER_BYTES)?;
    let length = RECORD_HEADER_BYTES + usize::from(u16::from_le_bytes([length[0], length[1]]));
    (bytes.len() >= length).then_some(length)
}

fn with_fact<T>(record: &[u8], read: impl FnOnce(Fact<'_>) -> Option<T>) -> Result<T, StoreFault> {
    let (instant, fact) = record
        .get(7..13)
        .zip(record.get(RECORD_HEADER_BYTES..))
        .ok_or_else(|| unexpected("a record"))?;
    // A batch of one: format, instant, count.
    let mut batch = Vec::with_capacity(14 + fact.len());
    batch.extend_from_slice(&1_u16.to_le_bytes());
    batch.extend_from_slice(instant);
    batch.extend_from_slice(&[0; 2]);
    batch.extend_from_slice(&1_u32.to_le_bytes());
    batch.extend_from_slice(fact);
    let mut facts = Facts::decode(&batch).map_err(|_| unexpected("a fact"))?;
    let fact = facts.next().and_then(Result::ok).ok_or_else(|| unexpected("a fact"))?;
    read(fact).ok_or_else(|| unexpected("the kind of fact asked for"))
}

fn status(byte: u8) -> Result<OrderStatus, StoreFault> {
    match byte {
        0 => Ok(OrderStatus::Held),
        1 => Ok(OrderStatus::Confirmed),
        2 => Ok(OrderStatus::Cancelled),
        3 => Ok(OrderStatus::Expired),
        _ => Err(unexpected("an order's status")),
    }
}

fn switch(byte: u8) -> Result<SaleSwitch, StoreFault> {
    match byte {
        0 => Ok(SaleSwitch::Open),
        1 => Ok(SaleSwitch::Paused),
        2 => Ok(SaleSwitch::Closed),
        _ => Err(unexpected("a sale's switch")),
    }
}
