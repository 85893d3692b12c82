//! What Redis says when it does not do as asked, classed by what has to be done about it.

use crate::store::{Allow, StoreFault, StoreReason, Trust};
use redis::{ErrorKind, RedisError, ServerErrorKind};

/// The code with which the rules refuse a sale of a format that they don't read.
const FORMAT: &str = "KILATFORMAT";
/// What rustls says of a certificate that it does not take.
const UNTRUSTED: &str = "invalid peer certificate";

/// Whether what failed may have been carried out although nothing came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// Nothing that changes anything was on its way.
    Nothing,
    /// A call was.
    Call,
}

/// What a failed call means. Redis names the cause in the first word of what it says, and refuses a
/// whole script before its first write.
pub(super) fn of(error: &RedisError, sent: Sent) -> StoreFault {
    let said = words(error);
    match error.kind() {
        ErrorKind::Server(kind) => of_server(kind, error, said),
        ErrorKind::Extension => of_code(error, said),
        ErrorKind::AuthenticationFailed => StoreFault::Refused(StoreReason::Credentials { said }),
        ErrorKind::InvalidClientConfig | ErrorKind::RESP3NotSupported => {
            StoreFault::Refused(said.into())
        }
        ErrorKind::MasterNameNotFoundBySentinel
        | ErrorKind::NoValidReplicasFoundBySentinel
        | ErrorKind::ClusterConnectionNotFound => StoreFault::Away(said.into()),
        _ if error.is_connection_refusal() => StoreFault::Away(said.into()),
        // It will not be trusted later either.
        _ if said.contains(UNTRUSTED) => {
            StoreFault::Refused(StoreReason::Certificate { said, trust: Trust::File })
        }
        _ => match sent {
            Sent::Nothing => StoreFault::Away(said.into()),
            Sent::Call => StoreFault::Lost(said),
        },
    }
}

/// What is said, without the driver's name for it, and without where in the rules it was.
pub(super) fn words(error: &RedisError) -> String {
    let said = error.to_string();
    let kind = format!(" - {:?}", error.kind());
    let said = said.split(" script: ").next().unwrap_or_default();
    said.trim_end_matches(&kind).trim_end_matches('.').to_owned()
}

fn of_server(kind: ServerErrorKind, error: &RedisError, said: String) -> StoreFault {
    match kind {
        // A replica now, or not ready yet, or of other slots: whoever opens again finds the right one.
        ServerErrorKind::ReadOnly
        | ServerErrorKind::BusyLoading
        | ServerErrorKind::MasterDown
        | ServerErrorKind::ClusterDown
        | ServerErrorKind::Moved
        | ServerErrorKind::Ask => StoreFault::Away(said.into()),
        ServerErrorKind::TryAgain => StoreFault::Busy(said),
        ServerErrorKind::NoPerm => forbidden(said),
        ServerErrorKind::ResponseError if is_out_of_memory(error) => {
            StoreFault::Full(StoreReason::OutOfMemory { said })
        }
        ServerErrorKind::ResponseError if is_forbidden(error) => forbidden(said),
        _ => StoreFault::Refused(said.into()),
    }
}

fn of_code(error: &RedisError, said: String) -> StoreFault {
    match error.code().unwrap_or_default() {
        // Refused before the first write, so nothing is half done.
        "OOM" => StoreFault::Full(StoreReason::OutOfMemory { said }),
        "MISCONF" => StoreFault::Full(StoreReason::Disk { said }),
        "BUSY" | "NOREPLICAS" => StoreFault::Busy(said),
        "NOAUTH" | "WRONGPASS" => StoreFault::Refused(StoreReason::Credentials { said }),
        FORMAT => StoreFault::Refused(of_format(error, said)),
        _ => StoreFault::Refused(said.into()),
    }
}

fn forbidden(said: String) -> StoreFault {
    StoreFault::Refused(StoreReason::Forbidden { said, allow: Allow::Redis })
}

/// The rules tell a sale's key, its format, and the newest that they read.
fn of_format(error: &RedisError, said: String) -> StoreReason {
    // Where in the rules it was raised follows.
    let words: Vec<&str> = error.detail().unwrap_or_default().split(' ').collect();
    let [place, found, newest, ..] = words.as_slice() else { return said.into() };
    let is_later = found.parse::<u32>().ok() > newest.parse().ok();
    let [place, found, newest] = [place, found, newest].map(|word| (*word).to_owned());
    match is_later {
        true => StoreReason::LaterFormat { place, found, newest },
        false => StoreReason::GivenUpFormat { place, found, newest },
    }
}

/// Inside a script it has another code.
fn is_forbidden(error: &RedisError) -> bool {
    let is_said = |said: &str| said.contains("ACL failure") || said.contains("The user executing");
    error.detail().is_some_and(is_said)
}

/// Some errors inside a script come with a code of the script's.
fn is_out_of_memory(error: &RedisError) -> bool {
    error.detail().is_some_and(|said| said.contains("OOM command not allowed"))
}

/// The server has lost the rules, or never had them: nothing was carried out.
pub(super) fn is_without_rules(error: &RedisError) -> bool {
    let is_gone = error.detail().is_some_and(|said| said.contains("Function not found"));
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) || is_gone
}

/// The server does not know the command: it is of an older version.
pub(super) fn is_unknown_command(error: &RedisError) -> bool {
    error.detail().is_some_and(|said| said.contains("unknown command"))
}

/// The server is of no cluster.
pub(super) fn is_no_cluster(error: &RedisError) -> bool {
    error.detail().is_some_and(|said| said.contains("cluster support disabled"))
}

/// An answer that no version of the rules gives.
pub(super) fn unexpected(wanted: &'static str) -> StoreFault {
    StoreFault::Refused(StoreReason::Foreign { wanted })
}
