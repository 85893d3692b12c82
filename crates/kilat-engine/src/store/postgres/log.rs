//! The event log in PostgreSQL: what is stored, read and forgotten, one statement each.
//!
//! The tables and functions are in `schema_2.sql`. Knows nothing of queues, retries or who waits.

use super::connect::{ANSWER_TIMEOUT, Connection, within};
use super::{Postgres, lost};
use crate::events::Forgotten;
use crate::protocol::events::Span;
use crate::store::StoreFault;
use kilat_eventlog::{
    Content, Counters, ForgetRule, NewEvent, PAGE_EVENTS_MAX, Page, Publication, StoredEvent,
    TOPICS_MAX, TopicCount, Verdict,
};
use std::collections::HashMap;
use std::sync::Arc;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

/// See there.
const PUBLISH: &str = "SELECT * FROM kilat.publish($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
const STATE: &str =
    "SELECT l.next, l.received, l.duplicates, l.conflicts, l.projected FROM kilat.event_log l";
/// A log is another one in another database, and after its server was restored or replaced.
const HISTORY: &str = "SELECT md5(concat_ws(' ', l.history, d.oid, \
    left(pg_walfile_name(pg_current_wal_lsn()), 8)))::uuid \
    FROM kilat.event_log l, pg_database d WHERE d.datname = current_database()";
/// Publishers that were not heard of for so long never send a batch again.
const CLEAR: &str =
    "DELETE FROM kilat.event_publishers p WHERE p.seen_at < now() - interval '1 day'";
/// Most forgotten bodies that are dropped at once.
const RECLAIM_MAX: i32 = 1_000;

/// How far the log has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogFigures {
    /// How many events there are.
    pub(crate) end: u64,
    /// What was ever delivered.
    pub(crate) counters: Counters,
}

/// What a batch came to.
#[derive(Debug)]
pub(crate) struct Published {
    /// One for each event; `None` when publishers would have made too many topics, and then
    /// nothing is stored.
    pub(crate) verdicts: Option<Vec<Verdict>>,
    /// How far the log has come, this batch included.
    pub(crate) figures: LogFigures,
}

/// Who publishes, and how often it has. The same turn again is the same batch again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) publisher: Uuid,
    pub(crate) number: i64,
}

/// The arguments of `kilat.publish`; the same place in each array is the same event.
#[derive(Default)]
struct Batch<'a> {
    /// Topics; slots count them from 1.
    names: Vec<&'a str>,
    slots: Vec<i32>,
    ids: Vec<&'a str>,
    contents: Vec<Uuid>,
    bodies: Vec<&'a [u8]>,
    projected: Vec<bool>,
    /// Counted from 1.
    firsts: Vec<i32>,
}

impl<'a> Batch<'a> {
    fn of(publications: &[&'a Publication]) -> Batch<'a> {
        let mut batch = Batch::default();
        let (mut slots, mut firsts) = (HashMap::new(), HashMap::new());
        for publication in publications {
            for NewEvent { topic, id, content, body } in publication.events() {
                let next = slots.len() + 1;
                let slot = *slots.entry(topic).or_insert(next);
                if slot == next {
                    batch.names.push(topic);
                }
                batch.slots.push(number(slot));
                batch.ids.push(id);
                batch.contents.push(Uuid::from_bytes(*content.as_bytes()));
                batch.bodies.push(body);
                batch.projected.push(publication.is_projected());
                let first = *firsts.entry((slot, id)).or_insert(batch.ids.len());
                batch.firsts.push(number(first));
            }
        }
        batch
    }
}

/// A batch has far fewer events than an i32 can count.
fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

impl Postgres {
    /// Stores `publications` in their order, as one step. With the turn of an attempt before it
    /// gives the answer that was lost.
    pub(crate) fn publish(
        &mut self,
        turn: Turn,
        publications: &[&Publication],
    ) -> Result<Published, StoreFault> {
        let batch = Batch::of(publications);
        let (publish, state) = (self.statement(PUBLISH)?, self.statement(STATE)?);
        let topics_max = number(TOPICS_MAX);
        let Connection { runtime, client, .. } = &self.connection;
        let arguments: [&(dyn ToSql + Sync); 10] = [
            &turn.publisher,
            &turn.number,
            &batch.names,
            &batch.slots,
            &batch.ids,
            &batch.contents,
            &batch.bodies,
            &batch.projected,
            &batch.firsts,
            &topics_max,
        ];
        // The second travels right behind the first and is carried out after it.
        let (answer, figures) = runtime.block_on(within(ANSWER_TIMEOUT, async {
            tokio::try_join!(client.query_one(&publish, &arguments), client.query_one(&state, &[]))
        }))?;
        let verdicts = verdicts(&answer).map_err(lost)?;
        if verdicts.as_ref().is_some_and(|verdicts| verdicts.len() != batch.ids.len()) {
            return Err(lost("a publication has not one verdict an event"));
        }
        Ok(Published { verdicts, figures: read_figures(&figures).map_err(lost)? })
    }

    /// How far the log has come.
    pub(crate) fn figures(&mut self) -> Result<LogFigures, StoreFault> {
        read_figures(&self.one(STATE, &[])?).map_err(lost)
    }

    /// Names the log's history, and tidies up after publishers that are gone.
    pub(crate) fn enter_log(&mut self) -> Result<[u8; 16], StoreFault> {
        self.all(CLEAR, &[])?;
        let history: Uuid = self.one(HISTORY, &[])?.try_get(0).map_err(lost)?;
        Ok(history.into_bytes())
    }

    /// Events as `Reader::read` of `kilat-eventlog` gives them.
    pub(crate) fn page(&mut self, span: &Span) -> Result<Page, StoreFault> {
        let Some(from) = span.after.map_or(Some(0), |after| after.checked_add(1)) else {
            return Ok(Page { events: Vec::new(), next: None });
        };
        let from = i64::try_from(from).unwrap_or(i64::MAX);
        let limit = span.limit.clamp(1, PAGE_EVENTS_MAX);
        let wanted = i64::try_from(limit).unwrap_or(i64::MAX);
        let bytes_max = i64::try_from(span.bytes_max).unwrap_or(i64::MAX);
        let found = match &span.topic {
            None => self.all(&page_sql("true"), &[&from, &wanted, &bytes_max])?,
            Some(topic) => {
                let name = "SELECT t.number FROM kilat.event_topics t WHERE t.name = $1";
                match self.all(name, &[topic])?.first().map(|row| row.get::<_, i32>(0)) {
                    None => Vec::new(),
                    Some(number) => {
                        self.all(&page_sql("k.topic = $4"), &[&from, &wanted, &bytes_max, &number])?
                    }
                }
            }
        };
        read_page(&found).map_err(lost)
    }

    /// Topics after the first `known`, in the order of their first events.
    pub(crate) fn topics(&mut self, known: usize) -> Result<Vec<TopicCount>, StoreFault> {
        let sql = "SELECT t.name, t.events FROM kilat.event_topics t WHERE t.number >= $1 \
            ORDER BY t.number";
        let found = self.all(sql, &[&number(known)])?;
        found.iter().map(read_topic).collect::<Result<_, _>>().map_err(lost)
    }

    /// Forgets what `rule` names among the events that there are now.
    pub(crate) fn forget(&mut self, rule: &ForgetRule) -> Result<Forgotten, StoreFault> {
        let row =
            self.one("SELECT kilat.forget($1, $2)", &[&rule.topic, &rule.received_before_ms])?;
        Ok(Forgotten { below: units(row.try_get(0).map_err(lost)?) })
    }

    /// Drops some forgotten bodies; says whether there may be more.
    pub(crate) fn reclaim(&mut self) -> Result<bool, StoreFault> {
        self.one("SELECT kilat.reclaim($1)", &[&RECLAIM_MAX])?.try_get(0).map_err(lost)
    }
}

/// A page from position `$1` on, of at most `$2` events, that ends after `$3` bytes: an event counts
/// as many as in a log on disk. `found` tells whether there are more.
fn page_sql(condition: &str) -> String {
    format!(
        "SELECT p.position, p.name, p.id, p.content, p.received_at, p.body, p.found FROM (\
         SELECT e.position, t.name, e.id, e.content, e.received_at, \
         CASE WHEN e.position >= greatest(l.forgotten_below, t.forgotten_below) THEN e.body END \
         AS body, row_number() OVER places AS nth, count(*) OVER () AS found, \
         sum(20 + octet_length(t.name) + octet_length(e.id) + coalesce(octet_length(e.body), 0)) \
         OVER places AS bytes \
         FROM (SELECT * FROM kilat.events k WHERE k.position >= $1::bigint AND {condition} \
         ORDER BY k.position LIMIT $2::bigint + 1) e \
         JOIN kilat.event_topics t ON t.number = e.topic CROSS JOIN kilat.event_log l \
         WINDOW places AS (ORDER BY e.position)) p \
         WHERE p.nth <= $2::bigint AND (p.nth = 1 OR p.bytes <= $3::bigint) ORDER BY p.position"
    )
}

fn read_page(found: &[Row]) -> Result<Page, tokio_postgres::Error> {
    let mut last: Option<Arc<str>> = None;
    let mut events = Vec::with_capacity(found.len());
    for row in found {
        let topic: &str = row.try_get("name")?;
        // Neighbours often share their topic.
        let topic = match &last {
            Some(last) if **last == *topic => Arc::clone(last),
            _ => Arc::clone(last.insert(topic.into())),
        };
        events.push(StoredEvent {
            offset: units(row.try_get("position")?),
            topic,
            id: row.try_get("id")?,
            content: Content::from_bytes(row.try_get::<_, Uuid>("content")?.into_bytes()),
            received_ms: row.try_get("received_at")?,
            body: row.try_get("body")?,
        });
    }
    let there = found.first().map(|row| row.try_get::<_, i64>("found")).transpose()?;
    let has_more = units(there.unwrap_or(0)) > events.len() as u64;
    let next = events.last().map(|event| event.offset).filter(|_| has_more);
    Ok(Page { events, next })
}

fn read_topic(row: &Row) -> Result<TopicCount, tokio_postgres::Error> {
    let topic: &str = row.try_get(0)?;
    Ok(TopicCount { topic: topic.into(), events: units(row.try_get(1)?) })
}

fn read_figures(row: &Row) -> Result<LogFigures, tokio_postgres::Error> {
    let count = |name| row.try_get(name).map(units);
    let (received, duplicates) = (count("received")?, count("duplicates")?);
    let (conflicts, projected) = (count("conflicts")?, count("projected")?);
    let unique = received.saturating_sub(duplicates).saturating_sub(conflicts);
    let counters = Counters { received, unique, duplicates, conflicts, projected };
    Ok(LogFigures { end: count("next")?, counters })
}

fn verdicts(row: &Row) -> Result<Option<Vec<Verdict>>, tokio_postgres::Error> {
    let kinds: Option<Vec<i16>> = row.try_get("kinds")?;
    let positions: Option<Vec<i64>> = row.try_get("positions")?;
    Ok(kinds.zip(positions).map(|(kinds, positions)| {
        let pairs = kinds.into_iter().zip(positions);
        pairs
            .map(|(kind, position)| match kind {
                0 => Verdict::Stored(units(position)),
                1 => Verdict::Duplicate(units(position)),
                _ => Verdict::Conflict(units(position)),
            })
            .collect()
    }))
}

fn units(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
