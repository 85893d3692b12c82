//! What waits to be sent to one replica: replies, and the newest states.
//!
//! Threads that commit put things in and never wait. It is bounded: a connection
//! has a limited number of requests in flight, and of each state only the newest
//! is kept.

use crate::events::Forgotten;
use crate::protocol::events::{self, LogState};
use crate::protocol::frame::{Kind, put_frame};
use crate::protocol::hello::Role;
use crate::protocol::wire::Put as _;
use crate::protocol::{Declined, REPLY_BYTES_MAX, ledger};
use crate::query::OwnedOrder;
use crate::{Orders, Placed, Sale};
use kilat_eventlog::{Page, TopicCount, Verdict};
use kilat_ledger::{Outcome, Time};
use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Most requests of one connection that are being carried out; more wait in its socket.
const REQUESTS_IN_FLIGHT_MAX: usize = 4_096;
/// The same by weight, for each role: orders, events, pages of events.
const ORDERS_IN_FLIGHT_MAX: usize = 65_536;
const EVENTS_IN_FLIGHT_MAX: usize = 262_144;
const PAGES_IN_FLIGHT_MAX: usize = 4;
/// Groups kept to be filled again.
const SPARE_GROUPS_MAX: usize = 8;
/// Most bytes of topics in one frame.
const TOPICS_BYTES_MAX: usize = 4 << 20;

/// A reply to a request.
pub(super) enum Told {
    Placed(Placed),
    Changed(Outcome, Time),
    Sale(Option<Sale>),
    Sales(Vec<Sale>),
    Order(Option<OwnedOrder>),
    Orders(Option<Vec<OwnedOrder>>),
    Published(Vec<Verdict>),
    Forgotten(Forgotten),
    Events(Page),
    Topics(Vec<TopicCount>),
    /// What the process around answered to a question of its own kind.
    Reply(Vec<u8>),
    Declined(Declined),
}

/// A reply on its way.
pub(super) struct Reply {
    pub(super) number: u64,
    /// What the request counted against the limits.
    weight: usize,
    pub(super) told: Told,
}

/// What the writer takes at a time.
#[derive(Default)]
pub(super) struct Outgoing {
    pub(super) sales: Vec<Sale>,
    /// All sales there were when the connection began have been told.
    pub(super) synced: bool,
    /// The event log has moved.
    pub(super) log_moved: bool,
    pub(super) replies: Vec<Reply>,
    /// Nothing more will come.
    pub(super) ended: bool,
}

/// See the module.
#[derive(Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
    filled: Condvar,
    emptied: Condvar,
}

#[derive(Default)]
struct State {
    replies: Vec<Reply>,
    sales: HashMap<u32, Sale>,
    synced: bool,
    log_moved: bool,
    in_flight: usize,
    weight: usize,
    /// The replica sends no more.
    finishing: bool,
    /// Nothing can be sent any more.
    cut: bool,
    spare: Vec<Orders>,
}

impl Outbox {
    /// Notes that a request will be answered; waits while too many are unanswered. `false` when
    /// nothing can be sent any more.
    pub(super) fn begin(&self, role: Role) -> bool {
        let weight_max = match role {
            Role::Ledger => ORDERS_IN_FLIGHT_MAX,
            Role::Events => EVENTS_IN_FLIGHT_MAX,
            Role::Reads => PAGES_IN_FLIGHT_MAX,
        };
        let full = |state: &mut State| {
            let many = state.in_flight >= REQUESTS_IN_FLIGHT_MAX || state.weight >= weight_max;
            many && !state.cut
        };
        let state = self.emptied.wait_while(self.lock(), full);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        state.in_flight += 1;
        !state.cut
    }

    /// The request that began last counts for so much, until its reply is taken.
    pub(super) fn weigh(&self, weight: usize) {
        self.lock().weight += weight;
    }

    /// Answers the request with this number, that counted for `weight`.
    pub(super) fn tell(&self, number: u64, weight: usize, told: Told) {
        let mut state = self.lock();
        state.replies.push(Reply { number, weight, told });
        drop(state);
        self.filled.notify_one();
    }

    /// Notes a sale's newer state; `false` when nobody wants it any more.
    pub(super) fn sale(&self, sale: &Sale) -> bool {
        let mut state = self.lock();
        if state.cut {
            return false;
        }
        let known = state.sales.get(&sale.number);
        if known.is_none_or(|known| known.sequence < sale.sequence) {
            state.sales.insert(sale.number, sale.clone());
        }
        drop(state);
        self.filled.notify_one();
        true
    }

    /// All sales that there are were noted.
    pub(super) fn synced(&self) {
        self.lock().synced = true;
        self.filled.notify_one();
    }

    /// Notes that the event log has moved; `false` when nobody wants to know any more.
    pub(super) fn log_moved(&self) -> bool {
        let mut state = self.lock();
        state.log_moved = true;
        let wanted = !state.cut;
        drop(state);
        self.filled.notify_one();
        wanted
    }

    /// The replica sends no more: once all is answered and sent, it is over.
    pub(super) fn finish(&self) {
        self.lock().finishing = true;
        self.filled.notify_one();
    }

    /// Nothing can be sent any more.
    pub(super) fn cut(&self) {
        self.lock().cut = true;
        self.filled.notify_one();
        self.emptied.notify_all();
    }

    /// Waits for something to send, at most for `wait`.
    pub(super) fn take(&self, wait: Duration) -> Outgoing {
        let empty = |state: &mut State| {
            let nothing = state.replies.is_empty()
                && state.sales.is_empty()
                && !state.synced
                && !state.log_moved;
            nothing && !state.has_ended()
        };
        let state = self.filled.wait_timeout_while(self.lock(), wait, empty);
        let (mut state, _) = state.unwrap_or_else(PoisonError::into_inner);
        let ended = state.has_ended();
        let replies = std::mem::take(&mut state.replies);
        state.in_flight -= replies.len();
        state.weight -= replies.iter().map(|reply| reply.weight).sum::<usize>();
        let sales = state.sales.drain().map(|(_, sale)| sale).collect();
        let (synced, log_moved) =
            (std::mem::take(&mut state.synced), std::mem::take(&mut state.log_moved));
        drop(state);
        self.emptied.notify_all();
        Outgoing { sales, synced, log_moved, replies, ended }
    }

    /// A group to be filled, with the memory of one that was answered.
    pub(super) fn spare(&self) -> Orders {
        self.lock().spare.pop().unwrap_or_default()
    }

    fn keep(&self, mut orders: Orders) {
        let mut state = self.lock();
        if state.spare.len() < SPARE_GROUPS_MAX {
            orders.clear();
            state.spare.push(orders);
        }
    }

    /// Appends a reply as a frame.
    pub(super) fn write(&self, number: u64, told: Told, out: &mut Vec<u8>) {
        let start = out.len();
        match told {
            Told::Placed(placed) => {
                put_frame(out, Kind::Placed, number, |out| {
                    out.put_time(placed.at);
                    ledger::put_outcomes(placed.outcomes(), out);
                });
                self.keep(placed.orders);
            }
            told => write(number, &told, out),
        }
        if out.len() - start > REPLY_BYTES_MAX {
            out.truncate(start);
            put_declined(number, Declined::Unreadable, out);
        }
    }

    /// No code panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_ended(&self) -> bool {
        self.cut || (self.finishing && self.in_flight == 0)
    }
}

fn write(number: u64, told: &Told, out: &mut Vec<u8>) {
    let answer = |out: &mut Vec<u8>, write: &dyn Fn(&mut Vec<u8>)| {
        put_frame(out, Kind::Answer, number, |out| write(out));
    };
    match told {
        Told::Placed(_) => {}
        Told::Changed(outcome, at) => put_frame(out, Kind::Changed, number, |out| {
            out.put_time(*at);
            ledger::put_outcome(*outcome, out);
        }),
        Told::Sale(sale) => answer(out, &|out| {
            out.put_option(sale.as_ref(), |out, sale| ledger::put_sale(sale, out));
        }),
        Told::Sales(sales) => answer(out, &|out| {
            out.put_count(sales.len());
            sales.iter().for_each(|sale| ledger::put_sale(sale, out));
        }),
        Told::Order(order) => answer(out, &|out| {
            out.put_option(order.as_ref(), |out, order| ledger::put_owned(order, out));
        }),
        Told::Orders(orders) => answer(out, &|out| {
            out.put_option(orders.as_ref(), |out, orders| {
                out.put_count(orders.len());
                orders.iter().for_each(|order| ledger::put_owned(order, out));
            });
        }),
        Told::Published(verdicts) => {
            put_frame(out, Kind::Published, number, |out| events::put_verdicts(verdicts, out));
        }
        Told::Forgotten(Forgotten { below }) => {
            put_frame(out, Kind::Forgotten, number, |out| out.put(below.to_le_bytes()));
        }
        Told::Events(page) => {
            put_frame(out, Kind::Events, number, |out| events::put_page(page, out));
        }
        Told::Topics(topics) => put_frame(out, Kind::Topics, number, |out| {
            events::put_topics(topics, TOPICS_BYTES_MAX, out);
        }),
        Told::Reply(bytes) => put_frame(out, Kind::Reply, number, |out| {
            out.put_count(bytes.len());
            out.extend_from_slice(bytes);
        }),
        Told::Declined(why) => put_declined(number, *why, out),
    }
}

fn put_declined(number: u64, why: Declined, out: &mut Vec<u8>) {
    put_frame(out, Kind::Declined, number, |out| why.write(out));
}

/// Appends a sale's state as a frame.
pub(super) fn put_sale(sale: &Sale, out: &mut Vec<u8>) {
    put_frame(out, Kind::Sale, 0, |out| ledger::put_sale(sale, out));
}

/// Appends how far the event log has come as a frame.
pub(super) fn put_log_state(state: &LogState, out: &mut Vec<u8>) {
    put_frame(out, Kind::LogState, 0, |out| events::put_state(state, out));
}
