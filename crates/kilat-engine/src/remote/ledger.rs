//! Commands and reads on their way to the ledger behind a core.

use super::Known;
use super::in_flight::Sent;
use super::link::Traffic;
use crate::board::Board;
use crate::intake::Queued as _;
use crate::protocol::frame::{Frame, Kind};
use crate::protocol::hello::Role;
use crate::protocol::ledger;
use crate::protocol::wire::{Input, Malformed};
use crate::query::{Query, Reply};
use crate::work::Work;
use crate::{Orders, Placed, PlacedCallback, Unavailable};
use std::sync::Arc;
use std::time::Instant;

/// See the module.
pub(super) struct LedgerTraffic {
    pub(super) board: Arc<Board>,
    /// Set when the board shows all sales.
    pub(super) known: Arc<Known>,
}

impl Traffic for LedgerTraffic {
    type Work = Work;
    const ROLE: Role = Role::Ledger;

    /// Orders and changes of a sale have keys, a new sale is known by its id, an order that is
    /// confirmed or cancelled stays so, and reads change nothing.
    fn can_repeat(_: &Work) -> bool {
        true
    }

    fn kind(work: &Work) -> Kind {
        match work {
            Work::Orders { .. } => Kind::Place,
            Work::Change { .. } => Kind::Change,
            Work::Query(_) => Kind::Query,
        }
    }

    fn write(work: &Work, out: &mut Vec<u8>) {
        match work {
            Work::Orders { orders, .. } => ledger::put_orders(orders, out),
            Work::Change { change, .. } => ledger::put_change(change, out),
            Work::Query(Query::Sale { sale, .. }) => ledger::put_question_sale(sale, out),
            Work::Query(Query::Sales { .. }) => ledger::put_question_sales(out),
            Work::Query(Query::Order { sale, order, .. }) => {
                ledger::put_question_order(sale, *order, out);
            }
            Work::Query(Query::Orders { page, .. }) => ledger::put_question_orders(page, out),
        }
    }

    fn settle(sent: Sent<Work>, reply: Frame<'_>) -> Result<(), Malformed> {
        let Frame { kind, mut body, .. } = reply;
        match (sent.work, kind) {
            (Work::Orders { orders, done }, Kind::Placed) => {
                placed(orders, done, &mut body, sent.again)
            }
            (Work::Change { reply, .. }, Kind::Changed) => answer(reply, &mut body, |body| {
                let at = body.time()?;
                Ok((ledger::outcome(body)?, at))
            }),
            (Work::Query(query), Kind::Answer) => answered(query, &mut body),
            (work, _) => {
                work.refuse(Unavailable::Unknown);
                Err(Malformed("a reply is of another kind than its request"))
            }
        }
    }

    fn hear(&self, mut frame: Frame<'_>) -> Result<(), Malformed> {
        match frame.kind {
            Kind::Sale => self.board.publish(&ledger::sale(&mut frame.body)?),
            Kind::Synced => {
                self.board.set_live(true);
                self.known.set();
            }
            _ => return Err(Malformed("the core tells what was not asked for")),
        }
        Ok(())
    }

    fn hear_tick(&self, tick_ms: u64, at: Instant, is_first: bool) {
        self.board.hear(tick_ms, at, is_first);
    }

    fn cut_off(&self) {
        self.board.set_live(false);
    }
}

fn placed(
    mut orders: Orders,
    done: PlacedCallback,
    body: &mut Input<'_>,
    again: bool,
) -> Result<(), Malformed> {
    let mut outcomes = std::mem::take(&mut orders.outcomes);
    let read = body.time().and_then(|at| {
        ledger::outcomes(body, orders.len(), &mut outcomes)?;
        Ok(at)
    });
    let at = match read {
        Ok(at) => at,
        Err(error) => {
            done(Err(Unavailable::Unknown));
            return Err(error);
        }
    };
    orders.outcomes = outcomes;
    if again {
        orders.own_up();
    }
    done(Ok(Placed { orders, at, stages: None }));
    Ok(())
}

fn answered(query: Query, body: &mut Input<'_>) -> Result<(), Malformed> {
    match query {
        Query::Sale { reply, .. } => answer(reply, body, |body| body.option(ledger::sale)),
        Query::Sales { reply } => answer(reply, body, |body| body.list(ledger::sale)),
        Query::Order { reply, .. } => answer(reply, body, |body| body.option(ledger::owned)),
        Query::Orders { reply, .. } => {
            answer(reply, body, |body| body.option(|body| body.list(ledger::owned)))
        }
    }
}

/// Reads the whole body and passes it on; when it makes no sense, that nothing is known.
pub(super) fn answer<T>(
    reply: Reply<T>,
    body: &mut Input<'_>,
    read: impl FnOnce(&mut Input<'_>) -> Result<T, Malformed>,
) -> Result<(), Malformed> {
    match read(body).and_then(|value| body.end().map(|()| value)) {
        Ok(value) => {
            reply(Ok(value));
            Ok(())
        }
        Err(error) => {
            reply(Err(Unavailable::Unknown));
            Err(error)
        }
    }
}
