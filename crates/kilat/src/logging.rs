//! Logs on stderr: readable lines, or one JSON record a line.

use crate::failure::Failure;
use tracing::Level;

/// Starts logging from `level` on.
///
/// # Errors
/// [`Failure::usage`] when the level is none.
pub(crate) fn start(level: &str, json: bool) -> Result<(), Failure> {
    let level: Level = level.parse().map_err(|_| {
        Failure::usage(format!(
            "log is \"{}\" and must be error, warn, info, debug or trace",
            level.escape_default()
        ))
    })?;
    let lines = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level);
    if json {
        lines.json().flatten_event(true).init();
    } else {
        lines.with_target(false).with_ansi(wants_colour()).init();
    }
    Ok(())
}

/// Colour only for people who look at a terminal and did not say no (no-color.org).
fn wants_colour() -> bool {
    use std::io::IsTerminal;
    std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
