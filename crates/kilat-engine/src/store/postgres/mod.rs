//! A ledger in PostgreSQL: one call of a function decides a batch, under the locks of its sales.
//! The event log beside it or in another database is in `log`.
//!
//! The tables and the rules are in `schema_1.sql`. Sales are locked in the order of their numbers,
//! and everything else only under a sale's lock, so that batches of any number of processes can't
//! wait for each other in a circle. Knows nothing of queues, retries or the board.

mod batch;
mod codes;
mod connect;
mod fault;
mod log;
mod rows;
mod schema;
mod target;
mod terms;
#[cfg(test)]
mod tests;
mod tls;

use super::{Decided, LedgerStore, StoreFault, StoredFact};
use crate::query::{OwnedOrder, Page};
use crate::sale::Sale;
use batch::{Answer, Batch, EXPIRIES_MAX, uuid};
pub(crate) use connect::PostgresOptions;
use connect::{ANSWER_TIMEOUT, Connection, within};
use kilat_ledger::{Command, ORDERS_PAGE_MAX, OrderId, Time};
pub(crate) use log::{LogFigures, Published, Turn};
use std::collections::HashMap;
use std::fmt::Display;
use std::time::Duration;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

/// See there.
const COMMIT: &str = "SELECT * FROM kilat.commit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
/// First part of the key of the lease; the second is the ledger's one lease.
const LEASE: &str = "SELECT pg_try_advisory_lock(7020303, 3)";

/// One connection to the server.
pub(crate) struct Postgres {
    connection: Connection,
    /// Prepared, by their text: there are few.
    statements: HashMap<String, Statement>,
    /// Transactions older than this were seen by the last look for changes.
    seen: String,
    has_lease: bool,
    /// Places in the outbox of the facts that were given last.
    given: Vec<i64>,
}

impl LedgerStore for Postgres {
    type Options = PostgresOptions;

    fn open(options: &PostgresOptions, before: Option<&str>) -> Result<Self, StoreFault> {
        let connection = connect::open(options, before)?;
        let (seen, given) = ("0".to_owned(), Vec::new());
        let statements = HashMap::new();
        Ok(Postgres { connection, statements, seen, has_lease: false, given })
    }

    fn name(&self) -> &str {
        &self.connection.name
    }

    fn commit(&mut self, commands: &[Command<'_>]) -> Result<Decided, StoreFault> {
        let batch = Batch::of(commands);
        let commit = self.statement(COMMIT)?;
        let sales_named = self.statement(&sales_sql("s.id = ANY ($1)"))?;
        let Connection { runtime, client, .. } = &self.connection;
        let arguments = batch.arguments();
        // The second travels right behind the first and is carried out after it.
        let names: [&(dyn ToSql + Sync); 1] = [&batch.names];
        let (answer, states) = runtime.block_on(within(ANSWER_TIMEOUT, async {
            tokio::try_join!(
                client.query_one(&commit, &arguments),
                client.query(&sales_named, &names)
            )
        }))?;
        let sales = states.iter().map(rows::sale).collect::<Result<Vec<_>, _>>().map_err(lost)?;
        let read = Answer::read(&answer, &sales).map_err(lost)?;
        let (at, outcomes) = (read.at(), read.outcomes(commands)?);
        let expired = count(answer.try_get("expired").map_err(lost)?);
        let next_expiry = wait(answer.try_get("next_expiry").map_err(lost)?);
        Ok(Decided { at, outcomes, sales, expired, next_expiry })
    }

    fn expire_due(&mut self) -> Result<Decided, StoreFault> {
        let row = self.one("SELECT * FROM kilat.expire_due($1)", &[&EXPIRIES_MAX])?;
        let numbers: Vec<i32> = row.try_get("numbers").map_err(lost)?;
        let sales = match numbers.is_empty() {
            true => Vec::new(),
            false => self.sales_where("s.number = ANY ($1)", &[&numbers])?,
        };
        Ok(Decided {
            at: Time::from_millis(row.try_get("at").map_err(lost)?),
            outcomes: Vec::new(),
            sales,
            expired: count(row.try_get("done").map_err(lost)?),
            next_expiry: wait(row.try_get("next_expiry").map_err(lost)?),
        })
    }

    fn sale(&mut self, sale: &str) -> Result<Option<Sale>, StoreFault> {
        self.expire_due()?;
        Ok(self.sales_where("s.id = $1", &[&sale])?.pop())
    }

    fn sales(&mut self) -> Result<Vec<Sale>, StoreFault> {
        self.expire_due()?;
        self.sales_where("true", &[])
    }

    fn order(&mut self, sale: &str, order: OrderId) -> Result<Option<OwnedOrder>, StoreFault> {
        let sql = format!(
            "SELECT {} FROM kilat.orders o JOIN kilat.sales s ON s.number = o.sale \
             WHERE s.id = $1 AND o.id = $2",
            rows::ORDER_COLUMNS
        );
        let found = self.all(&sql, &[&sale, &uuid(order)])?;
        found.first().map(rows::order).transpose().map_err(lost)
    }

    fn orders(&mut self, page: &Page) -> Result<Option<Vec<OwnedOrder>>, StoreFault> {
        let number = self.all("SELECT number FROM kilat.sales WHERE id = $1", &[&page.sale])?;
        let Some(number) = number.first().map(|row| row.get::<_, i32>(0)) else {
            return Ok(None);
        };
        let after = i64::try_from(page.after).unwrap_or(i64::MAX);
        let limit = i64::try_from(page.limit.min(ORDERS_PAGE_MAX)).unwrap_or(0);
        let select = format!("SELECT {} FROM kilat.orders o", rows::ORDER_COLUMNS);
        let end = "ORDER BY o.sequence LIMIT $3";
        let found = match &page.customer {
            None => self.all(
                &format!("{select} WHERE o.sale = $1 AND o.sequence > $2 {end}"),
                &[&number, &after, &limit],
            )?,
            // Of one customer there are few: the barrier keeps them from being sought among all.
            Some(customer) => self.all(
                &format!(
                    "WITH o AS MATERIALIZED (SELECT * FROM kilat.orders \
                     WHERE sale = $1 AND customer = $4) \
                     SELECT {} FROM o WHERE o.sequence > $2 {end}",
                    rows::ORDER_COLUMNS
                ),
                &[&number, &after, &limit, customer],
            )?,
        };
        found.iter().map(rows::order).collect::<Result<_, _>>().map(Some).map_err(lost)
    }

    /// A sale's row names the transaction that changed it last. What was committed before the
    /// oldest transaction of the last look was seen then.
    fn changed(&mut self) -> Result<Vec<Sale>, StoreFault> {
        let sql = format!(
            "SELECT now.oldest, {} FROM \
             (SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS oldest) now \
             LEFT JOIN kilat.sales s ON s.version >= $1::text::xid8 ORDER BY s.number",
            rows::SALE_COLUMNS
        );
        let seen = self.seen.clone();
        let found = self.all(&sql, &[&seen])?;
        let is_sale = |row: &&Row| row.get::<_, Option<i32>>("number").is_some();
        let sales = found.iter().filter(is_sale).map(rows::sale).collect::<Result<_, _>>();
        let sales = sales.map_err(lost)?;
        if let Some(row) = found.first() {
            self.seen = row.get(0);
        }
        Ok(sales)
    }

    /// The lease is a lock of the session, which ends with it.
    fn hold_lease(&mut self) -> Result<bool, StoreFault> {
        if !self.has_lease {
            self.has_lease = self.one(LEASE, &[])?.get(0);
        }
        Ok(self.has_lease)
    }

    /// See there: the session is about to end.
    fn release_lease(&mut self) -> Result<(), StoreFault> {
        Ok(())
    }

    fn facts(&mut self, limit: usize) -> Result<Vec<StoredFact>, StoreFault> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let found = self.all(rows::FACTS, &[&limit])?;
        self.given = found.iter().map(|row| row.get("place")).collect();
        self.given.dedup();
        found.iter().map(rows::fact).collect::<Result<_, _>>().map_err(lost)
    }

    fn moved(&mut self) -> Result<(), StoreFault> {
        let given = std::mem::take(&mut self.given);
        self.all("DELETE FROM kilat.outbox f WHERE f.place = ANY ($1)", &[&given]).map(drop)
    }
}

impl Postgres {
    fn sales_where(
        &mut self,
        condition: &str,
        arguments: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Sale>, StoreFault> {
        let found = self.all(&sales_sql(condition), arguments)?;
        found.iter().map(rows::sale).collect::<Result<_, _>>().map_err(lost)
    }

    fn all(
        &mut self,
        sql: &str,
        arguments: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreFault> {
        let statement = self.statement(sql)?;
        let Connection { runtime, client, .. } = &self.connection;
        runtime.block_on(within(ANSWER_TIMEOUT, client.query(&statement, arguments)))
    }

    fn one(&mut self, sql: &str, arguments: &[&(dyn ToSql + Sync)]) -> Result<Row, StoreFault> {
        let found = self.all(sql, arguments)?;
        found.into_iter().next().ok_or_else(|| lost("a row is missing"))
    }

    /// Prepared at its first use. A failure here says nothing of the statement itself: it was not
    /// carried out.
    fn statement(&mut self, sql: &str) -> Result<Statement, StoreFault> {
        if let Some(prepared) = self.statements.get(sql) {
            return Ok(prepared.clone());
        }
        let Connection { runtime, client, .. } = &self.connection;
        let prepared = runtime.block_on(within(ANSWER_TIMEOUT, client.prepare(sql)));
        let prepared = prepared.map_err(|fault| match fault {
            StoreFault::Lost(why) => StoreFault::Away(why.into()),
            other => other,
        })?;
        self.statements.insert(sql.to_owned(), prepared.clone());
        Ok(prepared)
    }
}

fn sales_sql(condition: &str) -> String {
    let columns = rows::SALE_COLUMNS;
    format!("SELECT {columns} FROM kilat.sales s WHERE {condition} ORDER BY s.number")
}

/// What came back can't be read: nobody can say what it was.
fn lost(error: impl Display) -> StoreFault {
    StoreFault::Lost(error.to_string())
}

fn count(number: i32) -> usize {
    usize::try_from(number).unwrap_or(0)
}

fn wait(millis: Option<i64>) -> Option<Duration> {
    millis.map(|millis| Duration::from_millis(u64::try_from(millis).unwrap_or(0)))
}
