//! The schema `kilat`: how it is made and brought up to date, and which one is refused.
//!
//! Migrations are numbered, and each leaves what the programs before it call, so that processes of both
//! versions work side by side. *Invariant:* the text of a migration that a database has never changes.
//! Databases remember its digest, and a program that has another text under the same number refuses
//! them, instead of calling functions that are not there.

use super::connect::{ANSWER_TIMEOUT, within};
use crate::store::{StoreFault, StoreReason};
use std::time::Duration;
use tokio_postgres::Client;

/// Longest that bringing the schema up to date may take.
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(60);

/// Each brings the schema from the version before it to its own, counted from 1.
const MIGRATIONS: [&str; 2] = [include_str!("schema_1.sql"), include_str!("schema_2.sql")];

/// What the first migration makes, as this program calls it: it tells the text of databases that were
/// made before digests were remembered.
const COMMIT: &str = "kilat.commit(text[], smallint[], integer[], uuid[], text[], text[], bigint[], \
    boolean[], text[], boolean, integer)";

/// Brings the schema to the version that this program knows. Of several that start at once one
/// does it and the others wait.
pub(super) async fn bring_up_to_date(client: &Client) -> Result<(), StoreFault> {
    if version(client).await? == MIGRATIONS.len() {
        return Ok(());
    }
    const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = '60s'; \
        SELECT pg_advisory_xact_lock(7020303, 1); CREATE SCHEMA IF NOT EXISTS kilat; \
        CREATE TABLE IF NOT EXISTS kilat.migrations (version integer PRIMARY KEY, \
        applied_at timestamptz NOT NULL DEFAULT now()); \
        ALTER TABLE kilat.migrations ADD COLUMN IF NOT EXISTS digest text";
    within(MIGRATION_TIMEOUT, client.batch_execute(BEGIN)).await?;
    for (step, number) in MIGRATIONS.iter().zip(1_usize..).skip(version(client).await?) {
        let digest = digest(step);
        let noted = format!(
            "{step}; INSERT INTO kilat.migrations (version, digest) VALUES ({number}, '{digest}')"
        );
        within(MIGRATION_TIMEOUT, client.batch_execute(&noted)).await?;
        tracing::info!(version = number, "the schema kilat was brought up to date");
    }
    within(MIGRATION_TIMEOUT, client.batch_execute("COMMIT")).await
}

/// The schema's version, 0 when there is none.
///
/// # Errors
/// [`StoreFault::Refused`] for one that is newer than this program, or of another text.
async fn version(client: &Client) -> Result<usize, StoreFault> {
    const THERE: &str = "SELECT to_regclass('kilat.migrations') IS NOT NULL, \
        to_regprocedure($1) IS NOT NULL";
    // Also of a table that has no such column yet.
    const APPLIED: &str = "SELECT m.version, to_jsonb(m) ->> 'digest' FROM kilat.migrations m \
        ORDER BY m.version";
    let there = within(ANSWER_TIMEOUT, client.query_one(THERE, &[&COMMIT])).await?;
    if !there.get::<_, bool>(0) {
        return Ok(0);
    }
    let can_commit = there.get(1);
    let applied = within(ANSWER_TIMEOUT, client.query(APPLIED, &[])).await?;
    let applied: Vec<Applied> = applied
        .iter()
        .map(|row| Applied {
            version: usize::try_from(row.get::<_, i32>(0)).unwrap_or(0),
            digest: row.get(1),
        })
        .collect();
    match objection(&applied, can_commit) {
        Some(why) => Err(StoreFault::Refused(why)),
        None => Ok(applied.last().map_or(0, |last| last.version)),
    }
}

/// A migration that a database has.
struct Applied {
    version: usize,
    /// `None` when it was made before digests were remembered.
    digest: Option<String>,
}

/// Why a schema made by these migrations will not do. `can_commit` says whether it has [`COMMIT`].
fn objection(applied: &[Applied], can_commit: bool) -> Option<StoreReason> {
    let newest = MIGRATIONS.len();
    let found = applied.last().map_or(0, |last| last.version);
    if found > newest {
        return Some(StoreReason::LaterSchema { found, newest });
    }
    let is_other = |one: &&Applied| match (&one.digest, MIGRATIONS.get(one.version.wrapping_sub(1)))
    {
        (Some(noted), Some(step)) => *noted != digest(step),
        (None, _) => one.version == 1 && !can_commit,
        (Some(_), None) => true,
    };
    let other = applied.iter().find(is_other)?;
    Some(StoreReason::OtherSchema { version: other.version })
}

/// What a text is told by.
fn digest(step: &str) -> String {
    blake3::hash(step.as_bytes()).to_hex()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A schema that somebody has was made from these texts: what is to change needs one more.
    #[test]
    fn migrations_never_change() {
        let digests = MIGRATIONS.map(digest);
        assert_eq!(
            digests,
            ["e0cfacfac5f24664d42a83360ef48a64", "a0fcd2f5535ca23e5ef669487feb928a"],
            "add a migration instead of changing one"
        );
    }

    #[test]
    fn a_schema_of_another_text_or_a_newer_program_is_refused() {
        let noted = |version: usize, text: &str| Applied { version, digest: Some(digest(text)) };
        let unnoted = |version| Applied { version, digest: None };
        let [first, second] = MIGRATIONS;
        for (applied, can_commit, why) in [
            (vec![], false, None),
            (vec![noted(1, first)], true, None),
            (vec![noted(1, first), noted(2, second)], true, None),
            (vec![unnoted(1), unnoted(2)], true, None),
            (vec![unnoted(1), noted(2, second)], true, None),
            (vec![unnoted(1)], false, Some(StoreReason::OtherSchema { version: 1 })),
            (vec![noted(1, "x")], true, Some(StoreReason::OtherSchema { version: 1 })),
            (
                vec![noted(1, first), noted(2, "x")],
                true,
                Some(StoreReason::OtherSchema { version: 2 }),
            ),
            (
                vec![noted(1, first), noted(2, second), noted(3, "x")],
                true,
                Some(StoreReason::LaterSchema { found: 3, newest: 2 }),
            ),
        ] {
            let versions: Vec<usize> = applied.iter().map(|one| one.version).collect();
            assert_eq!(objection(&applied, can_commit), why, "{versions:?}");
        }
    }
}
