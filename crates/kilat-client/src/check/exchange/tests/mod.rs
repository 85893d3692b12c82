//! The exchange against servers that behave, and many that don't.

mod astray;
mod broken_off;
mod hostile;
mod modern;
mod noise;
mod retired;
mod reuse;
mod server;

use super::{Exchange, ExchangeOptions, Reply, Request, Setback};
use crate::Lang;
use bytes::Bytes;
use hyper::{HeaderMap, Method};
use std::time::Duration;

fn options() -> ExchangeOptions {
    ExchangeOptions { timeout: Duration::from_secs(10), ..ExchangeOptions::default() }
}

fn get(uri: &str) -> Request {
    Request {
        method: Method::GET,
        uri: uri.parse().unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        guarded: false,
    }
}

/// Runs `test` as a check runs: on one thread.
fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

fn exchange(options: &ExchangeOptions) -> Exchange {
    Exchange::new(options, Lang::English).unwrap()
}

/// What came back for one GET, as text.
fn ask(options: &ExchangeOptions, uri: &str) -> Result<(u16, String), Setback> {
    run(async { exchange(options).send(&get(uri)).await }).map(told)
}

#[expect(clippy::needless_pass_by_value, reason = "maps the value of a result")]
fn told(reply: Reply) -> (u16, String) {
    (reply.status, String::from_utf8_lossy(&reply.body).into_owned())
}
