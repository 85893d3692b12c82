//! A directory that is kept from this user is called that: neither damaged nor at rest.

use crate::program::{Server, clean, stderr};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// Somebody who owns nothing here.
const NOBODY: u32 = 65_534;

fn may(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// `kilat` by a user whom rights keep away: root goes anywhere, so another takes its place, who
/// needs the program where everybody may run it.
fn kilat_of_a_stranger(open: &Path, arguments: &[&str]) -> Command {
    let program = open.join("kilat");
    if !program.exists() {
        fs::copy(env!("CARGO_BIN_EXE_kilat"), &program).unwrap();
    }
    let mut command = Command::new(program);
    clean(&mut command);
    command.args(arguments).arg("--lang=en").current_dir("/");
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

#[test]
fn what_may_not_be_read_is_neither_damaged_nor_at_rest() {
    let folder = tempfile::tempdir_in(std::env::temp_dir()).unwrap();
    may(folder.path(), 0o755);
    let data = folder.path().join("data");
    let mut up = crate::program::kilat(["up", "--listen=127.0.0.1:0", "--data"]);
    let up = Server::run(up.arg(&data));
    may(&data, 0o000);
    let (kept, target) = (data.to_str().unwrap(), folder.path().join("target"));
    let target = target.to_str().unwrap();
    for arguments in [
        &["ps", "--data", kept][..],
        &["kill", "web-1", "--data", kept],
        &["verify", kept],
        &["backup", target, "--data", kept],
        &["restore", kept, "--data", target],
    ] {
        let output = kilat_of_a_stranger(folder.path(), arguments).output().unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(&format!("you may not read {kept}")), "{arguments:?}: {said}");
    }
    may(&data, 0o700);
    up.stop();
}
