//! The ledger in Redis or Valkey: one server, a primary watched by Sentinel, or a cluster.
//!
//! | module | subject |
//! |---|---|
//! | `address` | which servers a URL means |
//! | `link`, `fault` | connections, and what their failures mean |
//! | `setup` | what is refused at the start |
//! | `script`, `rules/` | the rules, and how they get there |
//! | `encode`, `decode`, `refusals` | commands in, outcomes out |
//! | `calls`, `decide` | one call, and a batch of commands |
//! | `look` | states of sales |
//! | `outbox` | facts on their way to the event log |
//! | `sales` | the sales that this connection knows of |
//! | `stripes`, `transfers`, `books` | sales whose stock is split over slots |
//!
//! Each sale is a ledger of its own whose keys share a hash slot; a sale in stripes is one ledger a
//! stripe, between which units move. Whatever a batch asks of it is
//! decided in one call, in which nothing is written before everything is decided. On one server a
//! whole batch is one call; in a cluster it is one call a sale.
//!
//! Redis answers when its log is written as `appendfsync` says. It copies to replicas later: when
//! one of them takes over, what was acknowledged last is gone. So it is never called lossless.

mod address;
mod books;
mod calls;
mod decide;
mod decode;
mod encode;
mod fault;
mod link;
mod look;
mod outbox;
mod refusals;
mod sales;
mod script;
mod setup;
mod stripes;
#[cfg(test)]
mod tests;
mod transfers;

use super::{Decided, LedgerStore, StoreFault, StoreReason, StoredFact};
use crate::query::{OwnedOrder, Page};
use crate::sale::Sale;
use crate::sequence::{self, STRIPES_MAX};
use address::Place;
use decode::{Answer, State};
use encode::{Encoder, Group};
use fault::Sent;
use kilat_ledger::{
    Command, ORDERS_PAGE_MAX, OrderId, Outcome, Refusal, SALES_MAX, SaleTerms, Time,
};
use link::Link;
use redis::{Cmd, Value};
use sales::{Sales, Seen};
use script::{Entry, Loaded, Script, strings};
use std::collections::HashMap;

/// The list of sales: ids and numbers.
const SALES_KEY: &str = "{kilat}:sales";
/// The stripes of sales that have more than one.
const STRIPES_KEY: &str = "{kilat}:stripes";
/// Who moves facts to the event log.
const LEASE_KEY: &str = "{kilat}:lease";
/// What the start tries out writing on.
const PROBE_KEY: &str = "{kilat}:probe";
/// How long a lease lasts that nobody keeps. Two holders at once would only find duplicates.
const LEASE_MS: u64 = 5_000;
/// Orders that one call lists, so that a page stops nobody for long.
const ORDERS_AT_ONCE: usize = 1_000;

/// All that is needed to connect.
pub(crate) struct RedisOptions {
    place: Place,
    client: String,
    may_lose: bool,
    /// Stripes of sales that are made here.
    stripes: u16,
    script: Script,
    /// Call the rules as scripts although there are functions.
    as_scripts: bool,
    seen: Seen,
}

impl RedisOptions {
    /// Reads the URL; `client` is what the connections are called in `CLIENT LIST`.
    pub(crate) fn new(url: &str, client: &str, may_lose: bool) -> Result<RedisOptions, StoreFault> {
        let (place, client) = (Place::parse(url)?, client.to_owned());
        // For `rediss`. Whoever was first has chosen the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (script, seen) = (Script::new(), Seen::default());
        Ok(RedisOptions { place, client, may_lose, stripes: 1, script, as_scripts: false, seen })
    }

    /// Sales that are made from now on have their stock in as many stripes.
    pub(crate) fn with_stripes(mut self, stripes: u16) -> Result<RedisOptions, StoreFault> {
        if !(1..=STRIPES_MAX).contains(&stripes) {
            let why = StoreReason::Stripes { given: stripes, most: STRIPES_MAX };
            return Err(StoreFault::Refused(why));
        }
        self.stripes = stripes;
        Ok(self)
    }
}

/// A connection to the ledger, see the module.
pub(crate) struct Redis {
    link: Link,
    script: Script,
    loaded: Loaded,
    sales: Sales,
    stripes: u16,
    encoder: Encoder,
    /// What to tell of the facts that were handed out last, by key.
    handed_out: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where to look for facts next.
    next_facts: usize,
    /// The versions of a sale's stripes when nothing was left in any of them.
    empty_at: HashMap<String, Vec<u64>>,
    /// The era of sales in stripes that this connection has met.
    met: HashMap<String, u64>,
    lease_holder: String,
}

impl LedgerStore for Redis {
    type Options = RedisOptions;

    fn open(options: &RedisOptions, before: Option<&str>) -> Result<Redis, StoreFault> {
        let mut link = Link::open(&options.place, &options.client, before)?;
        setup::check(&mut link, options.may_lose, options.place.can_fail_over())?;
        // Usually the server has them: the first call finds out.
        let loaded = match options.as_scripts {
            true => options.script.load(&mut link, true)?,
            false => Loaded::Library,
        };
        let lease_holder = link.name().to_owned();
        let mut redis = Redis {
            link,
            script: options.script.clone(),
            loaded,
            sales: Sales::new(Seen::clone(&options.seen)),
            stripes: options.stripes,
            encoder: Encoder::default(),
            handed_out: Vec::new(),
            next_facts: 0,
            empty_at: HashMap::new(),
            met: HashMap::new(),
            lease_holder,
        };
        redis.invoke(Entry::Probe, PROBE_KEY.as_bytes(), |_| {})?;
        // It has been ended: what it held, this one need not wait for.
        if let Some(before) = before {
            redis.invoke(Entry::Release, LEASE_KEY.as_bytes(), |cmd| {
                cmd.arg(before);
            })?;
        }
        Ok(redis)
    }

    fn name(&self) -> &str {
        self.link.name()
    }

    fn commit(&mut self, commands: &[Command<'_>]) -> Result<Decided, StoreFault> {
        self.carry_out(commands)
    }

    fn expire_due(&mut self) -> Result<Decided, StoreFault> {
        let (now, _) = self.look()?;
        let due = self.sales.due(now);
        let groups: Vec<Group<'_>> = due
            .iter()
            .map(|(sale, stripe)| Group::of(sale, *stripe, self.sales.stripes(sale)))
            .collect();
        let mut decided = nothing_decided(0);
        decided.at = now;
        let recorded = self.decide_all(&groups, &[], &mut decided);
        // A server that has no space for what is due keeps nobody from what others have.
        if matches!(recorded, Ok(()) | Err(StoreFault::Full(_))) {
            self.mend()?;
        }
        recorded?;
        decided.next_expiry = self.sales.next_due_in(decided.at);
        Ok(decided)
    }

    fn sale(&mut self, sale: &str) -> Result<Option<Sale>, StoreFault> {
        self.learn_stripes([sale])?;
        if self.sales.stripes(sale) > 1 {
            return self.settled(sale);
        }
        let mut decided = nothing_decided(0);
        match self.decide_all(&[Group::of(sale, 0, 1)], &[], &mut decided) {
            Ok(()) => Ok(decided.sales.pop()),
            // What is due can't be recorded; everything can still be read.
            Err(StoreFault::Full(_)) => Ok(self.states(&[sale.to_owned()])?.1.pop()),
            Err(fault) => Err(fault),
        }
    }

    fn sales(&mut self) -> Result<Vec<Sale>, StoreFault> {
        self.list_sales()?;
        let mut sales = Vec::new();
        for ids in self.sales.ids().chunks(sales::LOOK_AT_ONCE) {
            sales.extend(self.states(ids)?.1);
        }
        sales.sort_unstable_by_key(|sale| sale.number);
        Ok(sales)
    }

    fn order(&mut self, sale: &str, order: OrderId) -> Result<Option<OwnedOrder>, StoreFault> {
        self.learn_stripes([sale])?;
        let id = encode::id_bytes(order);
        for stripe in stripes::numbers(self.sales.stripes(sale)) {
            let key = self.sales.key(sale, stripe);
            let found = strings(self.invoke(Entry::Find, &key, |cmd| {
                cmd.arg(&id);
            })?)?;
            if let [instant, record] = found.as_slice()
                && !record.is_empty()
            {
                return decode::order(record, Answer::new(instant).time()?, stripe).map(Some);
            }
        }
        Ok(None)
    }

    fn orders(&mut self, page: &Page) -> Result<Option<Vec<OwnedOrder>>, StoreFault> {
        self.learn_stripes([page.sale.as_str()])?;
        let stripes = self.sales.stripes(&page.sale);
        let of = page.customer.as_ref().map(|name| stripes::of_customer(name, stripes));
        let (after_stripe, _) = sequence::parts(page.after);
        let mut orders: Vec<OwnedOrder> = Vec::new();
        for stripe in stripes::numbers(stripes) {
            if of.is_none_or(|of| of == stripe)
                && u64::from(stripe) >= after_stripe
                && !self.orders_of_stripe(page, stripe, &mut orders)?
                && stripe == stripes::leader(stripes)
            {
                return Ok(None);
            }
        }
        Ok(Some(orders))
    }

    fn changed(&mut self) -> Result<Vec<Sale>, StoreFault> {
        Ok(self.look()?.1)
    }

    fn hold_lease(&mut self) -> Result<bool, StoreFault> {
        let holder = self.lease_holder.clone();
        let held = self.invoke(Entry::Lease, LEASE_KEY.as_bytes(), |cmd| {
            cmd.arg(&holder).arg(LEASE_MS);
        })?;
        Ok(held == Value::Int(1))
    }

    fn release_lease(&mut self) -> Result<(), StoreFault> {
        let holder = self.lease_holder.clone();
        self.invoke(Entry::Release, LEASE_KEY.as_bytes(), |cmd| {
            cmd.arg(&holder);
        })
        .map(drop)
    }

    fn facts(&mut self, limit: usize) -> Result<Vec<StoredFact>, StoreFault> {
        self.hand_out(limit)
    }

    fn moved(&mut self) -> Result<(), StoreFault> {
        for (key, told) in std::mem::take(&mut self.handed_out) {
            self.invoke(Entry::Moved, &key, |cmd| {
                cmd.arg(&told);
            })?;
        }
        Ok(())
    }
}

impl Redis {
    /// Adds a stripe's orders to a page; `false` when there is no such stripe.
    fn orders_of_stripe(
        &mut self,
        page: &Page,
        stripe: u16,
        orders: &mut Vec<OwnedOrder>,
    ) -> Result<bool, StoreFault> {
        let customer = page.customer.as_ref().map_or(String::new(), |name| format!("={name}"));
        let limit = page.limit.min(ORDERS_PAGE_MAX);
        let key = self.sales.key(&page.sale, stripe);
        let (after_stripe, count) = sequence::parts(page.after);
        let mut after = if after_stripe == u64::from(stripe) { count } else { 0 };
        while orders.len() < limit {
            let wanted = ORDERS_AT_ONCE.min(limit - orders.len());
            let found = strings(self.invoke(Entry::Orders, &key, |cmd| {
                cmd.arg(after).arg(wanted).arg(&customer);
            })?)?;
            let Some((instant, records)) = found.split_first() else { return Ok(false) };
            let now = Answer::new(instant).time()?;
            for record in records {
                let order = decode::order(record, now, stripe)?;
                after = sequence::parts(order.order.sequence).1;
                orders.push(order);
            }
            if records.len() < wanted {
                break;
            }
        }
        Ok(true)
    }
}

/// The name that the keys of a sale in one piece begin with; all in the slot of what is in braces.
fn sale_key(sale: &str) -> Vec<u8> {
    format!("{{kilat:{sale}}}").into_bytes()
}

/// What is not sent was refused by what it says itself.
fn nothing_decided(commands: usize) -> Decided {
    Decided {
        at: Time::MIN,
        outcomes: vec![Outcome::Refused(Refusal::TooLong); commands],
        sales: Vec::new(),
        expired: 0,
        next_expiry: None,
    }
}
