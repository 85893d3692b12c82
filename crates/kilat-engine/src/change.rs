//! Commands other than placing orders, owned so that they can wait in the queue.

use kilat_ledger::{Command, OrderId, SaleChange, SaleTerms, fact_bytes_max};

/// A command that is rare beside orders.
#[derive(Debug)]
pub enum Change {
    /// Make a sale; safe to repeat by its id.
    CreateSale {
        /// All that is fixed about it.
        terms: Box<SaleTerms>,
    },
    /// Change a sale; safe to repeat by its key.
    ChangeSale {
        /// The sale's id.
        sale: String,
        /// Idempotency key of the operator.
        key: String,
        /// What to change.
        change: SaleChange,
    },
    /// Sell a held order.
    ConfirmOrder(OrderRef),
    /// Give a held order's units back.
    CancelOrder(OrderRef),
}

/// An order, and on whose behalf it is touched.
#[derive(Debug)]
pub struct OrderRef {
    /// The sale's id.
    pub sale: String,
    /// The order.
    pub order: OrderId,
    /// Only if it is this customer's; `None` for callers who may touch any.
    pub by: Option<String>,
}

impl Change {
    pub(crate) fn command(&self) -> Command<'_> {
        match self {
            Change::CreateSale { terms } => Command::CreateSale { terms },
            Change::ChangeSale { sale, key, change } => Command::ChangeSale { sale, key, change },
            Change::ConfirmOrder(OrderRef { sale, order, by }) => {
                Command::ConfirmOrder { sale, order: *order, by: by.as_deref() }
            }
            Change::CancelOrder(OrderRef { sale, order, by }) => {
                Command::CancelOrder { sale, order: *order, by: by.as_deref() }
            }
        }
    }

    /// Most bytes that the fact of this command can take.
    pub(crate) fn fact_bytes_max(&self) -> usize {
        fact_bytes_max(&self.command())
    }
}
