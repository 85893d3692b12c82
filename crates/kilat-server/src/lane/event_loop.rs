//! The loop of a lane: events in, one group out, outcomes in, replies out.
//!
//! Here are its turns and the lives of its connections; `taking` reads requests and
//! `answering` writes replies.

use super::admission::TurnedAway;
use super::answering::Run;
use super::connection::Connection;
use super::door::{DOOR, Door};
use super::mailbox::{BELL, Mail, Mailbox};
use super::placing::Placing;
use super::publishing::Publishing;
use super::reply::{self, Envelope};
use super::request::REQUEST_BYTES_MAX;
use super::{Handover, LaneOptions};
use crate::crowding::Crowding;
use crate::seats::Seat;
use crate::state::App;
use kilat_api::problem::Code;
use mio::event::Event;
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Longest wait for a commit without a look at the sockets.
///
/// What arrives during a commit can't be committed before it ends, so a lane
/// that waits for one sleeps through it and then finds all requests at once,
/// instead of waking up for each.
const COMMIT_PATIENCE: Duration = Duration::from_micros(500);
/// Events taken from the system at once.
const EVENTS_PER_ROUND: usize = 1_024;
/// How often silent connections are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// What a lane starts with.
pub(super) struct Setup {
    pub(super) poll: Poll,
    pub(super) door: Option<Door>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) options: LaneOptions,
    pub(super) app: App,
    pub(super) handovers: mpsc::Sender<Handover>,
}

pub(super) struct EventLoop {
    pub(super) setup: Setup,
    pub(super) connections: Slab<Connection>,
    pub(super) placing: Placing,
    pub(super) publishing: Publishing,
    /// What a read fills.
    pub(super) scratch: Box<[u8]>,
    pub(super) envelope: Envelope,
    /// Replies that leave together.
    pub(super) run: Run,
    /// Groups that the engine has and this lane waits for.
    pub(super) groups_in_flight: usize,
    pub(super) crowding: Crowding,
    pub(super) turned_away: TurnedAway,
    serial: u64,
    /// When this round began.
    pub(super) now: Instant,
    swept: Instant,
    pub(super) stopping: bool,
}

impl EventLoop {
    pub(super) fn new(setup: Setup) -> EventLoop {
        let now = Instant::now();
        EventLoop {
            connections: Slab::new(),
            placing: Placing::new(setup.app.handle.clone()),
            publishing: Publishing::new(setup.app.events.clone()),
            scratch: vec![0; REQUEST_BYTES_MAX].into_boxed_slice(),
            envelope: Envelope::new(Arc::clone(&setup.app.node)),
            run: Run::default(),
            groups_in_flight: 0,
            crowding: Crowding::new(setup.options.crowding_memory, now),
            turned_away: TurnedAway::new(),
            serial: 0,
            now,
            swept: now,
            stopping: false,
            setup,
        }
    }

    /// Runs until told to stop and all in flight is answered.
    pub(super) fn run_until_stopped(mut self) {
        let mut events = Events::with_capacity(EVENTS_PER_ROUND);
        let mut mail = Mail::default();
        while !(self.stopping && self.connections.is_empty()) {
            if self.groups_in_flight > 0 {
                self.setup.mailbox.wait(COMMIT_PATIENCE);
                // Answers first: who is quick to ask again joins the next group.
                self.collect(&mut mail);
            }
            match self.setup.poll.poll(&mut events, self.patience()) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    return tracing::error!(%error, "a lane can't wait for events and ends");
                }
                Ok(()) => {}
            }
            self.now = Instant::now();
            self.envelope.tick();
            events.iter().for_each(|event| self.meet(event));
            self.collect(&mut mail);
            self.send_orders();
            self.send_events();
            self.answer_turned_away();
            self.sweep();
        }
    }

    /// A lane without connections sleeps until it is called; one that has
    /// waited for a commit only looks what has come meanwhile.
    fn patience(&self) -> Option<Duration> {
        let is_done = self.stopping && self.connections.is_empty();
        // Requests that stood behind answered ones are taken before the sockets are looked at.
        let has_taken =
            self.placing.len() > 0 || self.publishing.len() > 0 || !self.turned_away.is_empty();
        if self.groups_in_flight > 0 || has_taken || is_done {
            return Some(Duration::ZERO);
        }
        let rests = self.setup.door.as_ref().is_some_and(Door::rests);
        (rests || !self.connections.is_empty()).then_some(SWEEP_EVERY)
    }

    fn meet(&mut self, event: &Event) {
        match event.token() {
            DOOR => self.setup.door.iter_mut().for_each(Door::accept),
            BELL => {}
            Token(slot) => self.meet_connection(slot, event),
        }
    }

    fn meet_connection(&mut self, slot: usize, event: &Event) {
        let Some(connection) = self.connections.get_mut(slot) else {
            return;
        };
        let mut goes_on = false;
        if event.is_writable() && !connection.unsent.is_empty() {
            match connection.flush() {
                Ok(all) => goes_on = all,
                Err(_) => return self.drop_connection(slot),
            }
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            connection.readable = true;
            // It may have sent its last requests with the end.
            connection.half_closed |= event.is_read_closed();
            self.serve(slot);
        } else if goes_on {
            self.go_on(slot);
        }
    }

    /// Serves what other threads left: new connections and outcomes.
    fn collect(&mut self, mail: &mut Mail) {
        self.setup.mailbox.take(mail);
        for (stream, seat) in mail.incoming.drain(..) {
            self.admit(stream, seat);
        }
        for finished in mail.finished.drain(..) {
            self.groups_in_flight -= 1;
            self.answer(finished);
        }
        if mail.stop && !self.stopping {
            self.stop();
        }
    }

    fn admit(&mut self, mut stream: mio::net::TcpStream, seat: Seat) {
        let entry = self.connections.vacant_entry();
        let slot = entry.key();
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.setup.poll.registry().register(&mut stream, Token(slot), interest)
        {
            return tracing::warn!(%error, "a connection can't be watched and is closed");
        }
        self.serial += 1;
        entry.insert(Connection::new(stream, seat, self.serial, self.now));
        // The next look at the sockets tells whether it has sent something, and whether it has left.
        if !self.crowding.is_limited() {
            self.serve(slot);
        }
    }

    /// Gives a connection to the full lane together with what was read of it.
    pub(super) fn hand_over(&mut self, slot: usize, already_read: Vec<u8>) {
        let Connection { mut stream, seat, .. } = self.connections.remove(slot);
        if let Err(error) = self.setup.poll.registry().deregister(&mut stream) {
            return tracing::warn!(%error, "a connection can't be handed over and is closed");
        }
        let stream = std::net::TcpStream::from(OwnedFd::from(stream));
        if let Err(refused) = self.setup.handovers.try_send(Handover { stream, already_read, seat })
        {
            let (mpsc::error::TrySendError::Full(mut handover)
            | mpsc::error::TrySendError::Closed(mut handover)) = refused;
            reply::write_busy(&mut handover.stream, &self.setup.app.node);
        }
    }

    /// Looks for connections that are silent for too long, and opens the door again.
    fn sweep(&mut self) {
        if self.now.duration_since(self.swept) < SWEEP_EVERY {
            return;
        }
        self.swept = self.now;
        let options = self.setup.options;
        let scarce = self.setup.app.seats.are_scarce();
        let idle_timeout =
            if scarce { self.setup.app.limits.silence_when_full } else { options.idle_timeout };
        let late = |connection: &Connection| {
            let waits = if connection.is_idle() { idle_timeout } else { options.request_timeout };
            connection.pipeline.is_empty() && self.now.duration_since(connection.since) > waits
        };
        let late: Vec<usize> =
            self.connections.iter().filter(|(_, c)| late(c)).map(|(slot, _)| slot).collect();
        late.into_iter().for_each(|slot| self.time_out(slot));
        self.setup.door.iter_mut().for_each(Door::reopen);
    }

    /// Closes a connection that was silent for too long. Who has begun a request is told why.
    fn time_out(&mut self, slot: usize) {
        let Some(connection) = self.connections.get_mut(slot) else {
            return;
        };
        if !connection.unread.is_empty() {
            let mut out = Vec::new();
            let id = crate::ids::RequestId::of(None);
            self.envelope.problem(&mut out, Code::RequestTimeout, id.as_str());
            // The peer may be gone; the connection ends either way.
            let _ = connection.send(&out);
        }
        self.drop_connection(slot);
    }

    fn stop(&mut self) {
        self.stopping = true;
        self.setup.door = None;
        let slots: Vec<usize> = self.connections.iter().map(|(slot, _)| slot).collect();
        slots.into_iter().for_each(|slot| self.close_if_idle(slot));
    }

    pub(super) fn close_if_idle(&mut self, slot: usize) {
        if self.connections.get(slot).is_some_and(Connection::owes_nothing) {
            self.drop_connection(slot);
        }
    }

    pub(super) fn drop_connection(&mut self, slot: usize) {
        if let Some(connection) = self.connections.try_remove(slot) {
            connection.close();
        }
    }
}
