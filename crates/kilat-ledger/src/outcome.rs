//! What callers get back. Refusals are outcomes, not errors: each is a plain, expected answer.

use std::fmt;

use crate::order_id::OrderId;
use crate::time::Time;

/// The answer to a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The sale is new.
    SaleCreated,
    /// The sale exists with the same terms; nothing changed.
    SaleAlreadyCreated,
    /// The sale is as the change wants it.
    SaleChanged {
        /// The change had been made before under the same key; nothing changed now.
        replayed: bool,
    },
    /// The order as it stands.
    Order {
        /// The order; its customer is the command's.
        order: Order,
        /// The order had been placed (or confirmed, or cancelled) before; nothing changed now.
        replayed: bool,
    },
    /// Refused: nothing changed and nothing is remembered.
    Refused(Refusal),
}

/// An order without its customer's name, which would have to be copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Order {
    /// The id that came with the command.
    pub id: OrderId,
    /// Number of its sale, see [`SaleView::number`](crate::SaleView).
    pub sale: u32,
    /// Units.
    pub quantity: u32,
    /// Where it stands.
    pub status: OrderStatus,
    /// Whether it was placed as a hold.
    pub hold: bool,
    /// When its hold ends or would have ended; `None` if it was not placed as a hold.
    pub expires_at: Option<Time>,
    /// The sequence, within its sale, of the fact that placed it.
    pub sequence: u64,
}

impl Order {
    /// The order as seen at `now`: a hold is over at `expires_at`, whether or not its expiry
    /// has been processed.
    #[must_use]
    pub fn at(self, now: Time) -> Self {
        let due = self.expires_at.is_some_and(|end| now >= end);
        match self.status {
            OrderStatus::Held if due => Self { status: OrderStatus::Expired, ..self },
            _ => self,
        }
    }
}

/// Where an order stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum OrderStatus {
    /// Units are set aside until `expires_at`.
    Held,
    /// Units are sold.
    Confirmed,
    /// The customer or the shop gave the units back.
    Cancelled,
    /// The hold ran out and the units went back.
    Expired,
}

/// Why nothing happened.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Refusal {
    /// No sale has this id.
    SaleNotFound,
    /// The id belongs to a sale with other terms.
    SaleExists,
    /// The idempotency key came with a different request before.
    KeyReused,
    /// The sale is over.
    Closed,
    /// The sale has not begun.
    NotOpen,
    /// The sale is paused.
    Paused,
    /// The customer would hold and own more than the sale allows one.
    LimitReached,
    /// Fewer units are left than asked.
    SoldOut,
    /// No such order in this sale, or none of this customer.
    OrderNotFound,
    /// The hold ran out.
    HoldExpired,
    /// A confirmed order can't be cancelled.
    OrderConfirmed,
    /// A cancelled order can't be confirmed.
    OrderCancelled,
    /// The order id of the command belongs to another order; draw a new one.
    OrderIdTaken,
    /// An order must be for at least one unit.
    InvalidQuantity,
    /// A sale must close after it opens.
    InvalidSchedule,
    /// Supply would exceed [`SUPPLY_MAX`](crate::SUPPLY_MAX).
    SupplyOverflow,
    /// A text is longer than its limit (`*_BYTES_MAX`).
    TooLong,
    /// The ledger has as many sales, changes of a sale, customers or orders as it can number
    /// (`SALES_MAX`, `CHANGES_MAX`, `RECORDS_MAX`).
    Full,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SaleNotFound => "no sale has this id",
            Self::SaleExists => "a sale with this id exists with other terms",
            Self::KeyReused => "the idempotency key was used for a different request",
            Self::Closed => "the sale is closed",
            Self::NotOpen => "the sale is not open yet",
            Self::Paused => "the sale is paused",
            Self::LimitReached => "the customer's limit is reached",
            Self::SoldOut => "not enough units are left",
            Self::OrderNotFound => "no such order",
            Self::HoldExpired => "the hold has expired",
            Self::OrderConfirmed => "the order is confirmed and can't be cancelled",
            Self::OrderCancelled => "the order is cancelled and can't be confirmed",
            Self::OrderIdTaken => "the order id belongs to another order",
            Self::InvalidQuantity => "the quantity must be at least 1",
            Self::InvalidSchedule => "the sale must close after it opens",
            Self::SupplyOverflow => "the supply would be too large",
            Self::TooLong => "a text is too long",
            Self::Full => "the ledger is full",
        })
    }
}
