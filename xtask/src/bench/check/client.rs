//! `kilat check` as the thing that is measured. Reads only its log, as an auditor would.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::bench::job::{self, Ended};
use crate::bench::scene::Scene;
use crate::bench::server::{self, Server};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest time of one check.
const DEADLINE: Duration = Duration::from_secs(1_800);

/// A check that is still to be run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Check<'a> {
    pub(super) server: &'a Server,
    pub(super) profile: &'a str,
    /// A file of ids; the profile's own ids without one.
    pub(super) ids: Option<&'a Path>,
    /// Ids in flight; without it the check finds what the server takes.
    pub(super) concurrency: Option<u32>,
    /// Where the audit log is written, anew.
    pub(super) log: &'a Path,
}

/// One id's record in the audit log.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lookup {
    pub(super) outcome: String,
    /// From the beginning of the run until it ended.
    pub(super) ended: Duration,
    /// From sending its last request until the reply was whole.
    pub(super) reply: Duration,
}

impl Check<'_> {
    /// Runs it; a check that leaves an id unknown is a failure.
    pub(super) fn run(self, scene: &Scene) -> Result<Ended> {
        let mut command = server::pinned(None)?;
        command.arg(scene.kilat()?).args(["check", self.profile]);
        command.args(["--quiet", "--overwrite"]).arg("--log").arg(self.log);
        command.args(["--url", &format!("http://{}", self.server.address())]);
        if let Some(ids) = self.ids {
            command.arg("--file").arg(ids);
        }
        if let Some(concurrency) = self.concurrency {
            command.args(["--concurrency", &concurrency.to_string()]);
        }
        let ended = job::run(&mut command, DEADLINE)?;
        let Ended { status, output, errors, .. } = &ended;
        ensure!(status.success(), "`kilat check` ended with {status}: {output}{errors}");
        Ok(ended)
    }
}

/// Reads a log; `each` is given every id's record in the order of the log. Counts them.
pub(super) fn read(log: &Path, mut each: impl FnMut(Lookup)) -> Result<u64> {
    let file = File::open(log).with_context(|| format!("cannot read {}", log.display()))?;
    let mut began = None;
    let mut count = 0;
    for line in BufReader::new(file).lines() {
        let record: Value = serde_json::from_str(&line?)?;
        match record["kind"].as_str() {
            Some("start") => began = Some(time_of_day(&record)?),
            Some("lookup") => {
                each(lookup(&record, began.context("a record before the run began")?)?);
                count += 1;
            }
            Some("end") => {}
            _ => bail!("a record of another kind: {record}"),
        }
    }
    Ok(count)
}

fn lookup(record: &Value, began: Duration) -> Result<Lookup> {
    let at = time_of_day(record)?;
    // A run may pass midnight.
    let at = if at < began { at + DAY } else { at };
    Ok(Lookup {
        outcome: record["outcome"].as_str().context("no outcome")?.to_owned(),
        ended: at - began + millis(&record["ms"])?,
        reply: millis(&record["reply_ms"])?,
    })
}

/// Of `2026-11-21T09:30:00.125Z`, what stands between `T` and `Z`.
fn time_of_day(record: &Value) -> Result<Duration> {
    let at = record["at"].as_str().context("no time")?;
    let time = at.split_once('T').and_then(|(_, time)| time.strip_suffix('Z'));
    let mut seconds = 0.0;
    for part in time.with_context(|| format!("`{at}` is no time in UTC"))?.split(':') {
        seconds = seconds * 60.0 + part.parse::<f64>()?;
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn millis(value: &Value) -> Result<Duration> {
    Ok(Duration::from_secs_f64(value.as_f64().context("no duration")? / 1e3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_record_tells_when_it_ended() {
        let began = Duration::from_secs(86_399);
        let record = json!({
            "at": "2026-11-22T00:00:01.500Z", "ms": 250.0, "reply_ms": 200.0, "outcome": "found",
        });
        let expected = Lookup {
            outcome: "found".to_owned(),
            ended: Duration::from_millis(2_750),
            reply: Duration::from_millis(200),
        };
        assert_eq!(lookup(&record, began).unwrap(), expected);
        assert!(time_of_day(&json!({ "at": "2026-11-22T00:00:01+07:00" })).is_err());
    }
}
