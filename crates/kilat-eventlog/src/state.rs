//! The bytes that the index keeps for the log: everything readers may see but the tail, which is
//! empty where a generation ends.
//!
//! They are as little trusted as the rest of the index: whoever decodes them compares them with
//! the log.

use std::sync::Arc;

use kilat_journal::{Place, Position};

use crate::counters::Totals;
use crate::frame::Malformed;
use crate::index::TopicId;
use crate::rules::Rules;
use crate::tail::Tail;
use crate::topics::{TOPIC_BYTES_MAX, Topics};
use crate::visible::{Figures, Visible};

const VERSION: u64 = 1;
/// A topic's length and count, without its name.
const TOPIC_FIXED_BYTES: usize = 10;

/// The state after the last frame shown, as bytes. `key_print` tells what key the prints in the
/// index are made with.
pub(crate) fn encode(visible: &Visible, key_print: u64) -> Vec<u8> {
    let Figures { totals, end, ledger_cursor, received_ms } = visible.figures;
    let place = visible.last.map_or(Place { segment: 0, sector: 0 }, |(_, place)| place);
    let topics = visible.topics.names();
    let rules: Vec<(TopicId, u64)> = visible.rules.by_topic().collect();
    let mut out = Vec::new();
    let mut put = |value: u64| out.extend_from_slice(&value.to_le_bytes());
    [VERSION, key_print, end, ledger_cursor, received_ms.cast_unsigned()]
        .into_iter()
        .for_each(&mut put);
    let Totals { received, duplicates, conflicts, projected } = totals;
    [received, duplicates, conflicts, projected].into_iter().for_each(&mut put);
    [place.segment, u64::from(place.sector), visible.rules.all_below()]
        .into_iter()
        .for_each(&mut put);
    [topics.len() as u64, rules.len() as u64].into_iter().for_each(&mut put);
    for (topic, below) in rules {
        put(u64::from(topic.0));
        put(below);
    }
    for (name, count) in topics.iter().zip(&visible.counts) {
        out.extend_from_slice(&(name.len() as u16).to_le_bytes());
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(name.as_bytes());
    }
    out
}

/// The state after `position` from its bytes.
pub(crate) fn decode(
    bytes: &[u8],
    position: Position,
    key_print: u64,
) -> Result<Visible, Malformed> {
    let mut bytes = Bytes(bytes);
    if bytes.u64()? != VERSION {
        return Err(Malformed("the version of the state is unknown"));
    }
    if bytes.u64()? != key_print {
        return Err(Malformed("it was made with another key, or is damaged"));
    }
    let (end, ledger_cursor, received_ms) = (bytes.u64()?, bytes.u64()?, bytes.u64()?);
    let totals = Totals {
        received: bytes.u64()?,
        duplicates: bytes.u64()?,
        conflicts: bytes.u64()?,
        projected: bytes.u64()?,
    };
    let received_ms = received_ms.cast_signed();
    let figures = Figures { totals, end, ledger_cursor, received_ms };
    let (segment, sector) = (bytes.u64()?, bytes.u64()?);
    let sector = u32::try_from(sector).map_err(|_| Malformed("the state's place is none"))?;
    let all_below = bytes.u64()?;
    let (topics_len, rules_len) = (bytes.u64()?, bytes.u64()?);
    let rules = decode_rules(&mut bytes, all_below, topics_len, rules_len)?;
    let (topics, counts) = decode_topics(&mut bytes, topics_len)?;
    let stored = counts.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count));
    if !bytes.0.is_empty() || totals.stored() != Some(end) || stored != Some(end) {
        return Err(Malformed("the state contradicts itself"));
    }
    Ok(Visible {
        figures,
        topics,
        counts,
        rules: Arc::new(rules),
        tail: Tail::new(end),
        sealed_end: end,
        last: Some((position, Place { segment, sector })),
    })
}

fn decode_rules(
    bytes: &mut Bytes<'_>,
    all_below: u64,
    topics: u64,
    rules: u64,
) -> Result<Rules, Malformed> {
    let mut decoded = Rules::default();
    decoded.add(None, all_below);
    for _ in 0..rules {
        let (topic, below) = (bytes.u64()?, bytes.u64()?);
        if topic >= topics {
            return Err(Malformed("a rule names a topic that there is not"));
        }
        decoded.add(Some(TopicId(topic as u32)), below);
    }
    Ok(decoded)
}

fn decode_topics(bytes: &mut Bytes<'_>, len: u64) -> Result<(Topics, Vec<u64>), Malformed> {
    let (mut topics, mut counts) = (Topics::default(), Vec::new());
    for _ in 0..len {
        let fixed = bytes.take(TOPIC_FIXED_BYTES)?;
        let (name_bytes, count) = fixed.split_at(2);
        let name_bytes = usize::from(name_bytes[0]) | usize::from(name_bytes[1]) << 8;
        let name = std::str::from_utf8(bytes.take(name_bytes)?);
        let name = name.map_err(|_| Malformed("a topic is not text"))?;
        if name.len() > TOPIC_BYTES_MAX || topics.find(name).is_some() {
            return Err(Malformed("a topic is too long or there twice"));
        }
        topics.add(name.into());
        counts.push(Bytes(count).u64()?);
    }
    Ok((topics, counts))
}

/// What is left to be read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let split = self.0.split_at_checked(count);
        let (taken, left) = split.ok_or(Malformed("the state is cut short"))?;
        self.0 = left;
        Ok(taken)
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        let mut array = [0; 8];
        array.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(array))
    }
}
