//! The question that a container's health check asks.

use crate::http::{Access, Api, CallError};
use crate::{ClientError, Lang};

/// Which of the server's states to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// `/livez`: the process runs.
    Live,
    /// `/readyz`: it can take orders.
    Ready,
    /// `/healthz`: it and what it depends on are well.
    Healthy,
}

impl Probe {
    /// Path of the probe.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Probe::Live => "/livez",
            Probe::Ready => "/readyz",
            Probe::Healthy => "/healthz",
        }
    }
}

/// Asks once, within `access.timeout`.
///
/// # Errors
/// [`ClientError::Unreachable`] when nothing answers, [`ClientError::Refused`]
/// when the answer is no, [`ClientError::Usage`] when the address is wrong.
pub fn check(access: &Access, probe: Probe, lang: Lang) -> Result<(), ClientError> {
    let api = Api::new(access, lang)?;
    match api.get(probe.path()) {
        Ok(_) => Ok(()),
        Err(CallError::Refused { status, problem: None }) => Err(ClientError::Refused(
            lang.say("error.not_healthy", &[("path", &probe.path()), ("status", &status)]),
        )),
        Err(error) => Err(error.explain(&access.url, lang)),
    }
}
