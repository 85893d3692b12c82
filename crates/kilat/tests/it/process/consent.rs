//! What is asked of a person at a terminal before a real sale is touched.

use crate::program::{Server, kilat, run, stderr};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use std::fs::File;
use std::io::Write as _;
use std::process::Output;

/// Runs `kilat` for somebody at a terminal who types this.
fn at_a_terminal(arguments: &[&str], typed: &str) -> Output {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let keyboard = openpt(flags).unwrap();
    grantpt(&keyboard).unwrap();
    unlockpt(&keyboard).unwrap();
    let terminal = ioctl_tiocgptpeer(&keyboard, flags).unwrap();
    let mut keyboard = File::from(keyboard);
    keyboard.write_all(typed.as_bytes()).unwrap();
    kilat(arguments.iter().copied()).stdin(terminal).output().unwrap()
}

fn state(server: &Server, sale: &str) -> (String, u64) {
    let sale = server.get(&format!("/v1/sales/{sale}")).json();
    (sale["state"].as_str().unwrap().to_owned(), sale["sold"].as_u64().unwrap())
}

#[test]
fn a_real_sale_is_touched_only_with_consent() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    for sale in ["s", "t", "rehearsal-1"] {
        let body = crate::program::sale(sale, 3, 60);
        assert_eq!(server.admin("POST", "/v1/sales", sale, &body).status, 201);
    }
    let url = ["--lang=en", "--url", &server.url];
    let attack = [&["attack", "--sale=s", "--buyers=1", "--quiet"][..], &url].concat();
    let close = [&["sale", "close", "s"][..], &url].concat();
    let open = |sold: u64| ("open".to_owned(), sold);
    for (command, no) in [(&attack, "no order was sent"), (&close, "nothing was changed")] {
        for typed in ["\n", "n\n", "perhaps\n"] {
            let output = at_a_terminal(command, typed);
            assert_eq!(output.status.code(), Some(1), "{typed:?}: {}", stderr(&output));
            assert!(stderr(&output).contains(no), "{typed:?}: {}", stderr(&output));
            assert_eq!(state(&server, "s"), open(0), "{typed:?}");
        }
    }
    let check = |output: Output| assert!(output.status.success(), "{}", stderr(&output));
    check(at_a_terminal(&attack, "y\n"));
    check(at_a_terminal(&[&attack[..], &["--yes"]].concat(), ""));
    check(run(attack.iter().copied()));
    assert_eq!(state(&server, "s"), ("sold_out".to_owned(), 3), "one each");
    let closed = |sale: &str| state(&server, sale).0 == "closed";
    check(at_a_terminal(&close, "ya\n"));
    assert!(closed("s"));
    check(run([&["sale", "close", "t"][..], &url].concat()));
    assert!(closed("t"), "a script is not asked");
    check(at_a_terminal(&[&["sale", "close", "rehearsal-1"][..], &url].concat(), ""));
    assert!(closed("rehearsal-1"), "nobody would miss it");
    server.stop();
}
