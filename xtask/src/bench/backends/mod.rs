//! Ledgers that other engines keep: what selling there costs.

mod postgres;
mod redis;

use crate::bench::part::{Part, Role};
use crate::setup;

/// One entry each.
pub(super) static PARTS: &[Part] = &[
    Part {
        ids: &["T12"],
        role: Role::Target,
        needs: &[setup::REDIS, setup::REDIS_TOOLS],
        run: redis::beside_a_bare_client,
    },
    Part {
        ids: &["stripes"],
        role: Role::Target,
        needs: &[setup::REDIS, setup::REDIS_TOOLS],
        run: redis::stripes,
    },
    Part {
        ids: &["refusals"],
        role: Role::Target,
        needs: &[setup::REDIS, setup::REDIS_TOOLS],
        run: redis::refusals,
    },
    Part {
        ids: &["T13"],
        role: Role::Target,
        needs: &[setup::POSTGRES],
        run: postgres::beside_a_bare_client,
    },
];
