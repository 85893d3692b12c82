//! A small event log of the contract, written for these tests and from the
//! contract alone, that lies or fails on demand.

use crate::standin::{Ask, Next, StandIn, write_reply};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// What a log does wrong. Each is done to some deliveries only, picked by a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    // Lies: the verification must fail.
    DropsAnEvent,
    StoresADuplicate,
    StoresAStranger,
    StoresAgainAfterLostReply,
    CountsOneTooFew,
    CountsOneTooMany,
    CountsOneUniqueTooMany,
    CountsOneDropTooFew,
    ChangesAPayload,
    ChangesATimestamp,
    ChangesASource,
    TellsStoredTwice,
    TellsAnotherOffset,
    ListsOutOfOrder,
    MiscountsTheTopic,
    MiscountsAPage,
    CallsADuplicateAConflict,
    ContradictsItself,
    LeavesOutAResult,
    // Bad luck: the verification must hold.
    LosesReplies,
    ResetsBeforeActing,
    Throttles,
    NotNow,
    ProxyFails,
    Stalls,
    ClosesAfterEachReply,
    // What can't go on.
    AnswersHtml,
    AsksForAToken,
    Redirects,
}

/// An event as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) offset: u64,
    pub(crate) event: Value,
}

#[derive(Default)]
pub(crate) struct Log {
    pub(crate) events: Vec<Event>,
    known: HashMap<(String, String), usize>,
    pub(crate) received: u64,
    pub(crate) unique: u64,
    pub(crate) dropped: u64,
    pub(crate) conflicts: u64,
    /// When each `POST /publish` came, and how many events were in it.
    pub(crate) posts: Vec<(Instant, usize)>,
    /// Bodies of `POST /events/forget`.
    pub(crate) forgets: Vec<Value>,
    /// Deliveries so far, for choosing a victim.
    deliveries: u64,
    has_lied: bool,
}

struct State {
    fault: Fault,
    log: Mutex<Log>,
    posted: Condvar,
    /// Answers so many more posts, then none.
    answers_left: Mutex<Option<u64>>,
    /// Acts on a post that it does not answer.
    acts_in_silence: AtomicBool,
    /// Most events of a body; a larger one is 413.
    body_events_max: Mutex<usize>,
}

/// Status, headers, body.
type Answer = (u16, Vec<(&'static str, String)>, String);

fn answer(status: u16, body: &Value) -> Answer {
    (status, Vec::new(), body.to_string())
}

fn problem(status: u16, code: &str) -> Answer {
    answer(status, &json!({"type": "about:blank", "title": code, "status": status, "code": code}))
}

/// A running server. Dropping it stops it.
pub(crate) struct FakeLog {
    pub(crate) server: StandIn,
    state: Arc<State>,
}

impl FakeLog {
    pub(crate) fn start(fault: Fault) -> FakeLog {
        let state = Arc::new(State {
            fault,
            log: Mutex::default(),
            posted: Condvar::new(),
            answers_left: Mutex::default(),
            acts_in_silence: AtomicBool::new(false),
            body_events_max: Mutex::new(usize::MAX),
        });
        let served = Arc::clone(&state);
        let server = StandIn::start(move |stream, ask| serve(stream, ask, &served));
        FakeLog { server, state }
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.state.log.lock().unwrap()
    }

    /// Waits until so many posts came.
    pub(crate) fn await_posts(&self, count: usize) {
        let log = self.log();
        drop(self.state.posted.wait_while(log, |log| log.posts.len() < count).unwrap());
    }

    /// Answers so many more posts and closes on the others, acted on or not.
    pub(crate) fn answer_only(&self, count: Option<u64>, acts_in_silence: bool) {
        *self.state.answers_left.lock().unwrap() = count;
        self.state.acts_in_silence.store(acts_in_silence, Ordering::SeqCst);
    }

    pub(crate) fn take_at_most(&self, events: usize) {
        *self.state.body_events_max.lock().unwrap() = events;
    }

    /// Stores an event as if somebody else had published it.
    pub(crate) fn publish_as_stranger(&self, topic: &str, id: &str) {
        let event = json!({"topic": topic, "event_id": id, "timestamp": "2026-01-01T00:00:00Z", "source": "x", "payload": {}});
        self.log().take(Fault::None, &event);
    }
}

fn serve(stream: &TcpStream, ask: &Ask, state: &State) -> io::Result<Next> {
    let Some((status, headers, body)) = reply(state, ask) else {
        return Ok(Next::Close);
    };
    write_reply(stream, status, &headers, &body)?;
    let closes = state.fault == Fault::ClosesAfterEachReply;
    Ok(if closes { Next::Close } else { Next::Read })
}

/// What is answered; `None` to close without an answer.
fn reply(state: &State, ask: &Ask) -> Option<Answer> {
    let path = ask.path.split('?').next().unwrap_or_default();
    if (ask.method.as_str(), path) == ("POST", "/publish") {
        let reply = post(state, ask);
        state.posted.notify_all();
        return reply;
    }
    let mut log = state.log.lock().unwrap();
    Some(match (ask.method.as_str(), path) {
        ("GET", "/stats") => answer(200, &log.stats(state.fault)),
        ("GET", "/topics") => {
            answer(200, &json!({"topics": log.topics(state.fault), "next": null}))
        }
        ("GET", "/events") => answer(200, &log.page(state.fault, &ask.path)),
        ("POST", "/events/forget") if ask.header("authorization") != Some("Bearer admin") => {
            problem(401, "unauthorized")
        }
        ("POST", "/events/forget") => {
            log.forgets.push(ask.body.clone());
            answer(200, &json!({"below": log.events.len()}))
        }
        _ => problem(404, "not_found"),
    })
}

fn post(state: &State, ask: &Ask) -> Option<Answer> {
    let one = [ask.body.clone()];
    let events: &[Value] = ask.body.as_array().map_or(&one, Vec::as_slice);
    let number = {
        let mut log = state.log.lock().unwrap();
        log.posts.push((Instant::now(), events.len()));
        log.posts.len() as u64
    };
    let is_answered = match &mut *state.answers_left.lock().unwrap() {
        None => true,
        Some(0) => false,
        Some(left) => {
            *left -= 1;
            true
        }
    };
    if !is_answered && !state.acts_in_silence.load(Ordering::SeqCst) {
        return None;
    }
    let luck = match state.fault {
        Fault::ResetsBeforeActing if number.is_multiple_of(5) => return None,
        Fault::Throttles if number.is_multiple_of(4) => Some(problem(429, "too_many_requests")),
        Fault::NotNow if number == 2 => {
            let (status, _, body) = problem(503, "overloaded");
            Some((status, vec![("retry-after", "1".to_owned())], body))
        }
        Fault::ProxyFails if number.is_multiple_of(4) => {
            Some((502, Vec::new(), "<html>Bad Gateway</html>".to_owned()))
        }
        Fault::AnswersHtml => Some((200, Vec::new(), "<html>Welcome</html>".to_owned())),
        Fault::AsksForAToken if ask.header("authorization").is_none() => {
            Some(problem(401, "unauthorized"))
        }
        Fault::Redirects => Some((307, vec![("location", "/elsewhere".to_owned())], String::new())),
        _ if events.len() > *state.body_events_max.lock().unwrap() => {
            Some(problem(413, "too_large"))
        }
        _ => None,
    };
    if luck.is_some() {
        return luck;
    }
    let reply = state.log.lock().unwrap().publish(state.fault, ask, events);
    if state.fault == Fault::Stalls && number.is_multiple_of(6) {
        std::thread::sleep(Duration::from_millis(400));
    }
    let is_lost = match state.fault {
        Fault::LosesReplies => number.is_multiple_of(5),
        Fault::StoresAgainAfterLostReply => number == 3,
        _ => false,
    };
    (is_answered && !is_lost).then_some(reply)
}

impl Log {
    fn publish(&mut self, fault: Fault, ask: &Ask, events: &[Value]) -> Answer {
        let skips = ask.path.contains("on_invalid=skip");
        let is_bad = |event: &Value| event["payload"]["refuse"] == true;
        if !skips && events.iter().any(is_bad) {
            let errors: Vec<Value> = events
                .iter()
                .enumerate()
                .filter(|(_, event)| is_bad(event))
                .map(|(index, _)| json!({"index": index, "field": "payload", "message": "is refused"}))
                .collect();
            return answer(
                422,
                &json!({"type": "about:blank", "title": "t", "status": 422, "code": "invalid", "errors": errors}),
            );
        }
        let mut results = Vec::new();
        let mut counts =
            BTreeMap::from([("stored", 0), ("duplicate", 0), ("conflict", 0), ("invalid", 0)]);
        for event in events {
            let (status, offset) = match is_bad(event) {
                true => ("invalid", None),
                false => self.take(fault, event),
            };
            *counts.entry(status).or_default() += 1;
            results.push(match offset {
                Some(offset) => json!({"status": status, "offset": offset}),
                None => json!({"status": status, "errors": [{"field": "payload", "message": "is refused"}]}),
            });
        }
        let (stored, duplicates, conflicts) =
            (counts["stored"], counts["duplicate"], counts["conflict"]);
        let mut body = json!({"received": stored + duplicates + conflicts, "stored": stored,
            "duplicates": duplicates, "conflicts": conflicts, "invalid": counts["invalid"]});
        if self.lies(fault, Fault::ContradictsItself) {
            body["received"] = json!(stored + duplicates + conflicts + 1);
        }
        if ask.header("prefer") != Some("return=minimal") {
            if self.lies(fault, Fault::LeavesOutAResult) {
                results.pop();
            }
            body["results"] = Value::Array(results);
        }
        answer(200, &body)
    }

    /// Stores an event, or says what it is instead.
    fn take(&mut self, fault: Fault, event: &Value) -> (&'static str, Option<u64>) {
        self.received += 1;
        self.deliveries += 1;
        let key = (
            event["topic"].as_str().unwrap().to_owned(),
            event["event_id"].as_str().unwrap().to_owned(),
        );
        if let Some(&at) = self.known.get(&key) {
            return self.repeat(fault, event, at);
        }
        if fault == Fault::CountsOneTooFew && self.deliveries == 10 {
            self.received -= 1;
        }
        if fault == Fault::CountsOneTooMany && self.deliveries == 10 {
            self.received += 1;
            self.dropped += 1;
        }
        if fault == Fault::CountsOneUniqueTooMany && self.unique == 10 {
            (self.unique, self.received) = (self.unique + 1, self.received + 1);
        }
        self.unique += 1;
        self.known.insert(key, self.events.len());
        (("stored"), Some(self.append(event)))
    }

    /// Whether it is time for the one lie that is wanted.
    fn lies(&mut self, fault: Fault, wanted: Fault) -> bool {
        fault == wanted && !std::mem::replace(&mut self.has_lied, true)
    }

    fn append(&mut self, event: &Value) -> u64 {
        let offset = self.events.len() as u64;
        self.events.push(Event { offset, event: event.clone() });
        offset
    }

    fn repeat(&mut self, fault: Fault, event: &Value, at: usize) -> (&'static str, Option<u64>) {
        self.dropped += 1;
        let original = self.events[at].offset;
        let is_same = ["timestamp", "source", "payload"]
            .iter()
            .all(|field| self.events[at].event[field] == event[field]);
        if self.lies(fault, Fault::CountsOneDropTooFew) {
            (self.dropped, self.received) = (self.dropped - 1, self.received - 1);
        }
        if self.lies(fault, Fault::StoresADuplicate)
            || self.lies(fault, Fault::StoresAgainAfterLostReply)
        {
            self.append(event);
        }
        if self.lies(fault, Fault::TellsStoredTwice) {
            return ("stored", Some(original));
        }
        if self.lies(fault, Fault::TellsAnotherOffset) {
            return ("duplicate", Some(original + 1));
        }
        if self.lies(fault, Fault::CallsADuplicateAConflict) {
            self.conflicts += 1;
            return ("conflict", Some(original));
        }
        if is_same {
            return ("duplicate", Some(original));
        }
        self.conflicts += 1;
        ("conflict", Some(original))
    }

    fn stats(&self, fault: Fault) -> Value {
        let figures = json!({"total_events_received": self.received, "total_unique_events_processed": self.unique,
            "total_duplicate_events_dropped": self.dropped, "total_conflicts": self.conflicts, "projected": 0});
        let mut stats = figures.clone();
        stats["uptime"] = json!(1.5);
        stats["topics"] = self.topics(fault);
        stats["runtime"] = figures;
        stats
    }

    fn topics(&self, fault: Fault) -> Value {
        let mut counts = BTreeMap::<&str, u64>::new();
        for (topic, _) in self.known.keys() {
            *counts.entry(topic).or_default() += 1;
        }
        let more = u64::from(fault == Fault::MiscountsTheTopic && !counts.is_empty());
        counts.iter().map(|(topic, count)| json!({"topic": topic, "count": count + more})).collect()
    }

    fn page(&self, fault: Fault, path: &str) -> Value {
        let value = |name: &str| {
            let query = path.split_once('?').unwrap_or_default().1;
            query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        };
        let topic = value("topic");
        let after: Option<u64> = value("after").map(|after| after.parse().unwrap());
        let limit = value("limit").map_or(100, |limit| limit.parse().unwrap()).min(300);
        let mut found: Vec<&Event> = self
            .events
            .iter()
            .filter(|event| after.is_none_or(|after| event.offset > after))
            .filter(|event| topic.is_none_or(|topic| event.event["topic"] == topic))
            .filter(|event| !(fault == Fault::DropsAnEvent && event.offset == 5))
            .collect();
        let has_more = found.len() > limit;
        found.truncate(limit);
        let next = if has_more { found.last().map(|event| event.offset) } else { None };
        if fault == Fault::ListsOutOfOrder && after.is_none() {
            found.swap(3, 4);
        }
        let mut events: Vec<Value> = found.iter().map(|event| show(fault, event)).collect();
        if fault == Fault::StoresAStranger && after.is_none() {
            let mut stranger = events[0].clone();
            stranger["event_id"] = "who-1".into();
            stranger["offset"] = json!(found[found.len() - 1].offset);
            events.pop();
            events.push(stranger);
        }
        let count = events.len() + usize::from(fault == Fault::MiscountsAPage);
        json!({"topic": topic, "count": count, "events": events, "next": next})
    }
}

fn show(fault: Fault, event: &Event) -> Value {
    let mut shown = event.event.clone();
    shown["offset"] = event.offset.into();
    shown["received_at"] = "2026-11-21T01:02:03.456Z".into();
    if event.offset == 7 {
        match fault {
            Fault::ChangesAPayload => shown["payload"]["number"] = json!(1_000_000),
            Fault::ChangesATimestamp => shown["timestamp"] = "2026-01-01T00:00:00.0000001Z".into(),
            Fault::ChangesASource => shown["source"] = "somebody".into(),
            _ => {}
        }
    }
    shown
}
