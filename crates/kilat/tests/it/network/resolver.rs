//! A resolver that answers nobody, and is asked by the system for minutes.

use crate::program::{kilat, stdout};
use std::collections::HashSet;
use std::net::UdpSocket;
use std::process::Command;

/// Nobody else listens there.
const RESOLVER: &str = "127.91.7.3";

#[test]
fn a_check_does_not_wait_for_a_resolver_beyond_its_own_time() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("resolv.conf");
    let text = format!("nameserver {RESOLVER}\noptions timeout:20 attempts:3\n");
    std::fs::write(&settings, text).unwrap();
    let resolver = UdpSocket::bind((RESOLVER, 53)).unwrap();
    resolver.set_nonblocking(true).unwrap();
    let arguments = ["--url=http://slow.example", "--timeout=300ms", "--retries=0", "--quiet"];
    let asks = kilat(["check", "stock", "A-1", "--lang=en"]);
    let mut hidden = Command::new("unshare");
    let script = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
    hidden.args(["--mount", "sh", "-c", script]).arg(&settings).arg(asks.get_program());
    hidden.args(asks.get_args()).args(arguments).current_dir(folder.path());
    let output = hidden.output().unwrap();
    let said = stdout(&output);
    assert!(said.contains("took longer than 0.3 s"), "{said}{output:?}");
    // It was asked, and had no time to be asked again.
    let (mut questions, mut message) = (0, [0; 512]);
    let mut ids = HashSet::new();
    while resolver.recv(&mut message).is_ok() {
        questions += 1;
        ids.insert([message[0], message[1]]);
    }
    assert!(questions > 0);
    assert_eq!(questions, ids.len());
}
