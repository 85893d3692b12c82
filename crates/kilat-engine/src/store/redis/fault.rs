//! What Redis says when it does not do as asked, classed by what has to be done about it.

use crate::store::StoreFault;
use redis::{ErrorKind, RedisError, ServerErrorKind};

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
    let said = error.to_string();
    match error.kind() {
        ErrorKind::Server(kind) => of_server(kind, error, said),
        ErrorKind::Extension => of_code(error.code().unwrap_or_default(), said),
        ErrorKind::AuthenticationFailed => {
            StoreFault::Refused(format!("{said}: give user and password in the URL"))
        }
        ErrorKind::InvalidClientConfig | ErrorKind::RESP3NotSupported => StoreFault::Refused(said),
        ErrorKind::MasterNameNotFoundBySentinel
        | ErrorKind::NoValidReplicasFoundBySentinel
        | ErrorKind::ClusterConnectionNotFound => StoreFault::Away(said),
        _ if error.is_connection_refusal() => StoreFault::Away(said),
        // It will not be trusted later either.
        _ if said.contains(UNTRUSTED) => StoreFault::Refused(format!(
            "{said}: name the authority's certificate in SSL_CERT_FILE, or give the server another one"
        )),
        _ => match sent {
            Sent::Nothing => StoreFault::Away(said),
            Sent::Call => StoreFault::Lost(said),
        },
    }
}

fn of_server(kind: ServerErrorKind, error: &RedisError, said: String) -> StoreFault {
    match kind {
        // A replica now, or not ready yet, or of other slots: whoever opens again finds the right one.
        ServerErrorKind::ReadOnly
        | ServerErrorKind::BusyLoading
        | ServerErrorKind::MasterDown
        | ServerErrorKind::ClusterDown
        | ServerErrorKind::Moved
        | ServerErrorKind::Ask => StoreFault::Away(said),
        ServerErrorKind::TryAgain => StoreFault::Busy(said),
        ServerErrorKind::NoPerm => forbidden(&said),
        ServerErrorKind::ResponseError if is_out_of_memory(error) => StoreFault::Full(said),
        ServerErrorKind::ResponseError if is_forbidden(error) => forbidden(&said),
        _ => StoreFault::Refused(said),
    }
}

fn of_code(code: &str, said: String) -> StoreFault {
    match code {
        // Refused before the first write, so nothing is half done.
        "OOM" => StoreFault::Full(format!("{said}: raise maxmemory")),
        "MISCONF" => StoreFault::Full(format!("{said}: Redis can't write to its disk")),
        "BUSY" | "NOREPLICAS" => StoreFault::Busy(said),
        "NOAUTH" | "WRONGPASS" => {
            StoreFault::Refused(format!("{said}: give user and password in the URL"))
        }
        _ => StoreFault::Refused(said),
    }
}

fn forbidden(said: &str) -> StoreFault {
    StoreFault::Refused(format!(
        "{said}: allow the user this, and the keys ~{{kilat*, as docs/redis.md says"
    ))
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

/// An answer that no version of the rules gives.
pub(super) fn unexpected(wanted: &str) -> StoreFault {
    StoreFault::Refused(format!("Redis did not answer with {wanted}: its keys are not Kilat's"))
}
