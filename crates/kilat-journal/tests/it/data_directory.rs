//! Who owns a data directory, and that a refusal leaves it as it was.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use kilat_journal::{DataDirectory, DirectoryError};

/// All files below `path` with their contents.
fn tree(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .map(|entry| {
            let content = fs::read(entry.path()).unwrap_or_default();
            (entry.file_name().to_string_lossy().into_owned(), content)
        })
        .collect()
}

/// Opening is refused as `matches` says, with one sentence that names the path, and nothing
/// changes.
fn check_refused(path: &Path, matches: impl Fn(&DirectoryError) -> bool, says: &str) {
    let before = tree(path);
    let error = DataDirectory::open_or_create(path).expect_err("a refusal");
    assert!(matches(&error), "{error:?}");
    let sentence = error.to_string();
    assert!(sentence.contains(&path.display().to_string()), "{sentence}");
    assert!(sentence.contains(says), "{sentence}");
    assert_eq!(tree(path), before, "a refusal changed something");
}

#[test]
fn a_new_directory_is_private_and_keeps_its_identity() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("deep/er");
    let made = DataDirectory::open_or_create(&path).expect("a new directory");
    let identity = made.identity().clone();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(path.join("KILAT")).unwrap().permissions().mode() & 0o777, 0o600);
    let marker = fs::read_to_string(path.join("KILAT")).unwrap();
    assert!(marker.starts_with("kilat data directory, format 1\n"), "{marker}");
    assert_eq!(DataDirectory::peek(&path).expect("a look").identity(), &identity);
    drop(made);
    let again = DataDirectory::open_existing(&path).expect("the same directory");
    assert_eq!(again.identity(), &identity);
    assert_ne!(identity.journal_id("ledger"), identity.journal_id("events"));
}

#[test]
fn two_new_directories_differ() {
    let place = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| {
        DataDirectory::open_or_create(place.path().join(name)).unwrap().identity().clone()
    });
    assert_ne!(one.id, two.id);
    assert_ne!(one.fingerprint_key, two.fingerprint_key);
}

#[test]
fn a_directory_in_use_names_the_process() {
    let place = tempfile::tempdir().unwrap();
    let held = DataDirectory::open_or_create(place.path()).unwrap();
    let pid = std::process::id();
    let in_use = |error: &DirectoryError| matches!(error, DirectoryError::InUse { pid: Some(found), .. } if *found == pid);
    check_refused(place.path(), in_use, &format!("process {pid}"));
    drop(held);
    DataDirectory::open_or_create(place.path()).expect("free again");
}

#[test]
fn a_foreign_directory_is_left_alone() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("thesis.tex"), "years of work").unwrap();
    let foreign = |error: &DirectoryError| matches!(error, DirectoryError::Foreign { .. });
    check_refused(place.path(), foreign, "not a kilat data directory");
    check_refused(&place.path().join("thesis.tex"), foreign, "not a kilat data directory");
}

#[test]
fn nobody_who_reads_is_told_to_fill_another_directory() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("thesis.tex"), "years of work").unwrap();
    for path in [place.path().to_owned(), place.path().join("thesis.tex")] {
        for error in [
            DataDirectory::open_existing(&path).expect_err("a refusal"),
            DataDirectory::peek(&path).expect_err("a refusal"),
        ] {
            assert!(matches!(error, DirectoryError::Missing { .. }), "{error:?}");
            assert!(error.to_string().ends_with("that has the file KILAT in it"), "{error}");
        }
    }
}

#[test]
fn a_part_of_a_data_directory_names_the_whole() {
    let place = tempfile::tempdir().unwrap();
    drop(DataDirectory::open_or_create(place.path()).unwrap());
    let journal = place.path().join("journal");
    fs::create_dir(&journal).unwrap();
    fs::write(journal.join("00000000000000000001.seg"), "facts").unwrap();
    let part = |error: &DirectoryError| matches!(error, DirectoryError::Part { .. });
    let whole = place.path().display().to_string();
    check_refused(&journal, part, &format!("the data directory {whole};"));
    check_refused(&journal.join("."), part, &format!("the data directory {whole};"));
    let error = DataDirectory::peek(&journal).expect_err("a refusal");
    assert!(part(&error), "{error:?}");
}

#[test]
fn a_newer_format_is_left_alone() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("KILAT"), "kilat data directory, format 2\nand more\n").unwrap();
    let newer = |error: &DirectoryError| {
        matches!(error, DirectoryError::NewerFormat { found: 2, supported: 1, .. })
    };
    check_refused(place.path(), newer, "format 2");
}

#[test]
fn a_damaged_marker_is_left_alone() {
    for text in ["", "kilat", "kilat data directory, format 1\nid 12\n", "\u{0}\u{0}"] {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("KILAT"), text).unwrap();
        let unreadable =
            |error: &DirectoryError| matches!(error, DirectoryError::Unreadable { .. });
        check_refused(place.path(), unreadable, "restore it");
    }
}

#[test]
fn a_creation_cut_short_is_taken_up_again() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("LOCK"), "").unwrap();
    fs::write(place.path().join("KILAT.tmp"), "kilat da").unwrap();
    DataDirectory::open_or_create(place.path()).expect("a directory");
}

#[test]
fn what_does_not_exist_is_made_only_when_asked() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("none");
    let missing = DataDirectory::open_existing(&path).expect_err("nothing there");
    assert!(matches!(missing, DirectoryError::Missing { .. }), "{missing:?}");
    assert!(DataDirectory::peek(&path).is_err());
    assert!(!path.exists());
}

#[test]
fn a_look_needs_no_lock_and_cannot_write() {
    use kilat_journal::Storage;
    let place = tempfile::tempdir().unwrap();
    let held = DataDirectory::open_or_create(place.path()).unwrap();
    held.directory("journal").expect("a part");
    let seen = DataDirectory::peek(place.path()).expect("a look").directory("journal");
    assert!(seen.list().expect("a listing").is_empty());
    assert!(seen.create("file").is_err());
}
