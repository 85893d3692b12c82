//! One call in flight. When it is slow and there is budget, a second one goes beside it:
//! one answer counts, and the other call is dropped.

use super::Clock;
use super::lookup::{Call, Lookup};
use super::traffic::{Answered, Traffic};
use crate::check::call::{Reply, Request};
use crate::check::exchange::Setback;
use crate::check::pace::{At, OriginNumber, Pass};
use std::cell::RefCell;
use std::pin::{Pin, pin};
use std::time::Duration;

/// A call that is over.
pub(super) struct Arrival {
    pub(super) origin: OriginNumber,
    pub(super) lookups: Vec<Lookup>,
    pub(super) answered: Answered,
}

type Carried = Result<Reply, Setback>;

/// Carries one call.
pub(super) async fn attempt<Carry>(
    carry: &Carry,
    traffic: &RefCell<Traffic>,
    clock: Clock,
    call: Call,
) -> Arrival
where
    Carry: AsyncFn(&Request) -> Carried,
{
    let Call { origin, request, mut lookups, pass } = call;
    let way = Way { traffic, clock, origin };
    let sent = way.sent(pass);
    let first = pin!(carry(&request));
    let hedge_after = traffic.borrow().hedge_after();
    let answered = match hedge_after {
        None => way.back(sent, first.await),
        // Boxed, so that calls take no room for a second one that most never get.
        Some(after) => {
            let (answered, is_hedged) =
                Box::pin(way.hedged(sent, first, after, || carry(&request))).await;
            lookups.iter_mut().for_each(|lookup| lookup.attempts += u32::from(is_hedged));
            answered
        }
    };
    Arrival { origin, lookups, answered }
}

/// Where a call goes.
struct Way<'a> {
    traffic: &'a RefCell<Traffic>,
    clock: Clock,
    origin: OriginNumber,
}

struct Sent {
    pass: Pass,
    at: At,
}

impl Way<'_> {
    fn sent(&self, pass: Pass) -> Sent {
        Sent { pass, at: self.clock.now() }
    }

    fn back(&self, Sent { pass, at }: Sent, result: Carried) -> Answered {
        self.traffic.borrow_mut().back(self.clock.now(), self.origin, pass, result, at)
    }

    fn forget(&self, sent: Sent) {
        self.traffic.borrow_mut().forget(self.clock.now(), self.origin, sent.pass);
    }

    /// Waits for the first call and, if need be, for a second one. Says whether there was one.
    async fn hedged<First, Second>(
        &self,
        sent: Sent,
        mut first: Pin<&mut First>,
        after: Duration,
        second: impl FnOnce() -> Second,
    ) -> (Answered, bool)
    where
        First: Future<Output = Carried>,
        Second: Future<Output = Carried>,
    {
        if let Ok(result) = tokio::time::timeout(after, first.as_mut()).await {
            return (self.back(sent, result), false);
        }
        let pass = self.traffic.borrow_mut().start_beside(self.clock.now(), self.origin);
        let Some(pass) = pass else { return (self.back(sent, first.await), false) };
        let beside = self.sent(pass);
        let mut second = pin!(second());
        let answered = tokio::select! {
            biased;
            result = first.as_mut() => self.either(self.back(sent, result), beside, second).await,
            result = second.as_mut() => self.either(self.back(beside, result), sent, first).await,
        };
        (answered, true)
    }

    /// The first answer, unless it is trouble and the other call may still bring something
    /// better. Of two troubles the later time to come again holds.
    async fn either<Other>(
        &self,
        answered: Answered,
        sent: Sent,
        other: Pin<&mut Other>,
    ) -> Answered
    where
        Other: Future<Output = Carried>,
    {
        if answered.is_served {
            self.forget(sent);
            return answered;
        }
        let second = self.back(sent, other.await);
        let again_at = second.again_at.max(answered.again_at);
        let is_invited = second.is_invited || answered.is_invited;
        Answered { again_at, is_invited, is_paid: second.is_paid || answered.is_paid, ..second }
    }
}
