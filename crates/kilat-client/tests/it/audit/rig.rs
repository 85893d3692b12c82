//! Logs in fresh directories, and findings to put into them.

use jiff::Timestamp;
use kilat_client::check::audit::{
    Audit, AuditOptions, Ending, Entry, Format, Resumed, RunFacts, Sealed, SeedWords,
};
use kilat_client::check::{Finding, Id, Outcome};
use kilat_client::{ClientError, Lang};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What has been reported as durable.
pub(crate) type Told = Arc<Mutex<Vec<String>>>;

/// A directory with a log in it.
pub(crate) struct Rig {
    _directory: tempfile::TempDir,
    pub(crate) path: PathBuf,
}

impl Rig {
    pub(crate) fn new() -> Rig {
        let _directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let path = _directory.path().join("kilat-check-stock.jsonl");
        Rig { _directory, path }
    }

    pub(crate) fn text(&self) -> String {
        std::fs::read_to_string(&self.path).unwrap()
    }

    pub(crate) fn lines(&self) -> Vec<serde_json::Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

pub(crate) fn options(path: &Path) -> AuditOptions {
    AuditOptions {
        path: path.to_owned(),
        format: Format::Json,
        overwrite: false,
        resume: false,
        run: RunFacts {
            profile: "stock".to_owned(),
            url: "http://127.0.0.1:5000/get_stock?sku={id}".to_owned(),
            lang: Lang::English,
            total: Some(5),
        },
        on_durable: Box::new(|_| ()),
    }
}

pub(crate) fn seed_words() -> SeedWords {
    SeedWords {
        header: "Stock Checker".to_owned(),
        all: "pengecekan stok produk".to_owned(),
        each: "pengecekan untuk SKU".to_owned(),
        done: "pengecekan stok".to_owned(),
    }
}

pub(crate) fn told(options: &mut AuditOptions) -> Told {
    let told = Told::default();
    let sink = Arc::clone(&told);
    options.on_durable = Box::new(move |findings| {
        let ids = findings.iter().map(|finding| finding.id.as_str().to_owned());
        sink.lock().unwrap().extend(ids);
    });
    told
}

pub(crate) fn finding(index: u64, id: &str) -> Finding {
    Finding {
        index,
        id: Id::new(id).unwrap(),
        outcome: Outcome::Found,
        message: format!("Berhasil! Stok '{id}' adalah 7 unit di Jakarta."),
        status: Some(200),
        attempts: 1,
        began_at: Timestamp::now(),
        elapsed: Duration::from_micros(412_345),
        reply_time: Some(Duration::from_micros(411_111)),
        row: serde_json::value::RawValue::from_string(r#"{"stock":7}"#.to_owned()).ok(),
        notable: false,
    }
}

pub(crate) fn open(options: AuditOptions) -> (Audit, Resumed) {
    Audit::open(options).unwrap()
}

pub(crate) fn refusal(options: AuditOptions) -> ClientError {
    Audit::open(options).err().unwrap()
}

pub(crate) fn record(audit: &Audit, ids: &[&str]) {
    for (index, id) in (0..).zip(ids) {
        audit.record_blocking(Entry::Ended(finding(index, id))).unwrap();
    }
}

pub(crate) fn finish(audit: Audit) -> Sealed {
    let elapsed = Duration::from_millis(600);
    audit.finish(Ending { complete: true, requests: 5, elapsed, ..Ending::default() }).unwrap()
}

/// The ids that have ended, in the order of the log.
pub(crate) fn ids(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let records = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    records
        .filter_map(|record: serde_json::Value| record["id"].as_str().map(str::to_owned))
        .collect()
}

pub(crate) fn tempfile_with(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}
