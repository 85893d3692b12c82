//! Which keys have been seen, exactly enough and in bounded memory.
//!
//! A key is kept as a print: 128 bits of SipHash under a random key. Two different keys among
//! ten million have the same print with a probability below 10⁻²⁴, and nobody who does not
//! know the random key can look for such a pair.
//!
//! The newest prints are in memory. When they are too many they are sorted into a run: a file
//! without a name, which vanishes with the process. Two runs of about the same size are merged
//! into one, as in a log-structured merge tree, so that there are never more than about
//! log₂(prints) runs. A filter tells for nearly every new key that no run can hold it.

use siphasher::sip128::{Hasher128, SipHasher13};
use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

mod filter;
mod run;

use filter::Filter;
use run::Run;

/// Prints held in memory; as many as a table of 1 MB takes. So few that a check of a hundred
/// thousand ids takes as much memory as one of ten million.
const MEMORY_PRINTS_MAX: usize = 7 << 13;

type Print = u128;

/// A set of keys that only grows.
pub struct Seen {
    /// Where runs are put.
    directory: PathBuf,
    secret: [u8; 16],
    /// Prints that are in no run.
    recent: HashSet<Print, BuildHasherDefault<Itself>>,
    recent_max: usize,
    /// Sorted, from the largest to the smallest.
    runs: Vec<Run>,
    /// Of what is in runs; made with the first of them.
    filter: Option<Filter>,
}

impl Seen {
    /// An empty set, which puts what memory does not hold into files in `directory`, without
    /// names. Nothing is made there before memory is full.
    #[must_use]
    pub fn new(directory: &Path) -> Seen {
        Seen::with_memory(directory, MEMORY_PRINTS_MAX)
    }

    /// The same, in the system's directory for such files. Not beside a log: there may be no right
    /// to make files.
    #[must_use]
    pub fn in_temp_dir() -> Seen {
        Seen::new(&std::env::temp_dir())
    }

    fn with_memory(directory: &Path, recent_max: usize) -> Seen {
        let secret = secret();
        let directory = directory.to_owned();
        let (recent, runs) = (HashSet::default(), Vec::new());
        Seen { directory, secret, recent, recent_max, runs, filter: None }
    }

    /// Adds a key; `true` when it was not there before.
    ///
    /// # Errors
    /// When the files of the set can't be written or read. The set must not be used further.
    pub fn insert(&mut self, key: &[u8]) -> io::Result<bool> {
        let print = self.print(key);
        if self.recent.contains(&print) || self.is_in_runs(print)? {
            return Ok(false);
        }
        self.recent.insert(print);
        if self.recent.len() >= self.recent_max {
            self.spill()?;
        }
        Ok(true)
    }

    fn print(&self, key: &[u8]) -> Print {
        let mut hasher = SipHasher13::new_with_key(&self.secret);
        hasher.write(key);
        hasher.finish128().as_u128()
    }

    fn is_in_runs(&mut self, print: Print) -> io::Result<bool> {
        if !self.filter.as_ref().is_some_and(|filter| filter.may_hold(print)) {
            return Ok(false);
        }
        for run in &mut self.runs {
            if run.holds(print)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn spill(&mut self) -> io::Result<()> {
        let mut prints: Vec<Print> = self.recent.drain().collect();
        prints.sort_unstable();
        let filter = self.filter.get_or_insert_with(Filter::new);
        prints.iter().for_each(|print| filter.add(*print));
        let count = prints.len() as u64;
        let mut run = Run::write(&self.directory, count, prints.into_iter().map(Ok))?;
        while let Some(last) = self.runs.pop_if(|last| last.prints() <= 2 * run.prints()) {
            run = Run::merge(&self.directory, &last, &run)?;
        }
        self.runs.push(run);
        Ok(())
    }
}

/// A key that nobody can foresee: what a hasher with keys from the system makes of nothing.
fn secret() -> [u8; 16] {
    let half = || u128::from(RandomState::new().build_hasher().finish());
    (half() << 64 | half()).to_le_bytes()
}

/// Prints are evenly spread already: they need no other hash.
#[derive(Default)]
struct Itself(u64);

impl Hasher for Itself {
    fn write(&mut self, bytes: &[u8]) {
        for (place, byte) in bytes.iter().take(8).enumerate() {
            self.0 ^= u64::from(*byte) << (8 * place);
        }
    }

    fn write_u128(&mut self, print: u128) {
        // The lower half: runs and their fences use the upper one.
        self.0 = print as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds `keys` numbers, each one twice, with room for `memory` of them.
    fn check(keys: u64, memory: usize) {
        let directory = tempfile::tempdir().unwrap();
        let mut seen = Seen::with_memory(directory.path(), memory);
        for number in 0..keys {
            assert!(seen.insert(&number.to_le_bytes()).unwrap(), "{number} is new");
            let earlier = number.wrapping_mul(0x9e37_79b9) % (number + 1);
            assert!(!seen.insert(&earlier.to_le_bytes()).unwrap(), "{earlier} of {number}");
        }
        for number in 0..keys {
            assert!(!seen.insert(&number.to_le_bytes()).unwrap(), "{number} is known");
        }
        assert!(seen.runs.len() <= 1 + keys.ilog2() as usize);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "no names are left");
    }

    #[test]
    fn a_key_is_new_exactly_once() {
        check(1_000, 2_000);
        check(1_000, 1);
        check(20_000, 7);
        check(50_000, 1_000);
    }

    #[test]
    fn keys_are_the_bytes_and_nothing_else() {
        let mut seen = Seen::new(Path::new("."));
        for (key, new) in [("", true), ("a", true), ("A", true), ("a ", true), ("a", false)] {
            assert_eq!(seen.insert(key.as_bytes()).unwrap(), new, "{key:?}");
        }
    }
}
