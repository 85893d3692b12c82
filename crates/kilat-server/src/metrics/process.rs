//! What the system says about this process, under the names that Prometheus has for it.
//!
//! A figure that can't be read is left out.

use super::exposition::Exposition;
use procfs::process::{LimitValue, Process};
use procfs::{ProcResult, page_size, ticks_per_second};
use std::time::{SystemTime, UNIX_EPOCH};

/// Writes the process's figures; it started at `started`.
pub(super) fn render(started: SystemTime, out: &mut Exposition) {
    let since = started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    out.single("process_start_time_seconds", "gauge", "When it started, as Unix time", since);
    // Without a mounted /proc there are none.
    let _ = Process::myself().and_then(|process| read(&process, out));
}

#[expect(clippy::cast_precision_loss, reason = "ticks since the start are far below 2^52")]
fn read(process: &Process, out: &mut Exposition) -> ProcResult<()> {
    let stat = process.stat()?;
    let second = ticks_per_second() as f64;
    let (cpu, memory) = ((stat.utime + stat.stime) as f64 / second, stat.rss * page_size());
    let gauge = "gauge";
    out.single("process_cpu_seconds_total", "counter", "Processor time used", cpu);
    out.single("process_resident_memory_bytes", gauge, "Memory in use", memory);
    out.single("process_virtual_memory_bytes", gauge, "Address space in use", stat.vsize);
    out.single("process_threads", gauge, "Threads", stat.num_threads);
    out.single("process_open_fds", gauge, "Open file descriptors", process.fd_count()?);
    if let LimitValue::Value(most) = process.limits()?.max_open_files.soft_limit {
        out.single("process_max_fds", gauge, "Most file descriptors", most);
    }
    Ok(())
}
