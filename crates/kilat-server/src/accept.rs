//! Accepts connections and hands each to the full lane, at most so many at once.

use crate::full_lane::FullLane;
use crate::ids::RequestId;
use crate::render;
use bytes::Bytes;
use kilat_api::problem::Code;
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// Pause when no connection can be accepted, for example without free file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts until `stopping` turns `true`; then the listener is closed.
pub(crate) async fn accept(
    listener: TcpListener,
    lane: Arc<FullLane>,
    connections_max: usize,
    node: Arc<str>,
    mut stopping: watch::Receiver<bool>,
) {
    let seats = Arc::new(Semaphore::new(connections_max));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        };
        match accepted {
            Ok((stream, _)) => match Arc::clone(&seats).try_acquire_owned() {
                Ok(seat) => {
                    // Without it a small reply may wait for the peer's acknowledgement; with an error it only is slower.
                    let _ = stream.set_nodelay(true);
                    lane.take(stream, Bytes::new(), seat);
                }
                Err(_) => turn_away(stream, &node),
            },
            Err(error) if is_passing(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted for a moment");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Faults of the connection that was about to be accepted, not of the listener.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
    )
}

/// Tells a connection without a seat so, if it listens; it is closed either way.
fn turn_away(stream: TcpStream, node: &str) {
    let body = render::problem_body(Code::Overloaded);
    let id = RequestId::of(None);
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 1\r\n\
         connection: close\r\ncontent-length: {}\r\nx-request-id: {}\r\nx-kilat-node: {node}\r\n\r\n",
        body.len(),
        id.as_str(),
    );
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write_all(&[head.as_bytes(), body].concat());
    }
}
