//! How a command ends when it does not succeed: one sentence and an exit code.

use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// Wrong usage or settings: the caller must change something first. Exit code 2.
    pub(crate) fn usage(message: impl fmt::Display) -> Failure {
        Failure { message: message.to_string(), code: 2 }
    }

    /// What was to be checked does not hold, or the work failed. Exit code 1.
    pub(crate) fn failed(message: impl fmt::Display) -> Failure {
        Failure { message: message.to_string(), code: 1 }
    }

    /// At the start: whoever restarts processes should try this one again when waiting may help.
    pub(crate) fn at_start(may_pass: bool, why: impl fmt::Display) -> Failure {
        if may_pass { Failure::failed(why) } else { Failure::usage(why) }
    }

    /// Says why on stderr.
    pub(crate) fn report(&self) -> ExitCode {
        // Where nobody can be told, the exit code still says it.
        let _ = writeln!(std::io::stderr(), "kilat: {self}");
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<kilat_client::ClientError> for Failure {
    fn from(error: kilat_client::ClientError) -> Failure {
        Failure { code: error.exit_code(), message: error.to_string() }
    }
}
