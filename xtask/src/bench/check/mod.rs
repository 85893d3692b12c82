//! The benchmarks of `kilat check`: its targets, and what else asks an API many things at once,
//! against the same reference server in the same run. Must never know how a reply is judged.

mod audit;
mod client;
mod flood;
mod limit;
mod lists;
mod peers;
mod reference;

use super::part::{Part, Role};
use crate::setup;

/// A new target or peer is one entry here and a module of its subject.
pub(super) static PARTS: &[Part] = &[
    Part {
        ids: &["T9"],
        role: Role::Target,
        needs: &[setup::UTIL_LINUX, setup::PYTHON],
        run: flood::lookups,
    },
    Part { ids: &["T10"], role: Role::Target, needs: &[setup::UTIL_LINUX], run: audit::lines },
    Part { ids: &["lists"], role: Role::Target, needs: &[setup::UTIL_LINUX], run: lists::five },
    Part { ids: &["limit"], role: Role::Target, needs: &[setup::UTIL_LINUX], run: limit::found },
    Part {
        ids: &["threads"],
        role: Role::Peer,
        needs: &[setup::UTIL_LINUX, setup::PYTHON],
        run: peers::threads,
    },
    Part {
        ids: &["aiohttp"],
        role: Role::Peer,
        needs: &[setup::UTIL_LINUX, setup::PYTHON],
        run: peers::aiohttp,
    },
    Part {
        ids: &["curl"],
        role: Role::Peer,
        needs: &[setup::UTIL_LINUX, setup::CURL],
        run: peers::curl,
    },
];
