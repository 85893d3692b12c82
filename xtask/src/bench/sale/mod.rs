//! The benchmarks of the sale: each target of `docs/benchmarks.md` against its peer, in the
//! same run. Must never judge a run by whether a target is reached: it only says so.

mod attack;
mod batch;
pub(crate) mod generator;
mod idle;
mod purchase;
mod redis;
mod restart;
pub(super) mod seed;

use super::part::{Part, Role};
use crate::setup;

/// A new target is one entry here and a module of its subject.
pub(super) static PARTS: &[Part] = &[
    Part {
        ids: &["T1", "T1b"],
        role: Role::Target,
        needs: &[setup::UTIL_LINUX, setup::WRK, setup::NGINX],
        run: purchase::purchases,
    },
    Part {
        ids: &["T2"],
        role: Role::Target,
        needs: &[setup::UTIL_LINUX],
        run: batch::through_the_api,
    },
    Part { ids: &["T3"], role: Role::Target, needs: &[], run: batch::in_process },
    Part {
        ids: &["T4"],
        role: Role::Target,
        needs: &[setup::UTIL_LINUX, setup::WRK, setup::NGINX],
        run: purchase::refusals,
    },
    Part { ids: &["T8"], role: Role::Target, needs: &[setup::UTIL_LINUX], run: restart::restarts },
    Part {
        ids: &["core"],
        role: Role::Target,
        needs: &[setup::UTIL_LINUX],
        run: restart::of_a_core,
    },
    Part {
        ids: &["T11"],
        role: Role::Target,
        needs: &[setup::UTIL_LINUX, setup::WRK],
        run: attack::generator,
    },
    Part { ids: &["T14"], role: Role::Target, needs: &[setup::UTIL_LINUX], run: idle::costs },
    Part {
        ids: &["seed"],
        role: Role::Peer,
        needs: &[setup::UTIL_LINUX, setup::WRK, setup::NGINX, setup::REDIS, setup::PYTHON],
        run: seed::purchases,
    },
    Part {
        ids: &["redis"],
        role: Role::Peer,
        needs: &[setup::UTIL_LINUX, setup::REDIS, setup::REDIS_TOOLS],
        run: redis::reservations,
    },
];
