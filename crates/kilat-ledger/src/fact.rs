//! What has happened. Facts hold everything that recovery needs, so that a later change of the
//! rules never changes history. Knows nothing about how facts are encoded.

use std::sync::Arc;

use crate::command::{SaleChange, SaleTerms};
use crate::fingerprint::Prints;
use crate::order_id::OrderId;
use crate::time::Time;

/// One thing that happened to one sale.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fact<'a> {
    /// When it was decided. Never goes back from one fact to the next.
    pub at: Time,
    /// Number of the sale: 0 for the first one created in the ledger, and so on.
    pub sale: u32,
    /// 1, 2, 3 … over all facts of the sale, without gaps.
    pub sequence: u64,
    /// What happened.
    pub kind: FactKind<'a>,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FactKind<'a> {
    /// The sale exists.
    SaleCreated {
        /// Its terms.
        terms: Arc<SaleTerms>,
    },
    /// The sale changed.
    SaleChanged {
        /// The admin's idempotency key.
        key: &'a str,
        /// What changed.
        change: SaleChange,
    },
    /// Units were bought, or held if `expires_at` is set.
    OrderPlaced {
        /// The order's id.
        id: OrderId,
        /// Who bought.
        customer: &'a str,
        /// The idempotency key.
        key: &'a str,
        /// Units.
        quantity: u32,
        /// When the hold ends; `None` for a purchase.
        expires_at: Option<Time>,
        /// The fingerprints, if already at hand; never encoded.
        prints: Option<Prints>,
    },
    /// A hold became a sale.
    OrderConfirmed {
        /// The order.
        id: OrderId,
    },
    /// A hold was given back.
    OrderCancelled {
        /// The order.
        id: OrderId,
    },
    /// A hold ran out.
    OrderExpired {
        /// The order.
        id: OrderId,
    },
}

/// What [`Ledger::decide`](crate::Ledger::decide) comes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decision<'a> {
    /// The answer.
    pub outcome: crate::Outcome,
    /// What happens; `None` if nothing changes.
    pub fact: Option<Fact<'a>>,
}
