//! Runs that an operator starts: one for all replicas, and over when their parent is.

use crate::http;
use crate::operator::{Operator, behind};
use crate::program::{ADMIN, wait_for};
use crate::system::Up;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

const FOREVER: &str = "sale=iphone-17-pro-max&buyers=200000&rate=50&seconds=300";

/// Processes whose parent is `parent` and that attack or check.
fn runs_of(parent: i64) -> Vec<i32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        if after_name.split_whitespace().nth(1) == Some(&parent.to_string()) {
            found.push(pid);
        }
    }
    found
}

/// The run that a page shows, with its state.
fn shown(operator: &Operator, url: &str) -> Option<(String, String)> {
    let page = operator.get(url, "/ops");
    let (_, run) = page.text().split_once("id=\"run\"")?;
    let text = |mark: &str| behind(run, mark).map(str::to_owned);
    text(" data-run=\"").zip(text(" data-state=\""))
}

/// What the sale that was made for the run is now.
fn state_of_copy(url: &str) -> String {
    let sales = http::get(url, "/v1/sales").unwrap().json();
    let mut sales = sales["sales"].as_array().unwrap().iter();
    let copy = sales.find(|sale| sale["id"].as_str().unwrap().starts_with("rehearsal-"));
    copy.unwrap()["state"].as_str().unwrap().to_owned()
}

fn replica(up: &Up, name: &str) -> String {
    up.process(name)["address"].as_str().unwrap().to_owned()
}

#[test]
fn every_replica_shows_the_same_run_and_any_can_end_it() {
    let up = Up::start();
    let [one, two, three] = ["web-1", "web-2", "web-3"].map(|name| replica(&up, name));
    let operator = Operator::sign_in(&one);
    let fields = format!("key=first&{FOREVER}");
    for _ in 0..2 {
        // The same form twice is one run.
        assert_eq!(operator.post(&one, "/ops", "/ops/rehearsals", &fields).status, 303);
    }
    let running = Some(("first".to_owned(), "running".to_owned()));
    for url in [&one, &two, &three] {
        assert_eq!(shown(&operator, url), running, "{url}");
    }
    let core = up.process("core")["pid"].as_i64().unwrap();
    wait_for("the run", || runs_of(core).first().copied());
    let runs = runs_of(core);
    assert_eq!(runs.len(), 1, "one process");
    let words = std::fs::read(format!("/proc/{}/cmdline", runs[0])).unwrap();
    let words = String::from_utf8_lossy(&words).into_owned();
    assert!(words.contains("--sale\0rehearsal-") && !words.contains(ADMIN), "{words}");
    assert!(words.contains(&up.server.url), "as buyers come, by the gateway: {words}");
    let more = operator.post(&two, "/ops", "/ops/rehearsals", &format!("key=second&{FOREVER}"));
    assert_eq!(more.status, 429, "one at a time");
    assert_eq!(operator.post(&three, "/ops", "/ops/cancel", "run=first").status, 303);
    let cancelled = Some(("first".to_owned(), "cancelled".to_owned()));
    wait_for("the end of the run", || (shown(&operator, &two) == cancelled).then_some(()));
    assert_eq!(state_of_copy(&two), "closed", "nobody goes on buying it");
    let audit = up.server.get("/v1/sales/iphone-17-pro-max/audit").json();
    assert_eq!(audit["sold"], 0, "the sale itself was not touched");
    up.stop();
}

/// Its gateway takes TLS only, which an attack does not speak.
#[test]
fn a_rehearsal_behind_tls_goes_past_the_gateway_and_is_proven() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let [certificate, key] =
        [("own.pem", made.cert.pem()), ("own.key", made.signing_key.serialize_pem())].map(
            |(name, text)| {
                let path = folder.path().join(name);
                std::fs::write(&path, text).unwrap();
                path.to_str().unwrap().to_owned()
            },
        );
    let tls = ["--tls-cert", &certificate, "--tls-key", &key];
    let up = Up::with(&folder.path().join("data"), &tls);
    assert!(up.server.url.starts_with("https://"), "{}", up.server.url);
    let url = replica(&up, "web-1");
    let operator = Operator::sign_in(&url);
    let fields = "key=first&sale=iphone-17-pro-max&buyers=150&rate=&seconds=";
    assert_eq!(operator.post(&url, "/ops", "/ops/rehearsals", fields).status, 303);
    let over = wait_for("the end of the run", || {
        shown(&operator, &url).map(|(_, state)| state).filter(|state| state != "running")
    });
    let page = operator.get(&url, "/ops");
    let said = page.text().split_once("id=\"run\"").unwrap().1;
    assert_eq!(over, "done", "{said}");
    assert!(said.contains("id=\"skips-gateway\"") && said.contains("verdict yes"), "{said}");
    assert_eq!(state_of_copy(&url), "closed", "nobody goes on buying it");
    up.stop();
}

#[test]
fn a_run_ends_with_the_process_that_started_it() {
    let up = Up::start();
    let url = replica(&up, "web-1");
    let operator = Operator::sign_in(&url);
    let fields = format!("key=first&{FOREVER}");
    assert_eq!(operator.post(&url, "/ops", "/ops/rehearsals", &fields).status, 303);
    let core = up.process("core")["pid"].as_i64().unwrap();
    let run = wait_for("the run", || runs_of(core).first().copied());
    kill_process(Pid::from_raw(core as i32).unwrap(), Signal::KILL).unwrap();
    let run = Pid::from_raw(run).unwrap();
    wait_for("the end of the run", || test_kill_process(run).is_err().then_some(()));
    up.await_all();
    up.stop();
}
