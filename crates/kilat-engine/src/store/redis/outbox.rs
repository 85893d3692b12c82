//! Facts on their way to the event log.
//!
//! Of a sale in stripes the leader's come first, so that a sale is made before it sells. Facts of
//! different stripes have no other order among each other.

use super::script::{Entry, strings};
use super::{Redis, StoreFault, StoredFact, decode, stripes};

/// Bytes of facts that one call reads.
const FACTS_BYTES: usize = 1 << 20;

impl Redis {
    pub(super) fn hand_out(&mut self, limit: usize) -> Result<Vec<StoredFact>, StoreFault> {
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

    fn facts_of(
        &mut self,
        sale: &str,
        limit: usize,
        facts: &mut Vec<StoredFact>,
    ) -> Result<(), StoreFault> {
        let count = self.sales.stripes(sale);
        let enough = facts.len() + limit;
        // The same part for each, so that no stripe waits for another.
        let share = limit.div_ceil(usize::from(count));
        for stripe in stripes::numbers(count) {
            let left = enough - facts.len();
            self.facts_of_stripe(sale, stripe, share.min(left), facts)?;
        }
        Ok(())
    }

    fn facts_of_stripe(
        &mut self,
        sale: &str,
        stripe: u16,
        limit: usize,
        facts: &mut Vec<StoredFact>,
    ) -> Result<(), StoreFault> {
        if limit == 0 {
            return Ok(());
        }
        let key = self.sales.key(sale, stripe);
        let found = strings(self.invoke(Entry::Facts, &key, |cmd| {
            cmd.arg(limit).arg(FACTS_BYTES);
        })?)?;
        let Some((told, records)) = found.split_first() else { return Ok(()) };
        for record in records {
            facts.push(decode::fact(record, sale, stripe)?);
        }
        self.handed_out.push((key, told.clone()));
        Ok(())
    }
}
