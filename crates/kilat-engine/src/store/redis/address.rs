//! Which servers a URL means.

use super::fault;
use crate::store::{StoreFault, StoreReason};
use redis::{ConnectionInfo, IntoConnectionInfo as _};

/// Where the ledger is.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// One server.
    One(ConnectionInfo),
    /// Whichever server the sentinels call the primary of this name. `rest` ends its URL.
    Sentinel { sentinels: Vec<ConnectionInfo>, primary: String, way: Way, rest: String },
    /// The primaries of a cluster that these nodes belong to.
    Cluster { nodes: Vec<ConnectionInfo>, way: Way },
}

/// How each server of several is spoken to.
#[derive(Clone, Debug)]
pub(super) struct Way {
    /// `redis`, or `rediss` with TLS.
    scheme: &'static str,
    /// User and password with the `@`, or nothing.
    user: String,
}

/// What stands before the hosts, and how they are spoken to.
const SENTINELS: [(&str, &str); 2] =
    [("redis+sentinel://", "redis"), ("rediss+sentinel://", "rediss")];
const CLUSTERS: [(&str, &str); 2] =
    [("redis+cluster://", "redis"), ("rediss+cluster://", "rediss")];

impl Place {
    /// Reads `redis://`, `redis+unix://`, `redis+sentinel://host,host/name` or
    /// `redis+cluster://host,host`, and all but the second with `rediss`.
    pub(super) fn parse(url: &str) -> Result<Place, StoreFault> {
        if let Some((scheme, rest)) = strip(url, SENTINELS) {
            return Place::sentinel(scheme, rest);
        }
        if let Some((scheme, rest)) = strip(url, CLUSTERS) {
            let (user, hosts) = split_user(rest.trim_end_matches('/'));
            let way = Way { scheme, user: user.to_owned() };
            return Ok(Place::Cluster { nodes: servers(&way, hosts)?, way });
        }
        server(url).map(Place::One)
    }

    fn sentinel(scheme: &'static str, rest: &str) -> Result<Place, StoreFault> {
        let (user, rest) = split_user(rest);
        let (hosts, name) = rest.split_once('/').unwrap_or((rest, ""));
        let (primary, db) = name.split_once('/').unwrap_or((name, "0"));
        if primary.is_empty() {
            return Err(StoreFault::Refused(StoreReason::NoPrimary));
        }
        // Sentinels have users of their own; this URL's are for the servers.
        let sentinels = servers(&Way { scheme, user: String::new() }, hosts)?;
        let (primary, way) = (primary.to_owned(), Way { scheme, user: user.to_owned() });
        Ok(Place::Sentinel { sentinels, primary, way, rest: format!("/{db}") })
    }

    /// Whether another server may take the primary's place.
    pub(super) fn can_fail_over(&self) -> bool {
        !matches!(self, Place::One(_))
    }
}

/// The server at `host` and `port`, as the URL's user.
pub(super) fn server_at(
    Way { scheme, user }: &Way,
    host: &str,
    port: u16,
    rest: &str,
) -> Result<ConnectionInfo, StoreFault> {
    match host.contains(':') {
        true => server(&format!("{scheme}://{user}[{host}]:{port}{rest}")),
        false => server(&format!("{scheme}://{user}{host}:{port}{rest}")),
    }
}

fn servers(way: &Way, hosts: &str) -> Result<Vec<ConnectionInfo>, StoreFault> {
    let Way { scheme, user } = way;
    hosts.split(',').map(|host| server(&format!("{scheme}://{user}{host}/"))).collect()
}

fn strip<'a>(url: &'a str, prefixes: [(&str, &'static str); 2]) -> Option<(&'static str, &'a str)> {
    prefixes.into_iter().find_map(|(prefix, scheme)| Some((scheme, url.strip_prefix(prefix)?)))
}

fn server(url: &str) -> Result<ConnectionInfo, StoreFault> {
    url.into_connection_info().map_err(|error| {
        let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
        let said = format!("{}{detail}", fault::words(&error));
        StoreFault::Refused(StoreReason::RedisUrl { said })
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
            Ok(Place::Sentinel { sentinels, primary, way, rest }) => {
                let at: Vec<_> = sentinels.iter().map(|one| one.addr().to_string()).collect();
                format!("{} sentinel {at:?} {primary} {} {rest}", way.scheme, way.user)
            }
            Ok(Place::Cluster { nodes, way }) => {
                let at: Vec<_> = nodes.iter().map(|one| one.addr().to_string()).collect();
                format!("{} cluster {at:?} {}", way.scheme, way.user)
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
            ("redis+sentinel://u:p@a:1,b:2/main", r#"redis sentinel ["a:1", "b:2"] main u:p@ /0"#),
            ("redis+sentinel://a:1/main/3", r#"redis sentinel ["a:1"] main  /3"#),
            ("rediss://h:7", "one h:7 0"),
            ("rediss+sentinel://a:1/main", r#"rediss sentinel ["a:1"] main  /0"#),
            ("rediss+cluster://a:1,b", r#"rediss cluster ["a:1", "b:6379"] "#),
            ("redis+cluster://:p@a:1,b", r#"redis cluster ["a:1", "b:6379"] :p@"#),
        ] {
            assert_eq!(shown(url), expected, "{url}");
        }
        for url in ["redis://", "redis://h:x", "redis+sentinel://a:1", "redis+cluster://"] {
            assert!(shown(url).starts_with("refused: "), "{url}: {}", shown(url));
        }
    }
}
