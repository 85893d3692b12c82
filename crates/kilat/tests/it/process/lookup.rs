//! `kilat lookup`, and the lookups beside a sale.

use crate::http::get;
use crate::program::{End, Server, kilat, run, serve, stderr, stdout};
use std::fs;
use std::net::TcpListener;
use std::path::Path;

const FOUND: &str =
    "{\"name\":\"4K Webcam\",\"sku\":\"SKU-003\",\"stock\":75,\"warehouse\":\"Gudang A\"}\n";

fn lookup(arguments: &[&str]) -> Server {
    Server::run(kilat(["lookup", "--listen=127.0.0.1:0", "--delay=none"]).args(arguments))
}

/// Refused with exit code 2 and one line that says so.
fn refused(arguments: &[&str], says: &str) {
    let output =
        run(["lookup", "--listen=127.0.0.1:0"].into_iter().chain(arguments.iter().copied()));
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    assert!(said.contains(says), "{arguments:?}: {says} is not in\n{said}");
}

#[test]
fn the_reference_answers_and_stops_in_good_order() {
    let server = lookup(&[]);
    assert_eq!(server.get("/get_stock?sku=sku-003").text(), FOUND);
    assert_eq!(server.get("/check_domain?domain=GOOGLE.com").status, 200);
    assert_eq!(server.get("/track_package?tracking_number=x").status, 404);
    server.stop();
    assert!(lookup(&["--lang=id"]).banner.contains("Lookup siap"));
}

#[test]
fn lookups_that_are_there_already_are_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = kilat(serve(&folder.path().join("data")));
    let mut server =
        Server::run(command.args(["--listen=127.0.0.1:0", "--lookup-listen=127.0.0.1:0"]));
    let line = server.next_line();
    let address = line.split("http://").nth(1).and_then(|url| url.split('/').next()).unwrap();
    let again = |lang: &str| stderr(&run(["lookup", lang, "--listen", address]));
    let said = again("--lang=en");
    assert!(said.contains("answers lookups already") && said.contains(address), "{said}");
    assert!(again("--lang=id").contains("sudah menjawab lookup"));
    server.stop();
}

#[test]
fn a_data_set_replaces_or_extends_and_can_be_printed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.json");
    let path = file.to_str().unwrap();
    let row = r#"{"stock":{"mine":{"name":"M","stock":3,"warehouse":"W"}}}"#;
    fs::write(&file, row).unwrap();
    for (flag, others) in [("--dataset", 404), ("--extend", 200)] {
        let server = lookup(&[flag, path]);
        let mine = server.get("/get_stock?sku=MINE");
        assert_eq!(
            mine.text(),
            "{\"name\":\"M\",\"sku\":\"MINE\",\"stock\":3,\"warehouse\":\"W\"}\n"
        );
        assert_eq!(server.get("/get_stock?sku=SKU-001").status, others, "{flag}");
        assert_eq!(server.get("/get_player_stats?player_id=player05").status, 200, "{flag}");
    }
    for profile in ["stock", "flight", "domain", "package", "player"] {
        let printed = stdout(&run(["lookup", "--print-dataset", profile]));
        fs::write(&file, &printed).unwrap();
        let again = stdout(&run(["lookup", "--dataset", path, "--print-dataset", profile]));
        assert_eq!(again, printed, "what is printed is a data set");
        assert!(printed.contains(&format!("\"{profile}\": {{")), "{printed}");
    }
    fs::write(&file, "{\"stock\": {\n  \"a\": {\"name\": 1}\n}}").unwrap();
    refused(&["--dataset", path], "mine.json has a mistake: stock.a.name: ");
    refused(&["--extend", path], "at line 2");
    refused(&["--dataset", "/nonexistent"], "can't be read");
    refused(&["--dataset", path, "--lang=id"], "ada kesalahan");
}

#[test]
fn what_cannot_be_rehearsed_is_refused() {
    for (arguments, says) in [
        (["--fail=0.6", "--html=0.5"], "--stall"),
        (["--fail=2", "--html=0"], "percentage"),
        (["--delay=3..1", "--seed=1"], "0.2..0.6"),
        (["--busy-above=0", "--seed=1"], "--busy-above"),
        (["--seed=x", "--fail=0"], "--seed"),
    ] {
        refused(&arguments, says);
    }
}

#[test]
fn what_is_wrong_is_said_in_the_users_language() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.json");
    let path = file.to_str().unwrap();
    fs::write(&file, "{\"stock\": {\n  \"a\": {\"stok\": 1}\n}}").unwrap();
    for (arguments, id, en) in [
        (
            ["--dataset", "/none.json"],
            "(tidak ada berkas atau direktori itu): ",
            "(No such file or directory): ",
        ),
        (
            ["--dataset", path],
            "mine.json: stock.a: \"stok\" bukan field stock: pakai name, stock, warehouse, di baris 2 kolom",
            "mine.json has a mistake: stock.a: \"stok\" is no field of stock: use name, stock, warehouse, at line 2 column",
        ),
        (
            ["--listen", "192.0.2.1:5000"],
            "(alamat itu bukan milik mesin ini): ",
            "(Cannot assign requested address): ",
        ),
        (
            ["--listen", "5000"],
            "IP:port, misalnya 127.0.0.1:5000\n",
            "IP:port, such as 127.0.0.1:5000\n",
        ),
        (
            ["--busy-above", "0"],
            "0 di luar 1 sampai 4.294.967.295\n",
            "0 is not in 1 to 4,294,967,295\n",
        ),
        (
            ["--retry-after", "90000"],
            "90000 di luar 0 sampai 86.400\n",
            "90000 is not in 0 to 86,400\n",
        ),
        (["--busy-above", "x"], "tulis bilangan bulat, 0 atau lebih\n", "invalid digit"),
    ] {
        for (lang, says) in [("id", id), ("en", en)] {
            let said = stderr(&run(["lookup", "--lang", lang].into_iter().chain(arguments)));
            assert!(said.contains(says), "{arguments:?}: {says} is not in\n{said}");
        }
    }
}

#[test]
fn a_data_set_from_windows_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.json");
    fs::write(&file, "\u{feff}{\"stock\":{}}\r\n").unwrap();
    let printed = run(["lookup", "--print-dataset=stock", "--dataset", file.to_str().unwrap()]);
    assert!(stdout(&printed).contains("\"stock\""), "{}", stderr(&printed));
}

#[test]
fn trouble_can_be_rehearsed_from_the_command_line() {
    let server = lookup(&["--busy=100%", "--retry-after=9"]);
    let busy = server.get("/get_stock?sku=a");
    assert_eq!((busy.status, busy.header("retry-after")), (429, Some("9")));
}

fn beside(data: &Path, address: &str) -> Server {
    let mut command = kilat(serve(data));
    command.args(["--listen=127.0.0.1:0", "--lang=en"]);
    Server::run(command.env("KILAT_LOOKUP_LISTEN", address))
}

/// A sale's server with lookups beside it, and their address.
pub(super) fn beside_a_sale(data: &Path) -> (Server, String) {
    let mut server = beside(data, "127.0.0.1:0");
    let line = server.next_line();
    let url = line.split_whitespace().find_map(|word| word.strip_suffix("/get_stock?sku=…"));
    let url = url.unwrap_or_else(|| panic!("no address in {line}")).to_owned();
    (server, url)
}

#[test]
fn a_sale_is_looked_up_beside_the_data_set() {
    let folder = tempfile::tempdir().unwrap();
    let (server, url) = beside_a_sale(&folder.path().join("data"));
    let stock = || get(&url, "/get_stock?sku=test").unwrap();
    assert_eq!(stock().status, 404);
    server.make_sale("s", 7, 60);
    let live = "{\"name\":\"Test\",\"sku\":\"TEST\",\"stock\":7,\"warehouse\":\"Kilat\"}\n";
    assert_eq!(stock().text(), live);
    assert_eq!(server.order("s", "k", r#"{"customer":"c","quantity":2}"#).status, 201);
    assert_eq!(stock().json()["stock"], 5);
    assert_eq!(get(&url, "/get_stock?sku=SKU-003").unwrap().text(), FOUND);
    let metrics = server.get("/metrics").text().to_owned();
    let counted = "kilat_lookup_replies_total{profile=\"stock\",status=\"200\"} 3";
    assert!(metrics.contains(counted), "{metrics}");
    server.stop();
}

#[test]
fn an_address_that_was_asked_for_and_is_taken_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = kilat(serve(&data));
    command.args(["--listen=127.0.0.1:0", "--lookup-listen", &address]);
    let Err(End { status, said }) = Server::try_run(&mut command) else {
        panic!("it started without the address that was asked for");
    };
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(said.contains(&address) && said.contains("--lookup-listen"), "{said}");
    assert!(!data.exists(), "nothing on disk is touched");
    let output = run(["lookup", "--listen", &address]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("in use"), "{}", stderr(&output));
}

#[test]
fn the_usual_address_taken_is_one_warning() {
    // Either this test has it or somebody else on the machine.
    let _taken = TcpListener::bind("127.0.0.1:5000");
    let folder = tempfile::tempdir().unwrap();
    let server = beside(&folder.path().join("data"), "auto");
    assert_eq!(server.get("/livez").status, 200);
    let log = server.log();
    let warnings: Vec<_> =
        log.lines().filter(|line| line.contains("lookups are not served")).collect();
    assert!(matches!(&warnings[..], [one] if one.contains("--lookup-listen")), "{log}");
    server.stop();
}
