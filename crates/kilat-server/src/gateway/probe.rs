//! Asks each replica again and again whether it is ready.
//!
//! Must never know what else is sent to it.

use super::limits::{KEPT_REPLY_BYTES_MAX, PROBE_EVERY, PROBE_TIMEOUT};
use super::replicas::{Health, Member, Replica, Replicas};
use super::reply;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rand::RngExt;
use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Shortest time between two probes, however much a replica is doubted.
const PROBE_PAUSE: Duration = Duration::from_millis(10);

/// What a replica says of itself.
enum Answer {
    Well,
    /// It can do no work now, but lives and can say why.
    Unwell(StatusCode),
    /// It is stopping.
    Leaving,
}

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
        Ok(Ok(Answer::Well)) => (Health::Ready, String::new()),
        Ok(Ok(Answer::Leaving)) => (Health::Out, "it is stopping".to_owned()),
        Ok(Ok(Answer::Unwell(status))) => (Health::Doubtful, format!("/readyz says {status}")),
        Ok(Err(error)) => (Health::Out, error.to_string()),
        Err(_) => (Health::Doubtful, "a probe was not answered in time".to_owned()),
    }
}

/// On a connection of its own: one that is kept would not tell whether others are accepted.
async fn ask(replica: &Replica) -> Result<Answer, Box<dyn Error + Send + Sync>> {
    let stream = replica.connect().await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/readyz")
        .header(HOST, replica.to_string())
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let mut answer = pin!(async { Answer::of(sender.send_request(request).await?).await });
    tokio::select! {
        answer = answer.as_mut() => answer,
        // It ends with the reply, if there is one.
        ended = connection => {
            ended?;
            answer.await
        }
    }
}

impl Answer {
    async fn of(reply: Response<Incoming>) -> Result<Answer, Box<dyn Error + Send + Sync>> {
        let (head, body) = reply.into_parts();
        if head.status == StatusCode::OK {
            return Ok(Answer::Well);
        }
        let body = Limited::new(body, KEPT_REPLY_BYTES_MAX).collect().await?.to_bytes();
        let is_leaving = reply::is_leaving(head.status, &body);
        Ok(if is_leaving { Answer::Leaving } else { Answer::Unwell(head.status) })
    }
}
