//! What a store of a ledger must be able to do.

use super::fault::StoreFault;
use crate::query::{OwnedOrder, Page};
use crate::sale::Sale;
use kilat_ledger::{Command, Fact, FactKind, OrderId, Outcome, SaleChange, SaleTerms, Time};
use std::sync::Arc;
use std::time::Duration;

/// One connection to a ledger that another engine keeps. Each of a process's threads opens its own.
///
/// *Invariants of every implementation:*
///
/// - The rules are those of `Ledger::decide`, in the same order; holds that are due expire before
///   a command of their sale is decided. The pure ledger is the oracle of the tests.
/// - A batch is one step: all of its facts are there, or none; no other batch on the same sale
///   comes between two of its commands.
/// - Time is the store's own, and for each sale it never goes back.
/// - An outcome is returned only when its facts are as durable as the store was set up to make
///   them. So it is for refusals and reads, which must not show what could still be lost.
/// - Facts go to the outbox in the same step, each sale's with `sequence` 1, 2, 3, … without gaps.
/// - After [`StoreFault::Lost`] the same call may come again, from a new connection. What the first
///   attempt did stands under its keys and ids. Before the second is decided the first must be
///   over: else it could take effect after its caller was told a refusal.
///
/// A call that takes longer than the store's own limit is [`StoreFault::Lost`]; none waits for ever.
pub(crate) trait LedgerStore: Sized + Send + 'static {
    /// All that is needed to open a connection, also again after one was lost.
    type Options: Send + Sync + 'static;

    /// Connects, and refuses a store that can't keep the promises asked for. The first connection
    /// of a process also brings the store's schema or script to this version.
    ///
    /// `before` is what the lost connection is called, see [`LedgerStore::name`].
    fn open(options: &Self::Options, before: Option<&str>) -> Result<Self, StoreFault>;

    /// What this connection is called in the store, so that the next one can end what this one
    /// may have left running.
    fn name(&self) -> &str;

    /// Decides and stores all `commands` as one batch. They were all under way at the same time, so
    /// commands of different kinds may take any order; the orders of a sale keep theirs.
    fn commit(&mut self, commands: &[Command<'_>]) -> Result<Decided, StoreFault>;

    /// Expires what is due, up to a limit of the store's own, in any sale.
    fn expire_due(&mut self) -> Result<Decided, StoreFault>;

    /// A sale as it stands, its due holds expired.
    fn sale(&mut self, sale: &str) -> Result<Option<Sale>, StoreFault>;

    /// Every sale, in the order of creation.
    fn sales(&mut self) -> Result<Vec<Sale>, StoreFault>;

    /// An order of a sale, as it stands now.
    fn order(&mut self, sale: &str, order: OrderId) -> Result<Option<OwnedOrder>, StoreFault>;

    /// Orders in sequence, as they stand now; `None` when there is no such sale. At most
    /// `ORDERS_PAGE_MAX` of `kilat-ledger`.
    fn orders(&mut self, page: &Page) -> Result<Option<Vec<OwnedOrder>>, StoreFault>;

    /// Sales that have changed since this was last called on this connection, by whomever; at
    /// first all. May tell one again that has not changed, and never misses one.
    fn changed(&mut self) -> Result<Vec<Sale>, StoreFault>;

    /// Takes or keeps the lease to move facts; `false` while another process has it. The lease of
    /// a process that is gone is given up by the store itself.
    fn hold_lease(&mut self) -> Result<bool, StoreFault>;

    /// Gives the lease up, if it is held, so that the next one need not wait for its end.
    fn release_lease(&mut self) -> Result<(), StoreFault>;

    /// The oldest facts of the outbox, each sale's in sequence; about `limit`: those of a batch may
    /// come together.
    fn facts(&mut self, limit: usize) -> Result<Vec<StoredFact>, StoreFault>;

    /// The facts that the last call of [`LedgerStore::facts`] gave are in the event log: drops
    /// them from the outbox.
    fn moved(&mut self) -> Result<(), StoreFault>;
}

/// What a batch came to.
#[derive(Debug)]
pub(crate) struct Decided {
    /// The instant at which it was decided.
    pub(crate) at: Time,
    /// One for each command, in the same order.
    pub(crate) outcomes: Vec<Outcome>,
    /// Newest durable state of each sale that was touched, also by a replay: whoever is told of an
    /// order must find it on the board.
    pub(crate) sales: Vec<Sale>,
    /// How many holds were expired.
    pub(crate) expired: usize,
    /// How long until the next hold is due, if one is known of.
    pub(crate) next_expiry: Option<Duration>,
}

/// A fact in the store's outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredFact {
    /// The sale's id.
    pub(crate) sale: String,
    /// Its number, and the fact's sequence in it.
    pub(crate) number: u32,
    pub(crate) sequence: u64,
    /// When it was decided.
    pub(crate) at: Time,
    pub(crate) kind: StoredKind,
}

/// What happened, owned. Members are those of `FactKind`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoredKind {
    SaleCreated {
        terms: Arc<SaleTerms>,
    },
    SaleChanged {
        key: String,
        change: SaleChange,
    },
    OrderPlaced {
        id: OrderId,
        customer: String,
        key: String,
        quantity: u32,
        expires_at: Option<Time>,
    },
    OrderConfirmed {
        id: OrderId,
    },
    OrderCancelled {
        id: OrderId,
    },
    OrderExpired {
        id: OrderId,
    },
}

impl StoredFact {
    /// The fact as the ledger knows it.
    pub(crate) fn fact(&self) -> Fact<'_> {
        let kind = match &self.kind {
            StoredKind::SaleCreated { terms } => FactKind::SaleCreated { terms: Arc::clone(terms) },
            StoredKind::SaleChanged { key, change } => {
                FactKind::SaleChanged { key, change: *change }
            }
            StoredKind::OrderPlaced { id, customer, key, quantity, expires_at } => {
                let (id, quantity, expires_at) = (*id, *quantity, *expires_at);
                FactKind::OrderPlaced { id, customer, key, quantity, expires_at, prints: None }
            }
            StoredKind::OrderConfirmed { id } => FactKind::OrderConfirmed { id: *id },
            StoredKind::OrderCancelled { id } => FactKind::OrderCancelled { id: *id },
            StoredKind::OrderExpired { id } => FactKind::OrderExpired { id: *id },
        };
        Fact { at: self.at, sale: self.number, sequence: self.sequence, kind }
    }
}
