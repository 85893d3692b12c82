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
