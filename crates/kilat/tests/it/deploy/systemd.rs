//! The units: understood by systemd, and shut off from what they do not need.

use super::{check_command, content, document, list, read, texts};
use std::process::Command;

/// One process, and a core with its replicas.
const UNITS: [&str; 3] = ["kilat.service", "kilat-core.service", "kilat-web@.service"];
/// Most exposure that `systemd-analyze security` may find, in tenths: 0 is none, 100 is all.
const EXPOSURE_MAX: &str = "--threshold=15";
/// The instance of the replica's unit that stands for all.
const INSTANCE: &str = "8081";

fn unit(name: &str) -> String {
    read(&format!("systemd/{name}"))
}

fn command_line(unit: &str) -> &str {
    unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap()
}

#[test]
fn the_units_are_understood_and_confined() {
    let folder = tempfile::tempdir().unwrap();
    for name in UNITS {
        let unit = unit(name).replace("/usr/local/bin/kilat", env!("CARGO_BIN_EXE_kilat"));
        std::fs::write(folder.path().join(name.replace('@', &format!("@{INSTANCE}"))), unit)
            .unwrap();
    }
    for name in UNITS.map(|name| name.replace('@', &format!("@{INSTANCE}"))) {
        let path = folder.path().join(&name);
        let said = content(Command::new("systemd-analyze").arg("verify").arg(&path));
        // It also speaks of units of the machine that are not right.
        assert!(!said.contains(&name), "{said}");
        let security = ["security", "--offline=true", EXPOSURE_MAX];
        content(Command::new("systemd-analyze").args(security).arg(&path));
    }
}

#[test]
fn the_units_start_kilat_as_it_can_be_started() {
    for name in UNITS {
        let unit = unit(name);
        let line = command_line(&unit).replace("%i", INSTANCE);
        let mut words = line.split_whitespace();
        assert_eq!(words.next(), Some("/usr/local/bin/kilat"));
        check_command(&words.collect::<Vec<_>>());
        for line in ["RestartPreventExitStatus=2", "KillSignal=SIGTERM", "DynamicUser=yes"] {
            assert!(unit.lines().any(|found| found == line), "{name}: {line}");
        }
        // Who has data keeps it where the unit may write.
        let owns_data = command_line(&unit).contains("--data /var/lib/kilat ");
        assert_eq!(unit.contains("StateDirectory=kilat\n"), owns_data, "{name}");
    }
}

/// What nginx passes to and what Prometheus asks are the ports that the units listen on.
#[test]
fn replicas_and_core_of_one_machine_are_known_by_their_ports() {
    let (core, web) = (unit("kilat-core.service"), unit("kilat-web@.service"));
    let started = web.lines().find(|line| line.contains("systemctl enable")).unwrap();
    let instances = started.split_whitespace().filter_map(|word| word.strip_prefix("kilat-web@"));
    assert!(command_line(&web).contains(" --listen 127.0.0.1:%i "));
    let replicas: Vec<String> = instances.map(|port| format!("127.0.0.1:{port}")).collect();
    let upstream = read("nginx/upstream.local-replicas.conf");
    let servers = upstream.lines().filter_map(|line| line.strip_prefix("server "));
    let servers: Vec<&str> = servers.filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(servers, replicas);
    let asked = document("prometheus/targets/local-replicas.yml");
    let asked = texts(&list(&asked)[0]["targets"]);
    assert_eq!(asked[1..], replicas);
    assert!(command_line(&core).contains(&format!(" --admin {} ", asked[0])));
    let at = command_line(&core).split(' ').find_map(|word| word.strip_prefix("tcp://")).unwrap();
    assert_eq!(command_line(&web).matches(&format!(" core://{at} ")).count(), 2);
}
