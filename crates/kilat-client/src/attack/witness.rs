//! What each reply means, and what the server has promised so far.
//!
//! Knows nothing about sockets: it gets a reply and says what to do next. It
//! keeps 32 bytes for each acknowledged order and nothing for a refused one.

use super::options::Plan;
use super::reply::{Placed, Reply, parse_order_id, pick_code, pick_order};
use super::request::Step;
use super::tally::{Setback, Tally, printable};
use kilat_api::order::{OrderReply, OrderStatus};
use kilat_api::problem::{Code, Problem};

/// Replies parsed in full at the start, and then one in so many.
const FULL_PARSE_FIRST: u64 = 256;
/// See [`FULL_PARSE_FIRST`].
const FULL_PARSE_EVERY: u64 = 64;
/// Most broken promises kept as examples; all are counted.
pub(crate) const EXAMPLES_MAX: usize = 5;

/// An order that the server acknowledged. 32 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ack {
    /// The order's id.
    pub id: u128,
    /// Its number within the sale.
    pub sequence: u64,
    /// Its number within the attack.
    pub order: u32,
    /// The last status that was acknowledged.
    pub status: OrderStatus,
}

/// An order on its way: what a connection works on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    /// Number within the attack.
    pub order: u32,
    pub step: Step,
    /// When it was to start.
    pub intended_ns: u64,
    /// When this step was first sent.
    pub began_ns: u64,
    /// Attempts of this step that failed.
    pub setbacks: u32,
    /// Place of its acknowledgement, once it has one.
    pub ack: Option<usize>,
}

/// What to do after a reply.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The order is done.
    Settled,
    /// The order goes on with another step.
    Follow(Step),
    /// The same again, not before `wait_ms` when the server asked for it.
    Retry { cause: Setback, wait_ms: u32 },
    /// The attack is at fault: stop. Status and code or reason.
    Stop { status: u16, reason: String },
}

/// One promise that was broken, for people to look into.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Evidence {
    /// Stable name of the fault.
    pub fault: &'static str,
    /// The order, customer or figure concerned.
    pub subject: String,
}

/// Promises of one kind: how many were looked at, how many were broken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Promises {
    pub checked: u64,
    pub broken: u64,
    pub examples: Vec<Evidence>,
}

impl Promises {
    pub(crate) fn broke(&mut self, fault: &'static str, subject: String) {
        self.broken += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(Evidence { fault, subject });
        }
    }
}

/// Everything that was promised.
pub(crate) struct Witness {
    pub tally: Tally,
    pub acks: Vec<Ack>,
    /// Orders without an answer when patience ran out.
    pub unknown: Vec<u32>,
    /// Deliberate repetitions of acknowledged orders.
    pub replays: Promises,
    /// Acknowledgements that were parsed in full and compared with the request.
    pub replies: Promises,
}

impl Witness {
    pub(crate) fn new() -> Self {
        Witness {
            tally: Tally::new(),
            acks: Vec::new(),
            unknown: Vec::new(),
            replays: Promises::default(),
            replies: Promises::default(),
        }
    }

    /// Takes note of a reply to `job` and says what comes next.
    pub(crate) fn judge(
        &mut self,
        plan: &Plan,
        job: &mut Job,
        reply: &Reply<'_>,
        now_ns: u64,
    ) -> Verdict {
        self.tally.replies += 1;
        self.tally.node(reply.node);
        let verdict = match (reply.status, job.step) {
            (200 | 201, Step::Order) => self.placed(plan, job, reply, now_ns),
            (200 | 201, Step::Confirm) => self.confirmed(job, reply),
            (200 | 201, Step::Replay) => self.repeated(job, reply),
            (409, step) => self.refused(job, step, reply, now_ns),
            (408 | 502..=504, _) => retry(Setback::Unavailable, reply),
            (429, _) => retry(Setback::Throttled, reply),
            (500.., _) => retry(Setback::Fault, reply),
            _ => stop(reply),
        };
        if job.step == Step::Order && verdict == Verdict::Settled {
            self.tally.latency(job.intended_ns, now_ns);
        }
        self.follow(plan, job, verdict)
    }

    /// Patience ran out for `job`.
    pub(crate) fn give_up(&mut self, job: &Job, now_ns: u64) {
        match job.step {
            Step::Order => {
                self.unknown.push(job.order);
                self.tally.unknown += 1;
                self.tally.latency(job.intended_ns, now_ns);
            }
            // The hold stays as acknowledged and the proof asks again; a
            // replay that brought no answer has shown nothing.
            Step::Confirm | Step::Replay => {}
        }
    }

    /// The step after an acknowledged one: confirm a hold, then replay if chosen.
    fn follow(&self, plan: &Plan, job: &Job, verdict: Verdict) -> Verdict {
        let acknowledged = job.ack.map(|ack| self.acks[ack].status);
        match (verdict, job.step, acknowledged) {
            (Verdict::Settled, Step::Order, Some(OrderStatus::Held)) => {
                Verdict::Follow(Step::Confirm)
            }
            (Verdict::Settled, Step::Order | Step::Confirm, Some(_)) if plan.replays(job.order) => {
                Verdict::Follow(Step::Replay)
            }
            (verdict, ..) => verdict,
        }
    }

    fn placed(&mut self, plan: &Plan, job: &mut Job, reply: &Reply<'_>, now_ns: u64) -> Verdict {
        let count = self.tally.acknowledged;
        let picked = pick_order(&reply.body);
        let look_closer = count < FULL_PARSE_FIRST || count.is_multiple_of(FULL_PARSE_EVERY);
        let placed = if picked.is_none() || look_closer {
            self.parse(plan, job, &reply.body)
        } else {
            picked
        };
        let Some(Placed { id, sequence, status }) = placed else {
            return Verdict::Retry { cause: Setback::Fault, wait_ms: 0 };
        };
        job.ack = Some(self.acks.len());
        self.acks.push(Ack { id, sequence, order: job.order, status });
        self.tally.acknowledge(now_ns);
        Verdict::Settled
    }

    /// Parses an acknowledgement in full and compares it with what was asked.
    fn parse(&mut self, plan: &Plan, job: &Job, body: &[u8]) -> Option<Placed> {
        let reply: OrderReply<'_> = serde_json::from_slice(body).ok()?;
        let id = parse_order_id(&reply.order)?;
        self.replies.checked += 1;
        let customer = plan.customer(plan.buyer_of(job.order));
        let as_asked = reply.customer == customer
            && reply.quantity == plan.quantity
            && reply.sale == plan.sale;
        let fresh = if plan.holds(job.order) { OrderStatus::Held } else { OrderStatus::Confirmed };
        // A hold that was repeated after a time-out may have moved on since.
        if !as_asked || (reply.status != fresh && job.setbacks == 0) {
            let subject = format!(
                "{} {} × {} {}",
                reply.order,
                reply.customer,
                reply.quantity,
                reply.status.as_str()
            );
            self.replies.broke("not_as_asked", printable(subject.as_bytes()));
        }
        Some(Placed { id, sequence: reply.sequence, status: reply.status })
    }

    fn confirmed(&mut self, job: &Job, reply: &Reply<'_>) -> Verdict {
        let Some(placed) = read_order(&reply.body) else {
            return Verdict::Retry { cause: Setback::Fault, wait_ms: 0 };
        };
        if let Some(ack) = job.ack.and_then(|ack| self.acks.get_mut(ack)) {
            self.replies.checked += 1;
            if placed.id != ack.id || placed.status != OrderStatus::Confirmed {
                self.replies.broke("not_confirmed", format!("{:032x}", ack.id));
            } else {
                ack.status = OrderStatus::Confirmed;
            }
        }
        Verdict::Settled
    }

    fn repeated(&mut self, job: &Job, reply: &Reply<'_>) -> Verdict {
        let Some(placed) = read_order(&reply.body) else {
            return Verdict::Retry { cause: Setback::Fault, wait_ms: 0 };
        };
        let Some(ack) = job.ack.map(|ack| self.acks[ack]) else {
            return Verdict::Settled;
        };
        self.replays.checked += 1;
        let subject = || format!("{:032x}", ack.id);
        if placed.id != ack.id || placed.sequence != ack.sequence {
            self.replays.broke("another_order", format!("{} → {:032x}", subject(), placed.id));
        } else if !reply.replayed {
            self.replays.broke("not_marked_replayed", subject());
        } else if placed.status != ack.status {
            self.replays
                .broke("another_status", format!("{} {}", subject(), placed.status.as_str()));
        }
        Verdict::Settled
    }

    fn refused(&mut self, job: &Job, step: Step, reply: &Reply<'_>, now_ns: u64) -> Verdict {
        let Some(code) = read_code(&reply.body) else {
            return Verdict::Retry { cause: Setback::Fault, wait_ms: 0 };
        };
        let ack = job.ack.and_then(|ack| self.acks.get_mut(ack));
        match (step, code, ack) {
            (Step::Order, code, _) if is_refusal(code) => self.tally.refuse(code, now_ns),
            (Step::Confirm, Code::Expired, Some(ack)) => ack.status = OrderStatus::Expired,
            (Step::Confirm, code, Some(ack)) => {
                self.replies.broke("not_confirmed", format!("{:032x} {code}", ack.id));
            }
            (Step::Replay, code, Some(ack)) => {
                self.replays.checked += 1;
                self.replays.broke("refused_again", format!("{:032x} {code}", ack.id));
            }
            _ => return stop(reply),
        }
        Verdict::Settled
    }
}

/// The answers that a buyer accepts as a no.
pub(crate) const fn is_refusal(code: Code) -> bool {
    matches!(code, Code::SoldOut | Code::LimitReached | Code::NotOpen | Code::Paused | Code::Closed)
}

fn read_order(body: &[u8]) -> Option<Placed> {
    pick_order(body).or_else(|| {
        let reply: OrderReply<'_> = serde_json::from_slice(body).ok()?;
        let id = parse_order_id(&reply.order)?;
        Some(Placed { id, sequence: reply.sequence, status: reply.status })
    })
}

fn read_code(body: &[u8]) -> Option<Code> {
    pick_code(body)
        .or_else(|| serde_json::from_slice::<Problem>(body).ok().map(|problem| problem.code))
}

fn retry(cause: Setback, reply: &Reply<'_>) -> Verdict {
    let wait_ms = reply.retry_after_s.unwrap_or(0).saturating_mul(1_000);
    Verdict::Retry { cause, wait_ms }
}

fn stop(reply: &Reply<'_>) -> Verdict {
    let problem = serde_json::from_slice::<Problem>(&reply.body).ok();
    let reason = problem.map_or(String::new(), |problem| {
        let detail = problem.detail.as_deref().unwrap_or(&problem.title);
        let fields = problem.errors.iter().map(|e| format!("; {}: {}", e.field, e.message));
        printable(format!("{}: {detail}{}", problem.code, fields.collect::<String>()).as_bytes())
    });
    Verdict::Stop { status: reply.status, reason }
}

const _: () = assert!(size_of::<Ack>() == 32);
