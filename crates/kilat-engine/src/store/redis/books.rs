//! The books of transfers: what each stripe ever gave to which other, and ever received from it.
//!
//! A failover can take a stripe back to where it was a moment ago. Then one half of a transfer is lost,
//! and the books of its two ends differ: units that were given and not received are received again, and
//! units that were received from a stripe which forgot that it gave them are taken from its stock.
//!
//! *Invariant:* a connection sells nothing of a sale in stripes before it has met all of them, which brings
//! the books together. Whoever reaches the server that took over has a new connection, so that no unit
//! is sold twice because a transfer was lost. A meeting begins a new era, in which no half of a transfer
//! from before is accepted: a process that stood still in the middle of one finds it void.

use super::script::{Entry, strings};
use super::{Redis, StoreFault, fault, stripes};
use redis::Cmd;
use std::collections::HashMap;

/// Meetings until no other process began one meanwhile.
const TRIES: usize = 8;

/// What a stripe says of a step.
pub(super) enum Told {
    /// It is in another era.
    OtherEra,
    /// There is no such stripe, or nothing to give.
    Nothing,
    /// Done.
    Books(Vec<Vec<u8>>),
}

/// One stripe's.
#[derive(Default)]
struct Books {
    era: u64,
    epoch: u64,
    given: HashMap<u16, u64>,
    received: HashMap<u16, u64>,
}

/// What was ever given, and how much of it now.
pub(super) fn given(told: &[Vec<u8>]) -> Result<(u64, u64), StoreFault> {
    match told {
        [ever, units] => Ok((number(ever)?, number(units)?)),
        _ => Err(fault::unexpected("what was given")),
    }
}

impl Redis {
    /// The era in which this connection met the sale's stripes.
    pub(super) fn era(&self, sale: &str) -> u64 {
        self.met.get(sale).copied().unwrap_or(0)
    }

    /// Brings the books of all stripes together and begins an era, once for a connection. Not for a
    /// sale that is not known yet: see `learn_stripes`.
    pub(super) fn meet_once(&mut self, sale: &str) -> Result<(), StoreFault> {
        if self.sales.stripes(sale) <= 1 || self.met.contains_key(sale) {
            return Ok(());
        }
        self.meet(sale)
    }

    /// The same; a connection that did it before joins the era that another one began. Else two of them
    /// would make each other's void for ever.
    pub(super) fn meet(&mut self, sale: &str) -> Result<(), StoreFault> {
        let begins = u64::from(!self.met.contains_key(sale));
        let mut known = self.books(sale, 0, 0)?;
        for _ in 0..TRIES {
            let latest = known.iter().flatten().map(|books| books.era).max().unwrap_or(0);
            let era = latest + begins;
            known = self.books(sale, era, forgotten_epoch(&known))?;
            if known.first().is_none_or(Option::is_none) {
                return Ok(());
            }
            if known.iter().flatten().all(|books| books.era == era) {
                self.met.insert(sale.to_owned(), era);
                let settled = self.settle(sale, &known);
                if settled.is_err() {
                    self.met.remove(sale);
                }
                return settled;
            }
        }
        Err(StoreFault::Busy("many processes come to the sale at once".to_owned()))
    }

    /// Brings home what is in transit, whoever sent it.
    pub(super) fn finish(&mut self, sale: &str) -> Result<(), StoreFault> {
        self.meet_once(sale)?;
        let known = self.books(sale, 0, 0)?;
        self.settle(sale, &known)
    }

    fn settle(&mut self, sale: &str, known: &[Option<Books>]) -> Result<(), StoreFault> {
        let ends = pairs(known);
        // First what adds to a stock, so that there is something to take from.
        for (from, to, given, received) in &ends {
            if given > received && !self.bring_home(sale, *from, *to, *given)? {
                return Ok(());
            }
        }
        for (from, to, given, received) in ends {
            if received > given {
                self.own_up(sale, from, to, received - given, received)?;
            }
        }
        Ok(())
    }

    /// Has a stripe give what another one received from it, with units of others if it has too few.
    fn own_up(
        &mut self,
        sale: &str,
        from: u16,
        to: u16,
        mut missing: u64,
        received: u64,
    ) -> Result<(), StoreFault> {
        for _ in 0..2 {
            if let Told::Books(books) = self.in_era(sale, Entry::OwnUp, from, to, received)? {
                missing = received.saturating_sub(given(&books)?.0);
            }
            if missing == 0 {
                break;
            }
            let mut available = self.stripes_of(sale)?.available();
            self.pull(sale, from, missing, &mut available)?;
        }
        Ok(())
    }

    /// Takes a step of a transfer at `stripe`, with another one and a number of units.
    pub(super) fn in_era(
        &mut self,
        sale: &str,
        entry: Entry,
        stripe: u16,
        other: u16,
        units: u64,
    ) -> Result<Told, StoreFault> {
        let (key, era) = (self.sales.key(sale, stripe), self.era(sale));
        let told = strings(self.invoke(entry, &key, |cmd| {
            cmd.arg(era).arg(other).arg(units);
        })?)?;
        Ok(match told.as_slice() {
            [] => Told::Nothing,
            [word] if word == b"era" => Told::OtherEra,
            _ => Told::Books(told),
        })
    }

    /// The books of all stripes, `None` for one that is not made yet; each is in this era and the leader
    /// in this epoch afterwards, or in a later one.
    fn books(
        &mut self,
        sale: &str,
        era: u64,
        epoch: u64,
    ) -> Result<Vec<Option<Books>>, StoreFault> {
        let count = self.sales.stripes(sale);
        let leader = stripes::leader(count);
        let calls: Vec<(Vec<u8>, Cmd)> = stripes::numbers(count)
            .map(|stripe| {
                let key = self.sales.key(sale, stripe);
                let mut cmd = self.script.call(&self.loaded, Entry::Meet, &[&key]);
                cmd.arg(era).arg(if stripe == leader { epoch } else { 0 });
                (key, cmd)
            })
            .collect();
        let told = self.send_all(Entry::Meet, &calls);
        told.into_iter().map(|told| told.and_then(strings).and_then(|told| read(&told))).collect()
    }
}

/// When the leader has lost changes that other stripes have heard of, its next one must be newer than
/// those; 0 when it has not.
fn forgotten_epoch(known: &[Option<Books>]) -> u64 {
    let epoch = |books: &Option<Books>| books.as_ref().map_or(0, |books| books.epoch);
    let leaders = known.first().map_or(0, epoch);
    let latest = known.iter().map(epoch).max().unwrap_or(0);
    if latest > leaders { latest + 1 } else { 0 }
}

/// Giver, taker, units ever given, and units ever received.
fn pairs(known: &[Option<Books>]) -> Vec<(u16, u16, u64, u64)> {
    let mut found = Vec::new();
    let books = || (1_u16..).zip(known).filter_map(|(n, books)| Some((n, books.as_ref()?)));
    for (from, giver) in books() {
        for (to, taker) in books() {
            let of = |sums: &HashMap<u16, u64>, other| sums.get(&other).copied().unwrap_or(0);
            found.push((from, to, of(&giver.given, to), of(&taker.received, from)));
        }
        // Its other end is not made yet, and will be by whoever brings them home.
        for (to, units) in &giver.given {
            if known.get(usize::from(*to).saturating_sub(1)).is_none_or(Option::is_none) {
                found.push((from, *to, *units, 0));
            }
        }
    }
    found
}

fn read(told: &[Vec<u8>]) -> Result<Option<Books>, StoreFault> {
    let [era, epoch, sums @ ..] = told else { return Ok(None) };
    let mut books = Books { era: number(era)?, epoch: number(epoch)?, ..Books::default() };
    for pair in sums.chunks_exact(2) {
        let Some((kind, other)) = pair[0].split_first() else { continue };
        let sums = if *kind == b'g' { &mut books.given } else { &mut books.received };
        let other = u16::try_from(number(other)?).map_err(|_| fault::unexpected("a stripe"))?;
        sums.insert(other, number(&pair[1])?);
    }
    Ok(Some(books))
}

fn number(text: &[u8]) -> Result<u64, StoreFault> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| fault::unexpected("a number"))
}
