//! Concurrent bulk lookups with an audit log: thousands of ids asked of an API, each
//! ending exactly once as found, not found or unknown.
//!
//! Knows how to ask, how to wait and how to write down; never how the API finds its answer.
//!
//! | module | holds |
//! |---|---|
//! | `options`, `plan`, `spans` | what is asked for, and whether it can work |
//! | `profile` | how an API is asked, and how its replies are understood |
//! | `ids`, `estimate` | what is to be looked up, and about how many |
//! | `call` | one request and its reply |
//! | `exchange` | how a request comes to its reply, or why not |
//! | `pace` | how hard the API may be asked |
//! | `lookups`, `gauges`, `stop` | all of them at once; how far it is, and ending it |
//! | `finding` | what is learned of one id |
//! | [`audit`] | the log of a check |
//! | `show` | what people and programs see of it |
//! | `round`, `watch` | all of the above put together, once or again and again |
//! | `again` | the command that goes on where a check ended |

mod again;
pub mod audit;
mod call;
mod estimate;
mod exchange;
mod finding;
mod gauges;
mod ids;
mod lookups;
mod options;
mod pace;
mod plan;
mod profile;
mod round;
mod show;
mod spans;
mod stop;
mod watch;

pub use finding::{Finding, ID_BYTES_MAX, ID_SENT_BYTES_MAX, Id, Outcome};
pub use options::{CheckOptions, InputForm, LogFormat, OutputForm, Secret};
pub use pace::{
    CONCURRENCY_FIXED_MAX, CONCURRENCY_MAX, CONCURRENCY_UNASKED_MAX, HedgeAfter, PaceOptions, Rate,
};
pub use plan::unknown_profile;
pub use profile::{Profile, SeedTexts};
pub use show::{Progress, Report, Resumed, Traffic, WATCHED_IDS_MAX};
pub use spans::{parse_hedge, parse_rate, parse_span};
pub use stop::Stop;

use crate::ClientError;
use plan::Plan;
use round::Rounds;
use show::PageFile;
use std::io::Write;

/// Checks as asked, and shows on `out` what it learns.
///
/// Ids that are unknown, and a run that ended before all had been asked, are in the report, not
/// an error. With [`CheckOptions::watch`] it returns when it is stopped.
///
/// # Errors
/// [`ClientError::Usage`] for what can't work, before anything is sent or written;
/// [`ClientError::Storage`] when the log can't be written.
pub fn run(
    options: &CheckOptions,
    progress: &mut Progress,
    out: Box<dyn Write + Send>,
) -> Result<Report, ClientError> {
    let plan = Plan::new(options)?;
    let claim = |path| PageFile::claim(path, options.overwrite || options.resume, options.lang);
    let page = options.html.as_deref().map(claim).transpose()?;
    if let Some(few) = plan.few_connections() {
        progress.line(&options.lang.say("check.run.few_files", &[("allowed", &few)]));
    }
    let mut rounds = Rounds::new(options, &plan, page, out)?;
    let result = match options.watch {
        None => rounds.once(progress),
        Some(every) => rounds.watch(every, progress),
    };
    rounds.leave();
    result
}
