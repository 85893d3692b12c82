//! The same check again and again: the first round shows everything, each further one what changed.

use super::Id;
use super::audit::Seen;
use super::ids::IdInput;
use super::round::{Round, Rounds, passed};
use super::show::{Change, Kind, Paint, Progress, Report, WATCHED_IDS_MAX, clock};
use super::stop::Urgency;
use crate::ClientError;
use jiff::Zoned;
use std::pin::pin;
use std::time::{Duration, Instant};

/// Time between two looks at how long it is until the next round.
const NAP: Duration = Duration::from_secs(1);

impl Rounds<'_> {
    /// Repeats every so often, from start to start, until it is stopped.
    ///
    /// # Errors
    /// As [`super::run`]; [`ClientError::Usage`] for too many ids.
    pub(super) fn watch(
        &mut self,
        every: Duration,
        progress: &mut Progress,
    ) -> Result<Report, ClientError> {
        let ids = self.collect()?;
        let mut rounds = 0u64;
        loop {
            let began = Instant::now();
            let overwrite = self.options.overwrite && rounds == 0;
            let listed = vec![IdInput::Listed(ids.clone())];
            let round = self.round(listed, overwrite, progress)?;
            self.show_round(&round, rounds, progress);
            self.write_page(&round)?;
            rounds += 1;
            let is_over = |rounds: &Self| {
                rounds.options.stop.urgency() > Urgency::None || rounds.board.failure().is_some()
            };
            if !is_over(self) {
                self.wait_until(began + every, rounds, progress);
            }
            if is_over(self) {
                return Ok(self.stopped(round.report));
            }
        }
    }

    /// All ids, in memory: each round asks all of them.
    fn collect(&self) -> Result<Vec<Id>, ClientError> {
        let lang = self.options.lang;
        let seen = Seen::in_temp_dir();
        let began = Instant::now();
        let mut ids = self.open_ids(self.plan.inputs.clone(), seen)?;
        let left = self.plan.pace.after(began.elapsed()).deadline;
        self.runtime.block_on(async {
            let mut listed = Vec::new();
            let mut late = pin!(passed(left));
            loop {
                let next = tokio::select! {
                    next = ids.next() => next,
                    // The first round, begun and ended at once, says so in the log.
                    () = self.options.stop.until(Urgency::Soon) => None,
                    () = &mut late => {
                        return Err(ClientError::Usage(lang.say("check.input.watch_late", &[])));
                    }
                };
                let Some(next) = next else { return Ok(listed) };
                if listed.len() == WATCHED_IDS_MAX {
                    let most = lang.number(WATCHED_IDS_MAX as u64);
                    let message = lang.say("check.input.watch_ids", &[("most", &most)]);
                    return Err(ClientError::Usage(message));
                }
                listed.push(next?.1);
            }
        })
    }

    fn show_round(&self, round: &Round, rounds_before: u64, progress: &Progress) {
        if rounds_before == 0 {
            return self.show(round, progress);
        }
        let lang = self.options.lang;
        let time = Zoned::now().strftime("%H:%M:%S").to_string();
        let paint = Paint { colour: self.options.colour };
        let line = |change: &Change| {
            let values: [(&str, &dyn std::fmt::Display); 3] =
                [("time", &time), ("id", &change.id), ("text", &change.text)];
            let kind = if change.notable { Kind::Notable } else { Kind::Found };
            paint.kind(kind, &lang.say("check.run.changed", &values)) + "\n"
        };
        self.board.text(&round.changes.iter().map(line).collect::<String>());
        self.board.line(&round.report.to_json_line());
        if let Some(reason) = &round.report.reason {
            progress.line(&format!("{time}  {reason}"));
        }
    }

    /// Until then, or until it is stopped.
    fn wait_until(&self, next: Instant, rounds: u64, progress: &mut Progress) {
        let Self { options, runtime, .. } = self;
        loop {
            let left = next.saturating_duration_since(Instant::now());
            if left.is_zero() || options.stop.urgency() > Urgency::None {
                break;
            }
            let values: [(&str, &dyn std::fmt::Display); 2] =
                [("round", &rounds), ("left", &clock(left))];
            progress.wait(options.lang.say("check.run.wait", &values));
            runtime.block_on(async {
                let stopped = options.stop.until(Urgency::Soon);
                let _ = tokio::time::timeout(left.min(NAP), stopped).await;
            });
        }
        progress.finish();
    }

    /// The last round's report, when the watch has ended as it always does: it was stopped.
    fn stopped(&self, report: Report) -> Report {
        match self.board.failure() {
            Some(_) => Report { complete: false, ..report },
            None => Report { cancelled: true, ..report },
        }
    }
}
