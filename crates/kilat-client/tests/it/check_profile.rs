//! Profiles as users write them: files, mistakes with their places, secrets.

use kilat_client::check::Profile;
use kilat_client::{ClientError, Lang};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const RULE: &str = "[[rule]]\nstatus = 200\noutcome = \"found\"\nmessage = \"{name}\"\n";
const SECRET: &str = "s3cret-Value";

fn secret(name: &str) -> Option<String> {
    (name == "SHOP_TOKEN").then(|| SECRET.to_owned())
}

fn open(path: &Path, lang: Lang) -> Result<Profile, ClientError> {
    Profile::open(path, &secret, lang)
}

fn written(bytes: &[u8]) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("prices.toml");
    fs::write(&path, bytes).unwrap();
    (directory, path)
}

/// What is refused is refused in one line, in both languages, as a mistake of the user.
#[track_caller]
fn check_refused(bytes: &[u8], place: &str, says: &str) {
    let (_directory, path) = written(bytes);
    for lang in [Lang::Indonesian, Lang::English] {
        let refused = open(&path, lang).unwrap_err();
        assert_eq!(refused.exit_code(), 2);
        let message = refused.to_string();
        assert!(message.starts_with(&format!("{}{place}", path.display())), "{message}");
        assert!(!message.contains('\n') && !message.contains(SECRET), "{message}");
        assert!(lang == Lang::Indonesian || message.contains(says), "{message}");
    }
}

/// The blocks of that kind in the document about profiles.
fn documented(kind: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/profiles.md");
    let text = fs::read_to_string(path).unwrap();
    let blocks = text.split("```").skip(1).step_by(2);
    blocks.filter_map(|block| block.strip_prefix(&format!("{kind}\n")).map(str::to_owned)).collect()
}

#[test]
fn the_documented_example_is_a_profile() {
    let example = documented("toml").remove(0);
    let (_directory, path) = written(example.as_bytes());
    let profile = open(&path, Lang::English).unwrap();
    assert_eq!((profile.name(), profile.batch_size()), ("prices", 50));
    assert_eq!(profile.url(), "https://shop.example.com/v2/items?sku={ids}");
    assert_eq!(profile.label(Lang::English), "SKU");
    assert!(profile.own_ids().is_empty() && profile.seed().is_none());
    assert!(!format!("{profile:?}").contains(SECRET));
}

#[test]
fn the_documented_mistake_reads_so() {
    let example = documented("toml").remove(0).replacen("\"found\"", "\"sold\"", 1);
    let message = documented("text").remove(0);
    let (place, says) = message.trim().strip_prefix("prices.toml").unwrap().split_at(6);
    check_refused(example.as_bytes(), place, says);
}

#[test]
fn the_profiles_that_come_with_the_program_are_files_like_any_other() {
    for name in Profile::names() {
        let (_directory, path) = written(Profile::text(name).unwrap().as_bytes());
        let (own, theirs) = (open(&path, Lang::English).unwrap(), Profile::builtin(name).unwrap());
        assert_eq!((own.name(), own.url()), (theirs.name(), theirs.url()));
        assert_eq!(own.own_ids(), theirs.own_ids());
        assert_eq!(own.seed(), theirs.seed());
    }
}

#[test]
fn a_file_that_is_no_profile_is_refused() {
    check_refused(b"", ":1:1: ", "has no 'url'");
    check_refused(b"url = \"h\"", ":1:8: ", "must begin with http://");
    check_refused(b"# \xc3\xa9\n#\xe9", ":2:2: ", "save the file as UTF-8");
    check_refused(b"\x89PNG\r\n", ":1:1: ", "save the file as UTF-8");
    check_refused(&b"#".repeat(1024 * 1024 + 1), " ", "more than 1,048,576 bytes");
    let missing = tempfile::tempdir().unwrap().path().join("none.toml");
    let refused = open(&missing, Lang::English).unwrap_err();
    assert!(refused.to_string().contains("none.toml can't be read"), "{refused}");
    assert_eq!(refused.exit_code(), 2);
}

#[test]
fn a_mistake_beside_a_secret_does_not_show_it() {
    let head = "url = \"http://h/{id}\"\n[headers]\nauthorization = \"Bearer ${SHOP_TOKEN}";
    for (rest, place) in [
        ("\\u0007\"\n", ":3:17: "),
        ("${NOWHERE}\"\n", ":3:38: "),
        ("\"\n[[rule]]\nstatus = 1\noutcome = \"found\"\n", ":5:10: "),
        ("\"\nAuthorization = \"${SHOP_TOKEN}\"\n", ":"),
    ] {
        check_refused(format!("{head}{rest}{RULE}").as_bytes(), place, "");
    }
}
