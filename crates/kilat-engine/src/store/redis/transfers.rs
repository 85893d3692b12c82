//! Sales whose stock is split: units go where buyers are, and changes to every stripe.
//!
//! A transfer has two steps: one stripe gives units away and adds them to what it ever gave to the other,
//! which takes what it has not received of this yet. A process that dies between the two leaves units in
//! transit, which whoever looks next brings home. How both ends are kept equal is in `books`.
//!
//! *Invariant:* a caller is told that a sale is sold out only when there was an instant during their
//! request at which all stripes together had fewer units than asked, and none was in transit: two
//! readings of all stripes, between which none of them changed.

use super::books::{self, Told};
use super::decide::halfway;
use super::script::Entry;
use super::{Command, Decided, Group, Outcome, Redis, Refusal, State, StoreFault, fault, stripes};
use kilat_ledger::{SaleSwitch, Time};
use redis::Cmd;
use std::thread;
use std::time::{Duration, Instant};

/// Longest time for bringing units together for one batch. After it nobody is told that the sale is
/// sold out: what became of the batch is found out by asking again.
const GATHER_WAIT_MAX: Duration = Duration::from_millis(1_500);
/// Rounds after which two processes that take the same units from each other step aside.
const ROUNDS_AT_ONCE: u32 = 3;
const STEP_ASIDE: Duration = Duration::from_millis(2);

/// The stripes of a sale, each as it was when it was read; `None` for one that is not made yet.
pub(super) struct Stripes(pub(super) Vec<Option<State>>);

impl Stripes {
    pub(super) fn first(&self) -> Option<&Option<State>> {
        self.0.first()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Option<State>> {
        self.0.iter()
    }

    pub(super) fn known(&self) -> Vec<State> {
        self.0.iter().flatten().copied().collect()
    }

    /// What tells whether units moved.
    pub(super) fn moves(&self) -> Vec<(u64, u64)> {
        self.0.iter().flatten().map(|state| (state.given, state.taken)).collect()
    }

    fn versions(&self) -> Vec<u64> {
        self.0.iter().flatten().map(State::version).collect()
    }

    pub(super) fn available(&self) -> Vec<u64> {
        let of = |state: &Option<State>| state.map_or(0, |state| state.counters.available);
        self.0.iter().map(of).collect()
    }

    /// Units that were given and not taken.
    pub(super) fn in_transit(&self) -> u64 {
        let (given, taken) = self
            .0
            .iter()
            .flatten()
            .fold((0, 0), |(given, taken), state| (given + state.given, taken + state.taken));
        u64::saturating_sub(given, taken)
    }

    /// Whether all that was given was taken, and no more.
    pub(super) fn is_even(&self) -> bool {
        let moves = self.moves();
        let sum = |of: fn(&(u64, u64)) -> u64| moves.iter().map(of).sum::<u64>();
        sum(|(given, _)| *given) == sum(|(_, taken)| *taken)
    }

    /// Whether each stripe is there and knows the leader's latest change.
    pub(super) fn agree(&self) -> bool {
        let epoch = self.0.first().copied().flatten().map(|leader| leader.epoch);
        self.0.iter().all(|state| state.map(|state| state.epoch) == epoch)
    }
}

impl Redis {
    /// Tells the stripes what their leaders have decided, before any caller hears of it; also when a
    /// command comes again, because whoever sent it first may have died here.
    pub(super) fn tell_stripes(
        &mut self,
        groups: &[Group<'_>],
        commands: &[Command<'_>],
        decided: &mut Decided,
    ) -> Result<(), StoreFault> {
        for group in groups.iter().filter(|group| group.stripes > 1) {
            let (mut stands, mut is_new) = (false, false);
            for index in &group.commands {
                match (&decided.outcomes[*index], &commands[*index]) {
                    (Outcome::SaleCreated, _) => is_new = true,
                    (
                        Outcome::SaleChanged { replayed: false },
                        Command::ChangeSale { change, .. },
                    ) if change.add_supply > 0 => {
                        is_new = true;
                    }
                    (Outcome::SaleAlreadyCreated | Outcome::SaleChanged { .. }, _) => stands = true,
                    _ => {}
                }
            }
            if stands || is_new {
                self.spread(group.sale)?;
                self.meet_once(group.sale)?;
            }
            if is_new {
                self.level(group.sale)?;
            }
            decided.sales.retain(|sale| sale.terms.id != group.sale);
            decided.sales.extend(self.states(&[group.sale.to_owned()])?.1);
        }
        Ok(())
    }

    /// Makes the stripes of a sale that are not there, and brings all up to the leader's latest
    /// change. `false` when there is no such sale.
    pub(super) fn spread(&mut self, sale: &str) -> Result<bool, StoreFault> {
        let count = self.sales.stripes(sale);
        let (_, leader) = self.states_of(&[(sale, stripes::leader(count))])?;
        let Some(leader) = leader.into_iter().next().flatten() else { return Ok(false) };
        self.sale_of(sale, stripes::leader(count), leader)?;
        let Some(terms) = self.sales.terms(sale) else { return Ok(false) };
        let (limit, hold) = (terms.per_customer, terms.hold_seconds);
        let calls: Vec<(Vec<u8>, Cmd)> = (2..=count)
            .map(|stripe| {
                let key = self.sales.key(sale, stripe);
                let mut cmd = self.script.call(&self.loaded, Entry::Join, &[&key]);
                cmd.arg(leader.number).arg(stripe).arg(count);
                cmd.arg(limit.map_or(String::new(), |limit| limit.to_string())).arg(hold);
                cmd.arg(leader.epoch).arg(switch(leader.switch));
                cmd.arg(schedule(leader.opens_at)).arg(schedule(leader.closes_at));
                cmd.arg(self.era(sale));
                (key, cmd)
            })
            .collect();
        self.send_all(Entry::Join, &calls).into_iter().try_for_each(|told| told.map(drop))?;
        Ok(true)
    }

    /// Gives each stripe the same part of what the leader has.
    fn level(&mut self, sale: &str) -> Result<(), StoreFault> {
        let all = self.stripes_of(sale)?;
        let share = all.available().first().copied().unwrap_or(0) / all.0.len().max(1) as u64;
        for stripe in 2..=self.sales.stripes(sale) {
            if share > 0 {
                self.transfer(sale, 1, stripe, share)?;
            }
        }
        Ok(())
    }

    /// Moves up to `units`. Returns how many arrived for certain.
    fn transfer(&mut self, sale: &str, from: u16, to: u16, units: u64) -> Result<u64, StoreFault> {
        let given = match self.in_era(sale, Entry::Give, from, to, units)? {
            // What was given before is where it belongs now.
            Told::OtherEra => {
                self.meet(sale)?;
                self.in_era(sale, Entry::Give, from, to, units)?
            }
            told => told,
        };
        let Told::Books(books) = given else { return Ok(0) };
        let (ever, units) = books::given(&books)?;
        Ok(if self.bring_home(sale, from, to, ever)? { units } else { 0 })
    }

    /// Has one stripe take all that another one ever gave to it. `false` when a new era began: what was
    /// given may be forgotten, and what is not was taken by whoever began it.
    pub(super) fn bring_home(
        &mut self,
        sale: &str,
        from: u16,
        to: u16,
        ever: u64,
    ) -> Result<bool, StoreFault> {
        for _ in 0..2 {
            match self.in_era(sale, Entry::Take, to, from, ever)? {
                Told::Books(_) => return Ok(true),
                Told::OtherEra => {
                    self.meet(sale)?;
                    return Ok(false);
                }
                Told::Nothing => self.spread(sale).map(drop)?,
            }
        }
        Err(fault::unexpected("a stripe that can take"))
    }

    /// Goes on with what another process may have left half done.
    pub(super) fn mend(&mut self) -> Result<(), StoreFault> {
        for (sale, agrees) in self.sales.unsettled() {
            let spread = if agrees { Ok(true) } else { self.spread(&sale) };
            match spread.and_then(|_| self.finish(&sale)) {
                // They are counted as in transit until there is space again.
                Ok(()) | Err(StoreFault::Full(_)) => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    /// Has the commands decided again that met a stripe which was not made yet.
    pub(super) fn join_and_repeat(
        &mut self,
        groups: &[Group<'_>],
        commands: &[Command<'_>],
        decided: &mut Decided,
    ) -> Result<(), StoreFault> {
        let not_found = Outcome::Refused(Refusal::SaleNotFound);
        let mut again = Vec::new();
        for group in groups.iter().filter(|group| group.stripe > 1) {
            let group = group.only(|index| decided.outcomes[index] == not_found);
            if !group.commands.is_empty() && self.spread(group.sale)? {
                again.push(group);
            }
        }
        self.decide_all(&again, commands, decided).map_err(halfway)
    }

    /// Brings units to the stripes whose buyers were refused for want of them, until all are served
    /// or nothing is left anywhere.
    pub(super) fn sell_out(
        &mut self,
        groups: &[Group<'_>],
        commands: &[Command<'_>],
        decided: &mut Decided,
    ) -> Result<(), StoreFault> {
        let sold_out = Outcome::Refused(Refusal::SoldOut);
        let started = Instant::now();
        for round in 0.. {
            let is_refused = |index: usize| decided.outcomes[index] == sold_out;
            let mut refused: Vec<Group<'_>> =
                groups.iter().map(|group| group.only(is_refused)).collect();
            refused.retain(|group| !group.commands.is_empty());
            let mut again = Vec::new();
            for of_sale in refused.chunk_by(|a, b| a.sale == b.sale) {
                match self.gather(of_sale, commands) {
                    Ok(served) => again.extend(served),
                    // Nothing was done for those who need units that can't be moved.
                    Err(StoreFault::Full(_)) => {
                        of_sale.iter().for_each(|group| group.refuse_as_full(decided));
                    }
                    Err(fault) => return Err(fault),
                }
            }
            if again.is_empty() {
                return Ok(());
            }
            if started.elapsed() > GATHER_WAIT_MAX {
                break;
            }
            if round >= ROUNDS_AT_ONCE {
                thread::sleep(STEP_ASIDE * (1 + std::process::id() % 8));
            }
            self.decide_all(&again, commands, decided)?;
        }
        Err(StoreFault::Busy("units move between stripes all the time".to_owned()))
    }

    /// Brings units to these stripes of one sale. Returns what should be asked again: nothing when
    /// no command can be served.
    fn gather<'a>(
        &mut self,
        groups: &[Group<'a>],
        commands: &[Command<'_>],
    ) -> Result<Vec<Group<'a>>, StoreFault> {
        let Some(sale) = groups.first().map(|group| group.sale) else { return Ok(Vec::new()) };
        let (all, full) = match self.expired(sale) {
            // What is due there can't be recorded; what is left there can be moved.
            Err(StoreFault::Full(why)) => (self.stripes_of(sale)?, Some(why)),
            all => (all?, None),
        };
        if !all.agree() {
            self.spread(sale)?;
        }
        if all.in_transit() > 0 {
            self.finish(sale)?;
            return Ok(groups.iter().map(|group| group.only(|_| true)).collect());
        }
        let mut available = all.available();
        let total: u64 = available.iter().sum();
        let fits = |index: usize| quantity(&commands[index]) <= total;
        let mut served: Vec<Group<'a>> = groups.iter().map(|group| group.only(fits)).collect();
        served.retain(|group| !group.commands.is_empty());
        if served.is_empty()
            && let Some(why) = full
        {
            return Err(StoreFault::Full(why));
        }
        if served.is_empty() && !self.was_empty(sale, all.versions())? {
            return Ok(groups.iter().map(|group| group.only(|_| true)).collect());
        }
        for group in &served {
            let wanted: u64 = group.commands.iter().map(|index| quantity(&commands[*index])).sum();
            self.pull(sale, group.stripe, wanted.min(total), &mut available)?;
        }
        Ok(served)
    }

    /// Whether nothing changed since all stripes were read at these versions, or since the sale was
    /// last found empty.
    fn was_empty(&mut self, sale: &str, versions: Vec<u64>) -> Result<bool, StoreFault> {
        if self.empty_at.get(sale) == Some(&versions) {
            return Ok(true);
        }
        let is_settled = self.stripes_of(sale)?.versions() == versions;
        if is_settled {
            self.empty_at.insert(sale.to_owned(), versions);
        }
        Ok(is_settled)
    }

    /// Takes units from the richest stripes until this one has as many as wanted.
    pub(super) fn pull(
        &mut self,
        sale: &str,
        stripe: u16,
        wanted: u64,
        available: &mut [u64],
    ) -> Result<(), StoreFault> {
        let own = usize::from(stripe).saturating_sub(1);
        while available[own] < wanted {
            let others = available.iter().enumerate().filter(|(index, _)| *index != own);
            let Some((richest, most)) = others.max_by_key(|(_, units)| **units) else { break };
            let most = *most;
            if most == 0 {
                break;
            }
            let missing = (wanted - available[own]).min(most);
            // Half of the difference, so that it need not be done again soon.
            let units = missing.max(most.saturating_sub(available[own]) / 2);
            let from = u16::try_from(richest + 1).unwrap_or(u16::MAX);
            let moved = self.transfer(sale, from, stripe, units)?;
            available[richest] = if moved == 0 { 0 } else { most.saturating_sub(moved) };
            available[own] += moved;
        }
        Ok(())
    }
}

fn quantity(command: &Command<'_>) -> u64 {
    match command {
        Command::PlaceOrder(place) => u64::from(place.quantity),
        _ => 0,
    }
}

fn switch(switch: SaleSwitch) -> u8 {
    match switch {
        SaleSwitch::Open => 0,
        SaleSwitch::Paused => 1,
        SaleSwitch::Closed => 2,
    }
}

fn schedule(time: Option<Time>) -> Vec<u8> {
    time.map_or(Vec::new(), |time| time.as_millis().to_le_bytes().to_vec())
}
