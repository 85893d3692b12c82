//! Accepts connections and hands each to the full lane, at most so many at once.

use crate::full_lane::FullLane;
use crate::lane::write_busy;
use crate::seats::Seats;
use bytes::Bytes;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Pause when no connection can be accepted, for example without free file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts until `stopping` turns `true`; then the listener is closed.
pub(crate) async fn accept(
    listener: TcpListener,
    full_lane: Arc<FullLane>,
    seats: Seats,
    node: Arc<str>,
    mut stopping: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        };
        match accepted {
            Ok((stream, _)) => match seats.take() {
                Some(seat) => {
                    // Without it a reply may wait for the acknowledgement of the last one.
                    let _ = stream.set_nodelay(true);
                    full_lane.take(stream, Bytes::new(), seat);
                }
                None => turn_away(stream, &node),
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
pub(crate) fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
    )
}

/// Tells a connection without a seat so, if it listens; it is closed either way.
fn turn_away(stream: TcpStream, node: &str) {
    if let Ok(mut stream) = stream.into_std() {
        write_busy(&mut stream, node);
    }
}
