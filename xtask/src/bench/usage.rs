//! What a process used so far, as the kernel counts it. Must never start or end anything.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// The unit of processor time in `/proc`: 100 ticks a second on every common Linux (`USER_HZ`).
const TICK_MS: u64 = 10;

/// Memory of a process, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    /// All that is resident, mapped files included.
    pub(super) resident: f64,
    /// What no file backs.
    pub(super) anonymous: f64,
}

/// User and system time of all threads, ended ones included (proc_pid_stat(5), fields 14 and 15).
pub(super) fn cpu_time(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let ticks = cpu_ticks(&text).with_context(|| format!("{path} has another form"))?;
    Ok(Duration::from_millis(ticks * TICK_MS))
}

/// Resident memory (proc_pid_status(5)).
pub(super) fn memory(pid: u32) -> Result<Memory> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    parse_memory(&text).with_context(|| format!("{path} has another form"))
}

/// The name in field 2 may hold spaces and brackets: fields are counted after its last bracket.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn parse_memory(status: &str) -> Option<Memory> {
    let bytes = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib * 1024.0)
    };
    Some(Memory { resident: bytes("VmRSS:")?, anonymous: bytes("RssAnon:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 38 135 0 0 20 0 1 0 99";
        assert_eq!(cpu_ticks(stat), Some(38 + 135));
        assert_eq!(cpu_ticks("7 (a) S 1"), None);
    }

    #[test]
    fn memory_is_in_bytes() {
        let memory = parse_memory("Name:\tx\nVmRSS:\t    2048 kB\nRssAnon:\t 512 kB\n").unwrap();
        assert_eq!((memory.resident, memory.anonymous), (2_097_152.0, 524_288.0));
        assert!(parse_memory("Name:\tx\n").is_none());
    }

    #[test]
    fn this_process_uses_something() {
        let pid = std::process::id();
        assert!(memory(pid).unwrap().resident > 0.0);
        assert!(cpu_time(pid).is_ok());
    }
}
