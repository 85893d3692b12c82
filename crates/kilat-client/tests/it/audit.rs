//! The audit log, seen from outside: what it promises to its writers and readers.

mod crashing;
mod crowd;
mod damage;
mod resuming;
mod rig;
mod verifying;
mod writing;
