//! A run: `kilat attack` or `kilat check`, as a process of its own, one at a time.
//!
//! What it says is kept in bounded memory for whoever looks. Its arguments are made here from
//! checked numbers and names; its token travels in the environment, ids through a pipe.

use kilat_api::text::{REHEARSAL_PREFIX, is_sale_id};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::Notify;

/// Most buyers of a rehearsal.
pub(crate) const BUYERS_MAX: u32 = 200_000;
/// Most new orders a second in a rehearsal.
pub(crate) const RATE_MAX: u32 = 50_000;
/// Longest rehearsal, in seconds.
pub(crate) const SECONDS_MAX: u32 = 300;
/// Most ids of a check.
pub(crate) const IDS_MAX: usize = 5_000;
/// Most bytes of all ids of a check.
pub(crate) const IDS_BYTES_MAX: usize = 256 << 10;
/// Profiles that can be checked.
pub(crate) const PROFILES: [&str; 5] = ["stock", "flight", "domain", "package", "player"];
/// Shortest and longest time between two rounds of a check that goes on, in seconds.
pub(crate) const EVERY_SECONDS: std::ops::RangeInclusive<u32> = 2..=3_600;

/// Longest run; a check that goes on lasts as long as a session.
const RUN_MAX: Duration = Duration::from_secs(30 * 60);
const WATCH_MAX: Duration = Duration::from_secs(8 * 3600);
/// Longest wait for a run to end by itself once it was asked to.
const PATIENCE: Duration = Duration::from_secs(10);
/// Lines of its messages that are kept, and their length in bytes.
const LINES_MAX: usize = 12;
const LINE_BYTES_MAX: usize = 400;
/// Most bytes of a row, of all rows, and of a report.
const ROW_BYTES_MAX: usize = 2 << 10;
const ROWS_BYTES_MAX: usize = 4 << 20;
const REPORT_BYTES_MAX: u64 = 4 << 20;
/// Names the parent, so that the child ends with it.
const KEPT_BY: &str = "KILAT_KEPT_BY";

/// What is to be run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Wanted {
    /// Made with the form: the same again starts nothing.
    pub(crate) id: String,
    pub(crate) task: Task,
    /// Where whoever asks is reached.
    pub(crate) url: String,
    /// Language of messages: `id` or `en`.
    pub(crate) lang: String,
    /// Who asks.
    pub(crate) node: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Task {
    /// An attack on a sale that was made for it.
    Rehearsal { sale: String, of: String, buyers: u32, rate: Option<u32>, seconds: Option<u32> },
    /// Lookups, once or every so many seconds.
    Check { profile: String, ids: Vec<String>, every: Option<u32> },
}

impl Wanted {
    /// Whether all of it is within limits; the asker has looked too.
    pub(super) fn is_sound(&self) -> bool {
        let task = match &self.task {
            Task::Rehearsal { sale, buyers, rate, seconds, .. } => {
                is_sale_id(sale)
                    && sale.starts_with(REHEARSAL_PREFIX)
                    && (1..=BUYERS_MAX).contains(buyers)
                    && rate.is_none_or(|rate| (1..=RATE_MAX).contains(&rate))
                    && seconds.is_none_or(|seconds| (1..=SECONDS_MAX).contains(&seconds))
            }
            Task::Check { profile, ids, every } => {
                PROFILES.contains(&profile.as_str())
                    && (1..=IDS_MAX).contains(&ids.len())
                    && ids.iter().map(String::len).sum::<usize>() <= IDS_BYTES_MAX
                    && ids.iter().all(|id| !id.trim().is_empty() && !id.contains(['\n', '\r']))
                    && every.is_none_or(|every| EVERY_SECONDS.contains(&every))
            }
        };
        task && matches!(self.lang.as_str(), "id" | "en") && self.url.starts_with("http://")
    }
}

/// How a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RunState {
    #[default]
    Running,
    /// It ended well: proven, or everything known.
    Done,
    /// It ended otherwise.
    Failed,
    Cancelled,
    /// It took too long.
    TimedOut,
}

/// What is seen of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunView {
    pub(crate) id: String,
    pub(crate) is_check: bool,
    /// The sale that is rehearsed, or the profile.
    pub(crate) subject: String,
    /// The copy that is attacked.
    pub(crate) sale: String,
    /// Where it reaches the system.
    #[serde(default)]
    pub(crate) url: String,
    /// It reaches a server itself, though a gateway is in front: that one speaks TLS only.
    #[serde(default)]
    pub(crate) skips_gateway: bool,
    pub(crate) state: RunState,
    /// Milliseconds since 1970.
    pub(crate) started: i64,
    pub(crate) ended: Option<i64>,
    /// The last messages, oldest first.
    pub(crate) lines: Vec<String>,
    /// How many ids are known, of how many.
    pub(crate) rows: usize,
    pub(crate) ids: usize,
    /// What an attack came to, or the summary of a check.
    pub(crate) report: Option<Value>,
    /// Seconds between rounds of a check that goes on.
    pub(crate) every: Option<u32>,
}

impl RunState {
    /// The state's code, as a style knows it.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            RunState::Running => "running",
            RunState::Done => "done",
            RunState::Failed | RunState::TimedOut => "failed",
            RunState::Cancelled => "cancelled",
        }
    }
}

impl RunView {
    pub(crate) fn is_running(&self) -> bool {
        self.state == RunState::Running
    }

    /// A number of the report.
    pub(crate) fn figure(&self, place: &str) -> u64 {
        let report = self.report.as_ref();
        report.and_then(|report| report.pointer(place)?.as_u64()).unwrap_or(0)
    }

    /// Whether an attack has proven its result; `None` before it has one.
    pub(crate) fn proven(&self) -> Option<bool> {
        self.report.as_ref()?.get("proven")?.as_bool()
    }

    /// An attack's checks, each with its sign.
    pub(crate) fn checks(&self) -> Vec<Check<'_>> {
        let checks = self.report.as_ref().and_then(|report| report.get("checks")?.as_array());
        checks.into_iter().flatten().filter_map(check).collect()
    }
}

/// One of an attack's checks.
pub(crate) struct Check<'a> {
    pub(crate) name: &'a str,
    pub(crate) sign: &'static str,
    pub(crate) style: &'static str,
}

fn check(check: &Value) -> Option<Check<'_>> {
    let name = check.get("name")?.as_str()?;
    Some(match check.get("result")?.as_str()? {
        "passed" => Check { name, sign: "✓", style: "yes" },
        "failed" => Check { name, sign: "✗", style: "no" },
        _ => Check { name, sign: "·", style: "hint" },
    })
}

/// A run, shared by who watches it and who looks.
pub(super) struct Run {
    pub(super) wanted: Wanted,
    cancel: Notify,
    seen: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    view: RunView,
    /// The newest row of each id.
    rows: BTreeMap<String, Value>,
    bytes: usize,
    cancelled: bool,
}

/// With what runs are started.
pub(super) struct Program {
    pub(super) admin_token: String,
    /// Where checks keep their logs.
    pub(super) folder: PathBuf,
}

impl Run {
    /// A run that begins now, in milliseconds since 1970.
    pub(super) fn new(wanted: Wanted, started: i64) -> Run {
        let mut view = RunView { id: wanted.id.clone(), started, ..RunView::default() };
        match &wanted.task {
            Task::Rehearsal { sale, of, .. } => {
                (view.subject, view.sale) = (of.clone(), sale.clone());
            }
            Task::Check { profile, ids, every } => {
                view.is_check = true;
                (view.subject, view.ids, view.every) = (profile.clone(), ids.len(), *every);
            }
        }
        let seen = Mutex::new(Progress { view, ..Progress::default() });
        Run { wanted, cancel: Notify::new(), seen }
    }

    /// It is known where it reaches the system.
    pub(super) fn goes_to(&self, url: &str, skips_gateway: bool) {
        let mut seen = self.seen();
        (seen.view.url, seen.view.skips_gateway) = (url.to_owned(), skips_gateway);
    }

    pub(super) fn view(&self) -> RunView {
        self.seen().view.clone()
    }

    pub(super) fn is_running(&self) -> bool {
        self.seen().view.state == RunState::Running
    }

    /// The newest row of each id, in the order asked.
    pub(super) fn rows(&self) -> Vec<Value> {
        let Task::Check { ids, .. } = &self.wanted.task else { return Vec::new() };
        let seen = self.seen();
        ids.iter().filter_map(|id| seen.rows.get(id).cloned()).collect()
    }

    /// Asks it to end.
    pub(super) fn cancel(&self) {
        self.seen().cancelled = true;
        self.cancel.notify_one();
    }

    /// No code panics while it holds the lock.
    fn seen(&self) -> MutexGuard<'_, Progress> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs it to its end.
    pub(super) async fn carry_out(self: Arc<Self>, program: &Program, url: &str) {
        let state = match self.start(program, url) {
            Ok(child) => self.watch(child).await,
            Err(error) => {
                self.say(format!("it can't be started ({error})"));
                RunState::Failed
            }
        };
        let mut seen = self.seen();
        seen.view.state = state;
        seen.view.ended = Some(crate::state::wall_clock().as_millis());
    }

    fn start(&self, program: &Program, url: &str) -> std::io::Result<Child> {
        std::fs::create_dir_all(&program.folder)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(self.arguments(program, url)).kill_on_drop(true).process_group(0);
        let ours = |name: &OsString| name.to_string_lossy().starts_with("KILAT_");
        command.env_clear().envs(std::env::vars_os().filter(|(name, _)| !ours(name)));
        command.env(KEPT_BY, std::process::id().to_string());
        if matches!(self.wanted.task, Task::Rehearsal { .. }) {
            command.env("KILAT_ADMIN_TOKEN", &program.admin_token);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn()
    }

    fn arguments(&self, program: &Program, url: &str) -> Vec<OsString> {
        let mut words: Vec<String> = Vec::new();
        let mut add = |more: &[&str]| words.extend(more.iter().map(ToString::to_string));
        match &self.wanted.task {
            Task::Rehearsal { sale, buyers, rate, seconds, .. } => {
                add(&["attack", "--json", "--patience", "20", "--url", url]);
                add(&["--sale", sale, "--close"]);
                add(&["--buyers", &buyers.to_string()]);
                if let Some(rate) = rate {
                    add(&["--rate", &rate.to_string()]);
                }
                if let Some(seconds) = seconds {
                    add(&["--duration", &seconds.to_string()]);
                }
            }
            Task::Check { profile, every, .. } => {
                let log = program.folder.join(format!("check-{profile}.jsonl"));
                add(&["check", profile, "-", "--json", "--overwrite", "--url", url]);
                add(&["--log", &log.to_string_lossy()]);
                if let Some(every) = every {
                    add(&["--watch", &format!("{every}s")]);
                }
            }
        }
        add(&["--lang", &self.wanted.lang]);
        words.into_iter().map(OsString::from).collect()
    }

    async fn watch(self: &Arc<Self>, mut child: Child) -> RunState {
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let talk = async {
            tokio::join!(self.feed(stdin), self.read_result(stdout), self.read_messages(stderr));
        };
        let is_endless = matches!(self.wanted.task, Task::Check { every: Some(_), .. });
        let most = if is_endless { WATCH_MAX } else { RUN_MAX };
        tokio::pin!(talk);
        let in_time = tokio::select! {
            () = &mut talk => true,
            () = self.cancel.notified() => true,
            () = tokio::time::sleep(most) => false,
        };
        let cancelled = self.seen().cancelled;
        if cancelled || !in_time {
            ask_to_end(&child);
            let ended = async {
                talk.await;
                child.wait().await
            };
            if tokio::time::timeout(PATIENCE, ended).await.is_err() {
                // An error means that it has ended already.
                let _ = child.kill().await;
            }
        }
        match child.wait().await {
            _ if !in_time => RunState::TimedOut,
            _ if cancelled => RunState::Cancelled,
            Ok(status) => self.ended(status),
            Err(_) => RunState::Failed,
        }
    }

    /// A check whose ids are not all known has still done its work.
    fn ended(&self, status: ExitStatus) -> RunState {
        let is_check = matches!(self.wanted.task, Task::Check { .. });
        match status.code() {
            Some(0) => RunState::Done,
            Some(1) if is_check && self.seen().view.report.is_some() => RunState::Done,
            _ => RunState::Failed,
        }
    }

    /// Gives a check its ids.
    async fn feed(&self, stdin: Option<ChildStdin>) {
        let Task::Check { ids, .. } = &self.wanted.task else { return };
        let Some(mut stdin) = stdin else { return };
        // An error means that it has ended, and says so itself.
        let _ = stdin.write_all(ids.join("\n").as_bytes()).await;
        let _ = stdin.shutdown().await;
    }

    async fn read_result(&self, stdout: Option<impl AsyncRead + Unpin>) {
        let Some(stdout) = stdout else { return };
        if matches!(self.wanted.task, Task::Rehearsal { .. }) {
            let mut text = Vec::new();
            // What is cut off is no JSON, and no report.
            let _ = stdout.take(REPORT_BYTES_MAX).read_to_end(&mut text).await;
            let mut report: Option<Value> = serde_json::from_slice(&text).ok();
            if let Some(Value::Object(members)) = &mut report {
                members.retain(|name, _| !matches!(name.as_str(), "timeline" | "latency_buckets"));
            }
            self.seen().view.report = report;
            return;
        }
        let mut lines = BufReader::new(stdout).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            self.take_row(&line);
        }
    }

    /// A row of a check, or its summary.
    fn take_row(&self, line: &str) {
        let Ok(mut row) = serde_json::from_str::<Value>(line) else { return };
        let mut seen = self.seen();
        if let Some(summary) = row.get_mut("summary") {
            seen.view.report = Some(summary.take());
            return;
        }
        let Some(id) = row["id"].as_str().map(str::to_owned) else { return };
        if line.len() > ROW_BYTES_MAX || seen.bytes + line.len() > ROWS_BYTES_MAX {
            row.as_object_mut().map(|members| members.remove("row"));
        }
        if seen.rows.len() < IDS_MAX || seen.rows.contains_key(&id) {
            seen.bytes += if seen.rows.contains_key(&id) { 0 } else { line.len() };
            seen.rows.insert(id, row);
            seen.view.rows = seen.rows.len();
        }
    }

    async fn read_messages(&self, stderr: Option<impl AsyncRead + Unpin>) {
        let Some(stderr) = stderr else { return };
        let mut lines = BufReader::new(stderr).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            self.say(line);
        }
    }

    fn say(&self, mut line: String) {
        line.truncate(line.floor_char_boundary(LINE_BYTES_MAX));
        let mut seen = self.seen();
        seen.view.lines.push(line);
        let over = seen.view.lines.len().saturating_sub(LINES_MAX);
        seen.view.lines.drain(..over);
    }
}

fn ask_to_end(child: &Child) {
    let pid = child.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
    if let Some(pid) = pid {
        // An error means that it has ended already.
        let _ = kill_process(pid, Signal::TERM);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(task: Task) -> Wanted {
        let (id, url) = ("1".to_owned(), "http://127.0.0.1:1".to_owned());
        Wanted { id, task, url, lang: "en".to_owned(), node: "n".to_owned() }
    }

    fn rehearsal(sale: &str, buyers: u32, rate: u32, seconds: u32) -> Wanted {
        let (sale, of) = (sale.to_owned(), "s".to_owned());
        let (rate, seconds) = (Some(rate), Some(seconds));
        wanted(Task::Rehearsal { sale, of, buyers, rate, seconds })
    }

    fn lookups(profile: &str, ids: &[&str], every: Option<u32>) -> Wanted {
        let ids = ids.iter().map(ToString::to_string).collect();
        wanted(Task::Check { profile: profile.to_owned(), ids, every })
    }

    #[test]
    fn only_what_is_within_limits_is_run_and_never_against_a_live_sale() {
        let many = vec!["a"; IDS_MAX + 1];
        let table = [
            (rehearsal("rehearsal-1", 1, 1, 1), true),
            (rehearsal("rehearsal-1", BUYERS_MAX, RATE_MAX, SECONDS_MAX), true),
            (rehearsal("iphone-17-pro-max", 1, 1, 1), false),
            (rehearsal("rehearsal-1 --url", 1, 1, 1), false),
            (rehearsal("rehearsal-1", 0, 1, 1), false),
            (rehearsal("rehearsal-1", BUYERS_MAX + 1, 1, 1), false),
            (rehearsal("rehearsal-1", 1, RATE_MAX + 1, 1), false),
            (rehearsal("rehearsal-1", 1, 1, SECONDS_MAX + 1), false),
            (lookups("stock", &["a", "--help"], Some(2)), true),
            (lookups("../x.toml", &["a"], None), false),
            (lookups("stock", &[], None), false),
            (lookups("stock", &many, None), false),
            (lookups("stock", &["a\nb"], None), false),
            (lookups("stock", &["a"], Some(1)), false),
        ];
        for (number, (wanted, sound)) in table.into_iter().enumerate() {
            assert_eq!(wanted.is_sound(), sound, "{number}");
        }
    }

    #[test]
    fn what_a_check_says_is_kept_by_id_and_bounded() {
        let run = Run::new(lookups("stock", &["a", "b"], None), 0);
        for line in [
            r#"{"id":"b","outcome":"found"}"#,
            r#"{"id":"a","outcome":"unknown"}"#,
            r#"{"id":"a","outcome":"found"}"#,
            r#"{"summary":{"ids":2}}"#,
            "nonsense",
        ] {
            run.take_row(line);
        }
        let long = format!(r#"{{"id":"b","row":"{}"}}"#, "x".repeat(ROW_BYTES_MAX));
        run.take_row(&long);
        assert_eq!(run.rows()[0]["outcome"], "found");
        assert_eq!(run.rows()[1].get("row"), None);
        assert_eq!(run.view().report.unwrap()["ids"], 2);
        for number in 0..100 {
            run.say(format!("{number}{}", "é".repeat(1_000)));
        }
        let lines = run.view().lines;
        assert_eq!(lines.len(), LINES_MAX);
        assert!(lines.iter().all(|line| line.len() <= LINE_BYTES_MAX));
    }
}
