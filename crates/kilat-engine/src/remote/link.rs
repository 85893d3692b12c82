//! One connection to the core for one kind of work, and its renewal.
//!
//! The link's thread takes from the queue and sends; a second thread, as long as
//! the connection lives, reads what the core says. While the core is away, work
//! waits a little and is then refused at once.

use super::greeting::{Greeter, Session};
use super::in_flight::{InFlight, Sent};
use crate::intake::{Intake, Queued, Waited, Waiting};
use crate::protocol::Declined;
use crate::protocol::frame::{Frame, FrameReader, Kind, garbage, put_frame};
use crate::protocol::hello::Role;
use crate::protocol::wire::{Malformed, Put as _};
use crate::socket::Stream;
use crate::{QUEUE_WAIT_MS_MAX, Unavailable};
use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};
use std::io::{self, BufReader, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// Most work, by weight, that is sent and not answered; the rest waits in the queue.
const IN_FLIGHT_WEIGHT_MAX: usize = 32_768;
/// Longest wait for an answer; after that the caller is told that nothing is known. Shorter than
/// the age at which a core refuses a request, see there.
const ANSWER_WAIT_MAX: Duration = Duration::from_millis(4_000);
/// Longest wait for being sent.
const SEND_WAIT_MAX: Duration = Duration::from_millis(QUEUE_WAIT_MS_MAX);
/// After this long without a core new work is refused at once. A core restarts in less.
const AWAY_GRACE: Duration = Duration::from_millis(2_000);
/// How often a core hears from a link that has nothing to send, and old work is looked for.
const ALIVE_EVERY: Duration = Duration::from_millis(500);
/// Pauses between attempts to reach the core again: doubled from the first to the last.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(10);
const RETRY_PAUSE_MAX: Duration = Duration::from_millis(250);
/// Buffers that have grown beyond this are not kept, in bytes.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// What a link carries.
pub(super) trait Traffic: Send + Sync + 'static {
    /// What is asked of the core.
    type Work: Queued + Send + 'static;
    /// Which connection it goes by.
    const ROLE: Role;

    /// Whether carrying it out twice is the same as once.
    fn can_repeat(work: &Self::Work) -> bool;

    /// The kind of its frame.
    fn kind(work: &Self::Work) -> Kind;

    /// Appends the body of its frame.
    fn write(work: &Self::Work, out: &mut Vec<u8>);

    /// Answers the work with the core's reply to it. An answer that makes no sense is none: the
    /// caller is told that nothing is known.
    fn settle(sent: Sent<Self::Work>, reply: Frame<'_>) -> Result<(), Malformed>;

    /// The core says this unasked.
    fn hear(&self, frame: Frame<'_>) -> Result<(), Malformed>;

    /// The core says its time; first when it was connected to.
    fn hear_tick(&self, _tick_ms: u64, _at: Instant, _is_first: bool) {}

    /// Nothing is heard any more.
    fn cut_off(&self);
}

/// See the module.
pub(super) struct Link<T: Traffic> {
    traffic: Arc<T>,
    intake: Arc<Intake<T::Work>>,
    in_flight: Arc<InFlight<T>>,
    greeter: Arc<Greeter>,
    out: Vec<u8>,
    meters: Meters,
}

struct Meters {
    connected: Gauge,
    reconnects: Counter,
    again: Counter,
    answer_seconds: Histogram,
}

/// How an exchange ended.
#[derive(PartialEq, Eq)]
enum Ended {
    /// The replica stops.
    Stopped,
    /// The connection broke.
    Broken,
}

impl<T: Traffic> Link<T> {
    pub(super) fn new(traffic: T, intake: Arc<Intake<T::Work>>, greeter: Arc<Greeter>) -> Self {
        describe_gauge!("kilat_replica_connected", "1 while the core is there, by connection");
        describe_counter!("kilat_replica_reconnects_total", "Connections to the core made again");
        describe_counter!("kilat_replica_sent_again_total", "Requests sent again to the core");
        describe_histogram!(
            "kilat_replica_answer_seconds",
            "Time from a request to the core's answer, by connection"
        );
        let role = format!("{:?}", T::ROLE).to_lowercase();
        let meters = Meters {
            connected: gauge!("kilat_replica_connected", "link" => role.clone()),
            reconnects: counter!("kilat_replica_reconnects_total", "link" => role.clone()),
            again: counter!("kilat_replica_sent_again_total", "link" => role.clone()),
            answer_seconds: histogram!("kilat_replica_answer_seconds", "link" => role),
        };
        let in_flight = Arc::new(InFlight::new());
        Link { traffic: Arc::new(traffic), intake, in_flight, greeter, out: Vec::new(), meters }
    }

    /// Runs from the first session until the queue is closed; then everything is answered.
    pub(super) fn run(mut self, first: Session) {
        let mut session = Some(first);
        while let Some(open) = session {
            if self.serve(open) == Ended::Stopped {
                break;
            }
            session = self.reconnect();
        }
        self.in_flight.give_up_older(Duration::ZERO);
        self.intake.give_up(Duration::ZERO, Unavailable::Away);
    }

    /// Exchanges with the core until the connection ends.
    fn serve(&mut self, session: Session) -> Ended {
        let clock = Arc::new(CoreClock::new(&session));
        let (tick_ms, heard) = session.tick();
        self.traffic.hear_tick(tick_ms, heard, true);
        let Session { mut stream, incoming, .. } = session;
        self.in_flight.mend();
        let reader = match self.start_reader(incoming, &clock) {
            Ok(reader) => reader,
            Err(error) => {
                tracing::error!(%error, "a thread can't be started");
                return Ended::Broken;
            }
        };
        self.meters.connected.set(1.0);
        self.intake.resume();
        let ended = self.exchange(&mut stream, &clock).unwrap_or_else(|error| {
            self.greeter.tell_lost(T::ROLE, &error);
            Ended::Broken
        });
        stream.close();
        // Only a panic is an error here, and it was reported.
        let _ = reader.join();
        self.meters.connected.set(0.0);
        self.traffic.cut_off();
        self.in_flight.break_off();
        ended
    }

    fn start_reader(
        &self,
        incoming: FrameReader<BufReader<Stream>>,
        clock: &Arc<CoreClock>,
    ) -> io::Result<JoinHandle<()>> {
        let reader = Reader {
            traffic: Arc::clone(&self.traffic),
            in_flight: Arc::clone(&self.in_flight),
            clock: Arc::clone(clock),
            answer_seconds: self.meters.answer_seconds.clone(),
        };
        let intake = Arc::clone(&self.intake);
        let (in_flight, greeter) = (Arc::clone(&self.in_flight), Arc::clone(&self.greeter));
        Builder::new().name("core-replies".to_owned()).spawn(move || {
            // Also after a panic of a callback the link must not wait for more.
            let _ended = OnEnd(move || {
                in_flight.set_broken();
                intake.nudge();
            });
            if let Err(error) = reader.run(incoming) {
                greeter.tell_lost(T::ROLE, &error);
            }
        })
    }

    /// Sends what is not answered yet, then what comes.
    fn exchange(&mut self, stream: &mut Stream, clock: &CoreClock) -> io::Result<Ended> {
        self.in_flight.give_up_older(ANSWER_WAIT_MAX);
        let (out, again) = (&mut self.out, &self.meters.again);
        self.in_flight.each(|number, work, since| {
            again.increment(1);
            put::<T>(number, work, clock.stamp(since), out);
        });
        self.send(stream)?;
        let mut batch = Vec::new();
        while !self.in_flight.is_broken() {
            self.in_flight.give_up_older(ANSWER_WAIT_MAX);
            match self.intake.wait(Some(Instant::now() + ALIVE_EVERY)) {
                Waited::Closed => {
                    self.in_flight.wait_below(0, ANSWER_WAIT_MAX);
                    return Ok(Ended::Stopped);
                }
                Waited::Deadline => put_frame(&mut self.out, Kind::Alive, 0, |_| {}),
                Waited::Work { .. } => {
                    if self.in_flight.wait_below(IN_FLIGHT_WEIGHT_MAX, ALIVE_EVERY) {
                        self.intake.take(&mut batch);
                        self.write(&mut batch, clock);
                    }
                }
            }
            self.send(stream)?;
        }
        Ok(Ended::Broken)
    }

    /// Appends what was taken from the queue to what is sent next.
    fn write(&mut self, batch: &mut Vec<Waiting<T::Work>>, clock: &CoreClock) {
        let fresh = batch.drain(..).filter_map(|Waiting { work, since }| {
            if since.elapsed() < SEND_WAIT_MAX {
                return Some((work, since));
            }
            work.refuse(Unavailable::Overloaded);
            None
        });
        let out = &mut self.out;
        self.in_flight.add(fresh, |number, work, since| {
            put::<T>(number, work, clock.stamp(since), out);
        });
    }

    fn send(&mut self, stream: &mut Stream) -> io::Result<()> {
        let sent = stream.write_all(&self.out);
        self.out.clear();
        self.out.shrink_to(KEPT_BYTES_MAX);
        sent
    }

    /// Tries until there is a core again; `None` at a stop.
    fn reconnect(&self) -> Option<Session> {
        let since = Instant::now();
        let mut pause = RETRY_PAUSE_MIN;
        loop {
            match self.greeter.greet(T::ROLE) {
                Ok(session) => {
                    self.greeter.tell_found(T::ROLE);
                    self.meters.reconnects.increment(1);
                    return Some(session);
                }
                Err(why) => self.greeter.tell_refused(T::ROLE, &why),
            }
            self.in_flight.give_up_older(ANSWER_WAIT_MAX);
            let is_away = since.elapsed() >= AWAY_GRACE;
            if is_away {
                self.intake.suspend(Unavailable::Away);
            }
            let wait = if is_away { Duration::ZERO } else { SEND_WAIT_MAX };
            self.intake.give_up(wait, Unavailable::Away);
            if self.intake.sleep(pause) {
                return None;
            }
            pause = (pause * 2).min(RETRY_PAUSE_MAX);
        }
    }
}

fn put<T: Traffic>(number: u64, work: &T::Work, made_at_ms: u64, out: &mut Vec<u8>) {
    put_frame(out, T::kind(work), number, |out| {
        out.put(made_at_ms.to_le_bytes());
        T::write(work, out);
    });
}

/// Runs at the end of a thread, whatever ends it.
struct OnEnd<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnEnd<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// The core's clock as it was heard last, by which a core tells how old a request is.
///
/// What was heard is never ahead of the core: a replica that was stopped, or a network that was
/// slow, makes a request look older and never younger.
struct CoreClock(Mutex<(u64, Instant)>);

impl CoreClock {
    fn new(session: &Session) -> CoreClock {
        CoreClock(Mutex::new(session.tick()))
    }

    fn hear(&self, tick_ms: u64, at: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (tick_ms, at);
    }

    /// The core's time at `since`.
    fn stamp(&self, since: Instant) -> u64 {
        let (tick_ms, heard) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let age = millis(since.elapsed());
        tick_ms.saturating_add(millis(heard.elapsed())).saturating_sub(age)
    }
}

/// The reading thread of a connection.
struct Reader<T: Traffic> {
    traffic: Arc<T>,
    in_flight: Arc<InFlight<T>>,
    clock: Arc<CoreClock>,
    answer_seconds: Histogram,
}

impl<T: Traffic> Reader<T> {
    /// Reads until the connection ends; an end in good order is no error.
    fn run(&self, mut incoming: FrameReader<BufReader<Stream>>) -> io::Result<()> {
        loop {
            let frame = match incoming.next() {
                Ok(frame) => frame,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(error),
            };
            if !self.take(frame).map_err(garbage)? {
                return Ok(());
            }
        }
    }

    /// Passes one frame on; `false` when the core is about to leave.
    fn take(&self, mut frame: Frame<'_>) -> Result<bool, Malformed> {
        match frame.kind {
            Kind::Tick => {
                let (tick_ms, now) = (frame.body.u64()?, Instant::now());
                self.clock.hear(tick_ms, now);
                self.traffic.hear_tick(tick_ms, now, false);
            }
            Kind::Sale | Kind::Synced | Kind::LogState => self.traffic.hear(frame)?,
            // A reply that nobody waits for any more came too late.
            _ => {
                if let Some(sent) = self.in_flight.take(frame.number) {
                    self.answer_seconds.record(sent.since.elapsed().as_secs_f64());
                    if frame.kind == Kind::Declined {
                        return self.decline(frame, sent);
                    }
                    T::settle(sent, frame)?;
                }
            }
        }
        Ok(true)
    }

    fn decline(&self, mut frame: Frame<'_>, sent: Sent<T::Work>) -> Result<bool, Malformed> {
        let declined = match Declined::read(&mut frame.body) {
            Ok(declined) => declined,
            Err(error) => {
                sent.work.refuse(Unavailable::Unknown);
                return Err(error);
            }
        };
        let why = match declined {
            Declined::Unavailable(Unavailable::ShuttingDown | Unavailable::Failed)
                if T::can_repeat(&sent.work) =>
            {
                // The next core will say.
                self.in_flight.put_back(frame.number, sent);
                return Ok(false);
            }
            // The copy that was sent before may have been carried out.
            _ if sent.again => Unavailable::Unknown,
            Declined::Unavailable(Unavailable::ShuttingDown) => Unavailable::Away,
            Declined::Unavailable(why) => why,
            Declined::Stale => Unavailable::Overloaded,
            Declined::Unreadable => Unavailable::Failed,
        };
        sent.work.refuse(why);
        Ok(true)
    }
}
