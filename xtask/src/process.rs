//! Runs other programs: shown line by line, silently, or against a deadline.
//! Must never know which programs the project uses or what their output means.

use std::env;
use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, IsTerminal as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use duct::Expression;

/// How a program that was shown while it ran came to its end.
#[derive(Debug)]
pub(crate) struct Shown {
    /// Whether it exited with code 0.
    pub(crate) success: bool,
    /// The lines that the caller asked to keep, without colours.
    pub(crate) kept: Vec<String>,
}

/// How a program with a deadline came to its end.
#[derive(Debug)]
pub(crate) enum Captured {
    /// It exited by itself.
    Exited {
        /// Whether it exited with code 0.
        success: bool,
        /// Standard output and standard error, in the order written.
        output: String,
    },
    /// It was still running at the deadline and was killed.
    TimedOut,
}

/// The cargo that runs this program, so that nested builds use the same toolchain.
pub(crate) fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Expression {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    without_own_names(with_search_path(duct::cmd(cargo, arguments)))
}

/// Without what the cargo that runs this program has told it of itself. There are build scripts that
/// look at the same variables: they would run again, and all that depends on them be compiled again,
/// whenever cargo is called from here after it was called from elsewhere.
fn without_own_names(expression: Expression) -> Expression {
    let is_own = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    let names = env::vars_os().map(|(name, _)| name);
    names
        .filter(|name| name.to_str().is_some_and(is_own))
        .fold(expression, |expression, name| expression.env_remove(name))
}

/// Any other program, looked for in [`search_path`].
pub(crate) fn program<'a>(
    name: &str,
    arguments: impl IntoIterator<Item = &'a str>,
) -> Result<Expression> {
    let found = find(name).with_context(|| format!("`{name}` is not installed"))?;
    Ok(with_search_path(duct::cmd(found, arguments)))
}

/// A program that runs longer than this hangs: the slowest one compiles a tool from source.
const DEADLINE: Duration = Duration::from_secs(20 * 60);

/// Runs to the end with this program's own output; `true` when the exit code is 0.
pub(crate) fn succeeds(expression: &Expression) -> Result<bool> {
    let handle = expression.unchecked().start()?;
    if let Some(output) = handle.wait_timeout(DEADLINE)? {
        return Ok(output.status.success());
    }
    handle.kill()?;
    bail!("still running after {} s: killed", DEADLINE.as_secs())
}

/// Like [`succeeds`], without any output.
pub(crate) fn succeeds_silently(expression: &Expression) -> bool {
    let silent = expression.stdin_null().stdout_null().stderr_null();
    succeeds(&silent).unwrap_or(false)
}

/// Runs to the end, prints each line as it comes, and keeps those that `keep` wants.
pub(crate) fn show(expression: &Expression, keep: fn(&str) -> bool) -> Result<Shown> {
    // Behind a pipe the runner can't see that a person is watching.
    let colour = if io::stdout().is_terminal() { "always" } else { "never" };
    let reader =
        expression.env("CARGO_TERM_COLOR", colour).stderr_to_stdout().unchecked().reader()?;
    let mut kept = Vec::new();
    let mut lines = BufReader::new(&reader);
    let mut raw = Vec::new();
    while lines.read_until(b'\n', &mut raw)? > 0 {
        let line = String::from_utf8_lossy(&raw);
        print!("{line}");
        let plain = without_colours(line.trim_end());
        if keep(&plain) {
            kept.push(plain);
        }
        raw.clear();
    }
    let success = reader.try_wait()?.is_some_and(|output| output.status.success());
    Ok(Shown { success, kept })
}

/// Runs silently and keeps the output; kills the program when `deadline` has passed.
pub(crate) fn capture_within(deadline: Duration, expression: &Expression) -> Result<Captured> {
    let handle = expression.stdin_null().stderr_to_stdout().stdout_capture().unchecked().start()?;
    if let Some(output) = handle.wait_timeout(deadline)? {
        return Ok(Captured::Exited {
            success: output.status.success(),
            output: String::from_utf8_lossy(&output.stdout).into_owned(),
        });
    }
    handle.kill()?;
    Ok(Captured::TimedOut)
}

/// Where `name` is installed.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    search_path().into_iter().map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// `PATH`, then where cargo installs to and where Debian keeps administrators' programs:
/// neither is on every user's `PATH`.
fn search_path() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let home = env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from).or(home);
    env::split_paths(&path)
        .chain(cargo_home.map(|home| home.join("bin")))
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .collect()
}

fn with_search_path(expression: Expression) -> Expression {
    match env::join_paths(search_path()) {
        Ok(path) => expression.env("PATH", path),
        Err(_) => expression,
    }
}

/// Drops ANSI escape sequences of the form `ESC [ … letter`.
fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, escape)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        let end = escape.find(|c: char| c.is_ascii_alphabetic());
        rest = end.map_or("", |end| &escape[end + 1..]);
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_has_told_this_program_of_itself_is_told_to_no_other() {
        assert!(env::var_os("CARGO_PKG_NAME").is_some(), "nothing would be tested");
        let told = without_own_names(duct::cmd!("env")).read().unwrap();
        let is_own =
            |line: &str| line.starts_with("CARGO_PKG_") || line.starts_with("CARGO_MANIFEST_");
        assert!(!told.lines().any(is_own), "{told}");
    }

    #[test]
    fn colours_are_dropped_and_text_is_kept() {
        assert_eq!(without_colours("\u{1b}[32;1m  ok\u{1b}[0m done"), "  ok done");
        assert_eq!(without_colours("plain [text]"), "plain [text]");
        assert_eq!(without_colours("cut \u{1b}[32"), "cut ");
    }

    #[test]
    fn shown_programs_keep_what_is_asked_and_their_exit_code() {
        let script = duct::cmd("sh", ["-c", "echo one; echo two >&2; exit 3"]);
        let shown = show(&script, |line| line == "two").unwrap();
        assert!(!shown.success);
        assert_eq!(shown.kept, ["two"]);
    }

    #[test]
    fn a_program_past_its_deadline_is_killed() {
        let sleeper = duct::cmd("sleep", ["600"]);
        let captured = capture_within(Duration::from_millis(50), &sleeper).unwrap();
        assert!(matches!(captured, Captured::TimedOut), "{captured:?}");
    }

    #[test]
    fn a_program_in_time_gives_both_outputs() {
        let script = duct::cmd("sh", ["-c", "echo one; echo two >&2"]);
        match capture_within(Duration::from_secs(60), &script).unwrap() {
            Captured::Exited { success, output } => {
                assert!(success);
                assert_eq!(output, "one\ntwo\n");
            }
            Captured::TimedOut => panic!("echo took longer than a minute"),
        }
    }
}
