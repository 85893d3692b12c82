//! A connection to a server that can keep the promises: what is asked of it.

use super::target::Target;
use super::{fault, schema};
use crate::store::{StoreFault, StoreReason};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_postgres::Client;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest wait for an answer; the server itself gives a statement up a little earlier.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_millis(3_500);
/// Oldest server: it has `pg_terminate_backend` that waits, and `idle_session_timeout`.
const VERSION_MIN: i32 = 140_000;
const LEAST: &str = "PostgreSQL 14";

/// What every connection sets for itself. Statements and sessions end on the server too, so that a
/// process that is stopped or cut off holds neither a lock nor the lease. Plans never depend on
/// what the statistics say at the moment: each statement is made for its indexes.
const SESSION: &str = "SET client_min_messages = warning; SET statement_timeout = '3s'; \
    SET idle_session_timeout = '15s'; SET idle_in_transaction_session_timeout = '5s'; \
    SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3; \
    SET default_transaction_isolation = 'read committed'; SET search_path = pg_catalog; \
    SET jit = off; SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan";

/// Where the ledger is and what is asked of the server.
pub(crate) struct PostgresOptions {
    /// As libpq reads it.
    pub(crate) url: String,
    /// What this process is called in `pg_stat_activity`.
    pub(crate) name: String,
    /// Work also with a server that can lose what was acknowledged when it crashes.
    pub(crate) may_lose: bool,
}

/// A connection, with what drives it while a call is under way.
pub(super) struct Connection {
    pub(super) runtime: Runtime,
    pub(super) client: Client,
    pub(super) name: String,
}

/// Connects, ends what the connection called `before` may have left running, checks the server and
/// brings the schema up to date.
pub(super) fn open(
    options: &PostgresOptions,
    before: Option<&str>,
) -> Result<Connection, StoreFault> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| StoreFault::Away(error.to_string().into()))?;
    let client = runtime.block_on(connect(options))?;
    let name = runtime.block_on(async {
        within(ANSWER_TIMEOUT, client.batch_execute(SESSION)).await?;
        if let Some(before) = before {
            end(&client, before).await?;
        }
        check(&client, options.may_lose).await?;
        schema::bring_up_to_date(&client).await?;
        name(&client).await
    })?;
    Ok(Connection { runtime, client, name })
}

/// Connects as the address says, and is called so in the server's lists.
async fn connect(options: &PostgresOptions) -> Result<Client, StoreFault> {
    let Target { mut config, tls } = Target::of(&options.url)?;
    config
        .application_name(format!("kilat {}", options.name))
        .connect_timeout(CONNECT_TIMEOUT)
        .keepalives_idle(Duration::from_secs(5))
        .tcp_user_timeout(ANSWER_TIMEOUT);
    let connected = timeout(CONNECT_TIMEOUT, config.connect(tls)).await;
    let (client, connection) = connected
        .map_err(|_| StoreFault::Away("no answer while connecting".to_owned().into()))?
        .map_err(|error| fault::of_connecting(&error))?;
    tokio::spawn(async move {
        // Whoever waits for an answer is told the same.
        let _ = connection.await;
    });
    Ok(client)
}

/// Awaits an answer, but not for ever.
pub(super) async fn within<T>(
    most: Duration,
    call: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, StoreFault> {
    match timeout(most, call).await {
        Ok(result) => result.map_err(|error| fault::of_call(&error)),
        Err(_) => Err(StoreFault::Lost("PostgreSQL did not answer in time".to_owned())),
    }
}

/// Process id and start, which together name one session for ever.
async fn name(client: &Client) -> Result<String, StoreFault> {
    const NAME: &str = "SELECT pid || ' ' || backend_start FROM pg_stat_activity \
        WHERE pid = pg_backend_pid()";
    Ok(within(ANSWER_TIMEOUT, client.query_one(NAME, &[])).await?.get(0))
}

/// Ends the session of a lost connection, and returns only when nothing it did can still happen.
async fn end(client: &Client, before: &str) -> Result<(), StoreFault> {
    const END: &str = "SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity \
        WHERE pid || ' ' || backend_start = $1";
    let ended = within(ANSWER_TIMEOUT, client.query_opt(END, &[&before])).await?;
    if ended.is_none_or(|row| row.get(0)) {
        Ok(())
    } else {
        Err(StoreFault::Away("the lost session is still busy on the server".to_owned().into()))
    }
}

/// Refuses a server that can't keep the promises.
async fn check(client: &Client, may_lose: bool) -> Result<(), StoreFault> {
    const SERVER: &str = "SELECT current_setting('server_version_num')::int, \
        current_setting('server_encoding'), current_setting('fsync'), \
        current_setting('synchronous_commit'), pg_is_in_recovery(), \
        current_setting('transaction_read_only')";
    let row = within(ANSWER_TIMEOUT, client.query_one(SERVER, &[])).await?;
    let server = Server {
        version: row.get(0),
        encoding: row.get(1),
        fsync: row.get(2),
        synchronous_commit: row.get(3),
        is_standby: row.get(4),
        read_only: row.get(5),
    };
    server.objection(may_lose).map_or(Ok(()), |why| Err(StoreFault::Refused(why)))
}

/// How a server is set up, in its own words.
struct Server<'a> {
    version: i32,
    encoding: &'a str,
    fsync: &'a str,
    synchronous_commit: &'a str,
    is_standby: bool,
    read_only: &'a str,
}

impl Server<'_> {
    /// Why it will not do, with what to change.
    fn objection(&self, may_lose: bool) -> Option<StoreReason> {
        let lazy = |setting, found: &str| StoreReason::NotDurable {
            setting,
            found: found.to_owned(),
            wanted: "on",
        };
        match self {
            Server { version, .. } if *version < VERSION_MIN => {
                let found = format!("PostgreSQL {}", version / 10_000);
                Some(StoreReason::Version { found, least: LEAST })
            }
            Server { encoding, .. } if *encoding != "UTF8" => {
                Some(StoreReason::Encoding { found: (*encoding).to_owned() })
            }
            Server { is_standby: true, .. } => Some(StoreReason::Replica),
            Server { read_only: "on", .. } => Some(StoreReason::ReadOnly),
            _ if may_lose => None,
            Server { fsync: found @ "off", .. } => Some(lazy("fsync", found)),
            Server { synchronous_commit: found @ "off", .. } => {
                Some(lazy("synchronous_commit", found))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_too_old_is_named_with_the_oldest_that_will_do() {
        let server = |version| Server {
            version,
            encoding: "UTF8",
            fsync: "on",
            synchronous_commit: "on",
            is_standby: false,
            read_only: "off",
        };
        let why = server(139_999).objection(true).unwrap().to_string();
        assert!(why.contains("PostgreSQL 13") && why.contains("PostgreSQL 14"), "{why}");
        assert_eq!(server(VERSION_MIN).objection(false), None);
    }
}
