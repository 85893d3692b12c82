//! Histograms of the two calls that storm, counted by whoever answers and passed on in one go.
//!
//! Not through the recorder, which would keep every sample until the next upkeep.

use super::exposition::Exposition;
use axum::http::StatusCode;
use kilat_api::problem::Code;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Time from a whole request to buy to its reply.
pub(super) static ORDER_SECONDS: Durations = Durations::new();
/// Time from a whole request to publish to its reply.
pub(super) static PUBLISH_SECONDS: Durations = Durations::new();

/// Time from the head of a request to a gateway's reply to it.
pub(super) static GATEWAY_SECONDS: Durations = Durations::new();

/// Upper bounds of the buckets, in microseconds.
const MICROS: [u64; 12] =
    [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 500_000, 2_500_000];
const BUCKETS: usize = MICROS.len() + 1;

/// What a reply said, in few words: each is a series of its own for every bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It was done.
    Accepted,
    /// It had been done before, and the same was said again.
    Replayed,
    /// The rules or the contract said no.
    Refused,
    /// It could not be decided: overload, no space, a stop.
    Failed,
}

impl Answer {
    pub(super) const ALL: [Answer; 4] =
        [Answer::Accepted, Answer::Replayed, Answer::Refused, Answer::Failed];

    /// What a reply with this code said.
    pub(crate) fn of(code: Code) -> Answer {
        if code.status() >= 500 { Answer::Failed } else { Answer::Refused }
    }

    /// What a label of `flash_sale_requests_total` stands for.
    pub(super) fn of_label(label: &str) -> Answer {
        match (label, Code::from_code(label)) {
            (_, Some(code)) => Answer::of(code),
            ("replayed", None) => Answer::Replayed,
            (_, None) => Answer::Accepted,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Answer::Accepted => "accepted",
            Answer::Replayed => "replayed",
            Answer::Refused => "refused",
            Answer::Failed => "failed",
        }
    }
}

impl From<StatusCode> for Answer {
    fn from(status: StatusCode) -> Answer {
        match status.as_u16() {
            500.. => Answer::Failed,
            400.. => Answer::Refused,
            _ => Answer::Accepted,
        }
    }
}

/// One thread's share of [`Durations`].
#[derive(Default)]
pub(super) struct Tally([Share; Answer::ALL.len()]);

#[derive(Default)]
struct Share {
    noted: u64,
    buckets: [u64; BUCKETS],
    micros: u64,
}

impl Tally {
    pub(super) fn note(&mut self, answer: Answer, duration: Duration) {
        let (micros, bucket) = place(duration);
        let share = &mut self.0[answer as usize];
        share.noted += 1;
        share.buckets[bucket] += 1;
        share.micros = share.micros.saturating_add(micros);
    }
}

/// Its microseconds, and their bucket.
fn place(duration: Duration) -> (u64, usize) {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    (micros, MICROS.iter().position(|bound| micros <= *bound).unwrap_or(MICROS.len()))
}

/// A histogram for each [`Answer`].
pub(super) struct Durations([Totals; Answer::ALL.len()]);

struct Totals {
    buckets: [AtomicU64; BUCKETS],
    micros: AtomicU64,
}

impl Durations {
    const fn new() -> Durations {
        Durations(
            [const {
                Totals {
                    buckets: [const { AtomicU64::new(0) }; BUCKETS],
                    micros: AtomicU64::new(0),
                }
            }; Answer::ALL.len()],
        )
    }

    /// Adds one.
    pub(super) fn note(&self, answer: Answer, duration: Duration) {
        let (micros, bucket) = place(duration);
        let totals = &self.0[answer as usize];
        totals.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        totals.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Adds what one thread noted, and empties it.
    pub(super) fn add(&self, tally: &mut Tally) {
        for (totals, share) in self.0.iter().zip(&mut tally.0).filter(|(_, share)| share.noted > 0)
        {
            let share = std::mem::take(share);
            for (total, count) in totals.buckets.iter().zip(share.buckets) {
                if count > 0 {
                    total.fetch_add(count, Ordering::Relaxed);
                }
            }
            totals.micros.fetch_add(share.micros, Ordering::Relaxed);
        }
    }

    /// Writes the histogram called `name` for the answers that there can be.
    pub(super) fn render(&self, out: &mut Exposition, name: &str, help: &str, answers: &[Answer]) {
        out.family(name, "histogram", help);
        for answer in answers {
            let totals = &self.0[*answer as usize];
            let mut count = 0;
            for (index, bucket) in totals.buckets.iter().enumerate() {
                count += bucket.load(Ordering::Relaxed);
                let bound = MICROS.get(index).map_or_else(
                    || "+Inf".to_owned(),
                    |bound| Duration::from_micros(*bound).as_secs_f64().to_string(),
                );
                let labels = [("answer", answer.as_str()), ("le", &bound)];
                out.sample(&format!("{name}_bucket"), &labels, count);
            }
            let labels = [("answer", answer.as_str())];
            let seconds = Duration::from_micros(totals.micros.load(Ordering::Relaxed));
            out.sample(&format!("{name}_sum"), &labels, seconds.as_secs_f64());
            out.sample(&format!("{name}_count"), &labels, count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stand_for_answers() {
        let table = [
            ("confirmed", Answer::Accepted),
            ("held", Answer::Accepted),
            ("replayed", Answer::Replayed),
            ("sold_out", Answer::Refused),
            ("invalid", Answer::Refused),
            ("overloaded", Answer::Failed),
            ("storage_full", Answer::Failed),
        ];
        for (label, answer) in table {
            assert_eq!(Answer::of_label(label), answer, "{label}");
        }
    }

    #[test]
    fn what_is_noted_is_shown_once_and_in_every_bucket_above() {
        let durations = Durations::new();
        let mut tally = Tally::default();
        tally.note(Answer::Refused, Duration::from_micros(51));
        tally.note(Answer::Refused, Duration::from_secs(60));
        durations.add(&mut tally);
        durations.add(&mut tally);
        let mut out = Exposition::default();
        durations.render(&mut out, "d", "Durations", &Answer::ALL);
        let text = out.into_text();
        for line in [
            r#"d_bucket{answer="refused",le="0.00005"} 0"#,
            r#"d_bucket{answer="refused",le="0.0001"} 1"#,
            r#"d_bucket{answer="refused",le="2.5"} 1"#,
            r#"d_bucket{answer="refused",le="+Inf"} 2"#,
            r#"d_sum{answer="refused"} 60.000051"#,
            r#"d_count{answer="refused"} 2"#,
            r#"d_count{answer="accepted"} 0"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
