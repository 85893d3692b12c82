//! The audit log, seen from outside: what it promises to its writers and readers.

mod rig;
mod writing;
