//! The machine on which figures are taken: what a reader needs to judge them.
//! Must never know what is measured.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::num::NonZero;
use std::path::Path;
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::figure::Spread;

/// Flushes of 4 KiB whose times are taken.
const FLUSHES: usize = 200;
const BLOCK_BYTES: usize = 4096;

/// What is told about the machine.
#[derive(Debug)]
pub(super) struct Machine {
    cores: usize,
    processor: String,
    memory_gib: f64,
    kernel: String,
    /// Milliseconds of one `fdatasync` after 4 KiB were written over zeros.
    flush_ms: Spread,
    date: String,
    /// The commit that was measured, `+` when files differ from it.
    revision: String,
}

impl Machine {
    /// Looks around; `folder` is on the disk where benchmarks keep their data.
    pub(super) fn examine(folder: &Path) -> Result<Self> {
        Ok(Self {
            cores: thread::available_parallelism().map_or(1, NonZero::get),
            processor: value_in("/proc/cpuinfo", "model name").unwrap_or_default(),
            memory_gib: memory_gib(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .unwrap_or_default()
                .trim()
                .to_owned(),
            flush_ms: flush_ms(folder).context("cannot measure the disk")?,
            date: first_line("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
            revision: first_line("git", &["describe", "--always", "--dirty=+"]),
        })
    }

    /// One line for people.
    pub(super) fn line(&self) -> String {
        format!(
            "machine: {} cores ({}), {:.0} GiB, Linux {}, fdatasync of 4 KiB {} ms (min / median / max), {}, revision {}",
            self.cores,
            self.processor,
            self.memory_gib,
            self.kernel,
            self.flush_ms.text(),
            self.date,
            self.revision,
        )
    }

    /// The same for a program.
    pub(super) fn to_json(&self) -> Value {
        json!({
            "cores": self.cores,
            "processor": self.processor,
            "memory_gib": self.memory_gib,
            "kernel": self.kernel,
            "fdatasync_4_kib_ms": {
                "min": self.flush_ms.min,
                "median": self.flush_ms.median,
                "max": self.flush_ms.max,
            },
            "date": self.date,
            "revision": self.revision,
        })
    }
}

/// Times as a journal sees them: the blocks are there already, only their content changes.
fn flush_ms(folder: &Path) -> Result<Spread> {
    let path = folder.join("flush");
    let mut file = File::create(&path)?;
    file.write_all(&vec![0; FLUSHES * BLOCK_BYTES])?;
    file.sync_all()?;
    file.seek(SeekFrom::Start(0))?;
    let mut samples = Vec::with_capacity(FLUSHES);
    for _ in 0..FLUSHES {
        file.write_all(&[1; BLOCK_BYTES])?;
        let started = Instant::now();
        file.sync_data()?;
        samples.push(started.elapsed().as_secs_f64() * 1e3);
    }
    fs::remove_file(&path)?;
    Spread::of(&samples).context("no flush was measured")
}

fn memory_gib() -> f64 {
    let kib = value_in("/proc/meminfo", "MemTotal")
        .and_then(|value| value.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0 / 1024.0
}

/// The value after `key … :` in the first line of `file` that has it.
fn value_in(file: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// What a program answers, or `unknown`: none of it is worth a failure.
fn first_line(program: &str, arguments: &[&str]) -> String {
    let answer = duct::cmd(program, arguments).stderr_null().read();
    answer
        .ok()
        .and_then(|text| Some(text.lines().next()?.to_owned()))
        .unwrap_or_else(|| "unknown".to_owned())
}
