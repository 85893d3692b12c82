//! What can't work is refused in one sentence, before anything is touched.

use crate::program::{Server, kilat, run, stderr};
use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Every path below `folder` with what a change would change.
fn listing(folder: &Path) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = fs::symlink_metadata(&path).unwrap();
        found.insert(path.clone(), (file.len(), file.mtime(), file.mtime_nsec()));
        if file.is_dir() {
            found.append(&mut listing(&path));
        }
    }
    found
}

/// Exit code 2, one sentence with `says`, and `folder` as it was.
pub(super) fn check(command: &mut Command, folder: &Path, says: &str) {
    let before = listing(folder);
    let output = command.current_dir(folder).output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{command:?}: {said}");
    assert!(said.contains(says), "{command:?}: {said}");
    assert!(said.starts_with("kilat: ") && said.lines().count() == 1, "one sentence: {said}");
    assert!(output.stdout.is_empty(), "{command:?} wrote to stdout");
    assert_eq!(listing(folder), before, "{command:?} touched something");
}

/// `kilat serve` in `folder`, with data in `data` there.
fn serving(more: &[&str]) -> Command {
    kilat(["serve", "--data=data", "--listen=127.0.0.1:0"].into_iter().chain(more.iter().copied()))
}

#[test]
fn a_directory_that_is_not_ours_to_use() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let check = |says| {
        check(&mut serving(&[]), folder.path(), says);
        check_verify(folder.path(), says);
    };
    fs::create_dir(&data).unwrap();
    fs::write(data.join("thesis.txt"), "years of work").unwrap();
    check("data");
    fs::remove_file(data.join("thesis.txt")).unwrap();
    let zeros = "0".repeat(32);
    let marker = |format| {
        format!("kilat data directory, format {format}\nid {zeros}\nfingerprint key {zeros}\n")
    };
    fs::write(data.join("KILAT"), marker("2")).unwrap();
    check("format 2");
    fs::write(data.join("KILAT"), "something else").unwrap();
    check("KILAT");
    fs::remove_dir_all(&data).unwrap();
    fs::write(&data, "a file").unwrap();
    check("data");
}

/// Of servers that are not to start: any address will do.
const FREE: &str = "--listen=127.0.0.1:0";

#[test]
fn what_is_no_data_directory_says_what_to_name_instead() {
    let folder = tempfile::tempdir().unwrap();
    Server::start(&folder.path().join("data")).stop();
    fs::create_dir(folder.path().join("thesis")).unwrap();
    fs::write(folder.path().join("thesis/1.tex"), "years of work").unwrap();
    for (arguments, says) in [
        (&["verify", "thesis"][..], "a backup, or the log of a check"),
        (&["verify", "data/journal"], "the data directory data; name that one"),
        (&["backup", "new", "--data=thesis"], "the directory that has the file KILAT in it"),
        (&["backup", "new", "--data=data/journal"], "the data directory data; name that one"),
        (&["restore", "thesis", "--data=new"], "a directory that kilat backup made"),
        (&["serve", FREE, "--data=thesis"], "choose an empty or new one"),
        (&["serve", FREE, "--data=data/journal"], "the data directory data; name that one"),
        (&["core", "--data=thesis"], "choose an empty or new one"),
    ] {
        check(kilat(arguments.iter().copied()).arg("--lang=en"), folder.path(), says);
    }
}

fn check_verify(folder: &Path, says: &str) {
    check(&mut kilat(["verify", "data"]), folder, says);
}

#[test]
fn a_directory_in_use_by_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut server = Server::start(&data);
    // Both logs make a segment ahead, and the sale's first fact is copied. Then nothing moves.
    server.make_sale("s", 1, 60);
    for log in ["journal", "events"] {
        crate::program::wait_for("the next segment", || {
            data.join(log).join("00000000000000000002.seg").exists().then_some(())
        });
    }
    crate::program::wait_for("the copy", || {
        (server.get("/stats").json()["projected"] == 1).then_some(())
    });
    check(&mut serving(&[]), folder.path(), "in use");
    assert_eq!(server.process().ended(), None);
    server.stop();
}

#[test]
fn a_port_in_use_by_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for command in ["serve", "up"] {
        let arguments = [command, "--data=data", "--listen", address.as_str()];
        check(&mut kilat(arguments), folder.path(), "in use");
    }
    assert!(!folder.path().join("data").exists());
}

#[test]
fn settings_with_mistakes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kilat.toml");
    let with_file = ["--config=kilat.toml"];
    check(&mut serving(&with_file), folder.path(), "can't be read");
    for (text, says) in [
        ("listn = \"127.0.0.1:0\"", "unknown field `listn`"),
        ("listen = 8080", "listen"),
        ("listen = \"localhost\"", "listen"),
        ("lanes = ", "in line 1 (lanes)"),
        ("lanes = 0", "lanes"),
        ("node = \"a b\"", "node"),
        ("admin_token = \"short\"", ""),
    ] {
        fs::write(&path, text).unwrap();
        let mut command = serving(&with_file);
        if text.starts_with("admin_token") {
            command.env_remove("KILAT_ADMIN_TOKEN");
        }
        check(&mut command, folder.path(), says);
    }
    fs::write(&path, [0xff, 0xfe]).unwrap();
    check(&mut serving(&with_file), folder.path(), "can't be read");
}

#[test]
fn secrets_and_addresses_that_are_not_safe() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "KILAT_ADMIN_TOKEN",
        "KILAT_API_TOKEN",
        "KILAT_CUSTOMER_KEY",
        "KILAT_PUBLISH_TOKEN",
        "KILAT_SECRET",
    ] {
        check(serving(&[]).env(name, "short"), folder.path(), name);
    }
    let open = ["serve", "--data=data", "--listen=0.0.0.0:0"];
    check(&mut kilat(open), folder.path(), "--open-to-strangers");
}

#[test]
fn a_sale_file_with_mistakes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sale.toml");
    let create = || kilat(["sale", "create", "--file=sale.toml", "--url=http://127.0.0.1:1"]);
    let good = "id = \"s\"\ntitle = \"T\"\nsku = \"S\"\nsupply = 1\nprice = { amount = \"1\", currency = \"IDR\" }\n";
    let fields = |create: &mut Command, says: &str| {
        let output = create.current_dir(folder.path()).output().unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with("kilat: ") && said.contains(says), "{said}");
    };
    check(&mut create(), folder.path(), "sale.toml");
    for (from, to, says) in [
        ("supply = 1", "supply = ", "sale.toml"),
        ("supply = 1", "supply = -1", "supply"),
        ("supply = 1", "suply = 1", "suply"),
        ("id = \"s\"", "id = \"../s\"", "id"),
        ("IDR", "XXQ", "currency"),
    ] {
        assert!(good.contains(from));
        fs::write(&path, good.replace(from, to)).unwrap();
        fields(&mut create(), says);
    }
}

#[test]
fn usage_that_clap_refuses() {
    for arguments in
        [&["serv"][..], &["serve", "--lanes=many"], &["serve", "--listen=here"], &["verify"], &[]]
    {
        let output = run(arguments.iter().copied());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(!output.stderr.is_empty());
    }
}
