//! The way out of HTTP: who answers a request may ask for its connection, and gets the socket once
//! the head of the reply is on its way. For replies without an end: thousands of them are open, and
//! each would else keep a task and the buffers of hyper.
//!
//! Must never know what is sent then.

use crate::seats::Seat;
use bytes::Bytes;
use hyper::body::{Body, Frame};
use std::convert::Infallible;
use std::mem;
use std::net::TcpStream;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// Takes a connection over, with its place among the connections. The socket does not block.
pub(crate) type Takeover = Box<dyn FnOnce(TcpStream, Seat) + Send>;

/// The way out of one connection; clones are of the same.
#[derive(Clone, Default)]
pub(crate) struct Exit(Arc<Mutex<Door>>);

#[derive(Default)]
enum Door {
    #[default]
    Closed,
    /// Asked for while the head of the reply may wait in a buffer.
    Asked(Takeover),
    /// All that was written is with the system.
    Open(Takeover),
}

impl Exit {
    fn ask(&self, takeover: Takeover) {
        *self.door() = Door::Asked(takeover);
    }

    /// All that was written so far is with the system.
    pub(crate) fn flushed(&self) {
        let mut door = self.door();
        *door = match mem::take(&mut *door) {
            Door::Asked(takeover) => Door::Open(takeover),
            door => door,
        };
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(*self.door(), Door::Open(_))
    }

    /// Who takes the connection over, if anybody does.
    pub(crate) fn leave(&self) -> Option<Takeover> {
        match mem::take(&mut *self.door()) {
            Door::Open(takeover) => Some(takeover),
            Door::Closed | Door::Asked(_) => None,
        }
    }

    /// No code panics while it holds the lock.
    fn door(&self) -> MutexGuard<'_, Door> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body of a reply that goes on outside HTTP: nothing, for ever. It asks for the connection
/// when it is its turn, which is after the head; dropped before that, it asks for nothing.
pub(crate) struct BodyElsewhere {
    exit: Exit,
    takeover: Option<Takeover>,
}

impl BodyElsewhere {
    pub(crate) fn new(exit: Exit, takeover: Takeover) -> BodyElsewhere {
        BodyElsewhere { exit, takeover: Some(takeover) }
    }
}

impl Body for BodyElsewhere {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(takeover) = self.takeover.take() {
            self.exit.ask(takeover);
        }
        Poll::Pending
    }
}
