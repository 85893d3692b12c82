//! Connections of one thread to the replicas that carry several orders at a time (RFC 9112,
//! section 9.3.2): those of a round leave in one write, and replies are taken many at a time.
//!
//! ```text
//! Pipes::send ─▶ Pipe (bytes to send, who waits) ─▶ Driver: one write ─▶ replica
//!                        each gets its reply ◀────── Driver: one read ◀────┘
//! ```
//!
//! Replies come in the order of the requests. One that is not understood, or comes to nobody, to
//! another or before its request was sent, ends the connection; then all who wait on it go
//! elsewhere. Must never know clients, or what an order means.

use super::super::limits::{DOUBT_EVERY, PIPE_DEPTH, PIPES_MAX, REPLY_TIMEOUT, SPARE_TIME_MAX};
use super::super::pool;
use super::super::replicas::Replicas;
use super::reply::{self, Reply, Unread};
use bytes::{Buf, BytesMut};
use futures_util::task::AtomicWaker;
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io::ErrorKind;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

/// Read at a time, at least.
const READ_BYTES: usize = 16 * 1024;

/// Why an order that was sent has no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum Broken {
    /// Nothing was sent: the replica can't be connected to.
    Unsent(ErrorKind),
    /// The replica broke the connection, or the protocol.
    Lost(Why),
    /// The replica does not answer, nor does it answer probes, and another is ready.
    Silent,
    /// The replica says that it is stopping.
    Leaving,
    /// There was no reply in time.
    Late,
    /// The replica broke the connection before the order was sent.
    Behind,
    /// The connection is over, by no fault of the replica.
    Over,
}

/// How a replica broke a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum Why {
    Closed,
    Failed(ErrorKind),
    NoReply,
    ReplyTooMany,
    ReplyToAnother,
}

/// What comes of an order that was sent.
pub(super) type Outcome = Result<Reply, Broken>;

/// All connections of a thread, by replica. The thread is their only user, so no lock here is ever
/// waited for.
pub(in crate::gateway) struct Pipes {
    replicas: Arc<Replicas>,
    open: Vec<Mutex<Vec<Arc<Pipe>>>>,
}

/// One connection, as those see it who send.
#[derive(Default)]
struct Pipe {
    state: Mutex<State>,
    waker: AtomicWaker,
}

#[derive(Default)]
struct State {
    /// To be sent.
    out: Vec<u8>,
    /// Bytes so far, sent or not.
    pushed: u64,
    /// Who waits for a reply, in the order of their requests. As many as have places with the
    /// replica, at most.
    waiting: VecDeque<Waiting>,
    is_over: bool,
}

struct Waiting {
    id: Box<str>,
    since: Instant,
    /// Where its request begins and ends among the bytes pushed.
    begin: u64,
    end: u64,
    reply: oneshot::Sender<Outcome>,
}

impl Pipes {
    pub(in crate::gateway) fn new(replicas: Arc<Replicas>) -> Pipes {
        let open = replicas.members().iter().map(|_| Mutex::default()).collect();
        Pipes { replicas, open }
    }

    /// Sends the request with this `id` to the replica at `index`, as it is written by `write`.
    pub(super) fn send(
        &self,
        index: usize,
        id: &str,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> oneshot::Receiver<Outcome> {
        self.pipe(index).push(id, write)
    }

    /// The first that has room, so that as few as possible are in use and much leaves at once.
    fn pipe(&self, index: usize) -> Arc<Pipe> {
        let mut pipes = lock(&self.open[index]);
        pipes.retain(|pipe| !lock(&pipe.state).is_over);
        let emptiest = pipes.iter().min_by_key(|pipe| pipe.depth());
        let with_room = pipes.iter().find(|pipe| pipe.depth() < PIPE_DEPTH);
        match with_room.or(emptiest.filter(|_| pipes.len() >= PIPES_MAX)) {
            Some(pipe) => Arc::clone(pipe),
            None => {
                let pipe = Arc::<Pipe>::default();
                pipes.push(Arc::clone(&pipe));
                tokio::spawn(run(Arc::clone(&self.replicas), index, Arc::clone(&pipe)));
                pipe
            }
        }
    }
}

impl Waiting {
    /// What becomes of it on a connection that `broke` after so many bytes were `sent`.
    fn learn(&self, broke: Broken, sent: u64) -> Broken {
        match broke {
            // Who came later can still be answered elsewhere.
            Broken::Late if self.since.elapsed() <= REPLY_TIMEOUT => Broken::Silent,
            Broken::Lost(_) if self.begin >= sent => Broken::Behind,
            _ => broke,
        }
    }
}

impl Pipe {
    fn depth(&self) -> usize {
        lock(&self.state).waiting.len()
    }

    fn push(&self, id: &str, write: impl FnOnce(&mut Vec<u8>)) -> oneshot::Receiver<Outcome> {
        let (reply, outcome) = oneshot::channel();
        let mut state = lock(&self.state);
        let before = state.out.len();
        write(&mut state.out);
        let begin = state.pushed;
        let end = begin + (state.out.len() - before) as u64;
        state.pushed = end;
        let waiting = Waiting { id: id.into(), since: Instant::now(), begin, end, reply };
        state.waiting.push_back(waiting);
        drop(state);
        self.waker.wake();
        outcome
    }

    /// Nobody is taken any more; each who waits hears why.
    fn end(&self, why: impl Fn(&Waiting) -> Broken) {
        let mut state = lock(&self.state);
        state.is_over = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for waiting in waiting {
            let why = why(&waiting);
            // Whoever waited may be gone.
            let _ = waiting.reply.send(Err(why));
        }
    }
}

/// No code panics while it holds a lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Connects, and drives the connection until it is over.
async fn run(replicas: Arc<Replicas>, index: usize, pipe: Arc<Pipe>) {
    let stream = match pool::open(&replicas.members()[index].replica).await {
        Ok(stream) => stream,
        Err(error) => return pipe.end(|_| Broken::Unsent(error.kind())),
    };
    let mut ticks = interval(DOUBT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut driver = Driver {
        pipe: Arc::clone(&pipe),
        replicas,
        index,
        stream,
        sending: Vec::new(),
        sending_from: 0,
        sent: 0,
        read: BytesMut::new(),
        ticks,
        used: Instant::now(),
    };
    let broken = poll_fn(|cx| driver.poll(cx)).await;
    pipe.end(|waiting| waiting.learn(broken, driver.sent));
}

/// One connection, from its other end.
struct Driver {
    pipe: Arc<Pipe>,
    replicas: Arc<Replicas>,
    index: usize,
    stream: TcpStream,
    /// Taken from the pipe, and how much of it was sent.
    sending: Vec<u8>,
    sending_from: usize,
    /// Bytes that were sent so far.
    sent: u64,
    /// Read and not understood.
    read: BytesMut,
    ticks: Interval,
    /// When there was something to do.
    used: Instant,
}

impl Driver {
    /// Ready when the connection is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Broken> {
        self.pipe.waker.register(cx.waker());
        // A connection that the replica closed meanwhile is not used any more.
        let driven = self.poll_receive(cx).and_then(|()| self.poll_send(cx));
        if let Err(broken) = driven {
            return Poll::Ready(broken);
        }
        while self.ticks.poll_tick(cx).is_ready() {
            if let Err(broken) = self.tick() {
                return Poll::Ready(broken);
            }
        }
        Poll::Pending
    }

    /// Sends until nothing is left or the replica takes no more.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Result<(), Broken> {
        loop {
            if self.sending_from == self.sending.len() {
                self.sending.clear();
                self.sending_from = 0;
                std::mem::swap(&mut lock(&self.pipe.state).out, &mut self.sending);
            }
            let rest = &self.sending[self.sending_from..];
            if rest.is_empty() {
                return Ok(());
            }
            match Pin::new(&mut self.stream).poll_write(cx, rest) {
                Poll::Ready(Ok(count)) => {
                    self.sending_from += count;
                    self.sent += count as u64;
                }
                Poll::Ready(Err(error)) => return Err(Broken::Lost(Why::Failed(error.kind()))),
                Poll::Pending => return Ok(()),
            }
        }
    }

    /// Reads until nothing is left, and answers.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Result<(), Broken> {
        loop {
            self.read.reserve(READ_BYTES);
            match pin!(self.stream.read_buf(&mut self.read)).poll(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err(Broken::Lost(Why::Closed)),
                Poll::Ready(Ok(_)) => self.answer()?,
                Poll::Ready(Err(error)) => return Err(Broken::Lost(Why::Failed(error.kind()))),
            }
        }
    }

    /// Gives each whole reply to who waits for it.
    fn answer(&mut self) -> Result<(), Broken> {
        while !self.read.is_empty() {
            let mut state = lock(&self.pipe.state);
            // What comes before anybody asked is nobody's.
            let Some(first) = state.waiting.front().filter(|first| first.end <= self.sent) else {
                return Err(Broken::Lost(Why::ReplyTooMany));
            };
            let seen = match reply::look(&self.read) {
                Ok(Some(seen)) => seen,
                Ok(None) => return Ok(()),
                Err(Unread::Broken) => return Err(Broken::Lost(Why::NoReply)),
                Err(Unread::Unusual) => return Err(Broken::Over),
            };
            if !seen.is_to(&first.id) {
                return Err(Broken::Lost(Why::ReplyToAnother));
            }
            let outcome =
                if seen.is_leaving() { Err(Broken::Leaving) } else { Ok(seen.to_reply(&first.id)) };
            // Whoever waited may be gone.
            state.waiting.pop_front().map(|first| first.reply.send(outcome));
            drop(state);
            let (length, is_last) = (seen.length, seen.is_last);
            self.read.advance(length);
            if is_last {
                return Err(Broken::Over);
            }
        }
        Ok(())
    }

    /// Looks whether whoever has waited longest has waited for too long, or nobody did.
    fn tick(&mut self) -> Result<(), Broken> {
        let waits = lock(&self.pipe.state).waiting.front().map(|first| first.since.elapsed());
        let Some(waits) = waits else {
            let is_spare = self.used.elapsed() > SPARE_TIME_MAX;
            return if is_spare { Err(Broken::Over) } else { Ok(()) };
        };
        self.used = Instant::now();
        let has_better = !self.replicas.is_ready(self.index) && self.replicas.is_any_ready();
        if waits > REPLY_TIMEOUT {
            Err(Broken::Late)
        } else if waits > DOUBT_EVERY && has_better {
            Err(Broken::Silent)
        } else {
            Ok(())
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Closed => f.write_str("it closed a connection with orders on it"),
            Why::Failed(kind) => write!(f, "a connection broke ({kind})"),
            Why::NoReply => f.write_str("it sent what is no reply"),
            Why::ReplyTooMany => f.write_str("it sent a reply that nobody waits for"),
            Why::ReplyToAnother => f.write_str("it sent a reply to another request"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLY: &[u8] = b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{}";

    async fn driver(pipe: Arc<Pipe>) -> Driver {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        Driver {
            pipe,
            replicas: Arc::new(Replicas::new([address.into()])),
            index: 0,
            stream,
            sending: Vec::new(),
            sending_from: 0,
            sent: 0,
            read: BytesMut::new(),
            ticks: interval(DOUBT_EVERY),
            used: Instant::now(),
        }
    }

    fn push(pipe: &Pipe) -> oneshot::Receiver<Outcome> {
        pipe.push("id", |out| out.extend_from_slice(b"order"))
    }

    #[tokio::test]
    async fn a_reply_that_comes_before_its_request_was_sent_is_nobodys() {
        let pipe = Arc::<Pipe>::default();
        let mut driver = driver(Arc::clone(&pipe)).await;
        let [mut first, mut second] = [(); 2].map(|()| push(&pipe));
        driver.sent = 5;
        driver.read.extend_from_slice(&REPLY.repeat(2));
        assert_eq!(driver.answer(), Err(Broken::Lost(Why::ReplyTooMany)));
        assert!(first.try_recv().unwrap().is_ok());
        assert!(second.try_recv().is_err());
    }

    #[test]
    fn only_who_was_sent_can_be_lost() {
        let waiting = |begin, end| Waiting {
            id: "id".into(),
            since: Instant::now(),
            begin,
            end,
            reply: oneshot::channel().0,
        };
        let lost = Broken::Lost(Why::Closed);
        for (begin, end, broke, expected) in [
            (0, 10, lost, lost),
            (10, 20, lost, lost),
            (20, 30, lost, Broken::Behind),
            (30, 40, lost, Broken::Behind),
            (0, 10, Broken::Over, Broken::Over),
            (30, 40, Broken::Over, Broken::Over),
            (0, 10, Broken::Late, Broken::Silent),
        ] {
            let learnt = waiting(begin, end).learn(broke, 15);
            assert_eq!(learnt, expected, "{begin} to {end}, {broke:?}");
        }
    }
}
