//! A program that runs to its end and is measured meanwhile. Must never know what it does.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::usage;

/// Between two looks at whether a job has ended: wall times are no finer than this.
const END_POLL: Duration = Duration::from_millis(1);
/// Between two looks at its memory.
const MEMORY_POLL: Duration = Duration::from_millis(20);

/// How a job ended, and what it used.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    /// What it wrote to standard output.
    pub(super) output: String,
    /// What it wrote to standard error.
    pub(super) errors: String,
    /// From its start until its end was seen.
    pub(super) wall: Duration,
    /// The most anonymous memory that was seen while it ran, in bytes.
    pub(super) peak_bytes: f64,
}

/// Starts `command` and waits for its end; past `deadline` it is killed and that is an error.
pub(super) fn run(command: &mut Command, deadline: Duration) -> Result<Ended> {
    let name = format!("{command:?}");
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    let output = reader(child.stdout.take().context("no standard output")?);
    let errors = reader(child.stderr.take().context("no standard error")?);
    let (status, peak_bytes) = watch(&mut child, started + deadline)
        .with_context(|| format!("{name} has {} s", deadline.as_secs()))?;
    let wall = started.elapsed();
    let text = |reader: thread::JoinHandle<String>| reader.join().unwrap_or_default();
    Ok(Ended { status, output: text(output), errors: text(errors), wall, peak_bytes })
}

/// Looks at its memory until it ends.
fn watch(child: &mut Child, until: Instant) -> Result<(ExitStatus, f64)> {
    let mut peak_bytes: f64 = 0.0;
    let mut next_look = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((status, peak_bytes));
        }
        if Instant::now() > next_look {
            // A process that ends right now has no memory any more.
            let memory = usage::memory(child.id()).map_or(0.0, |memory| memory.anonymous);
            peak_bytes = peak_bytes.max(memory);
            next_look = Instant::now() + MEMORY_POLL;
        }
        if Instant::now() > until {
            child.kill()?;
            child.wait()?;
            bail!("it did not end in time");
        }
        thread::sleep(END_POLL);
    }
}

/// A pipe that nobody reads would stop the job once it is full.
fn reader(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        let _ = pipe.read_to_string(&mut text);
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_job_tells_how_it_ended() {
        let ended = run(&mut shell("echo out; echo err >&2; exit 3"), Duration::from_secs(60));
        let ended = ended.unwrap();
        assert_eq!(ended.status.code(), Some(3));
        assert_eq!((ended.output.as_str(), ended.errors.as_str()), ("out\n", "err\n"));
    }

    #[test]
    fn a_job_that_does_not_end_is_ended() {
        let error = run(&mut shell("exec sleep 1000"), Duration::from_millis(50)).unwrap_err();
        assert!(format!("{error:#}").contains("did not end"), "{error:#}");
    }
}
