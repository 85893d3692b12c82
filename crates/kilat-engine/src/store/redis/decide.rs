//! A batch of commands: which calls it becomes, and what they come to.
//!
//! A sale in one piece has all its commands decided in one step, in their order. Of a sale in stripes
//! the leader decides new terms and changes, then each stripe its customers' orders. Commands of one
//! batch were under way at the same time, so that their order is free between kinds.

use super::script::{Entry, strings};
use super::{
    Answer, Command, Decided, Group, Outcome, Redis, Refusal, SALES_KEY, SALES_MAX, STRIPES_KEY,
    SaleTerms, StoreFault, Value, encode, fault, nothing_decided,
};
use redis::Cmd;

impl Redis {
    pub(super) fn carry_out(&mut self, commands: &[Command<'_>]) -> Result<Decided, StoreFault> {
        let groups = encode::by_sale(commands);
        self.learn_stripes(groups.iter().map(|group| group.sale))?;
        self.number_new_sales(commands)?;
        let mut decided = nothing_decided(commands.len());
        if groups.is_empty() {
            decided.at = self.states(&[])?.0;
        }
        let (mut first, mut then) = (Vec::new(), Vec::new());
        for group in groups {
            match self.meet_once(group.sale) {
                Err(StoreFault::Full(_)) => {
                    group.refuse_as_full(&mut decided);
                    continue;
                }
                met => met?,
            }
            match self.sales.stripes(group.sale) {
                1 => first.push(group),
                stripes => {
                    let (admin, parts) = group.split(stripes, commands);
                    first.extend(admin);
                    then.extend(parts);
                }
            }
        }
        self.decide_all(&first, commands, &mut decided)?;
        self.tell_stripes(&first, commands, &mut decided).map_err(halfway)?;
        // What was decided before stands: it is not true that nothing was done.
        let nothing_yet = first.is_empty();
        let done = self.decide_all(&then, commands, &mut decided);
        done.map_err(|fault| if nothing_yet { fault } else { halfway(fault) })?;
        self.join_and_repeat(&then, commands, &mut decided).map_err(halfway)?;
        self.sell_out(&then, commands, &mut decided).map_err(halfway)?;
        decided.next_expiry = self.sales.next_due_in(decided.at);
        Ok(decided)
    }

    /// Has the groups decided: in one call, or in a cluster in one call each.
    pub(super) fn decide_all(
        &mut self,
        groups: &[Group<'_>],
        commands: &[Command<'_>],
        decided: &mut Decided,
    ) -> Result<(), StoreFault> {
        if groups.is_empty() {
            return Ok(());
        }
        if !self.link.is_cluster() {
            let cmd = self.decide_call(groups, commands);
            let key = self.key_of(&groups[0]);
            let answer = strings(self.send(&key, Entry::Decide, groups.len(), &cmd)?)?;
            return self.read_decided(groups, commands, &answer, decided);
        }
        let calls: Vec<(Vec<u8>, Cmd)> = groups
            .iter()
            .map(|group| {
                (self.key_of(group), self.decide_call(std::slice::from_ref(group), commands))
            })
            .collect();
        let (mut stands, mut failed) = (false, None);
        let answers = self.send_all(Entry::Decide, &calls);
        for (group, answer) in groups.iter().zip(answers) {
            let read = answer.and_then(strings).and_then(|answer| {
                self.read_decided(std::slice::from_ref(group), commands, &answer, decided)
            });
            match (read, &failed) {
                (Ok(()), _) => stands = true,
                // Other servers have space.
                (Err(StoreFault::Full(_)), _) if !group.commands.is_empty() => {
                    group.refuse_as_full(decided);
                    stands = true;
                }
                (Err(_), Some(StoreFault::Lost(_))) => {}
                (Err(fault), _) => failed = Some(fault),
            }
        }
        match failed {
            None => Ok(()),
            // Only what is due could not be recorded there; what was recorded elsewhere is no half.
            Some(StoreFault::Full(why)) => Err(StoreFault::Full(why)),
            Some(fault) if stands => Err(halfway(fault)),
            Some(fault) => Err(fault),
        }
    }

    fn key_of(&self, group: &Group<'_>) -> Vec<u8> {
        self.sales.key(group.sale, group.stripe)
    }

    fn decide_call(&mut self, groups: &[Group<'_>], commands: &[Command<'_>]) -> Cmd {
        let keys: Vec<Vec<u8>> = groups.iter().map(|group| self.key_of(group)).collect();
        let mut encoder = std::mem::take(&mut self.encoder);
        let sales = &self.sales;
        let mut cmd = self.script.call(&self.loaded, Entry::Decide, &keys);
        for group in groups {
            encoder.group(&mut cmd, group, commands, |sale| sales.number(sale).unwrap_or(0));
        }
        self.encoder = encoder;
        cmd
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
                let outcome = outcomes.outcome(&commands[*index], number, group.stripe)?;
                hear(&mut decided.outcomes[*index], outcome);
            }
            if !outcomes.is_empty() {
                return Err(fault::unexpected("as many outcomes as commands"));
            }
            let Some(state) = state else { continue };
            let Some(sale) = self.sale_of(group.sale, group.stripe, state)? else { continue };
            match decided.sales.last_mut() {
                Some(last) if last.number == sale.number => *last = sale,
                _ => decided.sales.push(sale),
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
        let keys = [SALES_KEY, STRIPES_KEY];
        let mut cmd = self.script.call(&self.loaded, Entry::Register, &keys);
        cmd.arg(&terms.id).arg(SALES_MAX).arg(self.stripes);
        let told: Value = self.send(SALES_KEY.as_bytes(), Entry::Register, keys.len(), &cmd)?;
        let (number, stripes) = redis::from_redis_value::<(i64, u16)>(told)
            .map_err(|_| fault::unexpected("a number"))?;
        match u32::try_from(number) {
            Ok(number) => {
                self.sales.learn_number(&terms.id, number, stripes);
                Ok(())
            }
            Err(_) => Err(StoreFault::Full("there are as many sales as can be".to_owned().into())),
        }
    }
}

impl Group<'_> {
    /// The server that has these is out of space and did nothing, whatever others did.
    pub(super) fn refuse_as_full(&self, decided: &mut Decided) {
        for index in &self.commands {
            let outcome = &mut decided.outcomes[*index];
            if !matches!(outcome, Outcome::Order { .. }) {
                *outcome = Outcome::Refused(Refusal::Full);
            }
        }
    }
}

/// What one stripe says of a command. Of an order that is looked for in all of them, the one that
/// knows it is believed.
fn hear(known: &mut Outcome, told: Outcome) {
    let is_nowhere =
        matches!(told, Outcome::Refused(Refusal::OrderNotFound | Refusal::SaleNotFound));
    if !is_nowhere || matches!(known, Outcome::Refused(Refusal::TooLong | Refusal::SaleNotFound)) {
        *known = told;
    }
}

/// A part of the batch was carried out: its callers don't know which, and the same keys find out.
pub(super) fn halfway(fault: StoreFault) -> StoreFault {
    match fault {
        StoreFault::Lost(why) | StoreFault::Busy(why) => StoreFault::Lost(why),
        StoreFault::Away(why) | StoreFault::Full(why) | StoreFault::Refused(why) => {
            StoreFault::Lost(why.to_string())
        }
    }
}
