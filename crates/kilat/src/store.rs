//! Why a store or a core can't be worked with, in the reader's language.

use crate::help::in_language;
use crate::lang::{Lang, say};
use kilat_engine::{Allow, ConnectError, StoreError, StoreReason as Why, Trust};

/// One sentence: what is wrong with the store and what to do.
pub(crate) fn refused(why: &StoreError, lang: Lang) -> String {
    match why {
        StoreError::Unreachable { store, why } => {
            say!(lang, "store.unreachable", store = store, why = reason(why, lang))
        }
        StoreError::NotYet { store, why } => {
            say!(lang, "store.not_yet", store = store, why = reason(why, lang))
        }
        StoreError::Refused { store, why } => {
            say!(lang, "store.refused", store = store, why = reason(why, lang))
        }
        StoreError::NotBuilt(store) => say!(lang, "store.not_built", store = store),
        StoreError::Threads(error) => say!(lang, "store.threads", error = error),
    }
}

/// One sentence: what keeps this process from its core and what to do.
pub(crate) fn core_refused(why: &ConnectError, lang: Lang) -> String {
    match why {
        ConnectError::Unreachable { core, error } => {
            let error = in_language(&error.to_string(), lang);
            say!(lang, "away.unreachable", core = core, error = error)
        }
        ConnectError::Busy(core) => say!(lang, "away.busy", core = core),
        ConnectError::Version { core, build, protocol } => say!(
            lang,
            "away.version",
            core = core,
            build = build,
            protocol = protocol,
            own_build = ConnectError::OWN_BUILD,
            own_protocol = ConnectError::OWN_PROTOCOL
        ),
        ConnectError::Secret(core) => say!(lang, "away.secret", core = core),
        ConnectError::NoSecret => say!(lang, "away.no_secret"),
        ConnectError::Impostor(core) => say!(lang, "away.impostor", core = core),
        ConnectError::OtherData(core) => say!(lang, "away.other_data", core = core),
        ConnectError::Silent(core) => say!(lang, "away.silent", core = core),
        ConnectError::Threads(error) => say!(lang, "store.threads", error = error),
    }
}

fn reason(why: &Why, lang: Lang) -> String {
    let with = |key: &str, said: &str| say!(lang, key, said = in_language(said, lang));
    let found = |key: &str, found: &str| say!(lang, key, found = found);
    match why {
        Why::Said(said) => in_language(said, lang),
        Why::Version { found, least } => say!(lang, "store.version", found = found, least = least),
        Why::Replica => say!(lang, "store.replica"),
        Why::Credentials { said } => with("store.credentials", said),
        Why::Forbidden { said, allow: Allow::Redis } => with("store.allow_redis", said),
        Why::Forbidden { said, allow: Allow::Postgres } => with("store.allow_postgres", said),
        Why::Certificate { said, trust: Trust::File } => with("store.certificate_redis", said),
        Why::Certificate { said, trust: Trust::Url } => with("store.certificate_postgres", said),
        Why::OutOfMemory { said } => with("store.memory", said),
        Why::Disk { said } => with("store.disk", said),
        Why::Connections { said } => with("store.connections", said),
        Why::NotDurable { setting, found, wanted } => {
            say!(lang, "store.not_durable", setting = setting, found = found, wanted = wanted)
        }
        Why::SettingsHidden { said } => with("store.hidden", said),
        Why::Eviction { found: policy } => found("store.eviction", policy),
        Why::FailsOver => say!(lang, "store.fails_over"),
        Why::ClusterNode => say!(lang, "store.cluster_node"),
        Why::NoCluster => say!(lang, "store.no_cluster"),
        Why::RedisUrl { said } => with("store.redis_url", said),
        Why::NoPrimary => say!(lang, "store.no_primary"),
        Why::UnknownPrimary { name } => say!(lang, "store.unknown_primary", name = name),
        Why::Stripes { given, most } => say!(lang, "store.stripes", given = given, most = most),
        Why::NoStripes => say!(lang, "store.no_stripes"),
        Why::Foreign { wanted } => say!(lang, "store.foreign", wanted = wanted),
        Why::LaterFormat { place, found, newest } => {
            say!(lang, "store.later_format", place = place, found = found, newest = newest)
        }
        Why::GivenUpFormat { place, found, newest } => {
            say!(lang, "store.given_up_format", place = place, found = found, newest = newest)
        }
        Why::LaterSchema { found, newest } => {
            say!(lang, "store.later_schema", found = found, newest = newest)
        }
        Why::OtherSchema { version } => say!(lang, "store.other_schema", version = version),
        Why::Encoding { found: encoding } => found("store.encoding", encoding),
        Why::NoDatabase { said } => with("store.no_database", said),
        Why::ReadOnly => say!(lang, "store.read_only"),
        Why::PostgresUrl { said } => with("store.postgres_url", said),
        Why::Unescaped => say!(lang, "store.unescaped"),
        Why::SslMode => say!(lang, "store.sslmode"),
        Why::NoRoot => say!(lang, "store.no_root"),
        Why::Root { file, said } => say!(lang, "store.root", file = file, said = said),
        Why::NoEventLog => say!(lang, "store.no_event_log"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of each, with every part filled in.
    fn every_reason() -> Vec<Why> {
        let [said, found, newest, place, name, file] =
            ["SAID", "FOUND", "NEWEST", "PLACE", "NAME", "FILE"].map(str::to_owned);
        let said = || said.clone();
        let (found, newest, place) = (|| found.clone(), || newest.clone(), || place.clone());
        vec![
            Why::Said(said()),
            Why::Version { found: found(), least: "LEAST" },
            Why::Replica,
            Why::Credentials { said: said() },
            Why::Forbidden { said: said(), allow: Allow::Redis },
            Why::Forbidden { said: said(), allow: Allow::Postgres },
            Why::Certificate { said: said(), trust: Trust::File },
            Why::Certificate { said: said(), trust: Trust::Url },
            Why::OutOfMemory { said: said() },
            Why::Disk { said: said() },
            Why::Connections { said: said() },
            Why::NotDurable { setting: "SETTING", found: found(), wanted: "WANTED" },
            Why::SettingsHidden { said: said() },
            Why::Eviction { found: found() },
            Why::FailsOver,
            Why::ClusterNode,
            Why::NoCluster,
            Why::RedisUrl { said: said() },
            Why::NoPrimary,
            Why::UnknownPrimary { name },
            Why::Stripes { given: 700, most: 256 },
            Why::NoStripes,
            Why::Foreign { wanted: "WANTED" },
            Why::LaterFormat { place: place(), found: found(), newest: newest() },
            Why::GivenUpFormat { place: place(), found: found(), newest: newest() },
            Why::LaterSchema { found: 9, newest: 2 },
            Why::OtherSchema { version: 1 },
            Why::Encoding { found: found() },
            Why::NoDatabase { said: said() },
            Why::ReadOnly,
            Why::PostgresUrl { said: said() },
            Why::Unescaped,
            Why::SslMode,
            Why::NoRoot,
            Why::Root { file, said: said() },
            Why::NoEventLog,
        ]
    }

    /// The English text stands here and in the engine's own; both languages name what is to be changed.
    #[test]
    fn every_reason_is_told_in_both_languages_with_what_to_change() {
        for why in every_reason() {
            let (english, own) = (reason(&why, Lang::English), why.to_string());
            assert_eq!(english, own);
            let indonesian = reason(&why, Lang::Indonesian);
            assert!(!indonesian.contains("%{") && !indonesian.contains("store."), "{indonesian}");
            let names_it = |word: &&str| word.contains(['-', '_', '=', ':', '/']) || word.len() > 3;
            let is_name = |word: &&str| {
                let name = |c: char| c.is_ascii_uppercase() || "-_=:/".contains(c);
                names_it(word) && word.chars().filter(|c| name(*c)).count() * 3 > word.len()
            };
            for name in own.split([' ', ',', '(', ')']).filter(is_name) {
                let name = name.trim_end_matches(':');
                assert!(indonesian.contains(name), "{name} is missing: {indonesian}");
            }
        }
    }
}
