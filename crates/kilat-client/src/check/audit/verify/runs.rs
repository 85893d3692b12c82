//! The runs of a log of records, all followed at once, as their lines interleave.

use super::Unverified;
use super::fault::What;
use super::report::{Asked, Checked, RunChecked, RunState};
use crate::check::audit::chain::Sum;
use crate::check::audit::lines::Lines;
use crate::check::audit::record::{Kind, Record};
use crate::check::audit::records::{Counts, Origin};
use crate::check::audit::strand::{Break, Strand};
use crate::check::audit::{RunId, Seen, escape};
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;

/// A run as far as it has been read.
struct Run {
    strand: Strand,
    root: RunId,
    records: u64,
    counts: Counts,
    state: RunState,
    /// Another run goes on with it.
    continued: bool,
    /// A record is missing or changed, so what its end counts need not be there.
    broken: bool,
    /// A line of it does not hold.
    damaged: bool,
    /// What its first record says; `None` when that is missing.
    asked: Option<Arc<Asked>>,
    at: Option<Timestamp>,
    /// Among the runs, by their first lines.
    place: u64,
}

pub(super) struct Runs {
    runs: HashMap<RunId, Run>,
    /// Ids that have ended, each with the root of its run.
    seen: Seen,
    key: Vec<u8>,
    /// What the newest run asked: most runs of a log ask the same.
    asked: Option<Arc<Asked>>,
    checked: Checked,
}

impl Runs {
    /// Checks all lines.
    pub(super) fn check(mut lines: Lines<'_>, seal: Option<Sum>) -> Result<Checked, Unverified> {
        let (runs, key) = (HashMap::new(), Vec::new());
        let seen = Seen::in_temp_dir();
        let mut all = Runs { runs, seen, key, asked: None, checked: Checked::default() };
        while let Some(line) = lines.next()? {
            all.checked.lines += 1;
            match Record::read(line.bytes).filter(|_| line.whole) {
                Some(record) => all.take(&record)?,
                None => all.checked.fault(all.checked.lines, What::Unreadable),
            }
        }
        Ok(all.finish(seal))
    }

    /// The line that was read last, which belongs to `run`, does not hold.
    fn fault(&mut self, run: RunId, what: What) {
        if let Some(run) = self.runs.get_mut(&run) {
            run.damaged = true;
        }
        self.checked.fault(self.checked.lines, what);
    }

    fn take(&mut self, record: &Record<'_>) -> Result<(), Unverified> {
        let (run, n) = (record.run, record.n);
        let is_known = self.runs.contains_key(&run);
        match &record.kind {
            Kind::Start { .. } if is_known => {
                self.fault(run, What::StartsTwice(run));
                return Ok(());
            }
            Kind::Start { profile, url, at, origin } => {
                self.start(run, origin.as_ref());
                self.say(run, profile, url, at);
            }
            _ if is_known => {}
            _ => {
                self.add(run, run);
                self.fault(run, What::NoStart(run));
            }
        }
        if !self.follow(record) {
            return Ok(());
        }
        match &record.kind {
            Kind::Start { .. } => {}
            Kind::Lookup { id, outcome, synced } => {
                self.checked.counts.add(*outcome);
                if let Some(run) = self.runs.get_mut(&run) {
                    run.counts.add(*outcome);
                }
                if synced.is_some_and(|synced| synced >= n) {
                    self.fault(run, What::Claim { run, n });
                }
                self.once(run, id)?;
            }
            Kind::End { complete, counts } => self.end(run, *complete, counts),
        }
        Ok(())
    }

    fn add(&mut self, run: RunId, root: RunId) {
        let (strand, counts) = (Strand::default(), Counts::default());
        let (records, state, place) = (0, RunState::Open, self.checked.runs);
        let (continued, broken) = (false, false);
        self.checked.runs += 1;
        let (damaged, asked, at) = (false, None, None);
        self.runs.insert(
            run,
            Run {
                strand,
                root,
                records,
                counts,
                state,
                continued,
                broken,
                damaged,
                asked,
                at,
                place,
            },
        );
    }

    /// Keeps what a first record says.
    fn say(&mut self, run: RunId, profile: &str, url: &str, at: &str) {
        let is_same = |asked: &&Arc<Asked>| asked.profile == profile && asked.url == url;
        let asked = self.asked.as_ref().filter(is_same).map_or_else(
            || Arc::new(Asked { profile: profile.to_owned(), url: url.to_owned() }),
            Arc::clone,
        );
        if let Some(run) = self.runs.get_mut(&run) {
            run.asked = Some(Arc::clone(&asked));
            run.at = at.parse().ok();
        }
        self.asked = Some(asked);
    }

    /// A run begins, on its own or where another was.
    fn start(&mut self, run: RunId, origin: Option<&Origin>) {
        self.add(run, origin.map_or(run, |origin| origin.root));
        let Some(origin) = origin else { return };
        let is_tied = self.runs.get_mut(&origin.run).is_some_and(|before| {
            let is_last =
                before.strand == Strand { next: origin.n.saturating_add(1), sum: origin.sum };
            let is_free = !std::mem::replace(&mut before.continued, true);
            if before.state == RunState::Open {
                before.state = RunState::Continued;
            }
            is_last && is_free && before.root == origin.root
        });
        if !is_tied {
            self.fault(run, What::Loose(run));
        }
    }

    /// Whether a record is to be counted: all but those that were there before.
    fn follow(&mut self, record: &Record<'_>) -> bool {
        let (run, n) = (record.run, record.n);
        let Some(state) = self.runs.get_mut(&run) else { return false };
        let followed = state.strand.follow(record);
        let is_late = state.continued || state.state != RunState::Open;
        let broken = match followed {
            Ok(()) => None,
            // Its missing beginning has been said.
            Err(Break::Missing(0)) => None,
            Err(Break::Missing(from)) => Some(What::Missing { run, from, to: n - 1 }),
            Err(Break::Repeated) => Some(What::Repeated { run, n }),
            Err(Break::Changed) => Some(What::Changed { run, n }),
        };
        let is_new = followed != Err(Break::Repeated);
        state.broken |= is_new && followed.is_err();
        state.records += u64::from(is_new);
        if let Some(what) = broken {
            self.fault(run, what);
        }
        if is_late && is_new {
            self.fault(run, What::Late { run, n });
        }
        is_new
    }

    /// An id ends once in all runs that go on with one another.
    fn once(&mut self, run: RunId, id: &str) -> Result<(), Unverified> {
        let root = self.runs.get(&run).map_or(run, |run| run.root);
        self.key.clear();
        self.key.extend_from_slice(root.0.as_bytes());
        self.key.extend_from_slice(id.as_bytes());
        if !self.seen.insert(&self.key).map_err(Unverified::Room)? {
            let mut shown = Vec::new();
            escape::plain(id, &mut shown);
            self.fault(run, What::Doubled(String::from_utf8_lossy(&shown).into_owned()));
        }
        Ok(())
    }

    fn end(&mut self, run: RunId, complete: bool, counts: &Counts) {
        let Some(state) = self.runs.get_mut(&run) else { return };
        if state.state == RunState::Open {
            state.state = if complete { RunState::Complete } else { RunState::Incomplete };
        }
        if state.counts != *counts && !state.broken {
            self.fault(run, What::Counts(run));
        }
    }

    fn finish(self, seal: Option<Sum>) -> Checked {
        let Runs { runs, mut checked, .. } = self;
        checked.open_runs = runs.values().filter(|run| run.state == RunState::Open).count() as u64;
        checked.sealed =
            seal.map(|seal| runs.values().any(|run| run.has_ended() && run.strand.sum == seal));
        let mut newest: Vec<(RunId, Run)> = runs.into_iter().collect();
        newest.sort_unstable_by_key(|(_, run)| std::cmp::Reverse(run.place));
        for (id, run) in newest {
            if !checked.keeps() {
                break;
            }
            checked.newest.push_front(run.checked(id));
        }
        checked
    }
}

impl Run {
    fn has_ended(&self) -> bool {
        matches!(self.state, RunState::Complete | RunState::Incomplete)
    }

    fn checked(self, run: RunId) -> RunChecked {
        let Run { strand, root, records, counts, state, damaged, asked, at, .. } = self;
        RunChecked { run, root, state, damaged, asked, at, records, counts, sum: strand.sum }
    }
}
