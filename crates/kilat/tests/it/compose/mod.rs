//! `deploy/compose` brought up as it stands. Run by `cargo xtask compose`, which starts the
//! Docker engine that these tests need, and ends it with everything in it.
//!
//! Kilat's image is made by `deploy/prebuilt.Dockerfile` from the binary under test. For the other
//! images, which no registry is asked for, there are stand-ins with the same names: nginx and
//! Prometheus as this machine has them, and for Grafana a file server of what it is given to read.

mod containers;
mod demo;
mod images;
mod ledgers;
mod system;
