//! Whether the core is there for a replica as a whole, so that its connections do not each tell the
//! same. Must never decide what a connection does.

use crate::protocol::hello::Role;
use std::sync::{Mutex, PoisonError};

/// Which connections of a replica have lost the core.
#[derive(Default)]
pub(super) struct Presence(Mutex<Away>);

#[derive(Default)]
struct Away {
    lost: Vec<Role>,
    /// A reason that waiting does not mend, as it was told last.
    told: String,
}

impl Presence {
    /// This connection has lost the core; whether it is the first one that has.
    pub(super) fn lose(&self, role: Role) -> bool {
        self.change(|away| {
            let is_first = away.lost.is_empty();
            if !away.lost.contains(&role) {
                away.lost.push(role);
            }
            is_first
        })
    }

    /// Whether a reason that waiting does not mend is news.
    pub(super) fn is_news(&self, why: &str) -> bool {
        self.change(|away| {
            let is_news = away.told != why;
            why.clone_into(&mut away.told);
            is_news
        })
    }

    /// This connection has the core again; whether with it all have.
    pub(super) fn find(&self, role: Role) -> bool {
        self.change(|away| {
            away.lost.retain(|lost| *lost != role);
            let is_whole = away.lost.is_empty();
            if is_whole {
                away.told.clear();
            }
            is_whole
        })
    }

    /// What is known is whole between any two steps, also after a panic.
    fn change<T>(&self, change: impl FnOnce(&mut Away) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_connections_tell_once_that_the_core_is_away_and_once_that_it_is_back() {
        let presence = Presence::default();
        let all = [Role::Ledger, Role::Events, Role::Reads];
        for _ in 0..2 {
            assert_eq!(all.map(|role| presence.lose(role)), [true, false, false]);
            assert!(!presence.lose(Role::Ledger), "it tries again");
            let whys = ["other version", "other version", "other secret"];
            assert_eq!(whys.map(|why| presence.is_news(why)), [true, false, true]);
            assert_eq!(all.map(|role| presence.find(role)), [false, false, true]);
        }
    }
}
