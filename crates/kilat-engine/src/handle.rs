//! What callers hold: a cheap, cloneable way to send commands and await outcomes.

use crate::board::Board;
use crate::intake::Intake;
use crate::query::{OwnedOrder, Page, Query, Reply};
use crate::work::Work;
use crate::{Change, OrderHasher, Orders, Placed, PlacedCallback, Sale, Unavailable};
use kilat_ledger::{OrderId, Outcome, Time};
use std::sync::Arc;
use tokio::sync::oneshot;

/// A way to the engine. Clones share the same queue.
#[derive(Clone)]
pub struct Handle {
    pub(crate) intake: Arc<Intake<Work>>,
    pub(crate) board: Arc<Board>,
    pub(crate) hasher: OrderHasher,
}

impl Handle {
    /// What hashes customers and keys for this ledger.
    #[must_use]
    pub fn hasher(&self) -> OrderHasher {
        self.hasher
    }

    /// The latest durable state of every sale, readable without the queue.
    #[must_use]
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// Sends a group of orders. `done` is called exactly once: with the
    /// outcomes, on the thread that committed them, or at once with the reason why the
    /// group was not taken. It must only pass the result on.
    pub fn place(&self, orders: Orders, done: PlacedCallback) {
        self.intake.put_or_refuse(Work::Orders { orders, done });
    }

    /// Places a group of orders and awaits the outcomes.
    ///
    /// # Errors
    /// [`Unavailable`], for the whole group.
    pub async fn place_all(&self, orders: Orders) -> Result<Placed, Unavailable> {
        let (reply, result) = oneshot::channel();
        self.place(orders, Box::new(move |placed| drop(reply.send(placed))));
        result.await.unwrap_or(Err(Unavailable::Failed))
    }

    /// Carries out a command; also tells the instant at which it was decided.
    ///
    /// # Errors
    /// [`Unavailable`]; refusals by the rules are outcomes, not errors.
    pub async fn change(&self, change: Change) -> Result<(Outcome, Time), Unavailable> {
        self.ask(|reply| Work::Change { change, reply }).await
    }

    /// A sale as it stands.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn sale(&self, sale: &str) -> Result<Option<Sale>, Unavailable> {
        let sale = sale.to_owned();
        self.ask(|reply| Work::Query(Query::Sale { sale, reply })).await
    }

    /// A sale as it stands for callers who were told of it by others: from the board where the
    /// ledger is in this process, where the board is never behind a reply; else by asking.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn current(&self, sale: &str) -> Result<Option<Sale>, Unavailable> {
        if self.board.is_copy() { self.sale(sale).await } else { Ok(self.board.sale(sale)) }
    }

    /// Every sale, in the order of creation.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn sales(&self) -> Result<Vec<Sale>, Unavailable> {
        self.ask(|reply| Work::Query(Query::Sales { reply })).await
    }

    /// An order of a sale.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn order(
        &self,
        sale: &str,
        order: OrderId,
    ) -> Result<Option<OwnedOrder>, Unavailable> {
        let sale = sale.to_owned();
        self.ask(|reply| Work::Query(Query::Order { sale, order, reply })).await
    }

    /// A page of orders in sequence; `None` when there is no such sale.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn orders(&self, page: Page) -> Result<Option<Vec<OwnedOrder>>, Unavailable> {
        self.ask(|reply| Work::Query(Query::Orders { page, reply })).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(Reply<T>) -> Work,
    ) -> Result<T, Unavailable> {
        let (reply, answer) = oneshot::channel();
        let reply = Box::new(move |result| drop(reply.send(result)));
        self.intake.put(work(reply)).map_err(|(_, why)| why)?;
        answer.await.unwrap_or(Err(Unavailable::Failed))
    }
}
