//! The fast lane: epoll threads that answer the two requests that storm.
//!
//! ```text
//! accept ─▶ read ─▶ is it exactly `POST /v1/sales/{sale}/orders` or `POST /publish` of one event,
//!             │    complete, valid, allowed?
//!             │ yes                                    │ no
//!             ▼                                        ▼
//!   one group a round ─▶ engine               the full lane (hyper and the router) takes the
//!             ▼                               connection over, with the bytes read so far
//!   one write for all replies of a group to one connection
//! ```
//!
//! A purchase at full load costs two syscalls here, one read and one write,
//! and one wake-up of the engine for all requests of a round; requests that were
//! sent one behind the other share even those two. Everything unusual, every
//! mistake included, is the full lane's: it explains, this one only serves. So the contract is written once and the lane can stay small;
//! tests ask both lanes the same questions.
//!
//! Must never know: routes other than the two, error texts, what a sale is.

mod admission;
mod answering;
mod connection;
mod door;
mod event_loop;
mod mailbox;
mod pipeline;
mod placing;
mod publishing;
mod reply;
pub(crate) mod request;
mod taking;
mod trip;

use crate::limits::{CROWDING_MEMORY, HANDOVERS_MAX};
use crate::seats::Seat;
use crate::state::App;
use mailbox::Mailbox;
pub(crate) use reply::write_busy;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc;

/// Limits of the fast lane.
#[derive(Clone, Copy, Debug)]
pub struct LaneOptions {
    /// Threads that serve; connections are dealt out in turn. With 0 there is no fast lane.
    pub threads: usize,
    /// Longest time for a request to arrive whole, and for its reply to be taken.
    pub request_timeout: Duration,
    /// Longest silence between requests.
    pub idle_timeout: Duration,
    /// For so long after the last was turned away it counts that callers left before they were
    /// answered.
    pub crowding_memory: Duration,
}

impl Default for LaneOptions {
    fn default() -> Self {
        LaneOptions {
            threads: 1,
            request_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            crowding_memory: CROWDING_MEMORY,
        }
    }
}

/// A connection that the full lane takes over.
pub(crate) struct Handover {
    /// The socket, non-blocking.
    pub(crate) stream: std::net::TcpStream,
    /// What was read and not answered.
    pub(crate) already_read: Vec<u8>,
    /// Its place among the connections; dropped when it closes.
    pub(crate) seat: Seat,
}

/// The running threads of the fast lane.
pub(crate) struct Lanes {
    mailboxes: Vec<Arc<Mailbox>>,
    threads: Vec<JoinHandle<()>>,
}

impl Lanes {
    /// Serves `listener`; what is not for the fast lane arrives at the receiver.
    ///
    /// # Errors
    /// When the system has no more threads or file descriptors.
    pub(crate) fn start(
        listener: TcpListener,
        options: LaneOptions,
        app: &App,
    ) -> io::Result<(Lanes, mpsc::Receiver<Handover>)> {
        let (handovers, taken_over) = mpsc::channel(HANDOVERS_MAX);
        let mut polls = Vec::new();
        let mut mailboxes = Vec::new();
        for _ in 0..options.threads.max(1) {
            let poll = mio::Poll::new()?;
            mailboxes.push(Arc::new(Mailbox::new(&poll)?));
            polls.push(poll);
        }
        let mut listener = Some(listener);
        let mut threads = Vec::new();
        for (index, poll) in polls.into_iter().enumerate() {
            let door = match listener.take() {
                Some(listener) => Some(door::Door::open(
                    &poll,
                    listener,
                    mailboxes.clone(),
                    app.seats.clone(),
                    Arc::clone(&app.node),
                )?),
                None => None,
            };
            let lane = event_loop::EventLoop::new(event_loop::Setup {
                poll,
                door,
                mailbox: Arc::clone(&mailboxes[index]),
                options,
                app: app.clone(),
                handovers: handovers.clone(),
            });
            threads.push(
                std::thread::Builder::new()
                    .name(format!("lane-{index}"))
                    .spawn(move || lane.run_until_stopped())?,
            );
        }
        Ok((Lanes { mailboxes, threads }, taken_over))
    }

    /// Accepts no more, answers what is in flight, closes, and waits for the threads.
    pub(crate) fn stop(self) {
        self.mailboxes.iter().for_each(|mailbox| mailbox.stop());
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a lane thread panicked");
            }
        }
    }
}
