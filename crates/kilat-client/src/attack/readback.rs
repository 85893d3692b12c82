//! Reads the sale's orders back and holds them against what was acknowledged.

use super::options::Plan;
use super::reply::parse_order_id;
use super::witness::{Ack, Promises};
use crate::http::{Api, CallError, Patience, decode};
use kilat_api::order::{OrderPage, OrderReply, OrderStatus, PAGE_ORDERS_MAX};
use std::collections::HashSet;

/// What reading back brought to light.
#[derive(Debug, Default)]
pub(crate) struct ReadBack {
    /// Acknowledged orders that were looked for.
    pub existing: Promises,
    /// Orders of this run's customers that nobody was told of. Only a listing shows them.
    pub strays: Promises,
    /// Whether the listing is in strict sequence.
    pub sequence: Promises,
    /// Units in confirmed orders, anyone's.
    pub confirmed_units: u64,
    /// Orders that may belong to an order that stayed unknown.
    pub of_unknown: u64,
}

/// Pages through the whole listing, which needs the admin token. `acks` are in sequence.
pub(crate) fn by_listing(
    api: &Api,
    plan: &Plan,
    patience: &Patience<'_>,
    acks: &[Ack],
    unknown_buyers: &HashSet<u32>,
) -> Result<ReadBack, CallError> {
    let mut merge =
        Merge { plan, acks, at: 0, last: 0, unknown_buyers, found: ReadBack::default() };
    let mut after: Option<u64> = None;
    loop {
        let from = after.map_or(String::new(), |after| format!("&after={after}"));
        let path = format!("/v1/sales/{}/orders?limit={PAGE_ORDERS_MAX}{from}", plan.sale);
        let body = patience.call(|| api.get(&path))?;
        let page: OrderPage<'_> = decode(&body)?;
        for order in &page.orders {
            merge.take(order);
        }
        match page.next {
            None => break,
            Some(next) if after.is_none_or(|after| next > after) => after = Some(next),
            Some(next) => return Err(CallError::Unreadable(format!("next = {next}"))),
        }
    }
    merge.finish();
    Ok(merge.found)
}

/// Asks for each acknowledged order by itself, where only that is allowed.
pub(crate) fn one_by_one(
    api: &Api,
    plan: &Plan,
    patience: &Patience<'_>,
    acks: &[Ack],
) -> Result<ReadBack, CallError> {
    let mut found = ReadBack::default();
    for ack in acks {
        found.existing.checked += 1;
        let path = format!("/v1/sales/{}/orders/{:032x}", plan.sale, ack.id);
        match patience.call(|| api.get(&path)) {
            Ok(body) => compare(plan, ack, &decode(&body)?, &mut found.existing),
            Err(CallError::Refused { status: 404, .. }) => missing(ack, &mut found.existing),
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Two lists in sequence, walked side by side: constant memory however long they are.
struct Merge<'a> {
    plan: &'a Plan,
    acks: &'a [Ack],
    at: usize,
    last: u64,
    unknown_buyers: &'a HashSet<u32>,
    found: ReadBack,
}

impl Merge<'_> {
    fn take(&mut self, order: &OrderReply<'_>) {
        self.found.sequence.checked += 1;
        if order.sequence <= self.last {
            self.found
                .sequence
                .broke("out_of_sequence", format!("{} {}", order.order, order.sequence));
        }
        self.last = order.sequence;
        if order.status == OrderStatus::Confirmed {
            self.found.confirmed_units += u64::from(order.quantity);
        }
        while let Some(ack) = self.acks.get(self.at).filter(|ack| ack.sequence < order.sequence) {
            missing(ack, &mut self.found.existing);
            self.next();
        }
        match self.acks.get(self.at) {
            Some(ack) if ack.sequence == order.sequence => {
                compare(self.plan, ack, order, &mut self.found.existing);
                self.next();
            }
            _ => self.unasked(order),
        }
    }

    fn next(&mut self) {
        self.found.existing.checked += 1;
        self.at += 1;
    }

    /// An order that was not acknowledged: a stranger's, of an unknown one, or a stray.
    fn unasked(&mut self, order: &OrderReply<'_>) {
        let Some(buyer) = self.plan.buyer_named(&order.customer) else {
            return;
        };
        if self.unknown_buyers.contains(&buyer) {
            self.found.of_unknown += 1;
        } else {
            let subject = format!("{} {}", order.order, order.customer);
            self.found.strays.broke("stray", subject);
        }
    }

    fn finish(&mut self) {
        while let Some(ack) = self.acks.get(self.at) {
            missing(ack, &mut self.found.existing);
            self.next();
        }
    }
}

fn missing(ack: &Ack, existing: &mut Promises) {
    existing.broke("missing", format!("{:032x}", ack.id));
}

fn compare(plan: &Plan, ack: &Ack, order: &OrderReply<'_>, existing: &mut Promises) {
    let customer = plan.customer(plan.buyer_of(ack.order));
    let is_same = parse_order_id(&order.order) == Some(ack.id)
        && order.sequence == ack.sequence
        && order.customer == customer
        && order.quantity == plan.quantity;
    // A hold that nobody could confirm or see lapse may have done either since.
    let may_move = ack.status == OrderStatus::Held;
    if !is_same {
        existing
            .broke("different", format!("{:032x} → {} {}", ack.id, order.order, order.customer));
    } else if order.status != ack.status && !may_move {
        let subject =
            format!("{:032x} {} → {}", ack.id, ack.status.as_str(), order.status.as_str());
        existing.broke("another_status", subject);
    }
}
