//! States of sales: all of them in turn, or one that is settled.

use super::script::{Entry, strings};
use super::transfers::Stripes;
use super::{
    Answer, Group, Redis, SALES_KEY, STRIPES_KEY, Sale, Sent, State, StoreFault, Time, Value,
    decode, fault, nothing_decided, sales, stripes,
};
use redis::Cmd;
use std::collections::HashMap;

/// Most bytes that the record of a sale's first fact can take: its length is a `u16`.
const RECORD_BYTES_MAX: usize = 15 + u16::MAX as usize;
/// Readings of a sale's stripes until no unit moved between two.
const SETTLED_TRIES: usize = 32;

impl Redis {
    /// Looks at some sales, in turn: what is told is their state, expired or not.
    pub(super) fn look(&mut self) -> Result<(Time, Vec<Sale>), StoreFault> {
        self.list_sales()?;
        let ids = self.sales.next_to_look_at();
        self.states(&ids)
    }

    /// The states of these sales, those that exist.
    pub(super) fn states(&mut self, ids: &[String]) -> Result<(Time, Vec<Sale>), StoreFault> {
        let parts: Vec<(&str, u16)> = ids
            .iter()
            .flat_map(|id| {
                stripes::numbers(self.sales.stripes(id)).map(move |stripe| (id.as_str(), stripe))
            })
            .collect();
        let mut sales: Vec<Sale> = Vec::with_capacity(ids.len());
        let (now, states) = self.states_of(&parts)?;
        for ((id, stripe), state) in parts.into_iter().zip(states) {
            let Some(state) = state else { continue };
            let Some(sale) = self.sale_of(id, stripe, state)? else { continue };
            match sales.last_mut() {
                Some(last) if last.number == sale.number => *last = sale,
                _ => sales.push(sale),
            }
        }
        Ok((now, sales))
    }

    /// The states of these stripes, and the instant; in a cluster one call each.
    pub(super) fn states_of(
        &mut self,
        parts: &[(&str, u16)],
    ) -> Result<(Time, Vec<Option<State>>), StoreFault> {
        let keys: Vec<Vec<u8>> =
            parts.iter().map(|(sale, stripe)| self.sales.key(sale, *stripe)).collect();
        let answers = match self.link.is_cluster() && !keys.is_empty() {
            true => self.look_at_each(keys),
            false => self.look_at_all(&keys),
        };
        let mut now = Time::MIN;
        let mut states = Vec::with_capacity(parts.len());
        for answer in answers {
            let answer = answer.and_then(strings)?;
            let Some((instant, told)) = answer.split_first() else {
                return Err(fault::unexpected("states"));
            };
            now = now.max(Answer::new(instant).time()?);
            for state in told {
                states.push(Answer::new(state).state()?);
            }
        }
        Ok((now, states))
    }

    fn look_at_each(&mut self, keys: Vec<Vec<u8>>) -> Vec<Result<Value, StoreFault>> {
        let call = |key: Vec<u8>| {
            let cmd = self.script.call(&self.loaded, Entry::Look, &[&key]);
            (key, cmd)
        };
        let calls: Vec<(Vec<u8>, Cmd)> = keys.into_iter().map(call).collect();
        self.send_all(Entry::Look, &calls)
    }

    /// One call for some of them; without keys it only tells the instant.
    fn look_at_all(&mut self, keys: &[Vec<u8>]) -> Vec<Result<Value, StoreFault>> {
        let count = keys.len().div_ceil(sales::LOOK_AT_ONCE).max(1);
        let chunk = |n: usize| {
            let first = n * sales::LOOK_AT_ONCE;
            &keys[first..keys.len().min(first + sales::LOOK_AT_ONCE)]
        };
        let ask = |n: usize| {
            let keys = chunk(n);
            let cmd = self.script.call(&self.loaded, Entry::Look, keys);
            let node = keys.first().map_or(SALES_KEY.as_bytes(), Vec::as_slice);
            self.send(node, Entry::Look, keys.len(), &cmd)
        };
        (0..count).map(ask).collect()
    }

    /// The sale, as far as its stripes are known; `None` without its leader.
    pub(super) fn sale_of(
        &mut self,
        id: &str,
        stripe: u16,
        state: State,
    ) -> Result<Option<Sale>, StoreFault> {
        self.learn_terms(id, state.number)?;
        Ok(self.sales.see(id, stripe, state))
    }

    fn learn_terms(&mut self, id: &str, number: u32) -> Result<(), StoreFault> {
        if self.sales.terms(id).is_some() {
            return Ok(());
        }
        let leader = self.sales.key(id, stripes::leader(self.sales.stripes(id)));
        let mut read = redis::cmd("GETRANGE");
        read.arg([&leader[..], b":l:0"].concat()).arg(0).arg(RECORD_BYTES_MAX);
        let record = self.link.call(&leader, &read);
        let record = record.map_err(|error| fault::of(&error, Sent::Nothing))?;
        let Value::BulkString(record) = record else { return Err(fault::unexpected("a log")) };
        let length = decode::record_bytes(&record).unwrap_or(0);
        self.sales.learn_terms(id, number, decode::terms(&record[..length])?);
        Ok(())
    }

    /// A sale whose figures belong together: no unit moved between two readings of its stripes.
    pub(super) fn settled(&mut self, sale: &str) -> Result<Option<Sale>, StoreFault> {
        match self.meet_once(sale) {
            Ok(()) | Err(StoreFault::Full(_)) => {}
            Err(fault) => return Err(fault),
        }
        for _ in 0..SETTLED_TRIES {
            let before = match self.expired(sale) {
                // What is due can't be recorded; everything can still be read.
                Err(StoreFault::Full(_)) => self.stripes_of(sale)?,
                before => before?,
            };
            let Some(leader) = before.first().copied().flatten() else { return Ok(None) };
            if before.iter().any(Option::is_none) {
                self.spread(sale)?;
                continue;
            }
            if !before.is_even() {
                match self.finish(sale) {
                    // They are counted as in transit until there is space again.
                    Ok(()) | Err(StoreFault::Full(_)) => {}
                    Err(fault) => return Err(fault),
                }
            }
            let after = self.stripes_of(sale)?;
            self.learn_terms(sale, leader.number)?;
            if after.moves() == before.moves()
                && let Some(terms) = self.sales.terms(sale)
            {
                return Ok(Some(sales::whole(terms, &after.known())));
            }
        }
        Err(StoreFault::Busy("its stock moves between stripes all the time".to_owned()))
    }

    /// The states of all stripes of a sale.
    pub(super) fn stripes_of(&mut self, sale: &str) -> Result<Stripes, StoreFault> {
        let numbers = stripes::numbers(self.sales.stripes(sale));
        let parts: Vec<(&str, u16)> = numbers.map(|stripe| (sale, stripe)).collect();
        Ok(Stripes(self.states_of(&parts)?.1))
    }

    /// The same, with what is due expired first.
    pub(super) fn expired(&mut self, sale: &str) -> Result<Stripes, StoreFault> {
        let stripes = self.sales.stripes(sale);
        let groups: Vec<Group<'_>> =
            stripes::numbers(stripes).map(|stripe| Group::of(sale, stripe, stripes)).collect();
        self.decide_all(&groups, &[], &mut nothing_decided(0))?;
        self.stripes_of(sale)
    }

    /// Asks for new sales if there are any.
    pub(super) fn list_sales(&mut self) -> Result<(), StoreFault> {
        let count = redis::from_redis_value::<usize>(self.ask("HLEN", SALES_KEY, &[])?);
        if count.is_ok_and(|count| count == self.sales.listed()) {
            return Ok(());
        }
        // A sale has its stripes when it has its number.
        let sales =
            redis::from_redis_value::<Vec<(String, u32)>>(self.ask("HGETALL", SALES_KEY, &[])?);
        let of = redis::from_redis_value::<HashMap<String, u16>>(self.ask(
            "HGETALL",
            STRIPES_KEY,
            &[],
        )?);
        let (Ok(sales), Ok(of)) = (sales, of) else {
            return Err(fault::unexpected("the list of sales"));
        };
        let with_stripes = |(id, number): (String, u32)| {
            let stripes = of.get(&id).copied().unwrap_or(1);
            (id, number, stripes)
        };
        self.sales.list(sales.into_iter().map(with_stripes).collect());
        Ok(())
    }

    /// Asks for the stripes of sales that are not known yet.
    pub(super) fn learn_stripes<'a>(
        &mut self,
        sales: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), StoreFault> {
        let unknown: Vec<&str> =
            sales.into_iter().filter(|sale| self.sales.number(sale).is_none()).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let numbers: Result<Vec<Option<u32>>, _> =
            redis::from_redis_value(self.ask("HMGET", SALES_KEY, &unknown)?);
        let stripes: Result<Vec<Option<u16>>, _> =
            redis::from_redis_value(self.ask("HMGET", STRIPES_KEY, &unknown)?);
        let (Ok(numbers), Ok(stripes)) = (numbers, stripes) else {
            return Err(fault::unexpected("the list of sales"));
        };
        for ((sale, number), stripes) in unknown.into_iter().zip(numbers).zip(stripes) {
            if let Some(number) = number {
                self.sales.learn_number(sale, number, stripes.unwrap_or(1));
            }
        }
        Ok(())
    }

    fn ask(&mut self, word: &str, key: &str, fields: &[&str]) -> Result<Value, StoreFault> {
        let mut cmd = redis::cmd(word);
        cmd.arg(key).arg(fields);
        let said = self.link.call(key.as_bytes(), &cmd);
        said.map_err(|error| fault::of(&error, Sent::Nothing))
    }
}
