//! Over TLS: who is trusted, and that nobody else's answer counts.

use super::{ends, lookups};
use crate::program::{kilat, stdout};
use crate::system::Up;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A certificate and its key, made by nobody whom the world trusts.
fn certificate(folder: &Path, name: &str) -> [PathBuf; 2] {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let parts = [("pem", made.cert.pem()), ("key", made.signing_key.serialize_pem())];
    parts.map(|(ending, text)| {
        let path = folder.join(format!("{name}.{ending}"));
        std::fs::write(&path, text).unwrap();
        path
    })
}

/// What one id ends with, and why.
fn ended(folder: &Path, url: &str, code: i32, more: &[&str]) -> (String, String) {
    let mut command = kilat(["check", "./sales.toml", "--lang=en", "--json", "--retries=0"]);
    command.args(["--url", url]).args(more).arg("no-such-sale").current_dir(folder);
    let text = stdout(&ends(&mut command, code));
    let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let part = |name: &str| first[name].as_str().unwrap().to_owned();
    (part("outcome"), part("message"))
}

#[test]
fn only_who_is_trusted_is_believed() {
    let folder = tempfile::tempdir().unwrap();
    let [own, key] = certificate(folder.path(), "own");
    let [other, _] = certificate(folder.path(), "other");
    let profile = "url = \"https://127.0.0.1/v1/sales/{id}\"\n[[rule]]\nstatus = 404\n\
                   where = { \"/code\" = \"sale_not_found\" }\noutcome = \"not_found\"\n\
                   message = \"none\"\n";
    std::fs::write(folder.path().join("sales.toml"), profile).unwrap();
    let tls = ["--tls-cert", own.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    let up = Up::with(&folder.path().join("data"), &tls);
    let url = &up.server.url;
    assert!(url.starts_with("https://"), "{url}");
    let ask = |code, more: &[&str]| ended(folder.path(), url, code, more);
    let trusting = ask(0, &["--ca", own.to_str().unwrap()]);
    assert_eq!(trusting.0, "not_found", "{}", trusting.1);
    for more in [&[][..], &["--ca", other.to_str().unwrap()]] {
        let (outcome, message) = ask(1, more);
        assert_eq!(outcome, "unknown", "{message}");
        assert!(message.starts_with("Request error: "), "{message}");
        assert!(message.contains("certificate"), "{message}");
    }
    // Without TLS nobody is understood, and a name that is not in the certificate is another server.
    let plain = url.replace("https", "http");
    assert_eq!(ended(folder.path(), &plain, 1, &[]).0, "unknown");
    let named = url.replace("127.0.0.1", "localhost");
    let (outcome, message) = ended(folder.path(), &named, 1, &["--ca", own.to_str().unwrap()]);
    assert_eq!(outcome, "unknown", "{message}");
    assert_eq!(lookups(&folder.path().join("kilat-check-sales.jsonl")).len(), 5);
    up.stop();
}
