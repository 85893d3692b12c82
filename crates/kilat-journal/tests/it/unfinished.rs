//! Directories that are filled before they are data directories: never taken for whole, never
//! somebody else's.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use kilat_journal::{
    BACKUP_MANIFEST, DataDirectory, DirectoryError, Identity, UnfinishedDirectory,
};

fn identity() -> Identity {
    Identity { id: [1; 16], fingerprint_key: [2; 16], restored: None }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).expect("a directory");
    let names = entries.map(|entry| entry.expect("a file").file_name());
    let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn it_is_a_data_directory_when_it_is_finished_and_not_before() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("deep/er");
    let unfinished = UnfinishedDirectory::create(&path).expect("a new directory");
    unfinished.write("secret", b"s").unwrap();
    unfinished.directory("journal").unwrap();
    let opened = DataDirectory::open_or_create(&path);
    assert!(matches!(opened, Err(DirectoryError::Unfinished { .. })), "{opened:?}");
    unfinished.finish(&identity()).unwrap();
    assert_eq!(names(&path), ["KILAT", "journal", "secret"]);
    assert_eq!((mode(&path), mode(&path.join("secret"))), (0o700, 0o600));
    assert_eq!(mode(&path.join("journal")), 0o700);
    assert_eq!(DataDirectory::open_existing(&path).expect("whole").identity(), &identity());
}

#[test]
fn what_could_not_be_finished_is_cleared_away_by_the_next() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("data");
    let killed = UnfinishedDirectory::create(&path).unwrap();
    killed.write("secret", b"s").unwrap();
    killed.directory("journal").unwrap();
    let second = UnfinishedDirectory::create(&path);
    assert!(matches!(second, Err(DirectoryError::InUse { .. })), "{second:?}");
    assert!(path.join("secret").exists(), "a refusal changed something");
    drop(killed);
    let second = UnfinishedDirectory::create(&path).expect("its turn");
    assert_eq!(names(&path), ["LOCK", "UNFINISHED"]);
    second.abandon().unwrap();
    assert!(path.exists(), "it was there before");
    assert!(names(&path).is_empty());
}

#[test]
fn what_was_made_for_nothing_goes() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("data");
    let unfinished = UnfinishedDirectory::create(&path).unwrap();
    unfinished.directory("journal").unwrap();
    unfinished.abandon().unwrap();
    assert!(!path.exists());
}

#[test]
fn nothing_of_others_is_touched() {
    let place = tempfile::tempdir().unwrap();
    let whole = place.path().join("whole");
    drop(DataDirectory::open_or_create(&whole).unwrap());
    // A marker makes it whole, whatever else was left.
    fs::write(whole.join("UNFINISHED"), "").unwrap();
    let foreign = place.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("thesis.tex"), "years of work").unwrap();
    for path in [whole, foreign.clone(), foreign.join("thesis.tex")] {
        let refused = UnfinishedDirectory::create(&path);
        assert!(matches!(refused, Err(DirectoryError::NotEmpty { .. })), "{refused:?}");
    }
    assert_eq!(names(&foreign), ["thesis.tex"]);
}

#[test]
fn a_backup_is_not_opened_and_stays_as_it_is() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("backup");
    let unfinished = UnfinishedDirectory::create(&path).unwrap();
    unfinished.write(BACKUP_MANIFEST, b"").unwrap();
    unfinished.finish(&identity()).unwrap();
    let before = names(&path);
    let opened = DataDirectory::open_or_create(&path);
    assert!(matches!(opened, Err(DirectoryError::Backup { .. })), "{opened:?}");
    assert_eq!(names(&path), before);
    assert_eq!(DataDirectory::peek(&path).expect("a look").identity(), &identity());
}

#[test]
fn each_restore_begins_another_history_in_the_same_journals() {
    let first = identity();
    let [one, two] = [(), ()].map(|()| first.to_restored().unwrap());
    assert_eq!(first.history(), first.id);
    assert_ne!(one.history(), two.history());
    assert_ne!(one.history(), first.history());
    assert_eq!(one.journal_id("journal"), first.journal_id("journal"));
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("data");
    UnfinishedDirectory::create(&path).unwrap().finish(&one).unwrap();
    assert_eq!(DataDirectory::peek(&path).expect("a look").identity(), &one);
}
