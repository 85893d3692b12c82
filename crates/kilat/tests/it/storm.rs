//! `kilat attack` beside a test, which does its worst meanwhile.

use crate::program::{Running, Server, kilat, wait_for};
use rustix::process::Signal;
use serde_json::Value;
use std::process::Stdio;

/// Exit code of an attack that was ended early and is proven.
const INTERRUPTED: i32 = 130;

/// An attack that runs beside the test.
pub(crate) struct Storm {
    process: Running,
    result: std::thread::JoinHandle<String>,
}

impl Storm {
    pub(crate) fn start(url: &str, more: &[&str]) -> Storm {
        let common = ["attack", "--url", url, "--json", "--quiet"];
        let mut command = kilat(common.into_iter().chain(more.iter().copied()));
        let mut process = Running::start(command.stdout(Stdio::piped()));
        let stdout = process.take_stdout();
        let result = std::thread::spawn(move || std::io::read_to_string(stdout).unwrap());
        Storm { process, result }
    }

    /// An attack on a rehearsal sale that does not end and can't be sold out, once it sells.
    pub(crate) fn without_end(server: &Server, buyers: usize) -> Storm {
        let buyers = format!("--buyers={buyers}");
        let size = ["--supply=100000000", "--per-customer=0", "--hold=0.2", "--duration=86400"];
        let storm = Storm::start(&server.url, &[&size[..], &[&buyers]].concat());
        wait_for("orders", || {
            let sales = server.get("/v1/sales").json();
            let mut sales = sales["sales"].as_array().unwrap().iter();
            let is_sold = |sale: &Value| {
                let is_rehearsal = sale["id"].as_str().unwrap().starts_with("rehearsal-");
                is_rehearsal && sale["sold"].as_u64() > Some(0)
            };
            sales.any(is_sold).then_some(())
        });
        storm
    }

    /// Whether it is over already.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.process.ended().is_some()
    }

    /// The report, proven, once it has ended by itself.
    pub(crate) fn proven(self) -> Value {
        self.report(0)
    }

    /// Ends it early, as Ctrl-C does; the report, proven.
    pub(crate) fn end(self) -> Value {
        self.process.signal(Signal::INT);
        self.report(INTERRUPTED)
    }

    fn report(mut self, code: i32) -> Value {
        let status = self.process.wait();
        let text = self.result.join().unwrap();
        assert_eq!(status.code(), Some(code), "{status}: {text}");
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(report["proven"], true, "{text}");
        report
    }
}
