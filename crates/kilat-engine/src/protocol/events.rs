//! Publications, verdicts and stored events as bytes.

use super::wire::{Input, Malformed, Put as _};
use kilat_eventlog::{
    Content, Counters, ForgetRule, NewEvent, Page, Publication, StoredEvent, TopicCount, Verdict,
};
use std::sync::Arc;

/// How far the event log has come, as readers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogState {
    pub(crate) end: u64,
    pub(crate) counters: Counters,
    pub(crate) at_start: Counters,
    /// How long the log has been open, in milliseconds.
    pub(crate) open_ms: u64,
    pub(crate) projector_frame: u64,
    pub(crate) projector_halted: Option<String>,
}

/// Which events to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) topic: Option<String>,
    pub(crate) after: Option<u64>,
    pub(crate) limit: usize,
    pub(crate) bytes_max: usize,
}

pub(crate) fn put_publication(publication: &Publication, out: &mut Vec<u8>) {
    out.put_count(publication.len());
    for NewEvent { topic, id, content, body } in publication.events() {
        out.put_text(topic);
        out.put_text(id);
        out.put(*content.as_bytes());
        out.put_count(body.len());
        out.extend_from_slice(body);
    }
}

/// Reads events into `publication`, which checks them again.
pub(crate) fn publication(
    input: &mut Input<'_>,
    publication: &mut Publication,
) -> Result<(), Malformed> {
    for _ in 0..input.u32()? {
        let (topic, id) = (input.text()?, input.text()?);
        let content = Content::from_bytes(input.array()?);
        let len = input.u32()? as usize;
        let body = input.bytes(len)?;
        let event = NewEvent { topic, id, content, body };
        publication.push(event).map_err(|_| Malformed("an event can't be stored"))?;
    }
    input.end()
}

pub(crate) fn put_verdicts(verdicts: &[Verdict], out: &mut Vec<u8>) {
    out.put_count(verdicts.len());
    for verdict in verdicts {
        let (tag, offset) = match verdict {
            Verdict::Stored(offset) => (0, offset),
            Verdict::Duplicate(offset) => (1, offset),
            Verdict::Conflict(offset) => (2, offset),
        };
        out.push(tag);
        out.put(offset.to_le_bytes());
    }
}

pub(crate) fn verdicts(input: &mut Input<'_>) -> Result<Vec<Verdict>, Malformed> {
    let verdicts = input.list(|input| {
        Ok(match input.u8()? {
            0 => Verdict::Stored(input.u64()?),
            1 => Verdict::Duplicate(input.u64()?),
            2 => Verdict::Conflict(input.u64()?),
            _ => return Err(Malformed("a verdict is of no known kind")),
        })
    })?;
    input.end()?;
    Ok(verdicts)
}

pub(crate) fn put_rule(rule: &ForgetRule, out: &mut Vec<u8>) {
    out.put_option(rule.topic.as_deref(), |out, topic| out.put_text(topic));
    out.put_option(rule.received_before_ms, |out, ms| out.put(ms.to_le_bytes()));
}

pub(crate) fn rule(input: &mut Input<'_>) -> Result<ForgetRule, Malformed> {
    let rule = ForgetRule {
        topic: input.option(Input::owned)?,
        received_before_ms: input.option(Input::i64)?,
    };
    input.end()?;
    Ok(rule)
}

pub(crate) fn put_span(span: &Span, out: &mut Vec<u8>) {
    out.put_option(span.topic.as_deref(), |out, topic| out.put_text(topic));
    out.put_option(span.after, |out, after| out.put(after.to_le_bytes()));
    out.put((span.limit as u64).to_le_bytes());
    out.put((span.bytes_max as u64).to_le_bytes());
}

pub(crate) fn span(input: &mut Input<'_>) -> Result<Span, Malformed> {
    let span = Span {
        topic: input.option(Input::owned)?,
        after: input.option(Input::u64)?,
        limit: usize::try_from(input.u64()?).unwrap_or(usize::MAX),
        bytes_max: usize::try_from(input.u64()?).unwrap_or(usize::MAX),
    };
    input.end()?;
    Ok(span)
}

pub(crate) fn put_page(page: &Page, out: &mut Vec<u8>) {
    out.put_count(page.events.len());
    for event in &page.events {
        out.put(event.offset.to_le_bytes());
        out.put_text(&event.topic);
        out.put_text(&event.id);
        out.put(*event.content.as_bytes());
        out.put(event.received_ms.to_le_bytes());
        out.put_option(event.body.as_deref(), |out, body| {
            out.put_count(body.len());
            out.extend_from_slice(body);
        });
    }
    out.put_option(page.next, |out, next| out.put(next.to_le_bytes()));
}

pub(crate) fn page(input: &mut Input<'_>) -> Result<Page, Malformed> {
    let mut last: Option<Arc<str>> = None;
    let events = input.list(|input| {
        let (offset, topic) = (input.u64()?, input.text()?);
        // Neighbours often share their topic.
        let topic = match &last {
            Some(last) if **last == *topic => Arc::clone(last),
            _ => Arc::clone(last.insert(topic.into())),
        };
        Ok(StoredEvent {
            offset,
            topic,
            id: input.owned()?,
            content: Content::from_bytes(input.array()?),
            received_ms: input.i64()?,
            body: input.option(|input| {
                let len = input.u32()? as usize;
                input.bytes(len).map(<[u8]>::to_vec)
            })?,
        })
    })?;
    let next = input.option(Input::u64)?;
    input.end()?;
    Ok(Page { events, next })
}

/// Appends as many topics as come to `bytes_max`, and whether those are all.
pub(crate) fn put_topics(topics: &[TopicCount], bytes_max: usize, out: &mut Vec<u8>) {
    let mut bytes = 0;
    let fitting = topics.iter().take_while(|topic| {
        bytes += topic.topic.len() + 2 + 8;
        bytes <= bytes_max
    });
    let count = fitting.count();
    out.put_bool(count == topics.len());
    out.put_count(count);
    for topic in &topics[..count] {
        out.put_text(&topic.topic);
        out.put(topic.events.to_le_bytes());
    }
}

/// Topics, and whether those are all.
pub(crate) fn topics(input: &mut Input<'_>) -> Result<(bool, Vec<TopicCount>), Malformed> {
    let all = input.boolean()?;
    let topics =
        input.list(|input| Ok(TopicCount { topic: input.text()?.into(), events: input.u64()? }))?;
    input.end()?;
    Ok((all, topics))
}

pub(crate) fn put_state(state: &LogState, out: &mut Vec<u8>) {
    out.put(state.end.to_le_bytes());
    put_counters(&state.counters, out);
    put_counters(&state.at_start, out);
    out.put(state.open_ms.to_le_bytes());
    out.put(state.projector_frame.to_le_bytes());
    out.put_option(state.projector_halted.as_deref(), |out, why| out.put_text(why));
}

pub(crate) fn state(input: &mut Input<'_>) -> Result<LogState, Malformed> {
    let state = LogState {
        end: input.u64()?,
        counters: counters(input)?,
        at_start: counters(input)?,
        open_ms: input.u64()?,
        projector_frame: input.u64()?,
        projector_halted: input.option(Input::owned)?,
    };
    input.end()?;
    Ok(state)
}

fn put_counters(counters: &Counters, out: &mut Vec<u8>) {
    let Counters { received, unique, duplicates, conflicts, projected } = counters;
    for count in [received, unique, duplicates, conflicts, projected] {
        out.put(count.to_le_bytes());
    }
}

fn counters(input: &mut Input<'_>) -> Result<Counters, Malformed> {
    Ok(Counters {
        received: input.u64()?,
        unique: input.u64()?,
        duplicates: input.u64()?,
        conflicts: input.u64()?,
        projected: input.u64()?,
    })
}
