//! The five reference lookup APIs, on a port of their own.
//!
//! Byte for byte what the seed's five servers answer, without their faults: a
//! delay comes after validation, and rows are never changed. Errors, refusals,
//! pages, stalls and broken connections can be rehearsed at given rates. Beside
//! a running sale, `/get_stock` answers for live sales first.
//!
//! | module | holds |
//! |---|---|
//! | `profile` | the table of the five |
//! | `dataset`, `text` | rows, read strictly and written as Flask writes them |
//! | `mistake` | what is wrong with a data set |
//! | `live` | sales of the engine as rows |
//! | `query` | the parameter, read as Werkzeug reads it |
//! | `rehearsal` | delays, fates, and how many at once |
//! | `reply`, `service` | replies, and the way from a request to one |
//!
//! Knows nothing about the router of the sale's API, and nothing about who
//! asks: what is here is public.

mod dataset;
mod live;
mod mistake;
mod profile;
mod query;
mod rehearsal;
mod reply;
mod service;
mod text;

pub use dataset::{DATASET_BYTES_MAX, Dataset};
pub use mistake::{DatasetError, Mistake, Wanted};
pub use profile::Profile;
pub use rehearsal::{BadRates, DELAY_MAX, Delay, Rehearsal};

use crate::accept;
use crate::connection;
use crate::connections::Connections;
use crate::limits::Limits;
use crate::seats::{Seat, Seats};
use crate::wire::Rules;
use bytes::Bytes;
use kilat_engine::Handle;
use live::LiveStock;
use rehearsal::{Draw, Gate};
use service::{Counts, Shared};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How requests are read: as the seed's servers do, if it is clear where they end. A rehearsed stall
/// ends when its client leaves.
const RULES: Rules = Rules { any_shape: true, half_closed: false, ..connection::RULES };

/// What the lookups are started with.
pub struct Options {
    /// Rows to answer from.
    pub dataset: Dataset,
    /// How long a lookup takes.
    pub delay: Delay,
    /// What goes wrong on purpose.
    pub rehearsal: Rehearsal,
    /// Makes delays and rehearsals repeatable.
    pub seed: Option<u64>,
    /// The engine whose live sales come before the rows of the stock.
    pub live: Option<Handle>,
    /// Limits.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            dataset: Dataset::reference(),
            delay: Delay::None,
            rehearsal: Rehearsal::default(),
            seed: None,
            live: None,
            limits: Limits::default(),
        }
    }
}

/// The running lookups.
pub struct Lookups {
    address: SocketAddr,
    connections: Arc<Connections>,
    accepting: JoinHandle<()>,
    stopping: watch::Sender<bool>,
}

impl Lookups {
    /// Serves `listener` on the current tokio runtime.
    ///
    /// # Errors
    /// When the socket can't be used.
    pub fn start(listener: std::net::TcpListener, options: Options) -> io::Result<Lookups> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let stopping = watch::Sender::new(false);
        let seats = Seats::new(options.limits.connections_max);
        let connections = Arc::new(Connections::new(options.limits, RULES, seats.clone()));
        let take = take(&connections, shared(options, stopping.subscribe()));
        let accept = accept::accept(listener, seats, stopping.subscribe(), take, reply::turn_away);
        Ok(Lookups { address, connections, accepting: tokio::spawn(accept), stopping })
    }

    /// Where they listen.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Accepts no more, answers what is in flight, and cuts off after
    /// `deadline` who is still busy. A rehearsed stall ends at once.
    pub async fn shutdown(self, deadline: Duration) {
        self.stopping.send_replace(true);
        // Only a panic would be an error, and tokio has reported it.
        let _ = self.accepting.await;
        if let Some(connections) = Arc::into_inner(self.connections) {
            connections.stop(deadline).await;
        }
    }
}

fn shared(options: Options, stopping: watch::Receiver<bool>) -> Arc<Shared> {
    Arc::new(Shared {
        dataset: options.dataset,
        live: options.live.as_ref().map(LiveStock::new),
        draw: Draw::new(options.delay, options.rehearsal, options.seed),
        gate: Gate::new(options.rehearsal.busy_above),
        retry_after_seconds: options.rehearsal.retry_after_seconds,
        counts: Counts::new(),
        stopping,
    })
}

fn take(
    connections: &Arc<Connections>,
    shared: Arc<Shared>,
) -> impl Fn(TcpStream, Seat) + Send + 'static {
    let connections = Arc::clone(connections);
    move |stream, seat| {
        connections.serve(stream, Bytes::new(), service::service(&shared), seat);
    }
}
