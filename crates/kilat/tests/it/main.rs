//! The program as its users meet it: real processes, real files, a real browser.
//!
//! | module | holds |
//! |---|---|
//! | `program`, `http` | starting `kilat`, ending it whatever happens, and asking it |
//! | `system`, `storm` | the whole system by `kilat up`, and an attack on it |
//! | `operator` | an operator's session without a browser |
//! | `witness` | a client that remembers what it was told, and checks it later |
//! | `facts` | an auditor who knows only what is published |
//! | `trace` | system calls that fail or kill on request |
//! | `collector` | an OpenTelemetry collector that can misbehave |
//! | `process` | tests with processes only |
//! | `mount` | tests with file systems of their own: root only |
//! | `network` | tests with networks of their own: root only |
//! | `browser` | tests with a browser |
//! | `deploy` | tests of what stands in `deploy/`, with the programs it is made for |
//! | `compose` | tests of `deploy/compose` with a Docker engine, which `cargo xtask compose` starts |
//! | `guide` | `docs/demo.md`, for who follows it |

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking; clippy sees only functions marked as tests"
)]

mod browser;
mod collector;
mod compose;
mod deploy;
mod facts;
mod guide;
mod http;
mod mount;
mod network;
mod operator;
mod process;
mod program;
mod storm;
mod system;
mod trace;
mod witness;
