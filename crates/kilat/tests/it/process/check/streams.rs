//! Ids that arrive while others are asked, in every form, and readers that go away.

use super::{check, ends, lookup, lookups};
use crate::program::stdout;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

/// A process whose stdin and stdout are pipes, killed when this is dropped.
struct Piped(Child);

impl Piped {
    fn start(command: &mut Command) -> Piped {
        Piped(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_comes_on_stdin_is_asked_before_the_rest_is_there() {
    let server = lookup(&[]);
    let folder = tempfile::tempdir().unwrap();
    let mut piped = Piped::start(&mut check(folder.path(), &server.url, &["stock", "--json", "-"]));
    let mut stdin = piped.0.stdin.take().unwrap();
    let mut stdout = BufReader::new(piped.0.stdout.take().unwrap()).lines();
    // One that came before is not asked again, and not shown.
    for (id, is_new) in
        [("SKU-001", true), ("SKU-002", true), ("SKU-001", false), ("SKU-003", true)]
    {
        writeln!(stdin, "{id}").unwrap();
        if is_new {
            let object: Value = serde_json::from_str(&stdout.next().unwrap().unwrap()).unwrap();
            assert_eq!(object["id"], id);
        }
    }
    drop(stdin);
    let summary: Value = serde_json::from_str(&stdout.next().unwrap().unwrap()).unwrap();
    assert_eq!(
        (&summary["summary"]["ids"], &summary["summary"]["skipped"]),
        (&3.into(), &1.into())
    );
    assert!(piped.0.wait().unwrap().success());
}

#[test]
fn a_reader_that_goes_away_ends_the_check() {
    let server = lookup(&["--delay=0.02"]);
    let folder = tempfile::tempdir().unwrap();
    let ids: String = (0..5_000).fold(String::new(), |mut ids, n| {
        let _ = writeln!(ids, "id-{n}");
        ids
    });
    std::fs::write(folder.path().join("ids.txt"), ids).unwrap();
    let arguments = ["stock", "--json", "--file=ids.txt", "--concurrency=10"];
    let mut command = check(folder.path(), &server.url, &arguments);
    let mut piped = Piped::start(command.stderr(Stdio::piped()));
    let mut line = String::new();
    BufReader::new(piped.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let said = std::io::read_to_string(piped.0.stderr.take().unwrap()).unwrap();
    assert_eq!(piped.0.wait().unwrap().code(), Some(1), "{said}");
    assert!(said.contains("nobody reads") && said.contains("To go on: "), "{said}");
    assert!(lookups(&folder.path().join("kilat-check-stock.jsonl")).len() < 5_000);
}

#[test]
fn every_form_of_input_is_read() {
    let server = lookup(&[]);
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    file("ids.txt", "\u{feff}SKU-001\r\n\r\nSKU-002");
    file("ids.csv", "name,sku\n\"a, b\",SKU-001\nc,\"SKU-002\"\n");
    file("ids.tsv", "name\tsku\na, b\tSKU-001\nc\tSKU-002\n");
    file("ids.jsonl", "\"SKU-001\"\n\"SKU-002\"\n");
    file("lines.json", "\"SKU-001\"\n\"SKU-002\"\n");
    file("objects.ndjson", "{\"sku\":\"SKU-001\",\"n\":1}\n{\"sku\":\"SKU-002\"}\n");
    for arguments in [
        &["--file=ids.txt"][..],
        &["--file=ids.csv", "--column=sku"],
        &["--file=ids.tsv", "--column=sku"],
        &["--file=ids.jsonl"],
        &["--file=lines.json", "--form=jsonl"],
        &["--file=objects.ndjson", "--field=sku"],
        &["--file=ids.txt", "--file=ids.jsonl", "SKU-002"],
        &["SKU-001 ", "\u{a0}SKU-002", "SKU-002"],
    ] {
        let mut command = check(folder.path(), &server.url, &["stock", "--overwrite", "--quiet"]);
        let text = stdout(&ends(command.args(arguments), 0));
        assert!(text.contains("2 ids: 2 found"), "{arguments:?}: {text}");
    }
}

#[test]
fn a_line_that_is_no_id_stops_the_check_with_its_place() {
    let server = lookup(&[]);
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("kilat-check-stock.jsonl");
    std::fs::write(folder.path().join("ids.txt"), b"SKU-001\nSKU-\xff\nSKU-002\n").unwrap();
    let arguments = ["stock", "--file=ids.txt"];
    let output = ends(&mut check(folder.path(), &server.url, &arguments), 2);
    let said = stdout(&output) + &crate::program::stderr(&output);
    assert!(
        said.contains("ids.txt") && said.contains('2') && said.contains("to go on: "),
        "{said}"
    );
    std::fs::write(folder.path().join("ids.txt"), "SKU-001\nSKU-003\nSKU-002\n").unwrap();
    ends(check(folder.path(), &server.url, &arguments).arg("--resume"), 0);
    assert_eq!(lookups(&log).len(), 3, "what had ended was not asked again");
}

#[test]
fn a_mistake_on_stdin_is_named_and_the_hint_wants_the_same_ids_again() {
    let server = lookup(&[]);
    for (form, ids, place) in [
        (&["-"][..], b"SKU-001\nSKU-\xff\n".as_slice(), "stdin:2: byte 5 is not valid UTF-8"),
        (&["-"], b"SKU-001\n\0\x01\n", "stdin:2: an id with the character NUL"),
        (
            &["--column=sku", "--file=-"],
            b"sku;n\r\nSKU-001;1\r\nSKU-002;\"2\r\nSKU-003;3\r\n",
            "stdin:3: the quote that begins here is never closed",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ids"), ids).unwrap();
        let ids = std::fs::File::open(folder.path().join("ids")).unwrap();
        let mut command = check(folder.path(), &server.url, &["stock"]);
        let said = stdout(&ends(command.args(form).stdin(ids), 2));
        assert!(said.contains(place), "{said}");
        let hint = "When that is mended, to go on, pipe the same ids into: ";
        let hint = said.lines().find_map(|line| line.strip_prefix(hint)).expect(&said);
        assert!(hint.contains("check --resume"), "{said}");
        assert_eq!(lookups(&folder.path().join("kilat-check-stock.jsonl")).len(), 1);
    }
}

/// By id and not by its place: what had ended is not asked again wherever it stands now.
#[test]
fn ids_in_another_order_and_among_others_are_resumed() {
    let server = lookup(&[]);
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("kilat-check-stock.jsonl");
    let ids = |ids: &[&str]| std::fs::write(folder.path().join("ids.txt"), ids.join("\n")).unwrap();
    let run = |more: &str| {
        let arguments = ["stock", "--file=ids.txt", "--json", more];
        let text = stdout(&ends(&mut check(folder.path(), &server.url, &arguments), 0));
        let objects = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let asked = objects.filter_map(|object| object["id"].as_str().map(str::to_owned));
        asked.collect::<std::collections::BTreeSet<String>>()
    };
    ids(&["a", "b", "c", "sku-001"]);
    assert_eq!(run("--quiet").len(), 4);
    ids(&["new-1", "c", "new-2", "a", "SKU-001", "b"]);
    let asked = run("--resume");
    // As their user wrote them: another case is another id.
    assert_eq!(asked.iter().map(String::as_str).collect::<Vec<_>>(), ["SKU-001", "new-1", "new-2"]);
    ids(&["b", "new-2"]);
    assert_eq!(run("--resume").len(), 0);
    assert_eq!(lookups(&log).len(), 7);
    super::verified(&log);
}

/// The guide's own profile, as it stands there, shows what the guide says.
#[test]
fn the_guides_profile_is_used() {
    let server = lookup(&[]);
    let folder = tempfile::tempdir().unwrap();
    let guide = include_str!("../../../../../../docs/check.md");
    let block = |language: &str, holds: &str| {
        let blocks = guide.split("```").skip(1).step_by(2);
        let mut blocks = blocks.filter_map(|block| block.strip_prefix(language));
        blocks.find(|block| block.contains(holds)).unwrap()
    };
    std::fs::write(folder.path().join("gate.toml"), block("toml\n", "Boarding")).unwrap();
    let arguments = ["./gate.toml", "GA202", "JT686", "XX123"];
    let text = stdout(&ends(&mut check(folder.path(), &server.url, &arguments), 0));
    let table = block("text\n", "go to gate F1!");
    assert!(text.starts_with(table), "{text}is not what the guide says:\n{table}");
}
