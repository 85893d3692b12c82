//! Two network namespaces, one for a core and one for all else, joined by a cable for each replica.
//!
//! The thread of the test moves to the second one, and so do its threads and processes.

use crate::program::{clean, tell, try_to_tell};
use rustix::fs::{Mode, OFlags, open};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

/// Whether this process may make namespaces. If not it says so, and the test is not run.
pub(super) fn may_make_networks() -> bool {
    let root = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if !root {
        println!("not run: only root may make network namespaces");
    }
    root
}

/// What a cable does with packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weather {
    Fair,
    /// What the core sends is lost.
    RepliesLost,
    /// What is sent to the core is lost.
    RequestsLost,
    /// Nothing gets through.
    Cut,
    /// Three of ten packets are lost, each way.
    Lossy,
}

/// See the module. The namespaces vanish with it, and everything in them.
pub(super) struct Lab {
    core: String,
    rest: String,
}

impl Lab {
    /// With so many cables; the calling thread is behind them from now on.
    pub(super) fn new(cables: usize) -> Lab {
        let id = std::process::id();
        let lab = Lab { core: format!("kilat-core-{id}"), rest: format!("kilat-rest-{id}") };
        for name in [&lab.core, &lab.rest] {
            tell("ip", &["netns", "add", name]);
            tell("ip", &["-n", name, "link", "set", "lo", "up"]);
        }
        (0..cables).for_each(|cable| lab.lay(cable));
        lab.enter();
        lab
    }

    fn lay(&self, cable: usize) {
        let (near, far) = (format!("rest{cable}"), format!("core{cable}"));
        let ends = ["type", "veth", "peer", "name", &far, "netns", &self.core];
        tell("ip", &[&["link", "add", &near, "netns", &self.rest][..], &ends].concat());
        for (namespace, end, host) in [(&self.core, &far, 1), (&self.rest, &near, 2)] {
            let address = format!("10.77.{cable}.{host}/24");
            tell("ip", &["-n", namespace, "addr", "add", &address, "dev", end]);
            tell("ip", &["-n", namespace, "link", "set", end, "up"]);
        }
    }

    fn enter(&self) {
        let path = format!("/run/netns/{}", self.rest);
        let namespace = open(path, OFlags::RDONLY, Mode::empty()).unwrap();
        let kind = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(namespace.as_fd(), kind).unwrap();
    }

    /// The core's end of a cable.
    pub(super) fn address(&self, cable: usize, port: u16) -> String {
        format!("core://10.77.{cable}.1:{port}")
    }

    /// `command` where the core is.
    pub(super) fn at_the_core(&self, command: &Command) -> Command {
        let mut there = Command::new("ip");
        there.args(["netns", "exec", &self.core]).arg(command.get_program());
        there.args(command.get_args());
        clean(&mut there);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => there.env(name, value),
                None => there.env_remove(name),
            };
        }
        there
    }

    /// From now on.
    pub(super) fn set(&self, cable: usize, weather: Weather) {
        let (near, far) = (format!("rest{cable}"), format!("core{cable}"));
        let losses = |namespace, end: &str, is_lossy, is_lost| {
            // An error says that there is none.
            for rule in [&loses(end, true), &loses(end, false)] {
                try_to_tell(
                    "ip",
                    &[&["netns", "exec", namespace, "iptables", "-D"], &rule[..]].concat(),
                );
            }
            if is_lossy || is_lost {
                let rule = loses(end, is_lossy);
                tell("ip", &[&["netns", "exec", namespace, "iptables", "-A"], &rule[..]].concat());
            }
        };
        let is_lossy = weather == Weather::Lossy;
        let is_cut = weather == Weather::Cut;
        losses(&self.core, &far, is_lossy, is_cut || weather == Weather::RequestsLost);
        losses(&self.rest, &near, is_lossy, is_cut || weather == Weather::RepliesLost);
    }
}

/// The rule by which packets that arrive at `end` are lost: some of them, or all.
fn loses(end: &str, some: bool) -> Vec<&str> {
    let chance = ["-m", "statistic", "--mode", "random", "--probability", "0.3"];
    let chance = if some { &chance[..] } else { &[] };
    [&["INPUT", "-i", end][..], chance, &["-j", "DROP"]].concat()
}

impl Drop for Lab {
    fn drop(&mut self) {
        for name in [&self.core, &self.rest] {
            try_to_tell("ip", &["netns", "del", name]);
        }
    }
}
