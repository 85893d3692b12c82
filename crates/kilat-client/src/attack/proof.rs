//! The proof: what the sale says afterwards, held against what the buyers were told.
//!
//! Every check recomputes from figures or orders that were read over HTTP. A
//! check that can't be made says so (`skipped`); it is never counted as passed.

use super::generator::Aftermath;
use super::options::Plan;
use super::progress::Output;
use super::readback::{self, ReadBack};
use super::reply::parse_order_id;
use super::stage::read_audit;
use super::witness::{Ack, Evidence, Promises, is_refusal};
use crate::http::{Api, CallError, Patience, decode};
use kilat_api::audit::Audit;
use kilat_api::order::{OrderReply, OrderRequest, OrderStatus};
use kilat_api::problem::Code;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use ureq::http::Method;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckResult {
    /// It holds.
    Passed,
    /// It does not hold.
    Failed,
    /// It could not be made; the evidence says why.
    Skipped,
}

/// One statement that was checked.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Stable name, see [`CHECKS`].
    pub name: &'static str,
    /// How it ended.
    pub result: CheckResult,
    /// The figures it was decided from.
    pub figures: BTreeMap<&'static str, u64>,
    /// What spoke against it, at most five.
    pub evidence: Vec<Evidence>,
}

/// The names of all checks, in the order of a report.
pub const CHECKS: &[&str] = &[
    "conserved",
    "sold_is_acknowledged",
    "never_oversold",
    "sold_to_the_last",
    "acknowledged_exist",
    "unique",
    "no_strays",
    "orders_add_up",
    "replays_are_the_same",
    "replies_as_asked",
];

/// Why a check over nothing is skipped.
const NOTHING: &str = "nothing_to_check";

/// What the proof found.
pub(crate) struct Proof {
    pub after: Option<Audit>,
    pub checks: Vec<Check>,
}

/// What the proof works from.
pub(crate) struct Court<'a> {
    pub api: &'a Api,
    pub plan: &'a Plan,
    pub patience: Patience<'a>,
    pub before: &'a Audit,
    /// Whether the token allows listing every order.
    pub is_admin: bool,
}

/// What was read after the attack.
struct Testimony {
    audit: Audit,
    /// Orders, and the figures read once more after them.
    orders: Result<(ReadBack, Audit), CallError>,
}

impl Court<'_> {
    /// Settles what stayed open, reads everything back and decides.
    pub(crate) fn prove(&self, aftermath: &mut Aftermath, output: &Output) -> Proof {
        self.settle_unknown(aftermath, output);
        self.settle_holds(aftermath);
        let unique = check_unique(&mut aftermath.witness.acks);
        let (after, mut checks) = match self.read(aftermath) {
            Ok(testimony) => (Some(testimony.audit.clone()), self.judge(aftermath, &testimony)),
            Err(error) => (None, unreadable(&error)),
        };
        checks.push(unique);
        checks.push(promised("replays_are_the_same", &aftermath.witness.replays));
        checks.push(promised("replies_as_asked", &aftermath.witness.replies));
        checks.sort_by_key(|check| CHECKS.iter().position(|name| *name == check.name));
        Proof { after, checks }
    }

    /// Sends the keys that stayed without an answer once more: whatever the
    /// first request did, the answer to the same key tells it.
    fn settle_unknown(&self, aftermath: &mut Aftermath, output: &Output) {
        let unknown = std::mem::take(&mut aftermath.witness.unknown);
        if !unknown.is_empty() {
            output.say("progress.settling", &[("count", &unknown.len())]);
        }
        let mut is_away = false;
        for order in unknown {
            let settled = !is_away
                && match self.ask_again(order) {
                    Ok(Ok(ack)) => {
                        aftermath.witness.acks.push(ack);
                        aftermath.witness.tally.acknowledged += 1;
                        true
                    }
                    Ok(Err(code)) => {
                        aftermath.witness.tally.refuse(code, aftermath.elapsed.as_nanos() as u64);
                        true
                    }
                    Err(error) => {
                        is_away = error.is_transient();
                        false
                    }
                };
            if settled {
                aftermath.witness.tally.unknown -= 1;
            } else {
                aftermath.witness.unknown.push(order);
            }
        }
    }

    /// The acknowledgement of an order, or the reason for which there is none.
    fn ask_again(&self, order: u32) -> Result<Result<Ack, Code>, CallError> {
        let plan = self.plan;
        let customer = plan.customer(plan.buyer_of(order)).into();
        let request = OrderRequest { customer, quantity: plan.quantity, hold: plan.holds(order) };
        let body = serde_json::to_vec(&request).unwrap_or_default();
        let path = format!("/v1/sales/{}/orders", plan.sale);
        let key = plan.key(order);
        let answer =
            self.patience.call(|| self.api.send(Method::POST, &path, Some(&key), body.clone()));
        match answer {
            Ok((_, body)) => {
                let reply: OrderReply<'_> = decode(&body)?;
                let id = parse_order_id(&reply.order)
                    .ok_or_else(|| CallError::Unreadable(reply.order.to_string()))?;
                Ok(Ok(Ack { id, sequence: reply.sequence, order, status: reply.status }))
            }
            Err(CallError::Refused { problem: Some(problem), .. }) if is_refusal(problem.code) => {
                Ok(Err(problem.code))
            }
            Err(error) => Err(error),
        }
    }

    /// Confirms the holds whose confirmation had no answer.
    fn settle_holds(&self, aftermath: &mut Aftermath) {
        for ack in aftermath.witness.acks.iter_mut().filter(|ack| ack.status == OrderStatus::Held) {
            let path = format!("/v1/sales/{}/orders/{:032x}/confirm", self.plan.sale, ack.id);
            match self.patience.call(|| self.api.send(Method::POST, &path, None, Vec::new())) {
                Ok(_) => ack.status = OrderStatus::Confirmed,
                Err(CallError::Refused { problem: Some(problem), .. })
                    if problem.code == Code::Expired =>
                {
                    ack.status = OrderStatus::Expired;
                }
                Err(error) if error.is_transient() => return,
                Err(_) => {}
            }
        }
    }

    fn read(&self, aftermath: &Aftermath) -> Result<Testimony, CallError> {
        let audit = self.patience.call(|| read_audit(self.api, self.plan))?;
        let orders = self.read_orders(aftermath).and_then(|orders| {
            let again = self.patience.call(|| read_audit(self.api, self.plan))?;
            Ok((orders, again))
        });
        Ok(Testimony { audit, orders })
    }

    fn read_orders(&self, aftermath: &Aftermath) -> Result<ReadBack, CallError> {
        let acks = &aftermath.witness.acks;
        if !self.is_admin {
            return readback::one_by_one(self.api, self.plan, &self.patience, acks);
        }
        let unknown = &aftermath.witness.unknown;
        let buyers: HashSet<u32> = unknown.iter().map(|&order| self.plan.buyer_of(order)).collect();
        readback::by_listing(self.api, self.plan, &self.patience, acks, &buyers)
    }

    fn judge(&self, aftermath: &Aftermath, testimony: &Testimony) -> Vec<Check> {
        let audit = &testimony.audit;
        let mut checks = vec![
            check_conserved(audit),
            self.check_sold(aftermath, audit),
            self.check_never_oversold(aftermath, audit),
            self.check_sold_to_the_last(aftermath, audit),
        ];
        match &testimony.orders {
            Ok((orders, again)) => checks.extend(self.check_orders(orders, audit, again)),
            Err(error) => checks.extend(
                ["acknowledged_exist", "no_strays", "orders_add_up"]
                    .map(|name| failed_to_read(name, error)),
            ),
        }
        checks
    }

    /// Units that the buyers were told are theirs.
    fn confirmed_units(&self, aftermath: &Aftermath) -> u64 {
        let acks = &aftermath.witness.acks;
        let confirmed = acks.iter().filter(|ack| ack.status == OrderStatus::Confirmed).count();
        confirmed as u64 * u64::from(self.plan.quantity)
    }

    /// Units that may have been sold without anyone being told.
    fn possible_units(&self, aftermath: &Aftermath) -> u64 {
        let acks = &aftermath.witness.acks;
        let held = acks.iter().filter(|ack| ack.status == OrderStatus::Held).count();
        (held + aftermath.witness.unknown.len()) as u64 * u64::from(self.plan.quantity)
    }

    /// On a sale of its own the attack is the only buyer and the figures must
    /// meet; on another, strangers may have bought too, and `orders_add_up`
    /// tells their units from ours.
    fn check_sold(&self, aftermath: &Aftermath, audit: &Audit) -> Check {
        let ours = self.confirmed_units(aftermath);
        let possible = self.possible_units(aftermath);
        let sold = audit.sold.saturating_sub(self.before.sold);
        let most = if self.plan.is_rehearsal { ours + possible } else { u64::MAX };
        let holds = audit.sold >= self.before.sold && (ours..=most).contains(&sold);
        let figures = [("sold", sold), ("acknowledged", ours), ("possible", possible)];
        decide_over(sold + ours + possible, "sold_is_acknowledged", holds, &figures)
    }

    fn check_never_oversold(&self, aftermath: &Aftermath, audit: &Audit) -> Check {
        let told = self.before.sold + self.confirmed_units(aftermath);
        let holds = audit.sold <= audit.supply && told <= audit.supply;
        decide(
            "never_oversold",
            holds,
            &[("sold", audit.sold), ("told", told), ("supply", audit.supply)],
        )
    }

    /// Stock that nobody gives back only shrinks: whoever was told "sold out"
    /// proves that fewer units than an order takes are left.
    fn check_sold_to_the_last(&self, aftermath: &Aftermath, audit: &Audit) -> Check {
        let name = "sold_to_the_last";
        let tally = &aftermath.witness.tally;
        let sold_out = tally.refusals(Code::SoldOut);
        let quantity = u64::from(self.plan.quantity);
        let figures = [("available", audit.available), ("sold_out", sold_out)];
        if sold_out == 0 && tally.acknowledged == 0 {
            return skipped(name, NOTHING, &figures);
        }
        let wanted = tally.acknowledged * quantity;
        if sold_out == 0 && wanted < self.before.available {
            return skipped(name, "demand_too_low", &figures);
        }
        let returned = |audit: &Audit| (audit.supply, audit.cancelled, audit.expired);
        if returned(audit) != returned(self.before) {
            return skipped(name, "stock_returned", &figures);
        }
        decide(name, audit.available < quantity, &figures)
    }

    fn check_orders(&self, orders: &ReadBack, audit: &Audit, again: &Audit) -> [Check; 3] {
        let existing = promised("acknowledged_exist", &orders.existing);
        if !self.is_admin {
            let why = "no_admin_token";
            return [existing, skipped("no_strays", why, &[]), skipped("orders_add_up", why, &[])];
        }
        let figures = [("strays", orders.strays.broken), ("of_unknown", orders.of_unknown)];
        let listed = orders.sequence.checked + orders.sequence.broken + orders.strays.broken;
        let mut strays = decide_over(listed, "no_strays", orders.strays.broken == 0, &figures);
        strays.evidence.clone_from(&orders.strays.examples);
        // Sold units only grow, so the listing must lie between two readings.
        let units = orders.confirmed_units;
        let holds = (audit.sold..=again.sold).contains(&units) && orders.sequence.broken == 0;
        let figures =
            [("listed", units), ("sold", again.sold), ("orders", orders.sequence.checked)];
        let mut sums = decide_over(listed + again.sold, "orders_add_up", holds, &figures);
        sums.evidence.clone_from(&orders.sequence.examples);
        [existing, strays, sums]
    }
}

fn check_conserved(audit: &Audit) -> Check {
    let figures = [
        ("available", audit.available),
        ("held", audit.held),
        ("sold", audit.sold),
        ("confirmed", audit.confirmed),
        ("supply", audit.supply),
    ];
    let mut check = decide("conserved", audit.balanced && audit.conserves(), &figures);
    if audit.balanced != audit.conserves() {
        let subject = format!("balanced: {}", audit.balanced);
        check.evidence.push(Evidence { fault: "balanced_is_wrong", subject });
    }
    check
}

/// Ids and sequences must differ. Leaves the acknowledgements in sequence.
fn check_unique(acks: &mut [Ack]) -> Check {
    let mut doubles = Promises { checked: acks.len() as u64, ..Promises::default() };
    acks.sort_unstable_by_key(|ack| ack.id);
    for pair in acks.windows(2).filter(|pair| pair[0].id == pair[1].id) {
        doubles.broke("same_order_twice", format!("{:032x}", pair[0].id));
    }
    acks.sort_unstable_by_key(|ack| ack.sequence);
    for pair in acks.windows(2).filter(|pair| pair[0].sequence == pair[1].sequence) {
        doubles.broke("same_sequence_twice", format!("{:032x} {:032x}", pair[0].id, pair[1].id));
    }
    promised("unique", &doubles)
}

/// A check over `count` things, skipped when there was none. What does not hold is never skipped.
fn decide_over(
    count: u64,
    name: &'static str,
    holds: bool,
    figures: &[(&'static str, u64)],
) -> Check {
    if count == 0 && holds { skipped(name, NOTHING, figures) } else { decide(name, holds, figures) }
}

pub(crate) fn decide(name: &'static str, holds: bool, figures: &[(&'static str, u64)]) -> Check {
    let result = if holds { CheckResult::Passed } else { CheckResult::Failed };
    Check { name, result, figures: figures.iter().copied().collect(), evidence: Vec::new() }
}

fn skipped(name: &'static str, why: &'static str, figures: &[(&'static str, u64)]) -> Check {
    let evidence = vec![Evidence { fault: why, subject: String::new() }];
    Check {
        name,
        result: CheckResult::Skipped,
        figures: figures.iter().copied().collect(),
        evidence,
    }
}

/// A check of promises, skipped when there was none to look at.
fn promised(name: &'static str, promises: &Promises) -> Check {
    if promises.checked == 0 && promises.broken == 0 {
        return skipped(name, NOTHING, &[("checked", 0), ("broken", 0)]);
    }
    promised_always(name, promises)
}

pub(crate) fn promised_always(name: &'static str, promises: &Promises) -> Check {
    let figures = [("checked", promises.checked), ("broken", promises.broken)];
    let mut check = decide(name, promises.broken == 0, &figures);
    check.evidence.clone_from(&promises.examples);
    check
}

/// Nothing could be read: the statements that need it are not proven.
fn unreadable(error: &CallError) -> Vec<Check> {
    CHECKS[..5].iter().chain(&CHECKS[6..8]).map(|name| failed_to_read(name, error)).collect()
}

fn failed_to_read(name: &'static str, error: &CallError) -> Check {
    let subject = match error {
        CallError::Unreachable(why) | CallError::Unreadable(why) => why.clone(),
        CallError::Refused { status, .. } => status.to_string(),
    };
    let evidence = vec![Evidence { fault: "not_readable", subject }];
    Check { name, result: CheckResult::Failed, figures: BTreeMap::new(), evidence }
}
