//! Events over HTTP: publish, read, follow, count, forget.
//!
//! | module | holds |
//! |---|---|
//! | `publish` | from a request to a publication, and from verdicts to a reply |
//! | `form` | in which of the forms a request holds its events |
//! | `pages` | `GET /events`, and who may see which events |
//! | `follow` | `GET /events/stream`: the log as server-sent events |
//! | `figures` | `GET /topics` and `GET /stats` |
//! | `forget` | dropping what old events said |
//! | `render` | events and results as JSON |
//!
//! Must never know how events are stored or compared; what is equal was decided
//! when they were read.

pub(crate) mod figures;
pub(crate) mod follow;
pub(crate) mod forget;
mod form;
pub(crate) mod pages;
pub(crate) mod publish;
mod render;

pub(crate) use render::put_one;

use crate::problem::Fault;
use crate::state::App;
use axum::http::Uri;
use kilat_api::problem::{Code, FieldFault, Problem};
use kilat_engine::ReadError;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// The parameters of an address.
fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Fault> {
    serde_urlencoded::from_str(uri.query().unwrap_or_default())
        .map_err(|error| invalid("", error.to_string()))
}

fn invalid(field: &str, message: impl Into<String>) -> Fault {
    Problem::invalid(vec![FieldFault::new(field, message)]).into()
}

/// A log that can't be read: what is wrong is for the operator.
fn unreadable(error: &ReadError) -> Fault {
    match error {
        ReadError::Core(why) => (*why).into(),
        ReadError::Log(error) => {
            tracing::error!(%error, "the event log can't be read");
            Code::Internal.into()
        }
    }
}

/// Runs what reads files where nobody else waits for it: a few at a time, since each thread keeps
/// memory of its own, and the disk is no faster for more.
async fn apart<T: Send + 'static>(
    app: &App,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    // Never closed while the server lives.
    let Ok(place) = Arc::clone(&app.file_reads).acquire_owned().await else {
        return Err(Code::ShuttingDown.into());
    };
    let work = move || {
        let _place = place;
        work()
    };
    // Only a panic of the work is an error here, and the panic was reported.
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(Code::Internal.into()))
}
