//! The grouping thread: takes what waits, decides it as one group, commits it as one frame.

use super::reclaimer::Bell;
use super::work::Work;
use super::{Forgotten, GROUP_BYTES_MAX, PublishedCallback};
use crate::intake::{Intake, Queued as _, Waited, Waiting};
use crate::query::Reply;
use crate::spare::SpareBuffers;
use crate::watchers::Watchers;
use crate::{Clock, QUEUE_WAIT_MS_MAX, Unavailable};
use kilat_eventlog::{
    ForgetRule, GROUP_HEADER_BYTES, Publication, Refusal, Staged, Verdict, Writer,
};
use kilat_journal::{Committed, Committer, Directory, Frame, PAYLOAD_BYTES_MAX};
use metrics::{Counter, Histogram, counter, describe_counter, describe_histogram, histogram};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// From this many waiting bytes on, the next group is decided while the last one is being
/// committed. Smaller ones wait and let others join, see the ledger's batcher.
const DECIDE_AHEAD_BYTES: usize = 256 << 10;
const _: () = assert!(
    GROUP_HEADER_BYTES + GROUP_BYTES_MAX <= PAYLOAD_BYTES_MAX,
    "the largest group must fit into one frame"
);

/// The grouping thread's state.
pub(super) struct Grouper {
    pub(super) writer: Writer<Directory>,
    pub(super) clock: Clock,
    pub(super) intake: Arc<Intake<Work>>,
    pub(super) committer: Committer,
    pub(super) release: Arc<Release>,
}

/// What follows a commit, on the thread that committed: it only passes results on.
pub(super) struct Release {
    spare: SpareBuffers,
    ends: watch::Sender<u64>,
    watchers: Arc<Watchers<u64>>,
    bell: Arc<Bell>,
    meters: Meters,
}

struct Meters {
    groups: Counter,
    group_events: Histogram,
    write_seconds: Histogram,
    fsync_seconds: Histogram,
}

/// Verdicts that wait for their frame. Dropped without having been released they tell every
/// caller that the outcome is not known.
#[derive(Default)]
struct Outgoing(Vec<(Vec<Verdict>, PublishedCallback)>);

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.0.drain(..).for_each(|(_, done)| done(Err(Unavailable::Failed)));
    }
}

impl Grouper {
    /// Runs until the intake is closed and empty; then everything taken is durable and answered.
    pub(super) fn run(mut self) {
        let mut taken = Vec::new();
        let mut waiting = VecDeque::new();
        loop {
            let ahead = match self.intake.wait(None) {
                Waited::Closed => break,
                Waited::Deadline => false,
                Waited::Work { bytes, .. } => bytes >= DECIDE_AHEAD_BYTES,
            };
            if ahead {
                self.committer.wait_ready();
            } else {
                self.committer.wait_idle();
            }
            self.intake.take(&mut taken);
            waiting.extend(taken.drain(..));
            while !waiting.is_empty() {
                self.next(&mut waiting, ahead);
            }
        }
        drop(self.committer.close());
        self.writer.close();
    }

    /// Commits the publications up to the next rule, or the rule.
    fn next(&mut self, waiting: &mut VecDeque<Waiting<Work>>, ahead: bool) {
        let is_rule = |one: &Waiting<Work>| matches!(one.work, Work::Forget { .. });
        let publications = waiting.iter().position(is_rule).unwrap_or(waiting.len());
        if publications > 0 {
            self.group(waiting.drain(..publications), ahead);
        } else if let Some(Waiting { work: Work::Forget { rule, reply }, .. }) = waiting.pop_front()
        {
            self.forget(&rule, reply);
        }
    }

    /// Decides these publications as one group and hands it over.
    fn group(
        &mut self,
        waiting: std::collections::vec_deque::Drain<'_, Waiting<Work>>,
        ahead: bool,
    ) {
        let waiting: Vec<_> = waiting.collect();
        let bytes: usize = waiting.iter().map(|one| one.work.frame_bytes_max()).sum();
        if let Some(why) = self.no_room(bytes) {
            waiting.into_iter().for_each(|one| one.work.refuse(why));
            return;
        }
        self.writer.begin(self.clock.now().as_millis(), self.release.spare.take());
        let mut outgoing = Outgoing::default();
        for Waiting { work, since } in waiting {
            if since.elapsed() > Duration::from_millis(QUEUE_WAIT_MS_MAX) {
                work.refuse(Unavailable::Overloaded);
            } else if let Work::Publish { publication, done } = work {
                self.decide(&publication, done, &mut outgoing);
            }
        }
        let staged = self.writer.finish();
        let events: usize = outgoing.0.iter().map(|(verdicts, _)| verdicts.len()).sum();
        #[expect(clippy::cast_precision_loss, reason = "a group's events are far below 2^52")]
        self.release.meters.group_events.record(events as f64);
        let release = Arc::clone(&self.release);
        self.commit(staged, ahead, move |end| release.answer(outgoing, end));
    }

    fn decide(
        &mut self,
        publication: &Publication,
        done: PublishedCallback,
        outgoing: &mut Outgoing,
    ) {
        let mut verdicts = Vec::with_capacity(publication.len());
        match self.writer.decide(publication, &mut verdicts) {
            Ok(()) => outgoing.0.push((verdicts, done)),
            Err(Refusal::TooManyTopics) => done(Err(Unavailable::TooManyTopics)),
            Err(Refusal::LookUp(error)) => {
                tracing::error!(%error, "the index of events can't be read");
                done(Err(Unavailable::Failed));
            }
        }
    }

    /// A rule has a frame of its own.
    fn forget(&mut self, rule: &ForgetRule, reply: Reply<Forgotten>) {
        if let Some(why) = self.no_room(0) {
            reply(Err(why));
            return;
        }
        let (below, mut staged) = match self.writer.forget(rule, self.clock.now().as_millis()) {
            Ok(forgotten) => forgotten,
            Err(error) => {
                tracing::error!(%error, "nothing was forgotten");
                reply(Err(Unavailable::Failed));
                return;
            }
        };
        // On a full disk the rule is worth more than its bytes: they go when the segment is full.
        staged.begins_segment =
            staged.begins_segment && self.committer.reserve_segment(GROUP_HEADER_BYTES).is_ok();
        let release = Arc::clone(&self.release);
        self.commit(staged, false, move |_| {
            release.bell.rule();
            reply(Ok(Forgotten { below }));
        });
    }

    /// Space is reserved before anything is decided, so that what is decided can be recorded.
    fn no_room(&self, bytes: usize) -> Option<Unavailable> {
        if !self.writer.has_room() {
            return Some(Unavailable::StorageFull);
        }
        self.committer.reserve(GROUP_HEADER_BYTES + bytes).err().map(Unavailable::from)
    }

    /// Commits a frame; when it is durable readers see it, and then `then` is told the new end.
    fn commit(
        &self,
        staged: Staged<Directory>,
        ahead: bool,
        then: impl FnOnce(u64) + Send + 'static,
    ) {
        let Staged { payload, head_bytes, begins_segment, durable } = staged;
        let release = Arc::clone(&self.release);
        let done = Box::new(move |committed: Committed| {
            let end = durable.publish(&committed);
            release.committed(committed);
            then(end);
        });
        let frame = Frame { payload, head_bytes: Some(head_bytes), begins_segment, done };
        let taken = if ahead { self.committer.submit(frame) } else { self.committer.commit(frame) };
        if let Err(error) = taken {
            // The callers were answered when `then` was dropped; the journal has said why.
            tracing::error!(%error, "a group of events was not taken");
        }
    }
}

impl Release {
    pub(super) fn new(
        ends: watch::Sender<u64>,
        watchers: Arc<Watchers<u64>>,
        bell: Arc<Bell>,
    ) -> Release {
        describe_counter!("kilat_event_groups_total", "Groups of publications committed");
        describe_histogram!("kilat_event_group_events", "Events of a group, duplicates included");
        describe_histogram!("kilat_event_write_seconds", "Time to write a group");
        describe_histogram!("kilat_event_fsync_seconds", "Time until the device has a group");
        let meters = Meters {
            groups: counter!("kilat_event_groups_total"),
            group_events: histogram!("kilat_event_group_events"),
            write_seconds: histogram!("kilat_event_write_seconds"),
            fsync_seconds: histogram!("kilat_event_fsync_seconds"),
        };
        Release { spare: SpareBuffers::default(), ends, watchers, bell, meters }
    }

    #[expect(clippy::cast_precision_loss, reason = "durations are far below 2^52 nanoseconds")]
    fn committed(&self, committed: Committed) {
        self.bell.at(committed.place.segment);
        self.meters.groups.increment(1);
        self.meters.write_seconds.record(committed.write_ns as f64 / 1e9);
        self.meters.fsync_seconds.record(committed.sync_ns as f64 / 1e9);
        self.spare.keep(committed.payload);
    }

    /// Those who wait for events are woken before the replies go, so that nobody holds a reply
    /// that a reader can't see yet.
    fn answer(&self, mut outgoing: Outgoing, end: u64) {
        self.ends.send_if_modified(|known| std::mem::replace(known, end) != end);
        self.watchers.tell(&end);
        outgoing.0.drain(..).for_each(|(verdicts, done)| done(Ok(verdicts)));
    }
}
