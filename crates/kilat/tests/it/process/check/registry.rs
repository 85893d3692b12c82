//! Profiles that ask real things: registries by RDAP, and an API of one's own with a secret and
//! several ids in one request.

use super::api::{Api, reply};
use super::{check, ends, lookups, verified};
use crate::program::{kilat, stdout};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// Answers as a registry does, or as what stands before one.
fn registry() -> Api {
    Api::start(|target, client| {
        let domain = target.strip_prefix("/v1/domain/").unwrap_or("elsewhere");
        let taken = format!(r#"{{"objectClassName":"domain","ldhName":"{domain}"}}"#);
        let (status, body) = match domain {
            "taken.test" => ("200 OK", taken.as_str()),
            "other.test" => ("200 OK", r#"{"objectClassName":"domain","ldhName":"x.test"}"#),
            "free.test" => ("404 Not Found", ""),
            "said.test" => ("404 Not Found", r#"{"errorCode":404,"title":"none"}"#),
            "page.test" => ("404 Not Found", "<html>Not Found</html>"),
            "proxy.test" => ("404 Not Found", r#"{"message":"no route"}"#),
            "busy.test" => ("429 Too Many Requests", ""),
            "down.test" => ("503 Service Unavailable", ""),
            _ => ("404 Not Found", "nothing is here"),
        };
        client.write_all(&reply(status, "content-type: application/rdap+json\r\n", body.as_bytes()))
    })
}

fn outcomes(text: &str) -> BTreeMap<String, (String, String)> {
    let objects = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let objects = objects.filter(|object| object["id"].is_string());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    objects
        .map(|object| (text(&object["id"]), (text(&object["outcome"]), text(&object["message"]))))
        .collect()
}

#[test]
fn a_registry_is_asked_by_rdap_and_only_its_own_404_means_not_registered() {
    let api = registry();
    let folder = tempfile::tempdir().unwrap();
    let services = format!(r#"{{"version":"1.0","services":[[["test"],["{}/v1/"]]]}}"#, api.url);
    std::fs::write(folder.path().join("dns.json"), services).unwrap();
    let expected = [
        ("taken.test", "found"),
        ("TAKEN.test.", "found"),
        ("other.test", "unknown"),
        ("free.test", "not_found"),
        ("said.test", "not_found"),
        ("page.test", "unknown"),
        ("proxy.test", "unknown"),
        ("busy.test", "unknown"),
        ("down.test", "unknown"),
        ("free.elsewhere", "unknown"),
        ("tokó.test", "unknown"),
    ];
    let run = |more: &[&str]| {
        let arguments = ["rdap", "--bootstrap=dns.json", "--json", "--retries=0"];
        let mut command = kilat(["check", "--lang=en"]);
        command.args(arguments).args(more).current_dir(folder.path());
        command.args(expected.iter().map(|(domain, _)| domain));
        outcomes(&stdout(&ends(&mut command, 1)))
    };
    // The file could name anybody: what only this machine reaches is not asked.
    let refused = run(&[]);
    assert!(refused.values().all(|(outcome, _)| outcome == "unknown"), "{refused:?}");
    assert!(refused["free.test"].1.contains("--allow-private"), "{refused:?}");
    assert_eq!(api.heads().len(), 0);
    let asked = run(&["--allow-private"]);
    for (domain, outcome) in expected {
        assert_eq!(asked[domain].0, outcome, "{domain}: {}", asked[domain].1);
    }
    let available: Vec<&String> = asked
        .iter()
        .filter(|(_, (_, said))| said.contains("may be available"))
        .map(|(id, _)| id)
        .collect();
    assert_eq!(available, ["free.test", "said.test"]);
    assert!(api.heads().iter().all(|head| head.contains("accept: application/rdap+json")));
    verified(&folder.path().join("kilat-check-rdap.jsonl"));
}

/// What an address says, without its escapes.
fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).unwrap()
}

const SECRET: &str = "s3cret-Value";

#[test]
fn a_profile_of_ones_own_asks_several_at_once_with_a_secret_that_nobody_sees() {
    let api = Api::start(|target, client| {
        let ids = target.split_once("ids=").unwrap().1.split(',');
        let known = ids.filter(|id| !id.starts_with("none")).map(decoded);
        let items: Vec<String> = known.map(|id| format!(r#"{{"id":"{id}","n":7}}"#)).collect();
        let body = format!(r#"{{"items":[{}]}}"#, items.join(","));
        client.write_all(&reply("200 OK", "content-type: application/json\r\n", body.as_bytes()))
    });
    let folder = tempfile::tempdir().unwrap();
    let profile = format!(
        "url = \"{}/items?ids={{ids}}\"\nheaders.authorization = \"Bearer ${{SHOP_TOKEN}}\"\n\
         [batch]\nsize = 3\nitems = \"/items\"\nkey = \"/id\"\nmissing = \"not_found\"\n\
         [[rule]]\nstatus = 200\nwhere = {{ \"/n\" = {{ exists = true }} }}\n\
         outcome = \"found\"\nmessage = \"{{n}}\"\n",
        api.url
    );
    std::fs::write(folder.path().join("mine.toml"), profile).unwrap();
    let ids = ["a", "b&x=1", "none-1", "c/d", "é", "none-2", "f"];
    let mut command = kilat(["check", "./mine.toml", "--lang=en", "--json", "--html=page.html"]);
    command.args(ids).env("SHOP_TOKEN", SECRET).current_dir(folder.path());
    let output = command.output().unwrap();
    let asked = outcomes(&stdout(&output));
    let (heads, all) = (api.heads(), stdout(&output));
    for id in ids {
        let outcome = if id.starts_with("none") { "not_found" } else { "found" };
        assert_eq!(asked[id].0, outcome, "{id}: {all}");
    }
    assert_eq!((heads.len(), asked.len()), (3, 7), "{heads:?}");
    assert!(heads.iter().all(|head| head.contains(&format!("authorization: Bearer {SECRET}"))));
    let is_first = |head: &String| head.contains("ids=a,b%26x%3D1,none-1 HTTP/1.1");
    assert!(heads.iter().any(is_first), "{heads:?}");
    assert!(heads.iter().all(|head| head.starts_with("GET ")));
    let log = folder.path().join("kilat-check-mine.jsonl");
    verified(&log);
    assert_eq!(lookups(&log).len(), 7);
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let shown =
        [all, crate::program::stderr(&output), read(&log), read(&folder.path().join("page.html"))];
    assert!(shown.iter().all(|text| !text.contains(SECRET)));
}

/// A batch is not lost for a reply that is long because it speaks of many.
#[test]
fn a_reply_may_be_longer_by_the_ids_that_are_asked_together() {
    for (item_bytes, outcome) in [(9_000, "found"), (12_000, "unknown")] {
        let api = Api::start(move |target, client| {
            let ids = target.split_once("ids=").unwrap().1.split(',');
            let note = "x".repeat(item_bytes);
            let items: Vec<String> =
                ids.map(|id| format!(r#"{{"id":"{id}","note":"{note}"}}"#)).collect();
            let body = format!("[{}]", items.join(","));
            client.write_all(&reply("200 OK", "", body.as_bytes()))
        });
        let folder = tempfile::tempdir().unwrap();
        let profile = "url = \"http://127.0.0.1/?ids={ids}\"\n[batch]\nsize = 100\nkey = \"/id\"\n\
                       [[rule]]\nstatus = 200\noutcome = \"found\"\nmessage = \"{id}\"\n";
        std::fs::write(folder.path().join("mine.toml"), profile).unwrap();
        let ids: Vec<String> = (0..100).map(|n| format!("A-{n}")).collect();
        let arguments = ["./mine.toml", "--json"].into_iter().chain(ids.iter().map(String::as_str));
        let arguments: Vec<&str> = arguments.collect();
        let code = if outcome == "found" { 0 } else { 1 };
        let text = stdout(&ends(&mut check(folder.path(), &api.url, &arguments), code));
        let asked = outcomes(&text);
        assert!(asked.len() == 100 && asked.values().all(|id| id.0 == outcome), "{text}");
    }
}

/// Whose URL is not a profile's own is asked all the same.
#[test]
fn another_server_takes_the_place_of_the_profiles() {
    let api = Api::start(|_, client| client.write_all(&reply("404 Not Found", "", b"")));
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["rdap", "--json", "--retries=0", "free.test"];
    let text = stdout(&ends(&mut check(folder.path(), &api.url, &arguments), 0));
    assert_eq!(outcomes(&text)["free.test"].0, "not_found");
    assert!(api.heads()[0].starts_with("GET /domain/free.test HTTP/1.1"), "{:?}", api.heads());
}
