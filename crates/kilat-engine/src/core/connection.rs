//! One connection of a replica: a thread that reads requests, and one that writes replies.

use super::greeting::{NotTaken, greet, incoming};
use super::outbox::{Outbox, Outgoing, Told, put_log_state, put_sale};
use super::{Shared, greeting::Incoming};
use crate::events::Work as EventWork;
use crate::protocol::frame::{Frame, Kind, garbage, put_frame};
use crate::protocol::hello::Role;
use crate::protocol::ledger::Question;
use crate::protocol::wire::{Malformed, Put as _};
use crate::protocol::{Declined, REQUEST_BYTES_MAX, events, ledger};
use crate::query::{Query, Reply};
use crate::socket::Stream;
use crate::work::Work;
use crate::{Events, Unavailable};
use kilat_eventlog::Origin;
use kilat_ledger::ORDERS_PAGE_MAX;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::thread::Builder;
use std::time::Duration;

/// Longest silence of a replica, which says every second that it lives.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Longest that a replica may take nothing of what is sent to it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a replica is told the core's time, at least.
const TICK: Duration = Duration::from_millis(500);
/// What a list of all sales counts for.
const SALES_WEIGHT: usize = 8_192;
/// Most bytes of events of one page.
const PAGE_BYTES_MAX: usize = 8 << 20;
/// Buffers that have grown beyond this are not kept, in bytes.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// See the module.
pub(super) struct Connection {
    outbox: Arc<Outbox>,
    /// To end it from outside.
    stream: Stream,
}

impl Connection {
    pub(super) fn new(stream: &Stream) -> io::Result<Connection> {
        Ok(Connection { outbox: Arc::default(), stream: stream.try_clone()? })
    }

    /// Reads no more, answers what was read, ends.
    pub(super) fn finish(&self) {
        self.stream.close_reading();
    }

    /// Ends at once.
    pub(super) fn cut(&self) {
        self.outbox.cut();
        self.stream.close();
    }

    /// Greets and serves until the end.
    pub(super) fn serve(&self, shared: &Arc<Shared>, mut stream: Stream) {
        let taken = incoming(&stream).map_err(NotTaken::from).and_then(|mut incoming| {
            let hello = greet(shared, &mut incoming, &mut stream)?;
            Ok((hello, incoming))
        });
        let (hello, incoming) = match taken {
            Ok(taken) => taken,
            // Whoever only looks whether somebody listens, as a supervisor does.
            Err(NotTaken::Silent) => return tracing::debug!("somebody looked in"),
            Err(why) => {
                shared.meters.refused.increment(1);
                return tracing::warn!(%why, "a replica was not taken");
            }
        };
        tracing::info!(replica = hello.name.escape_default().to_string(), role = ?hello.role, "a replica is here");
        let ended = self.exchange(shared, hello.role, incoming, stream);
        let why = ended.err().map_or_else(|| "it left".to_owned(), |error| error.to_string());
        tracing::info!(replica = hello.name.escape_default().to_string(), role = ?hello.role, why, "a replica is gone");
    }

    fn exchange(
        &self,
        shared: &Arc<Shared>,
        role: Role,
        mut incoming: Incoming,
        stream: Stream,
    ) -> io::Result<()> {
        incoming.allow(REQUEST_BYTES_MAX);
        stream.set_timeouts(SILENCE_MAX, WRITE_TIMEOUT)?;
        let writer = Writer {
            outbox: Arc::clone(&self.outbox),
            shared: Arc::clone(shared),
            stream,
            out: Vec::new(),
        };
        let writer = Builder::new().name("core-writer".to_owned()).spawn(move || writer.run())?;
        self.follow(shared, role);
        let read = self.read(shared, role, &mut incoming);
        match &read {
            Ok(()) => self.outbox.finish(),
            Err(_) => self.outbox.cut(),
        }
        // Only a panic is an error here, and it was reported.
        let _ = writer.join();
        read
    }

    /// What this role wants to be told unasked.
    fn follow(&self, shared: &Shared, role: Role) {
        let outbox = Arc::clone(&self.outbox);
        match role {
            Role::Ledger => {
                shared.handle.board().watch(move |sale| outbox.sale(sale));
                self.outbox.synced();
            }
            Role::Events => {
                self.outbox.log_moved();
                shared.events.watch(move || outbox.log_moved());
            }
            Role::Reads => {}
        }
    }

    /// Reads requests and hands them on, until the replica or the core ends it.
    fn read(&self, shared: &Shared, role: Role, incoming: &mut Incoming) -> io::Result<()> {
        loop {
            let frame = match incoming.next() {
                Ok(frame) => frame,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(error),
            };
            if frame.kind == Kind::Alive {
                continue;
            }
            if !self.outbox.begin(role) {
                return Ok(());
            }
            let request = Request { shared, outbox: &self.outbox, number: frame.number };
            request.carry_out(role, frame).map_err(garbage)?;
        }
    }
}

/// A request that is being read.
struct Request<'a> {
    shared: &'a Shared,
    outbox: &'a Arc<Outbox>,
    number: u64,
}

impl Request<'_> {
    fn carry_out(&self, role: Role, mut frame: Frame<'_>) -> Result<(), Malformed> {
        let made_at = frame.body.u64()?;
        if self.shared.now_ms().saturating_sub(made_at) > self.shared.request_age_ms_max {
            self.shared.meters.stale.increment(1);
            self.outbox.tell(self.number, 0, Told::Declined(Declined::Stale));
            return Ok(());
        }
        match (role, frame.kind) {
            (Role::Ledger, Kind::Place) => self.place(frame),
            (Role::Ledger, Kind::Change) => {
                let change = ledger::change(&mut frame.body)?;
                let reply = self.reply(1, |(outcome, at)| Told::Changed(outcome, at));
                self.queue(Work::Change { change, reply });
                Ok(())
            }
            (Role::Ledger, Kind::Query) => {
                let question = ledger::question(&mut frame.body)?;
                self.queue(Work::Query(self.query(question)));
                Ok(())
            }
            (Role::Events, Kind::Publish | Kind::PublishFacts) => self.publish(frame),
            (Role::Events, Kind::Forget) => {
                let rule = events::rule(&mut frame.body)?;
                let reply = self.reply(1, Told::Forgotten);
                self.shared.events.put(EventWork::Forget { rule, reply });
                Ok(())
            }
            (Role::Reads, Kind::ReadEvents) => {
                let span = events::span(&mut frame.body)?;
                self.tell(read(&self.shared.events, &span));
                Ok(())
            }
            (Role::Reads, Kind::ReadTopics) => self.topics(frame),
            (Role::Reads, Kind::Ask) => self.ask(frame),
            _ => Err(Malformed("a request came on the wrong connection")),
        }
    }

    fn place(&self, mut frame: Frame<'_>) -> Result<(), Malformed> {
        let mut orders = self.outbox.spare();
        ledger::orders(&mut frame.body, self.shared.handle.hasher(), &mut orders)?;
        let done = self.reply(orders.len(), Told::Placed);
        self.queue(Work::Orders { orders, done });
        Ok(())
    }

    fn query(&self, question: Question) -> Query {
        match question {
            Question::Sale(sale) => Query::Sale { sale, reply: self.reply(1, Told::Sale) },
            Question::Sales => Query::Sales { reply: self.reply(SALES_WEIGHT, Told::Sales) },
            Question::Order(sale, order) => {
                Query::Order { sale, order, reply: self.reply(1, Told::Order) }
            }
            Question::Orders(page) => {
                let weight = page.limit.clamp(1, ORDERS_PAGE_MAX);
                Query::Orders { page, reply: self.reply(weight, Told::Orders) }
            }
        }
    }

    fn publish(&self, mut frame: Frame<'_>) -> Result<(), Malformed> {
        let mut publication = self.shared.events.publication();
        if frame.kind == Kind::PublishFacts {
            // Of a ledger whose frames are none of ours.
            publication.set_origin(Origin::Projected { ledger_frame: 0 });
        }
        events::publication(&mut frame.body, &mut publication)?;
        let done = self.reply(publication.len(), Told::Published);
        self.shared.events.publish_with(publication, done);
        Ok(())
    }

    fn topics(&self, mut frame: Frame<'_>) -> Result<(), Malformed> {
        let known = frame.body.u32()? as usize;
        frame.body.end()?;
        let told = match self.shared.events.topics() {
            Ok(topics) => Told::Topics(topics.get(known..).unwrap_or_default().to_vec()),
            Err(_) => Told::Declined(Declined::Unreadable),
        };
        self.tell(told);
        Ok(())
    }

    /// A question that only the process around the core understands.
    fn ask(&self, mut frame: Frame<'_>) -> Result<(), Malformed> {
        let question = frame.body.blob()?;
        frame.body.end()?;
        self.tell(match &self.shared.on_ask {
            Some(answer) => Told::Reply(answer(question)),
            None => Told::Declined(Declined::Unreadable),
        });
        Ok(())
    }

    /// Answers a read that was carried out here.
    fn tell(&self, told: Told) {
        self.outbox.weigh(1);
        self.outbox.tell(self.number, 1, told);
    }

    fn queue(&self, work: Work) {
        self.shared.handle.intake.put_or_refuse(work);
    }

    /// Where the engine's answer goes. The request counts for `weight` until then.
    fn reply<T: 'static>(
        &self,
        weight: usize,
        told: impl FnOnce(T) -> Told + Send + 'static,
    ) -> Reply<T> {
        self.outbox.weigh(weight);
        let (outbox, number) = (Arc::clone(self.outbox), self.number);
        Box::new(move |result: Result<T, Unavailable>| {
            let declined = |why| Told::Declined(Declined::Unavailable(why));
            outbox.tell(number, weight, result.map_or_else(declined, told));
        })
    }
}

/// Reads a page of events; the reason why not is for the core's operator.
fn read(log: &Events, span: &events::Span) -> Told {
    let bytes_max = span.bytes_max.min(PAGE_BYTES_MAX);
    match log.read(span.topic.as_deref(), span.after, span.limit, bytes_max) {
        Ok(page) => Told::Events(page),
        Err(error) => {
            tracing::error!(%error, "the event log can't be read");
            Told::Declined(Declined::Unreadable)
        }
    }
}

/// The writing thread of a connection.
struct Writer {
    outbox: Arc<Outbox>,
    shared: Arc<Shared>,
    stream: Stream,
    out: Vec<u8>,
}

impl Writer {
    fn run(mut self) {
        loop {
            let outgoing = self.outbox.take(TICK);
            let ended = outgoing.ended;
            self.write(outgoing);
            if self.stream.write_all(&self.out).is_err() || ended {
                break;
            }
            self.out.clear();
            self.out.shrink_to(KEPT_BYTES_MAX);
        }
        self.outbox.cut();
        // Wakes the reader if the replica took nothing more.
        self.stream.close();
    }

    /// States first: a reply must not be ahead of them. They are newer than the replies, which
    /// were taken before.
    fn write(&mut self, outgoing: Outgoing) {
        let Outgoing { mut sales, synced, log_moved, replies, .. } = outgoing;
        let out = &mut self.out;
        let now_ms = self.shared.now_ms();
        put_frame(out, Kind::Tick, 0, |out| out.put(now_ms.to_le_bytes()));
        sales.sort_unstable_by_key(|sale| sale.number);
        sales.iter().for_each(|sale| put_sale(sale, out));
        if synced {
            put_frame(out, Kind::Synced, 0, |_| {});
        }
        if log_moved {
            put_log_state(&self.shared.events.state(), out);
        }
        for reply in replies {
            if let (Told::Placed(placed), Some(tell)) = (&reply.told, &self.shared.on_traced)
                && !placed.orders.traced().is_empty()
            {
                tell(placed);
            }
            self.outbox.write(reply.number, reply.told, out);
        }
    }
}
