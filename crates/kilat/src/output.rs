//! What a command puts on stdout. `println!` would panic when nobody reads any more.

use crate::failure::Failure;
use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

/// Puts `text` on stdout. A reader that went away has what it wanted.
///
/// # Errors
/// [`Failure`] when stdout can't take it for another reason.
pub(crate) fn print(text: &str) -> Result<ExitCode, Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("the result can't be printed ({error})")))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Tells on stdout that a server is ready, and what else its owner should know. It serves also
/// when nobody reads that.
pub(crate) fn tell(line: impl std::fmt::Display) {
    if let Err(failure) = print(&format!("{line}\n")) {
        tracing::warn!(%failure, "nobody was told that it is ready");
    }
}
