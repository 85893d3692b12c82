//! The benchmarks of the event log: its targets, and what else keeps events once, in the same
//! run. Must never know how a peer is driven: each has a module of its own.

mod aggregator;
mod driver;
pub(crate) mod generator;
mod jetstream;
mod large;
mod load;
mod nats;
mod postgres;
mod publish;
mod race;
mod restart;
mod seed;
mod stores;

use super::part::{Part, Role};
use crate::setup;

/// A new target or peer is one entry here and a module of its subject.
pub(super) static PARTS: &[Part] = &[
    Part {
        ids: &["T6"],
        role: Role::Target,
        needs: &[setup::UTIL_LINUX, setup::WRK, setup::NGINX],
        run: publish::publications,
    },
    Part { ids: &["T7"], role: Role::Target, needs: &[setup::UTIL_LINUX], run: large::logs },
    Part { ids: &["T8"], role: Role::Target, needs: &[setup::UTIL_LINUX], run: restart::restarts },
    Part {
        ids: &["seed"],
        role: Role::Peer,
        needs: &[setup::UTIL_LINUX, setup::PYTHON],
        run: seed::publications,
    },
    Part {
        ids: &["nats"],
        role: Role::Peer,
        needs: &[setup::UTIL_LINUX, setup::NATS],
        run: nats::with_its_default,
    },
    Part {
        ids: &["nats-sync"],
        role: Role::Peer,
        needs: &[setup::UTIL_LINUX, setup::PYTHON],
        run: nats::with_a_sync_each,
    },
    Part {
        ids: &["postgres"],
        role: Role::Peer,
        needs: &[setup::UTIL_LINUX, setup::PYTHON, setup::POSTGRES],
        run: postgres::inserts,
    },
    Part {
        ids: &["sqlite"],
        role: Role::Peer,
        needs: &[setup::UTIL_LINUX, setup::PYTHON],
        run: stores::sqlite,
    },
    Part { ids: &["fjall"], role: Role::Peer, needs: &[setup::UTIL_LINUX], run: stores::fjall },
];
