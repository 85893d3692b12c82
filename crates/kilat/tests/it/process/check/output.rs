//! What a check prints, for people and for programs.

use super::{check, ends, lookup, lookups, verified};
use crate::program::{kilat, stderr, stdout};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn people_see_every_id_and_what_it_came_to() {
    let server = lookup(&[]);
    let folder = tempfile::tempdir().unwrap();
    let output = ends(&mut check(folder.path(), &server.url, &["stock"]), 0);
    let text = stdout(&output);
    let lines: Vec<&str> = text.lines().collect();
    for (at, (mark, id, outcome)) in [
        ("✓", "SKU-001", "found"),
        ("✓", "SKU-003", "found"),
        ("–", "SKU-999", "not found"),
        ("!", "SKU-002", "found"),
        ("✓", "SKU-004", "found"),
    ]
    .into_iter()
    .enumerate()
    {
        let start: Vec<&str> = lines[at].split_whitespace().take(2).collect();
        assert_eq!(start, [mark, id], "{text}");
        assert!(lines[at].contains(outcome), "{text}");
    }
    assert!(text.contains("5 ids: 4 found, 1 not found, 0 unknown; 1 to look at"), "{text}");
    assert!(
        text.contains(" s, floor ") && text.contains("kilat-check-stock.jsonl, seal "),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "no colour without a terminal: {text}");
    assert_eq!(stderr(&output), "", "no progress without a terminal");
    let seal = text.split("seal ").nth(1).unwrap().lines().next().unwrap();
    let checked = verified(&folder.path().join("kilat-check-stock.jsonl"));
    assert!(checked.contains(seal), "verify prints the seal again: {checked}");
}

#[test]
fn a_long_run_shows_what_to_look_at_only() {
    let server = lookup(&[]);
    let folder = tempfile::tempdir().unwrap();
    let ids: String = (0..500).map(|n| format!("none-{n}\n")).collect();
    std::fs::write(folder.path().join("ids.txt"), ids + "SKU-002\nSKU-001\nSKU-001\n").unwrap();
    let output = ends(&mut check(folder.path(), &server.url, &["stock", "--file=ids.txt"]), 0);
    let text = stdout(&output);
    assert!(
        text.contains("SKU-002") && !text.contains("SKU-001") && !text.contains("none-"),
        "{text}"
    );
    assert!(text.contains("502 ids: 2 found, 500 not found, 0 unknown; 1 to look at"), "{text}");
    assert!(text.contains("1 id came again"), "{text}");
    assert_eq!(lookups(&folder.path().join("kilat-check-stock.jsonl")).len(), 502);
}

#[test]
fn where_nobody_answers_it_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    for (url, says) in [
        ("http://127.0.0.1:1", "Nobody answers at http://127.0.0.1:1: start that server"),
        ("http://127.0.0.1:1/api", "Nobody answers at http://127.0.0.1:1: start that server"),
    ] {
        for more in [&["stock"][..], &["stock", "--json"], &["stock", "--csv"]] {
            let output = ends(&mut check(folder.path(), url, more), 1);
            let said = stdout(&output) + &stderr(&output);
            assert!(said.contains(says), "{more:?}: {said}");
        }
    }
}

#[test]
fn what_is_unknown_is_asked_again_until_it_is_known() {
    let server = lookup(&["--html=50%", "--seed=1"]);
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("kilat-check-stock.jsonl");
    let ids: Vec<String> = (0..40).map(|n| format!("SKU {n}")).collect();
    let first: Vec<&str> = ["stock"].into_iter().chain(ids.iter().map(String::as_str)).collect();
    let text = stdout(&ends(&mut check(folder.path(), &server.url, &first), 1));
    assert!(text.contains("with --unknown-from kilat-check-stock.jsonl in place"), "{text}");
    // What stood in the log of another profile is not asked.
    let other = ["flight", "XX1", "--log=kilat-check-stock.jsonl"];
    check(folder.path(), &server.url, &other).output().unwrap();
    let again = ["stock", "--unknown-from=kilat-check-stock.jsonl"];
    std::fs::write(folder.path().join("ids.csv"), "sku\nA\n").unwrap();
    loop {
        let records = lookups(&log);
        let stock: Vec<&Value> = records.iter().filter(|record| record["id"] != "XX1").collect();
        let last = |id: &String| stock.iter().rev().find(|record| record["id"] == *id.as_str());
        let unknown = |id: &&String| last(id).is_some_and(|record| record["outcome"] == "unknown");
        let left = ids.iter().filter(unknown).count();
        let output = check(folder.path(), &server.url, &again).output().unwrap();
        assert_eq!(lookups(&log).len() - records.len(), left, "{}", stdout(&output));
        if left == 0 {
            assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
            break;
        }
    }
    verified(&log);
    for (arguments, says) in [
        (&["player", again[1]][..], "has no run of this profile and address"),
        (&["stock", "--unknown-from=none.jsonl"], "none.jsonl can't be read"),
        (&["stock", "--unknown-from=ids.csv"], "ids.csv is no JSON log"),
        (&["stock", "--unknown-from=."], ". is no JSON log"),
        (&["stock", again[1], "--overwrite"], "--overwrite"),
        (&["stock", again[1], "A"], "--unknown-from"),
    ] {
        let said = stderr(&ends(&mut check(folder.path(), &server.url, arguments), 2));
        assert!(said.contains(says), "{said}");
    }
    // A whole record behind which something else stands than its newline.
    let mut damaged = std::fs::read(&log).unwrap();
    *damaged.last_mut().unwrap() = b'x';
    std::fs::write(&log, damaged).unwrap();
    let said = stderr(&ends(&mut check(folder.path(), &server.url, &again), 2));
    assert!(said.contains("is damaged"), "{said}");
}

#[test]
fn both_languages_are_spoken() {
    let server = lookup(&[]);
    let folder = tempfile::tempdir().unwrap();
    for (lang, message, summary) in [
        ("id", "Habis! Stok 'Mechanical Keyboard RGB' adalah 0 unit di Gudang B.", "4 ditemukan"),
        ("en", "Sold out!", "4 found"),
    ] {
        let mut command = kilat(["check", "stock", "--url", &server.url]);
        let text = stdout(&ends(command.env("KILAT_LANG", lang).current_dir(folder.path()), 0));
        assert!(text.contains(message) && text.contains(summary), "{lang}: {text}");
    }
}

#[test]
fn programs_read_json_lines_and_a_summary() {
    let (server, broken) = (lookup(&[]), lookup(&["--html=1"]));
    let folder = tempfile::tempdir().unwrap();
    let output = ends(&mut check(folder.path(), &server.url, &["stock", "--json"]), 0);
    let text = stdout(&output);
    let objects: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects.len(), 6, "{text}");
    let sold_out = objects.iter().find(|object| object["id"] == "SKU-002").unwrap();
    assert_eq!((&sold_out["outcome"], &sold_out["notable"]), (&"found".into(), &true.into()));
    assert_eq!((&sold_out["status"], &sold_out["row"]["stock"]), (&200.into(), &0.into()));
    let mut members: Vec<&String> = sold_out.as_object().unwrap().keys().collect();
    members.sort_unstable();
    let expected = ["at", "attempts", "id", "message", "ms", "notable", "outcome", "row", "status"];
    assert_eq!(members, expected);
    let summary = &objects[5]["summary"];
    assert_eq!((&summary["version"], &summary["complete"]), (&1.into(), &true.into()));
    assert_eq!((&summary["found"], &summary["not_found"]), (&4.into(), &1.into()));
    assert_eq!((&summary["unknown"], &summary["notable"]), (&0.into(), &1.into()));
    assert_eq!(summary["log"], "kilat-check-stock.jsonl");
    assert!(summary["floor_seconds"].as_f64().unwrap() <= summary["seconds"].as_f64().unwrap());
    // A page in place of JSON is never "not found".
    let arguments = ["stock", "--json", "--retries=0", "SKU-999"];
    let text = stdout(&ends(&mut check(folder.path(), &broken.url, &arguments), 1));
    let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(first["outcome"], "unknown", "{text}");
}

#[test]
fn spreadsheets_read_csv() {
    let server = lookup(&[]);
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["stock", "--csv", "--", "SKU-002", "=1+1", "a,\"b\""];
    let output = ends(&mut check(folder.path(), &server.url, &arguments), 0);
    let text = stdout(&output);
    let mut rows: Vec<&str> = text.split("\r\n").collect();
    assert_eq!(rows.remove(0), "id,outcome,notable,message,status,attempts,at,ms,row");
    assert_eq!(rows.pop(), Some(""), "each row ends in CR LF: {text}");
    rows.sort_unstable();
    assert!(rows[0].starts_with("\"a,\"\"b\"\"\",not_found,false,"), "{text}");
    assert!(rows[1].starts_with("'=1+1,not_found,false,"), "{text}");
    assert!(rows[2].starts_with("SKU-002,found,true,"), "{text}");
    assert!(rows[2].ends_with("\"\"stock\"\":0,\"\"warehouse\"\":\"\"Gudang B\"\"}\""), "{text}");
    assert!(stderr(&output).contains("3 ids: 1 found"), "the summary stands apart");
}

#[test]
fn a_page_is_written_and_never_over_another_file() {
    let server = lookup(&[]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    let arguments = ["stock", "--html=report.html"];
    ends(&mut check(folder.path(), &server.url, &arguments), 0);
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(
        page.contains("SKU-002") && page.contains("<svg") && !page.contains("<script"),
        "{page}"
    );
    for more in [&[][..], &["--watch=1s"]] {
        let refused = ends(check(folder.path(), &server.url, &arguments).args(more), 2);
        let says = "--overwrite renews it, and begins the log anew";
        assert!(stderr(&refused).contains(says), "{}", stderr(&refused));
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), page);
    ends(check(folder.path(), &server.url, &arguments).arg("--resume"), 0);
    let resumed = std::fs::read_to_string(&path).unwrap();
    assert_ne!(resumed, page, "the run that goes on");
    ends(check(folder.path(), &server.url, &arguments).arg("--overwrite"), 0);
    assert_ne!(std::fs::read_to_string(&path).unwrap(), resumed, "another run");
}

/// What a terminal shows, by `script`, which runs a command in one.
fn on_a_terminal(folder: &Path, url: &str, environment: &[(&str, &str)]) -> String {
    let mut command = Command::new("script");
    let words = format!("{} check stock --lang=en --url {url}", env!("CARGO_BIN_EXE_kilat"));
    command.args(["-qefc", &words, "/dev/null"]).current_dir(folder);
    command.env_remove("NO_COLOR").env("TERM", "xterm").envs(environment.iter().copied());
    stdout(&ends(command.stdin(Stdio::null()), 0))
}

#[test]
fn a_terminal_has_colour_and_a_bar_unless_told_otherwise() {
    let server = lookup(&["--delay=0.3"]);
    let folder = tempfile::tempdir().unwrap();
    let sold_out = "\u{1b}[1;33m !  SKU-002";
    let text = on_a_terminal(folder.path(), &server.url, &[]);
    assert!(text.contains(sold_out), "{text:?}");
    assert!(text.contains("0 found · 0 not found · 0 unknown · 5 of "), "{text:?}");
    for environment in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let text = on_a_terminal(folder.path(), &server.url, &[environment]);
        assert!(!text.contains("[1;33m") && text.contains("SKU-002"), "{text:?}");
    }
}

#[test]
fn a_built_in_profile_is_printed_to_begin_from() {
    let server = lookup(&[]);
    let folder = tempfile::tempdir().unwrap();
    for profile in ["stock", "flight", "domain", "package", "player", "rdap"] {
        let printed = stdout(&ends(&mut kilat(["check", profile, "--print-profile"]), 0));
        std::fs::write(folder.path().join("mine.toml"), printed).unwrap();
        if profile != "rdap" {
            ends(&mut check(folder.path(), &server.url, &["./mine.toml"]), 0);
            let log = folder.path().join(format!("kilat-check-{profile}.jsonl"));
            assert_eq!(lookups(&log).len(), 5, "{profile}");
        }
    }
    ends(&mut kilat(["check", "stok", "--print-profile"]), 2);
}

#[test]
fn a_result_that_can_not_be_shown_is_no_success() {
    let server = lookup(&[]);
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("kilat-check-stock.jsonl");
    for form in [&["stock"][..], &["stock", "--json"], &["stock", "--csv"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = ends(check(folder.path(), &server.url, form).stdout(full), 1);
        assert!(stderr(&output).contains("No space left on device"), "{}", stderr(&output));
        if form.last() != Some(&"--csv") {
            verified(&log);
        }
    }
}

#[test]
fn nobody_who_hears_it_is_no_failure() {
    let server = lookup(&["--fail=100%"]);
    let folder = tempfile::tempdir().unwrap();
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let arguments = ["stock", "--give-up=100ms"];
    ends(check(folder.path(), &server.url, &arguments).stderr(full()), 1);
    verified(&folder.path().join("kilat-check-stock.jsonl"));
    ends(check(folder.path(), &server.url, &["no-such-profile"]).stderr(full()), 2);
}

#[test]
fn the_page_of_a_run_that_goes_on_shows_what_was_found_before() {
    let (server, folder) = (lookup(&[]), tempfile::tempdir().unwrap());
    let run = |more: &[&str]| {
        let arguments: Vec<&str> = [&["stock", "--html=page.html"][..], more].concat();
        ends(&mut check(folder.path(), &server.url, &arguments), 0);
        std::fs::read_to_string(folder.path().join("page.html")).unwrap()
    };
    let ids = ["SKU-001", "SKU-002", "SKU-003"];
    assert!(run(&ids[..2]).contains("2 of 2 ids are known"));
    for earlier in [2, 3] {
        let page = run(&[&["--resume"][..], &ids].concat());
        assert!(ids.iter().all(|id| page.contains(&format!("<td>{id}</td>"))), "{page}");
        assert!(page.contains("3 of 3 ids are known") && page.contains("Sold out!"), "{page}");
        assert!(page.contains(&format!("{earlier} of them ended in earlier runs")), "{page}");
    }
}
