//! Whether a Redis is set up to keep what is promised, and if not, which setting to change.

use super::fault::{self, Sent};
use super::link::{Link, field};
use crate::store::{StoreFault, StoreReason};
use redis::{FromRedisValue, RedisResult};

/// Oldest version that works: scripts are replicated by what they did.
const VERSION_MIN: (u32, u32) = (6, 0);
const LEAST: &str = "Redis 6.0";

/// Refuses what can't keep the promises asked for.
pub(super) fn check(link: &mut Link, may_lose: bool, fails_over: bool) -> Result<(), StoreFault> {
    for info in ask::<String>(link, &["INFO"])? {
        version(&info)?;
        role(&info, fails_over)?;
        eviction(&info)?;
        cluster(&info, link.is_cluster())?;
    }
    if may_lose {
        return Ok(());
    }
    if fails_over {
        return refused(StoreReason::FailsOver);
    }
    durability(link)
}

fn ask<T: FromRedisValue>(link: &mut Link, words: &[&str]) -> Result<Vec<T>, StoreFault> {
    link.each(&command(words)).map_err(|error| fault::of(&error, Sent::Nothing))
}

fn command(words: &[&str]) -> redis::Cmd {
    let mut cmd = redis::Cmd::new();
    for word in words {
        cmd.arg(*word);
    }
    cmd
}

fn refused<T>(why: StoreReason) -> Result<T, StoreFault> {
    Err(StoreFault::Refused(why))
}

fn version(info: &str) -> Result<(), StoreFault> {
    let version = field(info, "redis_version").unwrap_or("unknown");
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let version_is = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if version_is >= VERSION_MIN {
        return Ok(());
    }
    refused(StoreReason::Version { found: version.to_owned(), least: LEAST })
}

/// Where servers take each other's places, a replica may be the primary again: then the right one has to
/// be found.
fn role(info: &str, fails_over: bool) -> Result<(), StoreFault> {
    match field(info, "role") {
        Some("master") | None => Ok(()),
        Some(_) if fails_over => Err(StoreFault::Away(StoreReason::Replica)),
        Some(_) => refused(StoreReason::Replica),
    }
}

fn eviction(info: &str) -> Result<(), StoreFault> {
    match field(info, "maxmemory_policy") {
        Some("noeviction") | None => Ok(()),
        Some(policy) => refused(StoreReason::Eviction { found: policy.to_owned() }),
    }
}

fn cluster(info: &str, known: bool) -> Result<(), StoreFault> {
    match (field(info, "cluster_enabled") == Some("1"), known) {
        (true, false) => refused(StoreReason::ClusterNode),
        (false, true) => refused(StoreReason::NoCluster),
        _ => Ok(()),
    }
}

/// What is acknowledged must be on disk: every setting that decides it.
fn durability(link: &mut Link) -> Result<(), StoreFault> {
    for (setting, wanted) in
        [("appendonly", "yes"), ("appendfsync", "always"), ("no-appendfsync-on-rewrite", "no")]
    {
        for found in settings(link, setting)? {
            if found != wanted {
                return refused(StoreReason::NotDurable { setting, found, wanted });
            }
        }
    }
    Ok(())
}

fn settings(link: &mut Link, setting: &str) -> Result<Vec<String>, StoreFault> {
    let found: RedisResult<Vec<Vec<String>>> = link.each(&command(&["CONFIG", "GET", setting]));
    match found {
        Ok(found) => Ok(found.into_iter().filter_map(|pair| pair.into_iter().nth(1)).collect()),
        Err(error) if error.is_io_error() => Err(fault::of(&error, Sent::Nothing)),
        Err(error) => refused(StoreReason::SettingsHidden { said: error.to_string() }),
    }
}
