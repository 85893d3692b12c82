//! Which servers a URL means.

use crate::store::StoreFault;
use redis::{ConnectionInfo, IntoConnectionInfo as _};

/// Where the ledger is.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// One server.
    One(ConnectionInfo),
    /// Whichever server the sentinels call the primary of this name. `rest` ends its URL.
    Sentinel { sentinels: Vec<ConnectionInfo>, primary: String, user: String, rest: String },
    /// The primaries of a cluster that these nodes belong to.
    Cluster { nodes: Vec<ConnectionInfo>, user: String },
}

const SENTINEL: &str = "redis+sentinel://";
const CLUSTER: &str = "redis+cluster://";

impl Place {
    /// Reads `redis://`, `redis+unix://`, `redis+sentinel://host,host/name` or
    /// `redis+cluster://host,host`.
    pub(super) fn parse(url: &str) -> Result<Place, StoreFault> {
        if let Some(rest) = url.strip_prefix(SENTINEL) {
            return Place::sentinel(rest);
        }
        if let Some(rest) = url.strip_prefix(CLUSTER) {
            let (user, hosts) = split_user(rest.trim_end_matches('/'));
            let user = user.to_owned();
            return Ok(Place::Cluster { nodes: servers(&user, hosts)?, user });
        }
        server(url).map(Place::One)
    }

    fn sentinel(rest: &str) -> Result<Place, StoreFault> {
        let (user, rest) = split_user(rest);
        let (hosts, name) = rest.split_once('/').unwrap_or((rest, ""));
        let (primary, db) = name.split_once('/').unwrap_or((name, "0"));
        if primary.is_empty() {
            return Err(StoreFault::Refused(
                "the URL names no primary: write redis+sentinel://host:port,host:port/name".into(),
            ));
        }
        // Sentinels have users of their own; this URL's are for the servers.
        let sentinels = servers("", hosts)?;
        let (primary, user) = (primary.to_owned(), user.to_owned());
        Ok(Place::Sentinel { sentinels, primary, user, rest: format!("/{db}") })
    }

    /// Whether another server may take the primary's place.
    pub(super) fn can_fail_over(&self) -> bool {
        !matches!(self, Place::One(_))
    }
}

/// The server at `host` and `port`, as the URL's user.
pub(super) fn server_at(
    user: &str,
    host: &str,
    port: u16,
    rest: &str,
) -> Result<ConnectionInfo, StoreFault> {
    match host.contains(':') {
        true => server(&format!("redis://{user}[{host}]:{port}{rest}")),
        false => server(&format!("redis://{user}{host}:{port}{rest}")),
    }
}

fn servers(user: &str, hosts: &str) -> Result<Vec<ConnectionInfo>, StoreFault> {
    hosts.split(',').map(|host| server(&format!("redis://{user}{host}/"))).collect()
}

fn server(url: &str) -> Result<ConnectionInfo, StoreFault> {
    url.into_connection_info().map_err(|error| {
        let why = error.detail().unwrap_or_default();
        StoreFault::Refused(format!(
            "the URL is none that Redis has ({error} {why}): write \
             redis://[user:password@]host:port/database"
        ))
    })
}

/// User and password with the `@`, and what follows. A password may contain an `@` too.
fn split_user(rest: &str) -> (&str, &str) {
    rest.rfind('@').map_or(("", rest), |at| rest.split_at(at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(url: &str) -> String {
        match Place::parse(url) {
            Ok(Place::One(server)) => {
                format!("one {} {}", server.addr(), server.redis_settings().db())
            }
            Ok(Place::Sentinel { sentinels, primary, user, rest }) => {
                let at: Vec<_> = sentinels.iter().map(|one| one.addr().to_string()).collect();
                format!("sentinel {at:?} {primary} {user} {rest}")
            }
            Ok(Place::Cluster { nodes, user }) => {
                let at: Vec<_> = nodes.iter().map(|one| one.addr().to_string()).collect();
                format!("cluster {at:?} {user}")
            }
            Err(fault) => format!("refused: {fault}"),
        }
    }

    #[test]
    fn a_url_tells_which_servers_are_meant() {
        for (url, expected) in [
            ("redis://h:7/2", "one h:7 2"),
            ("redis://h", "one h:6379 0"),
            ("redis+unix:///run/redis.sock?db=1", "one /run/redis.sock 1"),
            ("redis+sentinel://u:p@a:1,b:2/main", r#"sentinel ["a:1", "b:2"] main u:p@ /0"#),
            ("redis+sentinel://a:1/main/3", r#"sentinel ["a:1"] main  /3"#),
            ("redis+cluster://:p@a:1,b", r#"cluster ["a:1", "b:6379"] :p@"#),
        ] {
            assert_eq!(shown(url), expected, "{url}");
        }
        for url in ["redis://", "redis://h:x", "redis+sentinel://a:1", "redis+cluster://"] {
            assert!(shown(url).starts_with("refused: "), "{url}: {}", shown(url));
        }
    }
}
