//! Deliveries with duplicates in shuffled order, then the proof that every
//! event is stored exactly once and every counter moved by what was sent.
//!
//! | module | holds |
//! |---|---|
//! | `options` | what the caller asks, and the checked plan made of it |
//! | `deck` | which event each delivery carries |
//! | `render` | an event as bytes, and whether a stored one is the same |
//! | `flood` | the sending |
//! | `told` | what replies told about each event |
//! | `readback`, `verify` | what the log says afterwards, held against it |
//! | `report`, `text` | the result as data and text |

mod deck;
mod flood;
mod options;
mod readback;
mod render;
mod report;
mod text;
mod told;
mod verify;

pub use crate::events::Stats;
pub use options::{DELIVERIES_MAX, StressOptions};
pub use report::{Deliveries, Latency, Setup, StressReport, Traffic};
pub use verify::CHECKS;

use crate::ClientError;
use crate::events::Progress;
use crate::events::stats::Census;
use crate::http::{Api, CallError, Patience};
use flood::Flood;
use options::Plan;
use render::Renderer;
use verify::Verifier;

/// Sends the run and verifies it.
///
/// A result that does not hold is a report with [`StressReport::verified`]
/// `false`, not an error.
///
/// # Errors
/// [`ClientError::Usage`] for options that can't work, [`ClientError::Unreachable`]
/// when nothing answers at the start, [`ClientError::Refused`] when the server
/// says that the request itself is wrong, [`ClientError::Fault`] when its
/// answers are not what the contract says.
pub fn run(options: &StressOptions, progress: &mut Progress) -> Result<StressReport, ClientError> {
    let lang = options.lang;
    let plan = Plan::new(options)?;
    let api = Api::new(&options.access, lang)?;
    let explain = |error: CallError| error.explain(&plan.url, lang);
    let before = Stats::fetch(&api).map_err(explain)?;
    let census = Census::take(&api, &plan.topic).map_err(explain)?;
    announce(&plan, progress, lang);
    let started_at = jiff::Timestamp::now();
    let renderer = Renderer::new(&plan.topic, &plan.run, plan.seed);
    let stored_before = before.total_unique_events_processed;
    let flood = Flood::new(&plan, &renderer, stored_before, &options.cancel);
    let outcome = flood.run(&options.access, progress, lang);
    progress.finish();
    let aftermath = outcome?;
    progress.say("stress.verifying", &[]);
    let verdict = Verifier {
        api: &api,
        plan: &plan,
        renderer: &renderer,
        patience: Patience { limit: options.patience, cancel: &options.cancel },
        before: &before,
        census: &census,
        aftermath: &aftermath,
    }
    .verify();
    Ok(report::write(&plan, started_at, before, &aftermath, verdict))
}

fn announce(plan: &Plan, progress: &Progress, lang: crate::Lang) {
    progress.say(
        "stress.opening",
        &[
            ("events", &lang.number(plan.deck.deliveries())),
            ("unique", &lang.number(plan.deck.events())),
            ("topic", &plan.topic),
            ("batch", &lang.number(plan.batch)),
            ("connections", &lang.number(u64::from(plan.connections))),
            ("seed", &plan.seed),
        ],
    );
}
