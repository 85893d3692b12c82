//! A stampede of buyers, then the proof.
//!
//! | module | holds |
//! |---|---|
//! | `options` | what the caller asks, and the checked plan made of it |
//! | `stage` | the sale and its figures before the first buyer |
//! | `schedule` | when the next order starts |
//! | `generator`, `connection` | one event loop, thousands of connections |
//! | `request`, `reply` | bytes to the wire and from it |
//! | `witness`, `tally` | what the server promised, and counts |
//! | `proof`, `readback` | what the sale says afterwards, held against it |
//! | `report`, `text`, `page` | the result as data, text and HTML |
//! | `progress` | what people see while it runs |

mod connection;
mod generator;
mod options;
mod page;
mod progress;
mod proof;
mod readback;
mod reply;
mod report;
mod request;
mod schedule;
mod stage;
mod tally;
mod target;
mod text;
mod witness;

pub use crate::latency::{Latency, LatencyBucket};
pub use options::{
    AttackOptions, BUYERS_MAX, CONNECTIONS_DEFAULT, CONNECTIONS_MAX, ORDERS_MAX, RATE_MAX, WAIT_MAX,
};
pub use progress::Output;
pub use proof::{CHECKS, Check, CheckResult};
pub use report::{AttackReport, Orders, Setup, TimelineStep, Traffic};
pub use witness::Evidence;

pub(crate) use options::mix;
pub(crate) use proof::{decide, promised_always};
pub(crate) use text::mark;
pub(crate) use witness::{EXAMPLES_MAX, Promises};

use crate::http::{Access, Api, CallError, Patience, Token};
use crate::{ClientError, Lang};
use generator::Generator;
use options::Plan;
use proof::Court;
use target::Target;

/// Files that a process needs beside its connections.
const FILES_BESIDE: u64 = 64;

/// Runs an attack and proves its result. A rehearsal sale is closed in the end, whatever came of it,
/// if it was made for this attack.
///
/// A result that does not hold is a report with [`AttackReport::proven`]
/// `false`, not an error.
///
/// # Errors
/// [`ClientError::Usage`] for options that can't work, [`ClientError::Unreachable`]
/// when nothing answers at the start, [`ClientError::Refused`] when the server
/// says that the request itself is wrong.
pub fn run(options: &AttackOptions, output: &mut Output) -> Result<AttackReport, ClientError> {
    let plan = Plan::new(options)?;
    raise_file_limit(&plan, options.lang)?;
    let token = options.admin_token.as_ref().or(options.api_token.as_ref());
    let access = Access { url: plan.url.clone(), token: token.cloned(), timeout: options.timeout };
    let api = Api::new(&access, options.lang)?;
    stage::prepare(&api, &plan, options)?;
    let report = storm(&api, &plan, options, output);
    let closed = plan.closes.then(|| close(&api, &plan, options, output));
    report.map(|report| AttackReport { rehearsal_closed: closed, ..report })
}

/// From the first order to the proof.
fn storm(
    api: &Api,
    plan: &Plan,
    options: &AttackOptions,
    output: &mut Output,
) -> Result<AttackReport, ClientError> {
    let before = stage::figures(api, plan, options.lang)?;
    let target = Target::resolve(plan, options.lang)?;
    announce(plan, &before, output);
    let started_at = jiff::Timestamp::now();
    let order_token = order_token(plan, options)?;
    let generator = Generator::new(plan, target, order_token, &options.cancel)
        .map_err(|e| ClientError::Fault(format!("epoll: {e}")))?;
    let outcome = generator.run(output);
    output.finish();
    let mut aftermath = outcome?;
    output.say("progress.proving", &[]);
    let patience = Patience { limit: options.patience, cancel: &options.cancel };
    let is_admin = options.admin_token.is_some();
    let court = Court { api, plan, patience, before: &before, is_admin };
    let proof = court.prove(&mut aftermath, output);
    Ok(report::write(plan, started_at, before, &aftermath, proof))
}

/// Closes the rehearsal sale; whether that was done.
fn close(api: &Api, plan: &Plan, options: &AttackOptions, output: &Output) -> bool {
    let closed = stage::close(api, plan, options);
    if let Err(error) = &closed {
        let why = error.explain(&plan.url, options.lang);
        output.say("progress.left_open", &[("sale", &plan.sale), ("why", &why)]);
    }
    closed.is_ok()
}

/// What orders have to carry: the token given for them, or the admin token
/// where the server takes no order without one.
fn order_token<'a>(
    plan: &Plan,
    options: &'a AttackOptions,
) -> Result<Option<&'a Token>, ClientError> {
    if options.api_token.is_some() || options.admin_token.is_none() {
        return Ok(options.api_token.as_ref());
    }
    let stranger = Access { url: plan.url.clone(), token: None, timeout: options.timeout };
    let no_order = format!("/v1/sales/{}/orders/{:032x}", plan.sale, 0);
    let asked = Api::new(&stranger, options.lang)?.get(&no_order);
    let is_guarded = matches!(asked, Err(CallError::Refused { status: 401, .. }));
    Ok(options.admin_token.as_ref().filter(|_| is_guarded))
}

fn announce(plan: &Plan, before: &kilat_api::audit::Audit, output: &Output) {
    let loop_kind = plan.rate.map_or_else(
        || output.lang().say("progress.closed_loop", &[]),
        |rate| output.lang().say("progress.open_loop", &[("rate", &rate)]),
    );
    output.say(
        "progress.opening",
        &[
            ("sale", &plan.sale),
            ("available", &output.lang().number(before.available)),
            ("buyers", &output.lang().number(u64::from(plan.buyers))),
            ("connections", &output.lang().number(u64::from(plan.connections))),
            ("loop", &loop_kind),
            ("run", &plan.run),
            ("seed", &plan.seed),
        ],
    );
}

/// A connection is an open file: asks the system for as many as are needed.
fn raise_file_limit(plan: &Plan, lang: Lang) -> Result<(), ClientError> {
    let needed = u64::from(plan.connections) + FILES_BESIDE;
    let allowed = rlimit::increase_nofile_limit(needed).unwrap_or(0);
    if allowed >= needed {
        return Ok(());
    }
    let values: [(&str, &dyn std::fmt::Display); 3] =
        [("connections", &plan.connections), ("needed", &needed), ("allowed", &allowed)];
    Err(ClientError::Usage(lang.say("error.files", &values)))
}
