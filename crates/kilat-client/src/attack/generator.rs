//! The stampede: one thread, one event loop, thousands of connections.
//!
//! A connection stands for one buyer at a time and keeps its order until that
//! is settled, also while it waits to try again; so nothing is ever queued and
//! memory depends on the number of connections alone. Each turn costs about
//! two system calls a request: one write, one read.
//!
//! Knows when to send what and when to give up; [`super::witness`] knows what
//! the answers mean.

mod gate;
mod setback;

use super::connection::{Connection, Phase, Received};
use super::options::Plan;
use super::progress::Output;
use super::reply::{Framed, Reply, frame};
use super::request::{Requests, Step};
use super::schedule::Schedule;
use super::tally::Setback;
use super::target::Target;
use super::witness::{Job, Verdict, Witness};
use crate::ClientError;
use crate::http::Token;
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll};
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Bytes read at once. Replies are far shorter: one read takes a whole one.
const READ_BYTES: usize = 64 << 10;
/// Events taken from the system at once.
const EVENTS_MAX: usize = 1024;
/// Time-outs are noticed this late at most, in milliseconds.
const TICK_MS: u32 = 10;
/// Nap in place of a poll when the next order is due in less than the
/// millisecond that a poll can count.
const NAP: Duration = Duration::from_micros(50);
/// No wake-up.
const NEVER: u32 = u32::MAX;

/// The stampede.
pub(crate) struct Generator<'a> {
    plan: &'a Plan,
    target: Target,
    requests: Requests,
    schedule: Schedule,
    witness: Witness,
    cancel: &'a AtomicBool,
    poll: Poll,
    connections: Vec<Connection>,
    /// When each connection wakes, in milliseconds since the start: beside the
    /// connections, because it is scanned at every tick.
    wake_ms: Vec<u32>,
    idle: VecDeque<usize>,
    /// Connections with an order.
    busy: usize,
    gathering: Gathering,
    buffer: Vec<u8>,
    began: Instant,
    /// When an order was last settled, or first asked after a quiet time.
    alive_ns: u64,
    random: u64,
    stopped: Option<(u16, String)>,
}

/// The time before the first order, while connections are made.
struct Gathering {
    /// The next connection to open.
    next: usize,
    /// Connections that tried.
    tried: usize,
    done: bool,
}

/// What an attack leaves for the proof and the report.
pub(crate) struct Aftermath {
    pub witness: Witness,
    /// Orders handed out.
    pub intended: u64,
    /// From the first order to the last answer.
    pub elapsed: Duration,
    pub cancelled: bool,
}

impl<'a> Generator<'a> {
    /// # Errors
    /// [`io::Error`] when the system has no event queue left.
    pub(crate) fn new(
        plan: &'a Plan,
        target: Target,
        token: Option<&Token>,
        cancel: &'a AtomicBool,
    ) -> io::Result<Self> {
        let count = plan.connections as usize;
        Ok(Generator {
            plan,
            requests: Requests::new(plan, &target.host, &target.prefix, token),
            target,
            schedule: Schedule::new(plan),
            witness: Witness::new(),
            cancel,
            poll: Poll::new()?,
            connections: (0..count).map(|_| Connection::new()).collect(),
            wake_ms: vec![NEVER; count],
            idle: VecDeque::with_capacity(count),
            busy: 0,
            gathering: Gathering { next: 0, tried: 0, done: false },
            buffer: vec![0; READ_BYTES],
            began: Instant::now(),
            alive_ns: 0,
            random: plan.seed,
            stopped: None,
        })
    }

    /// Runs until every order is settled or given up.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when the server says that the request itself is wrong.
    pub(crate) fn run(mut self, output: &mut Output) -> Result<Aftermath, ClientError> {
        self.gather(output)?;
        self.began = Instant::now();
        self.wake_ms.fill(NEVER);
        let mut last_tick_ms = 0;
        let mut events = Events::with_capacity(EVENTS_MAX);
        while !self.is_over() {
            self.dispatch();
            self.wait(&mut events).map_err(|e| self.event_error(&e))?;
            for event in &events {
                self.on_event(event, output);
            }
            let now_ms = self.now_ms();
            if now_ms >= last_tick_ms + TICK_MS {
                last_tick_ms = now_ms;
                self.tick(now_ms, output);
            }
        }
        self.finish(output)
    }

    fn finish(self, output: &Output) -> Result<Aftermath, ClientError> {
        if let Some((status, reason)) = self.stopped {
            let key = if (300..400).contains(&status) { "error.redirect" } else { "error.stopped" };
            let values: [(&str, &dyn std::fmt::Display); 2] =
                [("status", &status), ("reason", &reason)];
            return Err(ClientError::Refused(output.lang().say(key, &values)));
        }
        Ok(Aftermath {
            intended: self.schedule.taken(),
            elapsed: self.began.elapsed(),
            cancelled: self.cancel.load(Ordering::Relaxed),
            witness: self.witness,
        })
    }

    fn event_error(&self, error: &io::Error) -> ClientError {
        ClientError::Fault(format!("{}: {error}", self.plan.url))
    }

    fn is_over(&self) -> bool {
        let now_ns = self.now_ns();
        self.stopped.is_some() || (self.busy == 0 && self.schedule.next_ns(now_ns).is_none())
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn now_ms(&self) -> u32 {
        u32::try_from(self.began.elapsed().as_millis()).unwrap_or(NEVER - 1)
    }

    /// Hands orders that are due to connections that are free.
    fn dispatch(&mut self) {
        while let Some(&index) = self.idle.front() {
            let now_ns = self.now_ns();
            let Some((order, intended_ns)) = self.schedule.take(now_ns) else {
                return;
            };
            self.idle.pop_front();
            self.begin(index, order, intended_ns, now_ns);
        }
    }

    /// The next order for a connection that has just become free.
    fn offer(&mut self, index: usize, now_ns: u64) {
        match self.schedule.take(now_ns) {
            Some((order, intended_ns)) if self.stopped.is_none() => {
                self.begin(index, order, intended_ns, now_ns);
            }
            _ => {
                let connection = &mut self.connections[index];
                connection.phase =
                    if connection.stream.is_some() { Phase::Idle } else { Phase::Closed };
                self.wake_ms[index] = NEVER;
                self.idle.push_back(index);
            }
        }
    }

    fn begin(&mut self, index: usize, order: u32, intended_ns: u64, now_ns: u64) {
        if self.busy == 0 {
            self.alive_ns = now_ns;
        }
        self.busy += 1;
        let job =
            Job { order, step: Step::Order, intended_ns, began_ns: now_ns, setbacks: 0, ack: None };
        self.connections[index].job = Some(job);
        self.attempt(index);
    }

    /// Sends the connection's order, over a new socket if it has none.
    fn attempt(&mut self, index: usize) {
        if self.connections[index].stream.is_none() {
            return self.connect(index);
        }
        self.connections[index].sent = 0;
        self.connections[index].phase = Phase::Asking;
        self.wake_ms[index] = self.now_ms().saturating_add(millis(self.plan.timeout));
        self.witness.tally.requests += 1;
        self.write(index);
    }

    fn write(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        let Some(job) = &connection.job else {
            return;
        };
        let id = job.ack.map_or(0, |ack| self.witness.acks[ack].id);
        let request = self.requests.bytes(self.plan, job.step, job.order, id);
        if connection.write(request).is_err() {
            self.setback(index, Setback::Reset, 0);
        }
    }

    fn connect(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        connection.close();
        connection.phase = Phase::Connecting;
        self.wake_ms[index] = self.now_ms().saturating_add(millis(self.plan.timeout));
        let opened = TcpStream::connect(self.target.address()).and_then(|mut stream| {
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut stream, mio::Token(index), interest)?;
            Ok(stream)
        });
        match opened {
            Ok(stream) => self.connections[index].stream = Some(stream),
            Err(_) => self.connect_failed(index),
        }
    }

    fn connect_failed(&mut self, index: usize) {
        self.target.try_next();
        self.setback(index, Setback::Refused, 0);
    }

    fn on_event(&mut self, event: &Event, output: &mut Output) {
        let index = event.token().0;
        if self.connections[index].phase == Phase::Connecting {
            return self.on_connected(index);
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.connections[index].is_half_closed |= event.is_read_closed() || event.is_error();
            self.receive(index, output);
        }
        let connection = &self.connections[index];
        if connection.phase == Phase::Asking && connection.is_blocked && event.is_writable() {
            self.write(index);
        }
    }

    fn on_connected(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        let Some(stream) = &connection.stream else {
            return;
        };
        match (stream.take_error(), stream.peer_addr()) {
            (Ok(None), Ok(_)) => {}
            (Ok(None), Err(e)) if e.kind() == io::ErrorKind::NotConnected => return,
            _ => return self.connect_failed(index),
        }
        // Without it a request may wait for the acknowledgement of the last one.
        let _ = stream.set_nodelay(true);
        self.witness.tally.connects += 1;
        if connection.job.is_some() {
            return self.attempt(index);
        }
        connection.phase = Phase::Idle;
        self.wake_ms[index] = NEVER;
        if !self.gathering.done {
            self.gathering.tried += 1;
        }
    }

    fn receive(&mut self, index: usize, output: &mut Output) {
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            match self.connections[index].read(&mut buffer) {
                Received::Drained => break,
                Received::Closed => {
                    self.lost(index);
                    break;
                }
                Received::Bytes { count, more } => {
                    self.take_bytes(index, &buffer[..count], output);
                    let connection = &self.connections[index];
                    let is_same =
                        connection.stream.is_some() && connection.phase != Phase::Connecting;
                    if !is_same || !(more || connection.is_half_closed) {
                        break;
                    }
                }
            }
        }
        self.buffer = buffer;
    }

    /// The other side closed: only a waiting request makes that a setback.
    fn lost(&mut self, index: usize) {
        match self.connections[index].phase {
            Phase::Asking => self.setback(index, Setback::Reset, 0),
            Phase::Idle => {
                self.connections[index].close();
                self.connections[index].phase = Phase::Closed;
            }
            Phase::BackingOff | Phase::Closed | Phase::Connecting => {
                self.connections[index].close();
            }
        }
    }

    fn take_bytes(&mut self, index: usize, bytes: &[u8], output: &mut Output) {
        let connection = &mut self.connections[index];
        if connection.phase != Phase::Asking {
            // Bytes that nobody asked for: this connection can't be trusted.
            connection.close();
            let now_ns = self.now_ns();
            return self.witness.tally.setback(Setback::Fault, now_ns);
        }
        if connection.partial.is_empty() {
            return self.take_reply(index, bytes, bytes, output);
        }
        if !connection.keep(bytes) {
            return self.setback(index, Setback::Fault, 0);
        }
        let whole = std::mem::take(&mut connection.partial);
        self.take_reply(index, &whole, &whole, output);
    }

    fn take_reply(&mut self, index: usize, whole: &[u8], to_keep: &[u8], output: &mut Output) {
        match frame(whole) {
            Framed::Partial => {
                self.connections[index].keep(to_keep);
            }
            Framed::Garbage => self.setback(index, Setback::Fault, 0),
            Framed::Whole { reply, used } => {
                let connection = &mut self.connections[index];
                if reply.close || connection.is_half_closed || used != whole.len() {
                    connection.close();
                }
                self.answer(index, &reply, output);
            }
        }
    }

    fn answer(&mut self, index: usize, reply: &Reply<'_>, output: &mut Output) {
        let now_ns = self.now_ns();
        let Some(mut job) = self.connections[index].job else {
            return;
        };
        let verdict = self.witness.judge(self.plan, &mut job, reply, now_ns);
        if matches!(verdict, Verdict::Settled | Verdict::Follow(_)) {
            self.alive_ns = now_ns;
        }
        output.purchase(self.plan, &job, reply, &self.witness);
        match verdict {
            Verdict::Settled => self.settle(index, now_ns),
            Verdict::Follow(step) => {
                job = Job { step, began_ns: now_ns, setbacks: 0, ..job };
                self.connections[index].job = Some(job);
                self.attempt(index);
            }
            Verdict::Retry { cause, wait_ms } => self.setback(index, cause, wait_ms),
            Verdict::Stop { status, reason } => {
                self.stopped = Some((status, reason));
                self.schedule.stop();
                self.settle(index, now_ns);
            }
        }
    }

    fn settle(&mut self, index: usize, now_ns: u64) {
        self.connections[index].job = None;
        self.busy -= 1;
        self.offer(index, now_ns);
    }

    /// Waits for events, at most until the next tick or the next due order.
    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let tick = Duration::from_millis(u64::from(TICK_MS));
        let now_ns = self.now_ns();
        let due = match self.schedule.next_ns(now_ns) {
            Some(at) if !self.idle.is_empty() => Duration::from_nanos(at.saturating_sub(now_ns)),
            _ => tick,
        };
        if due >= Duration::from_millis(1) {
            // Whole milliseconds, rounded down: a poll rounds up.
            let whole = Duration::from_millis(due.as_millis() as u64);
            return self.poll(events, tick.min(whole));
        }
        self.poll(events, Duration::ZERO)?;
        if events.is_empty() && !due.is_zero() {
            std::thread::sleep(due.min(NAP));
        }
        Ok(())
    }

    fn poll(&mut self, events: &mut Events, wait: Duration) -> io::Result<()> {
        match self.poll.poll(events, Some(wait)) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {
                events.clear();
                Ok(())
            }
            done => done,
        }
    }
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(NEVER - 1)
}
