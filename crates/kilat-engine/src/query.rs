//! Reads that wait their turn, so that they never show a fact that could still be lost.

use crate::{Sale, Unavailable};
use kilat_ledger::{Ledger, Order, OrderId};

/// An order together with whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedOrder {
    /// The order.
    pub order: Order,
    /// Who placed it.
    pub customer: String,
}

/// Where the answer goes once it may leave. It only passes the answer on.
pub(crate) type Reply<T> = Box<dyn FnOnce(Result<T, Unavailable>) + Send>;

/// A read.
pub(crate) enum Query {
    Sale { sale: String, reply: Reply<Option<Sale>> },
    Sales { reply: Reply<Vec<Sale>> },
    Order { sale: String, order: OrderId, reply: Reply<Option<OwnedOrder>> },
    Orders { page: Page, reply: Reply<Option<Vec<OwnedOrder>>> },
}

/// Which orders to list.
#[derive(Debug)]
pub struct Page {
    /// The sale's id.
    pub sale: String,
    /// Only this customer's.
    pub customer: Option<String>,
    /// Only orders with a greater sequence.
    pub after: u64,
    /// At most this many.
    pub limit: usize,
}

/// A read that has seen the ledger and waits until what it saw is durable.
pub(crate) enum Answer {
    Sale(Reply<Option<Sale>>, Option<Sale>),
    Sales(Reply<Vec<Sale>>, Vec<Sale>),
    Order(Reply<Option<OwnedOrder>>, Option<OwnedOrder>),
    Orders(Reply<Option<Vec<OwnedOrder>>>, Option<Vec<OwnedOrder>>),
}

impl Query {
    /// Looks at the ledger; the answer may not leave yet.
    pub(crate) fn run(self, ledger: &Ledger) -> Answer {
        match self {
            Query::Sale { sale, reply } => Answer::Sale(reply, ledger.sale(&sale).map(Sale::from)),
            Query::Sales { reply } => {
                Answer::Sales(reply, ledger.sales().map(Sale::from).collect())
            }
            Query::Order { sale, order, reply } => {
                let found =
                    ledger.order(&sale, order).map(|(order, customer)| owned(order, customer));
                Answer::Order(reply, found)
            }
            Query::Orders { page, reply } => Answer::Orders(reply, list(ledger, &page)),
        }
    }

    /// Tells the caller that there will be no answer.
    pub(crate) fn refuse(self, why: Unavailable) {
        match self {
            Query::Sale { reply, .. } => reply(Err(why)),
            Query::Sales { reply } => reply(Err(why)),
            Query::Order { reply, .. } => reply(Err(why)),
            Query::Orders { reply, .. } => reply(Err(why)),
        }
    }
}

impl Answer {
    /// Sends what was seen, or why it may not be told. A caller who left is no fault.
    pub(crate) fn send(self, durable: Result<(), Unavailable>) {
        match self {
            Answer::Sale(reply, value) => reply(durable.map(|()| value)),
            Answer::Sales(reply, value) => reply(durable.map(|()| value)),
            Answer::Order(reply, value) => reply(durable.map(|()| value)),
            Answer::Orders(reply, value) => reply(durable.map(|()| value)),
        }
    }
}

fn list(ledger: &Ledger, page: &Page) -> Option<Vec<OwnedOrder>> {
    let found = match &page.customer {
        Some(customer) => ledger.orders_of(&page.sale, customer, page.after, page.limit)?,
        None => ledger.orders(&page.sale, page.after, page.limit)?,
    };
    Some(found.into_iter().map(|(order, customer)| owned(order, customer)).collect())
}

fn owned(order: Order, customer: &str) -> OwnedOrder {
    OwnedOrder { order, customer: customer.to_owned() }
}
