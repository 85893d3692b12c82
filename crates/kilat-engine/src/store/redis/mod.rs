//! The ledger in Redis or Valkey: one server, a primary watched by Sentinel, or a cluster.
//!
//! | module | subject |
//! |---|---|
//! | `address` | which servers a URL means |
//! | `link`, `fault` | connections, and what their failures mean |
//! | `setup` | what is refused at the start |
//! | `script`, `rules/` | the rules, and how they get there |
//! | `encode`, `decode`, `refusals` | commands in, outcomes out |
//! | `sales` | the sales that this connection knows of |
//!
//! Each sale is a ledger of its own whose keys share a hash slot. Whatever a batch asks of it is
//! decided in one call, in which nothing is written before everything is decided. On one server a
//! whole batch is one call; in a cluster it is one call a sale.
//!
//! Redis answers when its log is written as `appendfsync` says. It copies to replicas later: when
//! one of them takes over, what was acknowledged last is gone. So it is never called lossless.

mod address;
mod decode;
mod encode;
mod fault;
mod link;
mod refusals;
mod sales;
mod script;
mod setup;
#[cfg(test)]
mod tests;

use super::{Decided, LedgerStore, StoreFault, StoredFact};
use crate::query::{OwnedOrder, Page};
use crate::sale::Sale;
use address::Place;
use decode::Answer;
use encode::{Encoder, Group};
use fault::Sent;
use kilat_ledger::{
    Command, ORDERS_PAGE_MAX, OrderId, Outcome, Refusal, SALES_MAX, SaleTerms, Time,
};
use link::Link;
use redis::{Cmd, Value};
use sales::Sales;
use script::{Entry, Loaded, Script, strings};

/// The list of sales.
const SALES_KEY: &str = "{kilat}:sales";
/// Who moves facts to the event log.
const LEASE_KEY: &str = "{kilat}:lease";
/// What the start tries out writing on.
const PROBE_KEY: &str = "{kilat}:probe";
/// How long a lease lasts that nobody keeps. Two holders at once would only find duplicates.
const LEASE_MS: u64 = 5_000;
/// Orders that one call lists, so that a page stops nobody for long.
const ORDERS_AT_ONCE: usize = 1_000;
/// Bytes of facts that one call reads.
const FACTS_BYTES: usize = 1 << 20;
/// Most bytes that the record of a sale's first fact can take: its length is a `u16`.
const RECORD_BYTES_MAX: usize = 15 + u16::MAX as usize;

/// All that is needed to connect.
pub(crate) struct RedisOptions {
    place: Place,
    client: String,
    may_lose: bool,
    script: Script,
    /// Call the rules as scripts although there are functions.
    as_scripts: bool,
}

impl RedisOptions {
    /// Reads the URL; `client` is what the connections are called in `CLIENT LIST`.
    pub(crate) fn new(url: &str, client: &str, may_lose: bool) -> Result<RedisOptions, StoreFault> {
        let (place, client) = (Place::parse(url)?, client.to_owned());
        Ok(RedisOptions { place, client, may_lose, script: Script::new(), as_scripts: false })
    }
}

/// A connection to the ledger, see the module.
pub(crate) struct Redis {
    link: Link,
    script: Script,
    loaded: Loaded,
    sales: Sales,
    encoder: Encoder,
    /// What to tell of the facts that were handed out last, by sale.
    handed_out: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where to look for facts next.
    next_facts: usize,
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
            sales: Sales::default(),
            encoder: Encoder::default(),
            handed_out: Vec::new(),
            next_facts: 0,
            lease_holder,
        };
        redis.invoke(Entry::Probe, PROBE_KEY.as_bytes(), |_| {})?;
        Ok(redis)
    }

    fn name(&self) -> &str {
        self.link.name()
    }

    fn commit(&mut self, commands: &[Command<'_>]) -> Result<Decided, StoreFault> {
        let groups = encode::by_sale(commands);
        self.number_new_sales(commands)?;
        let mut decided = nothing_decided(commands.len());
        if groups.is_empty() {
            decided.at = self.states(&[])?.0;
        }
        let at_once = if self.link.is_cluster() { 1 } else { groups.len().max(1) };
        for (step, groups) in groups.chunks(at_once).enumerate() {
            let done = self.decide(groups, commands, &mut decided);
            // In a cluster, what was decided before stands: it is not true that nothing was done.
            done.map_err(
                |fault| if step == 0 { fault } else { StoreFault::Lost(fault.to_string()) },
            )?;
        }
        decided.next_expiry = self.sales.next_due_in(decided.at);
        Ok(decided)
    }

    fn expire_due(&mut self) -> Result<Decided, StoreFault> {
        let (now, _) = self.look()?;
        let due = self.sales.due(now);
        let groups: Vec<Group<'_>> =
            due.iter().map(|sale| Group { sale, commands: Vec::new() }).collect();
        let mut decided = nothing_decided(0);
        decided.at = now;
        let at_once = if self.link.is_cluster() { 1 } else { groups.len().max(1) };
        for groups in groups.chunks(at_once) {
            self.decide(groups, &[], &mut decided)?;
        }
        decided.next_expiry = self.sales.next_due_in(decided.at);
        Ok(decided)
    }

    fn sale(&mut self, sale: &str) -> Result<Option<Sale>, StoreFault> {
        let mut decided = nothing_decided(0);
        let group = Group { sale, commands: Vec::new() };
        match self.decide(&[group], &[], &mut decided) {
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
        let id = encode::id_bytes(order);
        let found = strings(self.invoke(Entry::Find, &sale_key(sale), |cmd| {
            cmd.arg(&id);
        })?)?;
        match found.as_slice() {
            [instant, record] if !record.is_empty() => {
                decode::order(record, Answer::new(instant).time()?).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn orders(&mut self, page: &Page) -> Result<Option<Vec<OwnedOrder>>, StoreFault> {
        let customer = page.customer.as_ref().map_or(String::new(), |name| format!("={name}"));
        let limit = page.limit.min(ORDERS_PAGE_MAX);
        let mut orders: Vec<OwnedOrder> = Vec::new();
        loop {
            let after = orders.last().map_or(page.after, |last| last.order.sequence);
            let wanted = ORDERS_AT_ONCE.min(limit - orders.len());
            let found = strings(self.invoke(Entry::Orders, &sale_key(&page.sale), |cmd| {
                cmd.arg(after).arg(wanted).arg(&customer);
            })?)?;
            let Some((instant, records)) = found.split_first() else { return Ok(None) };
            let now = Answer::new(instant).time()?;
            for record in records {
                orders.push(decode::order(record, now)?);
            }
            if records.len() < wanted || orders.len() >= limit {
                return Ok(Some(orders));
            }
        }
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

    fn facts(&mut self, limit: usize) -> Result<Vec<StoredFact>, StoreFault> {
        self.handed_out.clear();
        self.list_sales()?;
        let ids = self.sales.ids();
        let mut facts = Vec::new();
        for _ in 0..ids.len() {
            if facts.len() >= limit {
                break;
            }
            // Each call goes on where the last one stopped, so that no sale waits for another.
            self.next_facts = (self.next_facts + 1) % ids.len();
            self.facts_of(&ids[self.next_facts], limit - facts.len(), &mut facts)?;
        }
        Ok(facts)
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
    /// Has the groups decided in one call.
    fn decide(
        &mut self,
        groups: &[Group<'_>],
        commands: &[Command<'_>],
        decided: &mut Decided,
    ) -> Result<(), StoreFault> {
        if groups.is_empty() {
            return Ok(());
        }
        let keys: Vec<Vec<u8>> = groups.iter().map(|group| sale_key(group.sale)).collect();
        let mut encoder = std::mem::take(&mut self.encoder);
        let sales = &self.sales;
        let mut cmd = self.script.call(&self.loaded, Entry::Decide, &keys);
        for group in groups {
            encoder.group(&mut cmd, group, commands, |sale| sales.number(sale).unwrap_or(0));
        }
        self.encoder = encoder;
        let answer = strings(self.send(&keys[0], Entry::Decide, &keys, &cmd)?)?;
        self.read_decided(groups, commands, &answer, decided)
    }

    fn read_decided(
        &mut self,
        groups: &[Group<'_>],
        commands: &[Command<'_>],
        answer: &[Vec<u8>],
        decided: &mut Decided,
    ) -> Result<(), StoreFault> {
        let [instant, expired, sales @ ..] = answer else {
            return Err(fault::unexpected("what was decided"));
        };
        decided.at = decided.at.max(Answer::new(instant).time()?);
        decided.expired += Answer::new(expired).u32()? as usize;
        for (group, told) in groups.iter().zip(sales.chunks_exact(2)) {
            let state = Answer::new(&told[0]).state()?;
            let number = state.map_or(0, |state| state.number);
            let mut outcomes = Answer::new(&told[1]);
            for index in &group.commands {
                decided.outcomes[*index] = outcomes.outcome(&commands[*index], number)?;
            }
            if !outcomes.is_empty() {
                return Err(fault::unexpected("as many outcomes as commands"));
            }
            if let Some(state) = state {
                decided.sales.push(self.sale_of(group.sale, state)?);
            }
        }
        Ok(())
    }

    /// Gives each sale that is to be made its number, before it is made: numbers are in another
    /// slot. A number whose sale is not made in the end waits for it.
    fn number_new_sales(&mut self, commands: &[Command<'_>]) -> Result<(), StoreFault> {
        for command in commands {
            if let Command::CreateSale { terms } = command
                && encode::terms_refusal(terms).is_none()
                && self.sales.number(&terms.id).is_none()
            {
                self.number(terms)?;
            }
        }
        Ok(())
    }

    fn number(&mut self, terms: &SaleTerms) -> Result<(), StoreFault> {
        let number = self.invoke(Entry::Register, SALES_KEY.as_bytes(), |cmd| {
            cmd.arg(&terms.id).arg(SALES_MAX);
        })?;
        match redis::from_redis_value::<i64>(number) {
            Ok(number) => match u32::try_from(number) {
                Ok(number) => {
                    self.sales.learn_number(&terms.id, number);
                    Ok(())
                }
                Err(_) => Err(StoreFault::Full("there are as many sales as can be".to_owned())),
            },
            Err(_) => Err(fault::unexpected("a number")),
        }
    }

    /// Looks at some sales, in turn: what is told is their state, expired or not.
    fn look(&mut self) -> Result<(Time, Vec<Sale>), StoreFault> {
        self.list_sales()?;
        let ids = self.sales.next_to_look_at();
        self.states(&ids)
    }

    /// The states of these sales; in a cluster one call each.
    fn states(&mut self, ids: &[String]) -> Result<(Time, Vec<Sale>), StoreFault> {
        let mut now = Time::MIN;
        let mut sales = Vec::with_capacity(ids.len());
        if ids.is_empty() {
            self.look_at(&[], &mut now, &mut sales)?;
        }
        let at_once = if self.link.is_cluster() { 1 } else { sales::LOOK_AT_ONCE };
        for ids in ids.chunks(at_once) {
            self.look_at(ids, &mut now, &mut sales)?;
        }
        Ok((now, sales))
    }

    /// One call; without sales it only tells the instant.
    fn look_at(
        &mut self,
        ids: &[String],
        now: &mut Time,
        sales: &mut Vec<Sale>,
    ) -> Result<(), StoreFault> {
        let keys: Vec<Vec<u8>> = ids.iter().map(|id| sale_key(id)).collect();
        let cmd = self.script.call(&self.loaded, Entry::Look, &keys);
        let node = keys.first().map_or(SALES_KEY.as_bytes(), Vec::as_slice);
        let answer = strings(self.send(node, Entry::Look, &keys, &cmd)?)?;
        let Some((instant, states)) = answer.split_first() else {
            return Err(fault::unexpected("states"));
        };
        *now = (*now).max(Answer::new(instant).time()?);
        for (id, state) in ids.iter().zip(states) {
            if let Some(state) = Answer::new(state).state()? {
                sales.push(self.sale_of(id, state)?);
            }
        }
        Ok(())
    }

    fn sale_of(&mut self, id: &str, state: decode::State) -> Result<Sale, StoreFault> {
        if !self.sales.knows_terms(id) {
            let first = [&sale_key(id)[..], b":l:0"].concat();
            let mut read = redis::cmd("GETRANGE");
            read.arg(&first).arg(0).arg(RECORD_BYTES_MAX);
            let record = self.link.call(&sale_key(id), &read);
            let record = record.map_err(|error| fault::of(&error, Sent::Nothing))?;
            let Value::BulkString(record) = record else { return Err(fault::unexpected("a log")) };
            let length = decode::record_bytes(&record).unwrap_or(0);
            self.sales.learn_terms(id, decode::terms(&record[..length])?);
        }
        Ok(self.sales.learn(id, state))
    }

    /// Asks for new sales if there are any.
    fn list_sales(&mut self) -> Result<(), StoreFault> {
        let ask = |link: &mut Link, word: &str| {
            let said = link.call(SALES_KEY.as_bytes(), redis::cmd(word).arg(SALES_KEY));
            said.map_err(|error| fault::of(&error, Sent::Nothing))
        };
        let count = redis::from_redis_value::<usize>(ask(&mut self.link, "HLEN")?);
        if count.is_ok_and(|count| count == self.sales.listed()) {
            return Ok(());
        }
        let list = redis::from_redis_value::<Vec<(String, u32)>>(ask(&mut self.link, "HGETALL")?);
        self.sales.list(list.map_err(|_| fault::unexpected("the list of sales"))?);
        Ok(())
    }

    fn facts_of(
        &mut self,
        sale: &str,
        limit: usize,
        facts: &mut Vec<StoredFact>,
    ) -> Result<(), StoreFault> {
        let key = sale_key(sale);
        let found = strings(self.invoke(Entry::Facts, &key, |cmd| {
            cmd.arg(limit).arg(FACTS_BYTES);
        })?)?;
        let Some((told, records)) = found.split_first() else { return Ok(()) };
        for record in records {
            facts.push(decode::fact(record, sale)?);
        }
        self.handed_out.push((key, told.clone()));
        Ok(())
    }

    /// Calls an entry on one key.
    fn invoke(
        &mut self,
        entry: Entry,
        key: &[u8],
        arguments: impl FnOnce(&mut Cmd),
    ) -> Result<Value, StoreFault> {
        let mut cmd = self.script.call(&self.loaded, entry, &[key]);
        arguments(&mut cmd);
        self.send(key, entry, &[key], &cmd)
    }

    /// Sends a call, and once more with the rules if the server lost them.
    fn send<K: AsRef<[u8]>>(
        &mut self,
        key: &[u8],
        entry: Entry,
        keys: &[K],
        cmd: &Cmd,
    ) -> Result<Value, StoreFault> {
        let error = match self.link.call(key, cmd) {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if !fault::is_without_rules(&error) && !fault::is_unknown_command(&error) {
            return Err(fault::of(&error, Sent::Call));
        }
        let as_scripts = matches!(self.loaded, Loaded::Scripts(_));
        self.loaded = self.script.load(&mut self.link, as_scripts)?;
        let mut again = self.script.call(&self.loaded, entry, keys);
        // Words before the keys' number: name of the call, name of the entry, number, keys.
        for argument in cmd.args_iter().skip(3 + keys.len()) {
            if let redis::Arg::Simple(bytes) = argument {
                again.arg(bytes);
            }
        }
        self.link.call(key, &again).map_err(|error| fault::of(&error, Sent::Call))
    }
}

/// The name that the keys of a sale begin with; all in the slot of what is in braces.
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
