//! The requests of one connection that an engine has, and the order in which their replies leave.
//!
//! Replies leave in the order of the requests, whatever order the answers come
//! in: a group that is refused at once overtakes the one before it, and only a
//! reply that is not its turn yet is kept here. Requests of one kind may be in
//! flight together, since their engine carries them out in the order in which it
//! gets them; those of another kind wait, since none are safe to carry out in
//! another order than sent (RFC 9112, 9.3.2).
//!
//! Must never know: what is in a reply.

/// Most requests of one connection that are in flight; more wait in its socket.
///
/// Also bounds the replies that wait for a peer who takes none, about 1.2 KB each at the most.
pub(super) const PIPELINED_MAX: usize = 128;

/// Which engine a request is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Order,
    Event,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Pipeline {
    /// Number of the request that comes next.
    next: u64,
    /// Number of the request whose turn it is to be answered.
    turn: u64,
    /// Of all requests in flight.
    kind: Kind,
    /// Replies that came before their turn.
    early: Vec<(u64, Vec<u8>)>,
}

impl Pipeline {
    /// Whether every request was answered.
    pub(super) const fn is_empty(&self) -> bool {
        self.next == self.turn
    }

    /// Whether a request of this kind may be taken now.
    pub(super) fn admits(&self, kind: Kind) -> bool {
        let in_flight = self.next - self.turn;
        in_flight == 0 || (self.kind == kind && in_flight < PIPELINED_MAX as u64)
    }

    /// A request that was admitted is in flight; tells its number.
    pub(super) fn begin(&mut self, kind: Kind) -> u64 {
        self.kind = kind;
        self.next += 1;
        self.next - 1
    }

    /// The reply to request `number` is what `out` holds from `start` on. Leaves in `out` what may
    /// be sent now: the replies whose turn it is.
    pub(super) fn settle(&mut self, number: u64, start: usize, out: &mut Vec<u8>) {
        if number != self.turn {
            return self.early.push((number, out.split_off(start)));
        }
        self.turn += 1;
        while let Some(at) = self.early.iter().position(|(number, _)| *number == self.turn) {
            out.extend_from_slice(&self.early.swap_remove(at).1);
            self.turn += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers requests in this order, and tells what could be sent after each.
    fn sent(answers: &[u64]) -> Vec<String> {
        let mut pipeline = Pipeline::default();
        answers.iter().for_each(|_| _ = pipeline.begin(Kind::Order));
        let sent = answers.iter().map(|number| {
            let mut out = b"before ".to_vec();
            let start = out.len();
            out.extend_from_slice(number.to_string().as_bytes());
            pipeline.settle(*number, start, &mut out);
            String::from_utf8_lossy(&out[start..]).into_owned()
        });
        let sent = sent.collect();
        assert!(pipeline.is_empty() && pipeline.early.is_empty(), "{answers:?}");
        sent
    }

    #[test]
    fn replies_wait_for_their_turn() {
        let cases: [(&[u64], &[&str]); 5] = [
            (&[0, 1, 2], &["0", "1", "2"]),
            (&[2, 1, 0], &["", "", "012"]),
            (&[1, 0, 2], &["", "01", "2"]),
            (&[0, 2, 3, 1], &["0", "", "", "123"]),
            (&[2, 0, 3, 1], &["", "0", "", "123"]),
        ];
        for (answers, expected) in cases {
            assert_eq!(sent(answers), expected, "{answers:?}");
        }
    }

    #[test]
    fn one_kind_at_a_time_and_no_more_than_the_limit() {
        let mut pipeline = Pipeline::default();
        assert!(pipeline.admits(Kind::Order) && pipeline.admits(Kind::Event));
        for _ in 0..PIPELINED_MAX {
            assert!(pipeline.admits(Kind::Event));
            pipeline.begin(Kind::Event);
            assert!(!pipeline.admits(Kind::Order), "it would overtake the events");
        }
        assert!(!pipeline.admits(Kind::Event));
        let mut out = Vec::new();
        for number in 1..PIPELINED_MAX as u64 {
            pipeline.settle(number, 0, &mut out);
            assert!(!pipeline.admits(Kind::Event), "what was not sent is in flight");
        }
        pipeline.settle(0, 0, &mut out);
        assert!(pipeline.is_empty() && pipeline.admits(Kind::Order));
    }
}
