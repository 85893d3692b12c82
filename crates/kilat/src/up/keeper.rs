//! The other side of being kept: a process of `kilat up` ends when `kilat up` is gone.

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

/// Holds the process id of who keeps this process.
pub(super) const KEPT_BY: &str = "KILAT_KEPT_BY";

/// Lets the kernel ask this process to end when its keeper dies, if it has one. Nobody would
/// restart it, and nobody else could have its ports.
pub(crate) fn end_with_keeper() {
    let keeper = std::env::var(KEPT_BY).ok().and_then(|pid| Pid::from_raw(pid.parse().ok()?));
    if keeper.is_none() {
        return;
    }
    // It can only fail for a signal that does not exist.
    let _ = set_parent_process_death_signal(Some(Signal::TERM));
    if getppid() != keeper {
        // It died before the kernel was told.
        std::process::exit(1);
    }
}
