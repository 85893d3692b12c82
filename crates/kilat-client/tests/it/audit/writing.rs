//! What is recorded is in the log, in order, before anybody is told.

use super::rig::{Rig, finding, finish, open, options, record, refusal, seed_words, told};
use jiff::Timestamp;
use kilat_client::ClientError;
use kilat_client::check::audit::{AuditOptions, Entry, Format};

#[test]
fn every_record_is_a_line_and_told_once() {
    let rig = Rig::new();
    let mut options = options(&rig.path);
    let told = told(&mut options);
    let (audit, resumed) = open(options);
    assert_eq!((resumed.root, resumed.done.total()), (None, 0));
    assert!(!audit.wants_steps());
    record(&audit, &["a", "b\n\"x\"\u{2028}", "c"]);
    let sealed = finish(audit);
    let lines = rig.lines();
    assert_eq!((lines.len(), sealed.lines), (5, 5));
    let kinds: Vec<_> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["start", "lookup", "lookup", "lookup", "end"]);
    assert_eq!(lines[2]["id"], "b\n\"x\"\u{2028}");
    assert_eq!(lines[1]["row"]["stock"], 7);
    assert_eq!((&lines[4]["found"], &lines[4]["complete"]), (&3.into(), &true.into()));
    assert_eq!(lines[4]["sum"], sealed.seal.unwrap());
    assert_eq!(*told.lock().unwrap(), ["a", "b\n\"x\"\u{2028}", "c"]);
}

#[test]
fn runs_are_appended_unless_overwritten() {
    let rig = Rig::new();
    for (overwrite, lines) in [(false, 3), (false, 6), (true, 3)] {
        let (audit, _) = open(AuditOptions { overwrite, ..options(&rig.path) });
        record(&audit, &["a"]);
        finish(audit);
        assert_eq!(rig.lines().len(), lines);
    }
}

#[test]
fn what_is_no_log_is_never_touched() {
    let rig = Rig::new();
    for text in ["precious\n", "{\"run\":1}\n", "{", "\n"] {
        std::fs::write(&rig.path, text).unwrap();
        for overwrite in [false, true] {
            let mut options = options(&rig.path);
            options.overwrite = overwrite;
            assert!(
                matches!(refusal(options), ClientError::Usage(why) if why.contains("not a log"))
            );
            assert_eq!(rig.text(), text);
        }
    }
    for path in ["/dev/null", "/proc/self", "/nowhere/log", "/proc/version"] {
        assert!(matches!(refusal(options(path.as_ref())), ClientError::Usage(_)), "{path}");
    }
}

#[test]
fn the_seed_reads_as_the_seed_does() {
    let rig = Rig::new();
    let mut options = options(&rig.path);
    options.format = Format::Seed(seed_words());
    let (audit, _) = open(options);
    assert!(audit.wants_steps());
    let found = finding(3, "SKU-001");
    let (index, id, at) = (3, found.id.clone(), Timestamp::now());
    audit.record_blocking(Entry::Began { index, id, at }).unwrap();
    audit.record_blocking(Entry::Sent { index, url: "http://x/?sku=1".to_owned(), at }).unwrap();
    audit.record_blocking(Entry::Ended(found)).unwrap();
    let sealed = finish(audit);
    assert_eq!((sealed.lines, sealed.seal), (7, None));
    let text = rig.text();
    let messages: Vec<&str> = text.lines().skip(1).map(|line| &line[29..]).collect();
    assert!(text.starts_with("--- Stock Checker Log Started: 2"), "{text}");
    assert_eq!(
        messages,
        [
            "[MainClient] Memulai 5 pengecekan stok produk secara concurrent.",
            "[Worker-3] Memulai pengecekan untuk SKU: SKU-001",
            "[Worker-3] Mengirim permintaan ke http://x/?sku=1",
            "[Worker-3] Berhasil! Stok 'SKU-001' adalah 7 unit di Jakarta.",
            "[Worker-3] Selesai pengecekan untuk SKU: SKU-001",
            "[MainClient] Semua pengecekan stok selesai dalam 0.60 detik.",
        ]
    );
}

/// Where a child finds its log; without it, it is no child.
const OUTPUT: &str = "KILAT_AUDIT_OUTPUT";

/// Not a test by itself: what the next one runs, with its messages or its output in a log.
#[test]
fn child_writes_into_its_log() {
    let Some(log) = std::env::var_os(OUTPUT) else { return };
    let log = std::path::PathBuf::from(log);
    let before = std::fs::read(&log).unwrap();
    for overwrite in [false, true] {
        let why = refusal(AuditOptions { overwrite, ..options(&log) }).to_string();
        assert!(why.contains("output or the messages"), "{why}");
    }
    assert_eq!(std::fs::read(&log).unwrap(), before);
}

#[test]
fn a_log_into_which_the_process_writes_its_output_is_refused() {
    for is_output in [false, true] {
        let rig = Rig::new();
        let log = || std::fs::File::options().append(true).create(true).open(&rig.path).unwrap();
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "audit::writing::child_writes_into_its_log"]).env(OUTPUT, &rig.path);
        child.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let child = if is_output { child.stdout(log()) } else { child.stderr(log()) };
        let status = child.status().unwrap();
        assert!(status.success(), "{is_output}: {}", rig.text());
    }
}
