//! The loop of the broadcast: newcomers in, changes in, one round of writes out.

use super::channel::Channel;
use super::frame::Frame;
use super::reader::Reader;
use super::{Broadcast, End, Newcomer};
use crate::limits::STREAM_INTERVAL;
use crate::state::wall_clock;
use kilat_engine::Handle;
use mio::event::Event;
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::time::{Duration, Instant};
use tokio::runtime;

/// Events taken from the system at once.
const EVENTS_PER_ROUND: usize = 1_024;
/// How often readers are looked for that take nothing.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// Readers send nothing after their request; what they do send is read in such pieces.
const SCRATCH_BYTES: usize = 1_024;

pub(super) struct Rounds {
    poll: Poll,
    broadcast: Broadcast,
    engine: Handle,
    runtime: runtime::Handle,
    write_timeout: Duration,
    channels: Slab<Channel>,
    /// Channels by the id of their sale.
    by_sale: HashMap<String, usize>,
    readers: Slab<Reader>,
    /// Some reader may not have the newest event.
    is_owed: bool,
    /// No round before this: changes until then are folded into one.
    next_round: Instant,
    swept: Instant,
    now: Instant,
    end: End,
}

impl Rounds {
    pub(super) fn new(
        poll: Poll,
        broadcast: Broadcast,
        engine: Handle,
        runtime: runtime::Handle,
        write_timeout: Duration,
    ) -> Rounds {
        let now = Instant::now();
        Rounds {
            poll,
            broadcast,
            engine,
            runtime,
            write_timeout,
            channels: Slab::new(),
            by_sale: HashMap::new(),
            readers: Slab::new(),
            is_owed: false,
            next_round: now,
            swept: now,
            now,
            end: End::NotYet,
        }
    }

    /// Runs until told to end.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_PER_ROUND);
        while !self.has_ended() {
            match self.poll.poll(&mut events, self.patience()) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    return tracing::error!(%error, "the broadcast can't wait and ends");
                }
                Ok(()) => {}
            }
            self.now = Instant::now();
            events.iter().for_each(|event| self.meet(event));
            self.collect();
            self.play();
            self.comment();
            self.sweep();
        }
    }

    fn has_ended(&self) -> bool {
        self.end == End::Now || (self.end == End::NoNewcomers && self.readers.is_empty())
    }

    /// Without readers it sleeps until it is called.
    fn patience(&self) -> Option<Duration> {
        let wall_clock = wall_clock();
        let is_due = |(_, channel): (usize, &Channel)| channel.is_due(wall_clock);
        let round = (self.is_owed || self.channels.iter().any(is_due))
            .then(|| self.next_round.saturating_duration_since(self.now));
        let is_stalled = |(_, reader): (usize, &Reader)| reader.is_stalled();
        let sweep = self.readers.iter().any(is_stalled).then_some(SWEEP_EVERY);
        let channels = self.channels.iter().map(|(_, it)| it.patience(self.now, wall_clock));
        channels.chain(round).chain(sweep).min()
    }

    fn meet(&mut self, event: &Event) {
        let Token(slot) = event.token();
        // The bell's is none of them.
        let Some(reader) = self.readers.get_mut(slot) else { return };
        let was_stalled = reader.is_stalled();
        let has_gone = event.is_read_closed()
            || event.is_error()
            || (event.is_readable() && !reader.is_here(&mut [0; SCRATCH_BYTES]));
        if has_gone || (event.is_writable() && was_stalled && !reader.go_on(self.now)) {
            return self.drop_reader(slot);
        }
        // It may have missed events meanwhile.
        self.is_owed |= was_stalled && !reader.is_stalled();
    }

    fn drop_reader(&mut self, slot: usize) {
        let reader = self.readers.remove(slot);
        self.channels[reader.channel].readers -= 1;
        self.close_channels();
    }

    /// Asks of each reader whether it stays.
    fn keep(&mut self, mut stays: impl FnMut(&mut Reader, &Channel) -> bool) {
        let channels = &mut self.channels;
        self.readers.retain(|_, reader| {
            let stays = stays(reader, &channels[reader.channel]);
            channels[reader.channel].readers -= usize::from(!stays);
            stays
        });
        self.close_channels();
    }

    /// Follows no sale that nobody follows here.
    fn close_channels(&mut self) {
        let channels = &mut self.channels;
        self.by_sale.retain(|_, key| {
            let is_followed = channels[*key].readers > 0;
            if !is_followed {
                channels.remove(*key);
            }
            is_followed
        });
    }

    /// Serves what other threads left.
    fn collect(&mut self) {
        let mail = self.broadcast.take();
        for newcomer in mail.newcomers {
            self.admit(newcomer);
        }
        self.end = mail.end;
        if self.end > End::NotYet {
            let now = self.now;
            self.keep(|reader, _| reader.finish(now));
        }
    }

    fn admit(&mut self, newcomer: Newcomer) {
        let channel = self.channel(&newcomer);
        self.channels[channel].readers += 1;
        let Newcomer { stream, is_chunked, seat, place, .. } = newcomer;
        let mut reader = Reader::new(stream, is_chunked, (seat, place), channel);
        let entry = self.readers.vacant_entry();
        let (slot, interest) = (entry.key(), Interest::READABLE | Interest::WRITABLE);
        let watched = self.poll.registry().register(&mut reader.stream, Token(slot), interest);
        entry.insert(reader);
        if let Err(error) = watched {
            tracing::warn!(%error, "a reader can't be watched and is closed");
            return self.drop_reader(slot);
        }
        self.welcome(slot);
    }

    /// The channel of a newcomer's sale.
    fn channel(&mut self, newcomer: &Newcomer) -> usize {
        let sale = newcomer.sale.borrow().terms.id.clone();
        if let Some(channel) = self.by_sale.get(&sale) {
            return *channel;
        }
        let (broadcast, followed) = (self.broadcast.clone(), newcomer.sale.clone());
        let channel = Channel::new(followed, broadcast, &self.runtime, self.now);
        let key = self.channels.insert(channel);
        self.by_sale.insert(sale, key);
        key
    }

    /// Tells a newcomer the state without waiting for the next round.
    fn welcome(&mut self, slot: usize) {
        if !self.engine.board().is_live() {
            // Stock of a while ago must not pass for today's.
            self.is_owed = true;
            return;
        }
        let Some(reader) = self.readers.get_mut(slot) else { return };
        let channel = &mut self.channels[reader.channel];
        // If it is news, the others are told in the next round.
        self.is_owed |= channel.look(wall_clock());
        if !reader.tell(channel, self.now) {
            self.drop_reader(slot);
        }
    }

    /// Tells everybody what is new, if it is time.
    fn play(&mut self) {
        if self.now < self.next_round {
            return;
        }
        let (now, wall_clock) = (self.now, wall_clock());
        let is_live = self.engine.board().is_live();
        for (_, channel) in &mut self.channels {
            if channel.is_due(wall_clock) && channel.look(wall_clock) {
                channel.stir(now);
                self.is_owed = true;
            }
        }
        if std::mem::take(&mut self.is_owed) {
            self.next_round = now + STREAM_INTERVAL;
            self.tell_all(is_live);
        }
    }

    /// Tells everybody the state that was looked at after the board was, or was not, live.
    fn tell_all(&mut self, is_live: bool) {
        let (now, mut is_owed) = (self.now, false);
        self.keep(|reader, channel| {
            if channel.is_over() {
                return reader.finish(now);
            }
            if reader.is_new() && !is_live {
                is_owed = true;
                return true;
            }
            reader.tell(channel, now)
        });
        self.is_owed |= is_owed;
    }

    /// Sends a comment where nothing was sent for long.
    fn comment(&mut self) {
        let now = self.now;
        if !self.channels.iter().any(|(_, channel)| channel.is_silent(now)) {
            return;
        }
        let comment = Frame::comment();
        self.keep(|reader, channel| !channel.is_silent(now) || reader.send(&comment, now).is_ok());
        for (_, channel) in &mut self.channels {
            if channel.is_silent(now) {
                channel.stir(now);
            }
        }
    }

    /// Closes on those who take nothing.
    fn sweep(&mut self) {
        let (now, timeout) = (self.now, self.write_timeout);
        if now.saturating_duration_since(self.swept) >= SWEEP_EVERY {
            self.swept = now;
            self.keep(|reader, _| !reader.is_stuck(timeout, now));
        }
    }
}
