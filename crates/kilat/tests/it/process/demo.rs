//! `docs/demo.md`, followed from the first command to the last of `kilat up`.

use crate::guide::{Reader, section};
use crate::program::wait_for;
use rustix::process::Signal;
use std::net::TcpListener;
use std::os::unix::fs::symlink;

#[test]
fn the_demonstration_with_kilat_up_shows_what_it_promises() {
    let folder = tempfile::tempdir().unwrap();
    let built = folder.path().join("target/release");
    std::fs::create_dir_all(&built).unwrap();
    symlink(env!("CARGO_BIN_EXE_kilat"), built.join("kilat")).unwrap();
    // The port of the guide may be taken on this machine.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let mut reader = Reader::new(folder.path())
        .with("KILAT_LISTEN", &address)
        .with("KILAT_URL", &format!("http://{address}"))
        .with("KILAT_LOOKUP_LISTEN", "none")
        .reading("127.0.0.1:8080", &address);
    let mut up = None;
    for step in section("With kilat up") {
        if step.is("cargo build --release") {
            continue;
        } else if step.is("target/release/kilat up") {
            let log = tempfile::NamedTempFile::new().unwrap();
            let process = reader.start(&step, log.reopen().unwrap());
            let said = wait_for("kilat up", || {
                let said = std::fs::read_to_string(log.path()).unwrap();
                let all_are_told = said.lines().any(|line| line.starts_with(" gateway"));
                (all_are_told && said.ends_with('\n')).then_some(said)
            });
            step.must_show(&reader.there(&said));
            up = Some(process);
        } else if step.commands.contains("kilat verify")
            && let Some(mut up) = up.take()
        {
            // "Ctrl-C in the first terminal ends it all."
            up.signal(Signal::INT);
            assert!(up.wait().success());
            reader.follow(&step);
        } else {
            reader.follow(&step);
        }
    }
    assert!(up.is_none(), "the guide ends what it starts");
}
