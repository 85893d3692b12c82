//! Accepts connections and hands each on, at most so many at once.

use crate::seats::{Seat, Seats};
use std::io::{self, ErrorKind};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Pause when no connection can be accepted, for example without free file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts until `stopping` turns `true`; then the listener is closed.
///
/// A connection for which a seat is free goes to `take`. Another is told so by
/// `turn_away`, which must not wait, and is closed.
pub(crate) async fn accept(
    listener: TcpListener,
    seats: Seats,
    mut stopping: watch::Receiver<bool>,
    take: impl Fn(TcpStream, Seat),
    turn_away: impl Fn(std::net::TcpStream),
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
                    take(stream, seat);
                }
                // It is non-blocking still.
                None => stream.into_std().into_iter().for_each(&turn_away),
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
