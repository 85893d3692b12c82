//! Asks each replica again and again whether it is ready.
//!
//! Must never know what else is sent to it.

use super::limits::{PROBE_EVERY, PROBE_TIMEOUT};
use super::replicas::{Health, Member, Replica, Replicas};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper::StatusCode;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST};
use hyper_util::rt::TokioIo;
use rand::RngExt;
use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Shortest time between two probes, however much a replica is doubted.
const PROBE_PAUSE: Duration = Duration::from_millis(10);

/// Probes the replica at `index` for ever.
pub(super) async fn run(replicas: Arc<Replicas>, index: usize) {
    let Some(member) = replicas.members().get(index) else {
        return;
    };
    loop {
        let (health, why) = probe(&member.replica).await;
        tracing::trace!(replica = %member.replica, ?health, why, "probed");
        replicas.note(index, health, &why);
        sleep(PROBE_PAUSE).await;
        wait(member).await;
    }
}

/// Until the next probe is due or somebody doubts.
async fn wait(member: &Member) {
    // So that gateways and replicas do not all ask at the same time.
    let part = rand::rng().random_range(0.75..1.25);
    tokio::select! {
        () = sleep(PROBE_EVERY.mul_f64(part).saturating_sub(PROBE_PAUSE)) => {}
        () = member.doubt.notified() => {}
    }
}

async fn probe(replica: &Replica) -> (Health, String) {
    match timeout(PROBE_TIMEOUT, ask(replica)).await {
        Ok(Ok(StatusCode::OK)) => (Health::Ready, String::new()),
        Ok(Ok(status)) => (Health::Out, format!("/readyz says {status}")),
        Ok(Err(error)) => (Health::Out, error.to_string()),
        Err(_) => (Health::Silent, "a probe was not answered in time".to_owned()),
    }
}

/// On a connection of its own: one that is kept would not tell whether others are accepted.
async fn ask(replica: &Replica) -> Result<StatusCode, Box<dyn Error + Send + Sync>> {
    let stream = replica.connect().await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/readyz")
        .header(HOST, replica.to_string())
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let mut reply = pin!(sender.send_request(request));
    tokio::select! {
        reply = reply.as_mut() => Ok(reply?.status()),
        // It ends with the reply, if there is one.
        ended = connection => {
            ended?;
            Ok(reply.await?.status())
        }
    }
}
