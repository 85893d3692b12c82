//! Publications on their way to the event log behind a core.

use super::Known;
use super::in_flight::Sent;
use super::ledger::answer;
use super::link::Traffic;
use crate::Unavailable;
use crate::events::{Forgotten, ProjectorState, RemoteLog, Work};
use crate::intake::Queued as _;
use crate::protocol::events;
use crate::protocol::frame::{Frame, Kind};
use crate::protocol::hello::Role;
use crate::protocol::wire::Malformed;
use std::sync::Arc;
use tokio::sync::watch;

/// See the module.
pub(super) struct EventTraffic {
    pub(super) log: Arc<RemoteLog>,
    pub(super) ends: watch::Sender<u64>,
    pub(super) projector: Arc<ProjectorState>,
    /// Set when the log's state was heard.
    pub(super) known: Arc<Known>,
}

impl Traffic for EventTraffic {
    type Work = Work;
    const ROLE: Role = Role::Events;

    /// A publication counts each time, and its first verdicts would be lost; a rule goes up to the
    /// newest event. Whoever sent them sends them again.
    fn can_repeat(_: &Work) -> bool {
        false
    }

    fn kind(work: &Work) -> Kind {
        match work {
            Work::Publish { publication, .. } if publication.is_projected() => Kind::PublishFacts,
            Work::Publish { .. } => Kind::Publish,
            Work::Forget { .. } => Kind::Forget,
        }
    }

    fn write(work: &Work, out: &mut Vec<u8>) {
        match work {
            Work::Publish { publication, .. } => events::put_publication(publication, out),
            Work::Forget { rule, .. } => events::put_rule(rule, out),
        }
    }

    fn settle(sent: Sent<Work>, reply: Frame<'_>) -> Result<(), Malformed> {
        let Frame { kind, mut body, .. } = reply;
        match (sent.work, kind) {
            (Work::Publish { publication, done }, Kind::Published) => {
                answer(done, &mut body, |body| {
                    let verdicts = events::verdicts(body)?;
                    if verdicts.len() == publication.len() {
                        Ok(verdicts)
                    } else {
                        Err(Malformed("a publication has not one verdict an event"))
                    }
                })
            }
            (Work::Forget { reply, .. }, Kind::Forgotten) => {
                answer(reply, &mut body, |body| Ok(Forgotten { below: body.u64()? }))
            }
            (work, _) => {
                work.refuse(Unavailable::Unknown);
                Err(Malformed("a reply is of another kind than its request"))
            }
        }
    }

    fn hear(&self, mut frame: Frame<'_>) -> Result<(), Malformed> {
        if frame.kind != Kind::LogState {
            return Err(Malformed("the core tells what was not asked for"));
        }
        let state = events::state(&mut frame.body)?;
        self.log.tell(&state);
        self.projector.set(state.projector_frame, state.projector_halted);
        self.ends.send_if_modified(|known| std::mem::replace(known, state.end) != state.end);
        self.known.set();
        Ok(())
    }

    fn cut_off(&self) {}
}
