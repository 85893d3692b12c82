//! `kilat backup` and `kilat restore`: a data directory copied while it is in use, and back.

use crate::failure::Failure;
use crate::interrupt::{INTERRUPTED, stop_on_interrupt};
use crate::lang::{Lang, say};
use crate::output::print;
use crate::readable::{expect_readable, is_kept, kept};
use crate::secrets::KEPT_FILES;
use crate::verify::{content_of, events_text, sale_line, sales_json};
use clap::Args;
use indicatif::DecimalBytes;
use kilat_client::View;
use kilat_engine::{
    BackedUp, BackupError, BackupManifest, BackupOptions, Restored, Time, Verified,
};
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// What to back up, and where to.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// The directory to make; nothing may be there.
    target: PathBuf,
    /// The data directory. It may be in use.
    #[arg(long, env = "KILAT_DATA", default_value = "./kilat-data", value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    say: Say,
}

/// What to restore, and where to.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The backup.
    backup: PathBuf,
    /// The data directory to make; it must be empty or not exist.
    #[arg(long, env = "KILAT_DATA", default_value = "./kilat-data", value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    say: Say,
}

#[derive(Debug, Args)]
struct Say {
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    /// Show no progress.
    #[arg(long, short)]
    quiet: bool,
}

/// Takes a backup and says what is in it.
///
/// # Errors
/// [`Failure`]: exit code 2 when something else must be asked for, else 1; 130 after Ctrl-C.
pub(crate) fn backup(args: BackupArgs, lang: Lang) -> Result<ExitCode, Failure> {
    expect_readable(&args.data, lang)?;
    let options = BackupOptions {
        data: args.data,
        target: args.target,
        kept: KEPT_FILES,
        by: concat!("kilat ", env!("CARGO_PKG_VERSION")).to_owned(),
    };
    let mut progress = Progress::start(args.say.quiet, lang)?;
    let done = kilat_engine::backup(&options, &mut |bytes| progress.advance(bytes));
    progress.finish();
    match done {
        Ok(done) if args.say.json => print(&format!("{}\n", backup_json(&options, &done))),
        Ok(done) => print(&backup_text(&options, &done, lang)),
        Err(error) => failed(error, lang),
    }
}

/// Restores a backup and says what was in it.
///
/// # Errors
/// As [`backup`].
pub(crate) fn restore(args: &RestoreArgs, lang: Lang) -> Result<ExitCode, Failure> {
    expect_readable(&args.backup, lang)?;
    let mut progress = Progress::start(args.say.quiet, lang)?;
    let mut advance = |bytes| progress.advance(bytes);
    let done = kilat_engine::restore(&args.backup, &args.data, content_of, &mut advance);
    progress.finish();
    match done {
        Ok(done) if args.say.json => print(&format!("{}\n", restore_json(args, &done))),
        Ok(done) => print(&restore_text(args, &done, lang)),
        Err(error) => failed(error, lang),
    }
}

fn failed(error: BackupError, lang: Lang) -> Result<ExitCode, Failure> {
    match error {
        BackupError::Stopped => {
            Failure::failed(error).report();
            Ok(ExitCode::from(INTERRUPTED))
        }
        other => Err(of_backup(other, lang)),
    }
}

/// What rights keep back is not damaged: something else must be asked for.
pub(crate) fn of_backup(error: BackupError, lang: Lang) -> Failure {
    match &error {
        BackupError::Io { path, doing: "read", source } if is_kept(source) => kept(path, lang),
        other if other.is_usage() => Failure::usage(error),
        _ => Failure::failed(error),
    }
}

fn backup_text(options: &BackupOptions, done: &BackedUp, lang: Lang) -> String {
    let manifest = &done.manifest;
    let text = say!(
        lang,
        "backup.done",
        target = options.target.display(),
        bytes = size(manifest.bytes(), lang),
        files = lang.number(manifest.files.len() as u64),
        frames = lang.number(manifest.journal.frame),
        events = lang.number(done.events),
        begun = manifest.begun,
        took = lang.decimal(done.took.as_secs_f64())
    );
    format!("{text}\n")
}

fn backup_json(options: &BackupOptions, done: &BackedUp) -> Value {
    let mut value = manifest_json(&done.manifest);
    value["target"] = json!(options.target.display().to_string());
    value["events"] = json!(done.events);
    value["took_ms"] = json!(u64::try_from(done.took.as_millis()).unwrap_or(u64::MAX));
    value
}

/// What a backup says of itself.
pub(crate) fn manifest_json(manifest: &BackupManifest) -> Value {
    json!({
        "history": hex(&manifest.history), "begun": manifest.begun.to_string(), "by": manifest.by,
        "frames": manifest.journal.frame, "chain": hex(&manifest.journal.chain),
        "event_frames": manifest.events.frame, "event_chain": hex(&manifest.events.chain),
        "files": manifest.files.len(), "bytes": manifest.bytes(),
    })
}

fn restore_text(args: &RestoreArgs, done: &Restored, lang: Lang) -> String {
    let Restored { manifest, verified } = done;
    let none = || say!(lang, "backup.never");
    let mut text = format!(
        "{}\n",
        say!(
            lang,
            "backup.restored",
            data = args.data.display(),
            begun = manifest.begun,
            by = manifest.by
        )
    );
    for sale in &verified.sales {
        text.push_str(&sale_line(sale, lang));
    }
    text.push_str(&events_text(verified, lang));
    let (fact, event) = instants(verified);
    let last = say!(
        lang,
        "backup.last",
        orders = lang.number(verified.orders as u64),
        fact = fact.unwrap_or_else(none),
        event = event.unwrap_or_else(none)
    );
    text + &format!("{last}\n{}\n", say!(lang, "backup.lost"))
}

fn restore_json(args: &RestoreArgs, done: &Restored) -> Value {
    let Restored { manifest, verified } = done;
    let (fact, event) = instants(verified);
    json!({
        "data": args.data.display().to_string(), "backup": manifest_json(manifest),
        "orders": verified.orders, "events": verified.events.events,
        "last_fact": fact, "last_event": event, "sales": sales_json(verified),
    })
}

/// When the last thing in the ledger happened, and in the event log.
fn instants(verified: &Verified) -> (Option<String>, Option<String>) {
    let event = verified.events.received_ms.map(Time::from_millis);
    (verified.last_fact.map(kilat_engine::rfc3339), event.map(kilat_engine::rfc3339))
}

/// As people write it, with the language's decimal mark.
fn size(bytes: u64, lang: Lang) -> String {
    lang.marked(DecimalBytes(bytes).to_string())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes that were read so far, on stderr, until Ctrl-C.
struct Progress {
    bytes: u64,
    shown: Instant,
    view: View,
    lang: Lang,
    stopped: Arc<AtomicBool>,
}

impl Progress {
    fn start(quiet: bool, lang: Lang) -> Result<Progress, Failure> {
        let view = if quiet { View::quiet() } else { View::stderr() };
        let stopped = Arc::new(AtomicBool::new(false));
        // Stopped twice, what was begun is no backup, and the next attempt removes it.
        stop_on_interrupt(&stopped)?;
        Ok(Progress { bytes: 0, shown: Instant::now(), view, lang, stopped })
    }

    fn advance(&mut self, bytes: u64) -> ControlFlow<()> {
        self.bytes += bytes;
        if self.view.every().is_some_and(|every| self.shown.elapsed() >= every) {
            self.shown = Instant::now();
            let text = say!(self.lang, "backup.progress", bytes = size(self.bytes, self.lang));
            self.view.update(text, None);
        }
        if self.stopped.load(Ordering::Relaxed) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn finish(&self) {
        self.view.finish();
    }
}
