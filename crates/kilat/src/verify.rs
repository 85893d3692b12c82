//! `kilat verify`: is a data directory whole, does every sale conserve its supply, is every event
//! stored once and still what was published? Of a check's log: is each record what was written?

use crate::backup::{manifest_json, of_backup};
use crate::cli::VerifyArgs;
use crate::failure::Failure;
use crate::lang::{Lang, say};
use crate::memory;
use crate::output::print;
use crate::readable::{expect_readable, is_kept, kept};
use kilat_api::event::{Buffers, Form, OnInvalid, read};
use kilat_engine::{BackupCheck, Content, Sale, StoredEvent, Verified};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;

/// Checks and prints; exit code 1 when something does not hold.
///
/// # Errors
/// [`Failure`] with exit code 2 when there is nothing to check.
pub(crate) fn run(args: &VerifyArgs, lang: Lang) -> Result<ExitCode, Failure> {
    memory::in_large_pages();
    let path = args.path.display();
    let metadata = args.path.metadata().map_err(|why| match is_kept(&why) {
        true => kept(&args.path, lang),
        false => Failure::usage(say!(lang, "verify.unreadable", path = path, why = why)),
    })?;
    if metadata.is_file() {
        return verify_log(args, lang);
    }
    if !metadata.is_dir() {
        return Err(Failure::usage(say!(lang, "verify.neither", path = path)));
    }
    if args.seal.is_some() {
        return Err(Failure::usage(say!(lang, "verify.seal")));
    }
    expect_readable(&args.path, lang)?;
    let backup = check_backup(&args.path, lang)?;
    let found =
        kilat_engine::verify(&args.path, content_of).map_err(|error| match error.is_missing() {
            true => Failure::usage(say!(lang, "verify.no_data", path = path)),
            false => Failure::usage(error),
        })?;
    let is_as_made = backup.as_ref().is_none_or(|backup| backup.findings.is_empty());
    print(&if args.json {
        let mut value = as_json(&found);
        value["backup"] = backup.as_ref().map(backup_json).into();
        format!("{value}\n")
    } else {
        backup.as_ref().map(|backup| backup_text(backup, lang)).unwrap_or_default()
            + &as_text(&found, is_as_made, lang)
    })?;
    Ok(if found.holds() && is_as_made { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Of a backup, also its files.
fn check_backup(path: &Path, lang: Lang) -> Result<Option<BackupCheck>, Failure> {
    let mut go_on = |_| ControlFlow::Continue(());
    kilat_engine::check_backup(path, &mut go_on).map_err(|error| of_backup(error, lang))
}

fn backup_json(backup: &BackupCheck) -> serde_json::Value {
    let mut value = manifest_json(&backup.manifest);
    value["findings"] = backup.findings.clone().into();
    value
}

fn backup_text(backup: &BackupCheck, lang: Lang) -> String {
    let (begun, by) = (backup.manifest.begun, &backup.manifest.by);
    let what = say!(lang, "verify.backup", begun = begun, by = by);
    let findings: String =
        backup.findings.iter().map(|finding| format!("  ✗ {finding}\n")).collect();
    let files = lang.number(backup.manifest.files.len() as u64);
    let holds = match backup.findings.is_empty() {
        true => format!("{}\n", say!(lang, "verify.backup_holds", files = files)),
        false => String::new(),
    };
    format!("{what}\n{findings}{holds}")
}

fn verify_log(args: &VerifyArgs, lang: Lang) -> Result<ExitCode, Failure> {
    let found = kilat_client::check::audit::verify(&args.path, args.seal.as_deref(), lang)?;
    print(&if args.json { format!("{}\n", found.json()) } else { found.text(lang) })?;
    Ok(if found.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a published event says, read from what is kept of it as it was read when it came.
/// `None` for one that came without a time of its own: it can't be read alone.
pub(crate) fn content_of(event: &StoredEvent) -> Option<Content> {
    let body = event.body.as_deref().filter(|body| body.starts_with(b"\"timestamp\""))?;
    let whole = [br#"{"topic":"t","event_id":"e","#, body, b"}"].concat();
    let mut content = None;
    let mut take = |event: &kilat_api::event::Event<'_>| {
        content = Some(Content::of(event.canonical));
    };
    let mut buffers = Buffers::default();
    let done = read(&whole, Form::Json, OnInvalid::Refuse, &mut buffers, &mut take);
    // What can't be read is not what was published: no content is like this one.
    done.ok().and(content).or(Some(Content::of(b"")))
}

/// What was found, with one verdict, the last line. A backup must also be as it was made.
fn as_text(found: &Verified, is_as_made: bool, lang: Lang) -> String {
    let read = if found.corruption.is_none() { "verify.journal" } else { "verify.until" };
    let mut text = format!(
        "{}\n",
        say!(
            lang,
            read,
            frames = lang.number(found.frames),
            segments = lang.number(found.segments),
            orders = lang.number(found.orders.into())
        )
    );
    for sale in &found.sales {
        text.push_str(&sale_line(sale, lang));
    }
    text.push_str(&events_text(found, lang));
    if found.torn_bytes > 0 {
        text.push_str(&format!(
            "{}\n",
            say!(lang, "verify.torn", bytes = lang.number(found.torn_bytes))
        ));
    }
    let damage = found
        .corruption
        .clone()
        .or_else(|| found.events.corruption.as_ref().map(ToString::to_string));
    let verdict = match &damage {
        Some(damage) => say!(lang, "verify.damaged", damage = damage),
        None if found.holds() && !is_as_made => say!(lang, "verify.backup_changed"),
        None if found.holds() => say!(lang, "verify.holds", chain = found.chain),
        None if !found.events.holds() => say!(lang, "verify.events_wrong"),
        None if !found.copies_hold => say!(lang, "verify.copies_wrong"),
        None => say!(lang, "verify.unbalanced"),
    };
    text + &format!("{verdict}\n")
}

pub(crate) fn events_text(found: &Verified, lang: Lang) -> String {
    let events = &found.events;
    let line = say!(
        lang,
        "verify.events",
        events = lang.number(events.events),
        topics = lang.number(events.topics as u64),
        frames = lang.number(events.frames),
        received = lang.number(events.counters.received),
        duplicates = lang.number(events.counters.duplicates),
        conflicts = lang.number(events.counters.conflicts),
        projected = lang.number(events.counters.projected),
        forgotten = lang.number(events.forgotten)
    );
    let kept = (events.still_stored > 0).then(|| {
        let count = lang.number(events.still_stored);
        format!("{}\n", say!(lang, "verify.still_stored", count = count))
    });
    let findings = events.findings.iter().map(|finding| format!("  ✗ {finding}\n"));
    format!("{line}\n{}{}", kept.unwrap_or_default(), findings.collect::<String>())
}

pub(crate) fn sale_line(sale: &Sale, lang: Lang) -> String {
    let units = &sale.counters;
    let mark = if units.balanced() { "✓" } else { "✗" };
    let line = say!(
        lang,
        "verify.sale",
        id = sale.terms.id,
        available = lang.number(units.available),
        held = lang.number(units.held),
        sold = lang.number(units.sold),
        supply = lang.number(units.supply)
    );
    format!("  {mark} {line}\n")
}

/// Every sale with its units.
pub(crate) fn sales_json(found: &Verified) -> Vec<serde_json::Value> {
    let sales = found.sales.iter().map(|sale| {
        let units = &sale.counters;
        serde_json::json!({
            "id": sale.terms.id, "supply": units.supply, "available": units.available, "held": units.held,
            "sold": units.sold, "cancelled": units.cancelled, "expired": units.expired,
            "sequence": sale.sequence, "balanced": units.balanced(),
        })
    });
    sales.collect()
}

fn as_json(found: &Verified) -> serde_json::Value {
    serde_json::json!({
        "holds": found.holds(), "frames": found.frames, "segments": found.segments, "orders": found.orders,
        "torn_bytes": found.torn_bytes, "chain": found.chain, "corruption": found.corruption,
        "sales": sales_json(found), "events": events_json(found),
    })
}

fn events_json(found: &Verified) -> serde_json::Value {
    let events = &found.events;
    let counters = &events.counters;
    serde_json::json!({
        "events": events.events, "topics": events.topics, "frames": events.frames, "forgotten": events.forgotten,
        "still_stored": events.still_stored,
        "received": counters.received, "unique": counters.unique, "duplicates": counters.duplicates,
        "conflicts": counters.conflicts, "projected": counters.projected, "indexed": events.indexed,
        "torn_bytes": events.torn_bytes, "corruption": events.corruption.as_ref().map(ToString::to_string),
        "findings": events.findings, "findings_count": events.findings_count, "copies_hold": found.copies_hold,
    })
}
