//! What the program says about itself, and in which language.

use crate::program::{Server, kilat, run, stderr, stdout};
use serde_json::Value;
use std::net::TcpListener;
use std::path::Path;

/// Runs to the end with exit code `code`; stdout.
fn says(arguments: &[&str], code: i32) -> String {
    let output = run(arguments.iter().copied());
    let said = stdout(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}{}", stderr(&output));
    said
}

#[test]
fn the_program_describes_itself() {
    let version = says(&["--version"], 0);
    assert_eq!(version.trim(), format!("kilat {}", env!("CARGO_PKG_VERSION")));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = says(&["completions", shell], 0);
        assert!(script.contains("verify") && script.contains("listen"), "{shell}");
    }
    let manual = says(&["man"], 0);
    assert!(manual.starts_with(".ie") || manual.contains(".TH"), "{manual}");
    let help = says(&["--help"], 0);
    for command in [
        "up",
        "serve",
        "attack",
        "lookup",
        "check",
        "sale",
        "verify",
        "health",
        "completions",
        "man",
    ] {
        assert!(help.contains(&format!("  {command} ")), "{command} is not in\n{help}");
        says(&[command, "--help"], 0);
    }
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    drop(Server::start(&data));
    let data = data.to_str().unwrap();
    for arguments in [
        &["completions", "bash"][..],
        &["man"],
        &["serve", "--print-config"],
        &["verify", data, "--json"],
        &["verify", data],
        &["check", "stock", "--print-profile"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = kilat(arguments.iter().copied()).stdout(writer).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}{}", output.status, stderr(&output));
    }
}

#[test]
fn settings_in_force_are_printed_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kilat.toml");
    std::fs::write(&file, "node = \"from-file\"\nlanes = 3\nlog = \"warn\"\n").unwrap();
    let mut command = kilat(["serve", "--print-config", "--lanes=2", "--config"]);
    command.arg(&file).env("KILAT_LANES", "5").env("KILAT_LOG", "error");
    let output = command.current_dir(folder.path()).output().unwrap();
    let printed = stdout(&output);
    assert!(output.status.success(), "{}", stderr(&output));
    for line in
        ["node = \"from-file\"", "lanes = 2", "log = \"error\"", "listen = \"127.0.0.1:8080\""]
    {
        assert!(printed.contains(line), "{line} is not in\n{printed}");
    }
    assert!(!printed.contains("token") && !printed.contains(crate::program::ADMIN), "{printed}");
    assert!(!folder.path().join("kilat-data").exists());
    std::fs::write(&file, &printed).unwrap();
    let again = run(["serve", "--print-config", "--config", file.to_str().unwrap()]);
    assert_eq!(stdout(&again), printed, "what is printed is a settings file");
}

#[test]
fn help_and_mistakes_are_in_the_language_of_the_reader() {
    let says_in = |arguments: &[&str]| {
        let output = kilat(arguments.iter().copied()).env("LANG", "id_ID.UTF-8").output().unwrap();
        (output.status.code(), stdout(&output), stderr(&output))
    };
    for arguments in
        [&["--help"][..], &["sale", "--help"], &["help", "check"], &["lookup", "-h"], &["-h"]]
    {
        let (code, help, _) = says_in(arguments);
        assert_eq!(code, Some(0));
        assert!(help.contains("Pemakaian:") && help.contains("Opsi:"), "{help}");
        for english in
            ["Usage:", "Options:", "Print ", "Commands:", "[default: ", "values:", "[OPTIONS]"]
        {
            assert!(!help.contains(english), "{english} is in\n{help}");
        }
    }
    let (_, help, _) = says_in(&["--lang=en", "--help"]);
    assert!(help.contains("Usage:"), "the flag wins: {help}");
    let table: [(&[&str], &str); 16] = [
        (&["nix"], "tidak ada perintah 'nix'"),
        (&["attak"], "maksudnya attack?"),
        (&["gateway"], "--replica <URL> belum ada"),
        (&["kill"], "Pemakaian: kilat kill <NAME>"),
        (&["serve", "--replicas=3"], "--replicas adalah opsi dari: kilat up"),
        (&["check", "stock", "--form=xml"], "pakai salah satu dari text, csv, jsonl"),
        (&["check", "--column"], "--column <NAME> butuh nilai"),
        (&["attack", "--sale=a", "--supply=3"], "tidak dapat dipakai bersama"),
        (&["ps", "--json", "--json"], "hanya boleh diberikan satu kali"),
        (&["sale", "restock", "a", "x"], "'x' bukan nilai untuk <UNITS>"),
        (&["sale", "restock", "a", "x"], "tulis bilangan bulat, 0 atau lebih"),
        (&["up", "--replicas=99"], "99 di luar 1 sampai 16"),
        (&["serve", "--listen=x"], "tulis sebagai ALAMAT:PORT"),
        (&["lookup", "--delay=x"], "dari 0 sampai 3600 dan menaik"),
        (&["events", "forget", "--older-than=x"], "x bukan umur"),
        (&["stress", "--duplicates=x"], "x bukan persentase"),
    ];
    for (arguments, says) in table {
        let (code, _, said) = says_in(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {said}");
        assert!(said.starts_with("kilat: ") && said.contains(says), "{arguments:?}: {said}");
        assert!(!said.contains("Usage:") && !said.contains("error:"), "{arguments:?}: {said}");
    }
}

#[test]
fn why_a_server_does_not_start_is_said_in_the_language_of_the_reader() {
    let folder = tempfile::tempdir().unwrap();
    let (foreign, used) = (folder.path().join("foreign"), folder.path().join("used"));
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("file"), "x").unwrap();
    let server = Server::start(&used);
    let settings = folder.path().join("kilat.toml");
    let of = |path: &Path| path.to_str().unwrap().to_owned();
    let (foreign, used) = (of(&foreign), of(&used));
    std::fs::write(&settings, "\nnodes = 1\n").unwrap();
    let settings = of(&settings);
    let free = "--listen=127.0.0.1:0";
    let table: [(&[&str], &str); 8] = [
        (&["--log=x"], "log berisi \"x\" dan harus error"),
        (&[free, "--data", &foreign], "tidak kosong dan bukan direktori data kilat"),
        (&[free, "--data", &used], "sedang dipakai proses"),
        (&["--config", &settings], "di baris 2 (nodes): kunci tidak dikenal `nodes`, yang ada `"),
        (&["--config=/nonexistent"], "tidak dapat dibaca"),
        (&["--lanes=0"], "lanes berisi 0 dan harus dari 1 sampai 64"),
        (&["--listen=0.0.0.0:1"], "siapa pun dapat memesan atas nama siapa saja"),
        (&["--ledger=x", "--events=x"], "\"x\" bukan alamat core"),
    ];
    for (arguments, says) in table {
        let mut command = kilat(["serve"].into_iter().chain(arguments.iter().copied()));
        let output = command.env("LC_ALL", "id_ID.UTF-8").env("LANG", "C").output().unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        let last = said.lines().last().unwrap_or_default();
        assert!(last.starts_with("kilat: ") && last.contains(says), "{arguments:?}: {said}");
    }
    server.stop();
}

/// Whoever has typed it knows it from elsewhere.
#[test]
fn an_option_of_another_command_is_named_with_the_command() {
    let table: [(&[&str], &str); 3] = [
        (&["serve", "--replicas=3"], "--replicas is an option of: kilat up"),
        (&["stress", "--data=/nowhere"], "--data is an option of: kilat up, kilat ps, kilat kill"),
        (&["attack", "--topic", "a"], "--topic is an option of: kilat stress, kilat events forget"),
    ];
    for (arguments, says) in table {
        let output = run(arguments.iter().copied());
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(says) && !said.contains("similar"), "{arguments:?}: {said}");
    }
}

#[test]
fn help_begins_with_what_is_the_command_s_own() {
    for (command, options) in [
        (&["attack"][..], ["--sale", "--buyers", "--url", "--lang"]),
        (&["sale", "create"], ["--id", "--price", "--url", "--lang"]),
    ] {
        let help = says(&[command, &["--lang=en", "-h"]].concat(), 0);
        let places = options.map(|option| help.find(&format!(" {option} ")).unwrap());
        assert!(places.is_sorted(), "{command:?}: {options:?} in\n{help}");
    }
}

#[test]
fn each_command_has_a_manual_page() {
    let page = says(&["man", "attack"], 0);
    assert!(page.contains("kilat\\-attack") && page.contains("\\-\\-buyers"), "{page}");
    let page = says(&["man", "sale", "create"], 0);
    assert!(page.contains("\\-\\-per\\-customer"), "{page}");
    says(&["man", "nix"], 2);
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    says(&["man", "--all", pages.to_str().unwrap()], 0);
    for name in ["kilat.1", "kilat-attack.1", "kilat-sale-create.1", "kilat-events-forget.1"] {
        let page = std::fs::read_to_string(pages.join(name)).unwrap();
        assert!(page.contains(".TH"), "{name}: {page}");
    }
}

/// Whoever has the port is named if it is a Kilat, and so is the option that chooses another.
#[test]
fn an_address_in_use_is_named_with_who_has_it_and_the_option_to_change() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let kilat = server.url.trim_start_matches("http://").to_owned();
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = stranger.local_addr().unwrap().to_string();
    let data = folder.path().join("other").to_str().unwrap().to_owned();
    let gateway = ["gateway", "--replica=http://127.0.0.1:1"];
    let commands: [(&[&str], &str); 7] = [
        (&["serve", "--data", &data], "--listen"),
        (&["up", "--data", &data], "--listen"),
        (&["lookup"], "--listen"),
        (&gateway, "--listen"),
        (&[gateway[0], gateway[1], "--listen=127.0.0.1:0"], "--admin-listen"),
        (&["core", "--data", &data], "--admin"),
        (&["serve", "--data", &data, "--listen=127.0.0.1:0"], "--lookup-listen"),
    ];
    for (command, option) in commands {
        for (address, who) in [(&kilat, "another kilat"), (&other, "another process")] {
            let output = run(command.iter().copied().chain([option, address, "--lang=en"]));
            let said = stderr(&output);
            assert_eq!(output.status.code(), Some(2), "{command:?}: {said}");
            let remedy = format!("another address with {option}\n");
            assert!(said.contains(address) && said.contains(who), "{command:?}: {said}");
            assert!(said.ends_with(&remedy), "{command:?}: {said}");
        }
    }
    assert!(!Path::new(&data).exists(), "nothing was made");
    server.stop();
}

#[test]
fn health_is_an_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    says(&["health", "--url", &server.url], 0);
    let url = server.url.clone();
    server.stop();
    let output = run(["health", "--url", &url]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
    let english = stderr(&output);
    let indonesian = stderr(&run(["health", "--lang=id", "--url", &url]));
    assert_ne!(english, indonesian);
    says(&["health", "--url", "not an address"], 2);
}

/// Below the line that asks for it, unless whoever started it gave one.
#[test]
fn up_says_where_the_token_is() {
    let folder = tempfile::tempdir().unwrap();
    for (name, is_given) in [("given", true), ("kept", false)] {
        let data = folder.path().join(name);
        let mut command = kilat(["up", "--lang=en", "--listen=127.0.0.1:0", "--data"]);
        command.arg(&data);
        if !is_given {
            command.env_remove("KILAT_ADMIN_TOKEN");
        }
        let mut server = Server::run(&mut command);
        let [asks, next] = [server.next_line(), server.next_line()];
        assert!(asks.contains("/ops (sign in with the admin token)"), "{asks}");
        let token = data.join("admin-token");
        let line = format!("Admin token: {}", token.display());
        assert_eq!((next.trim() == line, token.exists()), (!is_given, !is_given), "{next}");
        assert_eq!(next.contains("Storm it"), is_given, "{next}");
        server.stop();
    }
}

#[test]
fn up_makes_the_demo_sale_once_and_serve_makes_none() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let up = |lang: &str| {
        let mut command = kilat(["up", "--listen=127.0.0.1:0", "--data", data.to_str().unwrap()]);
        Server::run(command.args(["--lang", lang]))
    };
    let server = up("en");
    assert!(server.banner.contains("Kilat is up"), "{}", server.banner);
    let order = r#"{"customer":"c","quantity":1}"#;
    assert_eq!(server.order("iphone-17-pro-max", "k", order).status, 201);
    server.stop();
    let server = up("id");
    assert!(server.banner.contains("Kilat sudah menyala"), "{}", server.banner);
    let sales = server.get("/v1/sales").json();
    let sales = sales["sales"].as_array().or(sales.as_array()).unwrap().clone();
    assert_eq!(sales.len(), 1, "{sales:?}");
    assert_eq!((&sales[0]["supply"], &sales[0]["sold"]), (&100.into(), &1.into()));
    server.stop();
    let verified = says(&["verify", data.to_str().unwrap(), "--lang=en"], 0);
    assert!(verified.contains("VERIFIED: nothing is damaged"), "{verified}");
    let verified = says(&["verify", data.to_str().unwrap(), "--lang=id"], 0);
    assert!(verified.contains("TERVERIFIKASI"), "{verified}");

    let server = Server::start(&folder.path().join("other"));
    let sales: Value = server.get("/v1/sales").json();
    assert!(!sales.to_string().contains("iphone"), "{sales}");
}

#[test]
fn damage_is_found_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data);
    server.make_sale("s", 1, 60);
    server.kill();
    let segment = data.join("journal/00000000000000000001.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    // The first frame: after the header and the opening mark, 512 bytes each.
    bytes[1_100] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    // Nothing follows it: alone, it can't be told from a write that was never finished.
    let text = says(&["verify", data.to_str().unwrap(), "--json"], 1);
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found["holds"], false, "{found}");
    let damage = found["corruption"].as_str().unwrap();
    assert!(damage.contains("00000000000000000001.seg"), "{damage}");
    let arguments = ["serve", "--listen=127.0.0.1:0", "--data", data.to_str().unwrap()];
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("00000000000000000001.seg"), "{}", stderr(&output));
}
