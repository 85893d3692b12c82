//! What can't work is one sentence with the place and the remedy, exit code 2, and nothing
//! is touched.

use crate::process::bad_input::check;
use crate::program::kilat;
use std::fs;
use std::path::Path;

fn refused(folder: &Path, arguments: &[&str], says: &str) {
    let mut command = kilat(["check", "--lang=en"].into_iter().chain(arguments.iter().copied()));
    check(&mut command, folder, says);
    let mut command = kilat(["check", "--lang=id"].into_iter().chain(arguments.iter().copied()));
    check(&mut command, folder, "");
}

#[test]
fn options_that_cannot_be() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, says) in [
        (&["stok"][..], "stock, flight, domain, package, player, rdap"),
        (&["stock", "--timeout=10"], "--timeout 10 is not a duration"),
        (&["stock", "--watch=soon"], "--watch soon is not a duration"),
        (&["stock", "--deadline=0s"], "--deadline 0s is not a duration"),
        (&["stock", "--give-up=-1s"], "--give-up -1s is not a duration"),
        (&["stock", "--rate=fast"], "100/s"),
        (&["stock", "--hedge=p99"], "p95"),
        (&["stock", "--concurrency=0"], "--concurrency is 0"),
        (&["stock", "--concurrency=20001"], "20001"),
        (&["stock", "--url=not an address"], "not an address"),
        (&["stock", "--format=seed", "--resume"], "seed"),
        (&["stock", "--ca=none.pem"], "none.pem"),
        (&["rdap", "--bootstrap=none.json", "example.com"], "none.json"),
        (&["rdap", "example.com"], "--bootstrap"),
        (&["rdap", "--url=http://127.0.0.1:1"], "no ids of its own"),
        (&["./mine.toml"], "mine.toml"),
        (&["stock", "A", ""], "id 2 of the command is empty"),
        (&["stock", "A", "\u{a0} "], "id 2 of the command is empty"),
        (&["stock", "--column=sku", "A"], "give --file FILE"),
        (&["stock", "--form=jsonl"], "give --file FILE"),
        (&["./mine.toml", "--print-profile"], "mine.toml is a file: --print-profile"),
    ] {
        refused(folder.path(), arguments, says);
    }
}

#[test]
fn ids_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ids.csv"), "id,name\n1,a\n").unwrap();
    fs::write(folder.path().join("semi.csv"), "id;nama\n1;a\n").unwrap();
    fs::write(folder.path().join("ids.jsonl"), "{\"sku\":\"A\"}\n").unwrap();
    fs::write(folder.path().join("empty.txt"), "").unwrap();
    fs::write(folder.path().join("blank.txt"), "\n \n").unwrap();
    fs::write(folder.path().join("head.csv"), "id,name\n").unwrap();
    fs::write(folder.path().join("list.json"), "[\n  \"A\"\n]\n").unwrap();
    fs::write(folder.path().join("texts.JSON"), "\"A\"\n").unwrap();
    fs::write(folder.path().join("items.tsv"), "sku\tnama\nA\tB\n").unwrap();
    fs::write(folder.path().join("book.xlsx"), b"PK\x03\x04\x14\0\x06\0").unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    for (arguments, says) in [
        (&["stock", "--file=none.txt"][..], "none.txt"),
        (&["stock", "--file=empty.txt"], "there is no id in empty.txt"),
        (&["stock", "--file=empty.txt", "--file=blank.txt"], "no id in empty.txt, blank.txt"),
        (&["stock", "--file=empty.txt", "--column=id"], "empty.txt is empty"),
        (&["stock", "--file=head.csv", "--column=id"], "no id in head.csv"),
        (&["stock", "--file=empty.txt", "--resume"], "no id in empty.txt"),
        (&["stock", "--file=folder"], "folder"),
        (&["stock", "--file=ids.csv"], "--column"),
        (&["stock", "--file=ids.csv", "--column=sku"], "sku"),
        (&["stock", "--file=semi.csv", "--column=sku"], "with --column: id, nama"),
        (&["stock", "--file=ids.jsonl"], "ids.jsonl:1: the line is an object"),
        (&["stock", "--file=ids.jsonl", "--field=id"], "ids.jsonl:1: there is no member id"),
        (&["stock", "--file=ids.jsonl", "--resume"], "ids.jsonl:1: the line is an object"),
        (&["stock", "-", "--file=-"], "once"),
        (&["stock", "--file=list.json"], "list.json:1: this looks like JSON"),
        (&["stock", "--file=texts.JSON"], "texts.JSON:1: this looks like JSON"),
        (&["stock", "--file=items.tsv"], "items.tsv has columns: say with --column"),
        (&["stock", "--file=book.xlsx"], "book.xlsx:1: this is a workbook"),
        (&["stock", "--file=book.xlsx", "--column=sku"], "book.xlsx:1: this is a workbook"),
        (&["stock", "--file=book.xlsx", "--form=text"], "book.xlsx:1: this is a workbook"),
    ] {
        refused(folder.path(), arguments, says);
    }
}

#[test]
fn what_the_system_says_is_said_in_the_users_language() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("cut.jsonl"), "\n{\"sku\":\n").unwrap();
    fs::write(folder.path().join("ca.pem"), "nothing\n").unwrap();
    for (arguments, id, en) in [
        (
            ["--file=none.txt", "--quiet"],
            "none.txt tidak dapat dibaca: tidak ada berkas atau direktori itu\n",
            "none.txt can't be read: No such file or directory\n",
        ),
        (
            ["--file=cut.jsonl", "--field=sku"],
            "cut.jsonl:2: baris ini bukan JSON yang sah (terputus di tengah nilai, di kolom 7): ",
            "cut.jsonl:2: the line is not valid JSON (EOF while parsing a value at column 7): ",
        ),
        (
            ["--ca=ca.pem", "--quiet"],
            "ca.pem tidak berisi sertifikat: ",
            "ca.pem holds no certificate: ",
        ),
    ] {
        for (lang, says) in [("id", id), ("en", en)] {
            let mut command =
                kilat(["check", "stock", "--lang", lang].into_iter().chain(arguments));
            check(&mut command, folder.path(), says);
        }
    }
}

#[test]
fn more_ids_than_can_be_watched() {
    let folder = tempfile::tempdir().unwrap();
    let ids: Vec<String> = (0..=100_000).map(|n| n.to_string()).collect();
    fs::write(folder.path().join("ids.txt"), ids.join("\n")).unwrap();
    refused(folder.path(), &["stock", "--watch=1s", "--file=ids.txt"], "100");
}

#[test]
fn a_profile_with_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    fs::write(
        &path,
        "url = \"http://127.0.0.1:1/{id}\"\n\n[[rule]]\nstatus = 200\noutcome = \"fund\"\n",
    )
    .unwrap();
    refused(folder.path(), &["./mine.toml", "a"], "mine.toml:5:11");
    fs::write(&path, "url = \"http://127.0.0.1:1/{id}\"\nheaders.a = \"${SHOP_TOKEN}\"\n").unwrap();
    refused(folder.path(), &["./mine.toml", "a"], "SHOP_TOKEN");
}

#[test]
fn files_that_cannot_be_read_leave_no_run_to_resume() {
    let folder = tempfile::tempdir().unwrap();
    let log = "kilat-check-stock.jsonl";
    for arguments in [["stock", "--file=none.txt", "--resume"], ["stock", "--file=.", "--resume"]] {
        refused(folder.path(), &arguments, "");
        assert!(!folder.path().join(log).exists());
    }
}

#[test]
fn logs_and_pages_that_are_not_ours() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    file("thesis.txt", "years of work\n");
    file("other.jsonl", "{\"years\":\"of work\"}\n");
    fs::create_dir(folder.path().join("folder")).unwrap();
    for (arguments, says) in [
        (&["stock", "--log=thesis.txt"][..], "thesis.txt"),
        (&["stock", "--log=thesis.txt", "--overwrite"], "thesis.txt"),
        (&["stock", "--log=thesis.txt", "--resume"], "thesis.txt"),
        (&["stock", "--log=thesis.txt", "--format=seed"], "thesis.txt"),
        (&["stock", "--log=other.jsonl"], "other.jsonl"),
        (&["stock", "--log=folder"], "folder"),
        (&["stock", "--log", "-"], "--log is the name of a file, and - is none: "),
        (&["stock", "--log=-", "--format=seed"], "--log is the name of a file"),
        (&["stock", "--html", "-"], "--html is the name of a file, and - is none: "),
        (&["stock", "--log=none/log.jsonl"], "none/log.jsonl"),
        (&["stock", "--html=thesis.txt"], "thesis.txt"),
        (&["stock", "--html=thesis.txt", "--overwrite"], "thesis.txt"),
        (&["stock", "--html=none/page.html"], "none/page.html"),
        (&["stock", "--html=a.jsonl", "--log=./a.jsonl"], "a.jsonl"),
    ] {
        refused(folder.path(), arguments, says);
    }
}
