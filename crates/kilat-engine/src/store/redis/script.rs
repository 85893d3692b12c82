//! The rules in Lua: how they get into Redis, and how they are called there.
//!
//! As a library of functions where there are any (Redis 7, Valkey), which replicas and restarts
//! keep; else as cached scripts. The library's name tells its content, so that versions of this
//! program that work on one Redis at the same time call their own.

use super::fault::{self, Sent};
use super::link::Link;
use crate::store::StoreFault;
use redis::{Cmd, Value};
use std::fmt::Write as _;

/// One text in three files.
const RULES: &str = concat!(
    include_str!("rules/state.lua"),
    "\n",
    include_str!("rules/decide.lua"),
    "\n",
    include_str!("rules/entries.lua"),
);

/// What can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Decide,
    Look,
    Find,
    Orders,
    Facts,
    Moved,
    Register,
    Join,
    Meet,
    Give,
    OwnUp,
    Take,
    Lease,
    Release,
    Probe,
}

/// What a call does to the server's memory.
#[derive(Clone, Copy, Debug)]
enum Writes {
    /// It changes nothing.
    Nothing,
    /// It changes numbers that are there, or adds a few bytes once: a server whose memory has run out
    /// does it too. Without that a process that comes then could not bring the books of stripes
    /// together, and nobody could sell what the other servers have.
    Numbers,
    /// It may add as much as it likes, and is refused when memory has run out.
    More,
}

impl Writes {
    /// What a function is declared to be. Scripts have no such words before Redis 7, which has functions.
    fn flags(self) -> &'static str {
        match self {
            Writes::Nothing => "'no-writes'",
            Writes::Numbers => "'allow-oom'",
            Writes::More => "",
        }
    }
}

/// Each with its name in the rules, and what it writes.
const ENTRIES: [(Entry, &str, Writes); 15] = [
    (Entry::Decide, "decide", Writes::More),
    (Entry::Look, "look", Writes::Nothing),
    (Entry::Find, "find", Writes::Nothing),
    (Entry::Orders, "orders", Writes::Nothing),
    (Entry::Facts, "facts", Writes::Nothing),
    (Entry::Moved, "moved", Writes::Numbers),
    (Entry::Register, "register", Writes::More),
    (Entry::Join, "join", Writes::More),
    (Entry::Meet, "meet", Writes::Numbers),
    (Entry::Give, "give", Writes::Numbers),
    (Entry::OwnUp, "own_up", Writes::Numbers),
    (Entry::Take, "take", Writes::Numbers),
    (Entry::Lease, "lease", Writes::Numbers),
    (Entry::Release, "release", Writes::Numbers),
    (Entry::Probe, "probe", Writes::Numbers),
];

/// The rules, ready to be loaded and called.
#[derive(Clone, Debug)]
pub(super) struct Script {
    /// Ends the names of what this version calls.
    version: String,
    library: String,
    /// The rules once for each entry, where there are no functions.
    scripts: Vec<String>,
}

/// How a server takes the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Loaded {
    /// As functions.
    Library,
    /// As scripts, by their hashes, in the order of `ENTRIES`.
    Scripts(Vec<String>),
}

impl Script {
    pub(super) fn new() -> Script {
        Script::of(RULES)
    }

    fn of(rules: &str) -> Script {
        let version = blake3::hash(rules.as_bytes()).to_hex()[..12].to_owned();
        let mut library = format!("#!lua name=kilat_{version}\n{rules}");
        for (_, name, writes) in ENTRIES {
            let flags = writes.flags();
            // Writing to memory can't fail.
            let _ = write!(
                library,
                "\nredis.register_function{{function_name = 'kilat_{name}_{version}', \
                 callback = {name}, flags = {{{flags}}}}}"
            );
        }
        let script = |(_, name, _)| format!("{rules}\nreturn {name}(KEYS, ARGV)");
        Script { version, library, scripts: ENTRIES.map(script).to_vec() }
    }

    /// The rules with a clock that tests set: key `clock` with fields `s` and `us`.
    #[cfg(test)]
    pub(super) fn with_set_clock() -> Script {
        let clock = "redis.call('TIME')";
        assert_eq!(RULES.matches(clock).count(), 1);
        Script::of(&RULES.replace(clock, "redis.call('HMGET', 'clock', 's', 'us')"))
    }

    /// The same as another version has them.
    #[cfg(test)]
    pub(super) fn another() -> Script {
        let clock = "redis.call('TIME')";
        let set_clock = RULES.replace(clock, "redis.call('HMGET', 'clock', 's', 'us')");
        Script::of(&format!("-- Another version.\n{set_clock}"))
    }

    /// Brings the rules into the servers behind `link`.
    pub(super) fn load(&self, link: &mut Link, as_scripts: bool) -> Result<Loaded, StoreFault> {
        if as_scripts {
            return self.load_scripts(link);
        }
        let mut load = redis::cmd("FUNCTION");
        load.arg("LOAD").arg("REPLACE").arg(&self.library);
        match link.everywhere(&load) {
            Ok(_) => Ok(Loaded::Library),
            Err(error) if fault::is_unknown_command(&error) => self.load_scripts(link),
            Err(error) => Err(fault::of(&error, Sent::Nothing)),
        }
    }

    fn load_scripts(&self, link: &mut Link) -> Result<Loaded, StoreFault> {
        let mut hashes = Vec::with_capacity(self.scripts.len());
        for script in &self.scripts {
            let mut load = redis::cmd("SCRIPT");
            load.arg("LOAD").arg(script);
            let loaded =
                link.everywhere(&load).map_err(|error| fault::of(&error, Sent::Nothing))?;
            let hash = redis::from_redis_value(loaded)
                .map_err(|_| fault::unexpected("the hash of a script"))?;
            hashes.push(hash);
        }
        Ok(Loaded::Scripts(hashes))
    }

    /// A call of `entry` on these keys, without its arguments.
    pub(super) fn call<K: AsRef<[u8]>>(&self, loaded: &Loaded, entry: Entry, keys: &[K]) -> Cmd {
        let index = ENTRIES.iter().position(|(known, _, _)| *known == entry).unwrap_or(0);
        let mut cmd = Cmd::new();
        match loaded {
            Loaded::Library => {
                let name = ENTRIES[index].1;
                cmd.arg("FCALL").arg(format!("kilat_{name}_{}", self.version));
            }
            Loaded::Scripts(hashes) => {
                cmd.arg("EVALSHA").arg(&hashes[index]);
            }
        }
        cmd.arg(keys.len());
        for key in keys {
            cmd.arg(key.as_ref());
        }
        cmd
    }
}

/// The bulk strings of an array, which is what every entry answers with.
pub(super) fn strings(value: Value) -> Result<Vec<Vec<u8>>, StoreFault> {
    let Value::Array(values) = value else { return Err(fault::unexpected("an array")) };
    let text = |value| match value {
        Value::BulkString(bytes) => Ok(bytes),
        Value::Nil => Ok(Vec::new()),
        _ => Err(fault::unexpected("a bulk string")),
    };
    values.into_iter().map(text).collect()
}
