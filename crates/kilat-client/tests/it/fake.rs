//! A small server of the contract, written for these tests and from the
//! contract alone, that lies or fails on demand.

mod rules;

use crate::standin::{self, Ask, Next, StandIn};
use rules::{Sale, route};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) const ADMIN: &str = "admin-token-for-tests";

/// What a server does wrong. Each is done to some requests only, picked by a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    // Lies: the proof must fail.
    OversellsByOne,
    OversellsAndHidesIt,
    ForgetsAnAcknowledgedOrder,
    SecondOrderForOneKey,
    SecondOrderAfterLostReply,
    RefusesReplay,
    ForgetsToMarkReplays,
    SaysSoldOutTooEarly,
    SameIdTwice,
    SameSequenceTwice,
    AnotherQuantityInReply,
    ListsAnotherCustomer,
    AuditDoesNotBalance,
    AuditSaysUnbalanced,
    ConfirmsWithoutEffect,
    // Bad luck: the proof must hold.
    DropsRepliesAfterActing,
    DropsSomeEarlyReplies,
    ResetsBeforeActing,
    Throttles,
    NotNow,
    Faults,
    Stalls,
    SlowBytes,
    Garbage,
    ClosesAfterEachReply,
    Chunked,
    // Our own mistake: the attack must stop.
    SaysInvalid,
    Redirects,
    // Of no consequence to the proof.
    ClosesNoSale,
}

struct State {
    fault: Fault,
    sales: Mutex<HashMap<String, Sale>>,
    admin_keys: Mutex<Vec<String>>,
    requests: AtomicU64,
}

/// A running server. Dropping it stops it.
pub(crate) struct Fake {
    pub(crate) server: StandIn,
    state: Arc<State>,
}

impl Fake {
    pub(crate) fn start(fault: Fault) -> Fake {
        let state = Arc::new(State {
            fault,
            sales: Mutex::default(),
            admin_keys: Mutex::default(),
            requests: AtomicU64::new(0),
        });
        let served = Arc::clone(&state);
        let server = StandIn::start(move |stream, ask| serve(stream, ask, &served));
        Fake { server, state }
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// Requests for orders so far.
    pub(crate) fn orders_asked(&self) -> u64 {
        self.state.requests.load(Ordering::SeqCst)
    }

    /// Keys that came with admin calls.
    pub(crate) fn admin_keys(&self) -> Vec<String> {
        self.state.admin_keys.lock().unwrap().clone()
    }

    /// Makes a sale as if somebody had done so before.
    pub(crate) fn make_sale(&self, id: &str, supply: u64, per_customer: Option<u32>) {
        let request = json!({"id": id, "title": "T", "sku": "S", "price": {"amount": "1", "currency": "IDR"},
            "supply": supply, "per_customer": per_customer, "opens_at": null, "closes_at": null, "hold_seconds": 60});
        let sale = Sale::new(request, supply);
        self.state.sales.lock().unwrap().insert(id.to_owned(), sale);
    }

    /// States that sales were switched to, of those that were switched.
    pub(crate) fn switched(&self) -> Vec<String> {
        self.state.sales.lock().unwrap().values().filter_map(|sale| sale.state.clone()).collect()
    }

    /// Switches a sale as if somebody had done so before.
    pub(crate) fn switch(&self, id: &str, state: &str) {
        self.state.sales.lock().unwrap().get_mut(id).unwrap().state = Some(state.to_owned());
    }

    /// Lets a stranger buy.
    pub(crate) fn buy_as_stranger(&self, id: &str, customer: &str) {
        let mut sales = self.state.sales.lock().unwrap();
        sales.get_mut(id).unwrap().place("k", customer, 1, "confirmed");
    }
}

impl Ask {
    fn key(&self) -> Option<&str> {
        self.header("idempotency-key")
    }

    fn is_admin(&self) -> bool {
        self.header("authorization") == Some(&format!("Bearer {ADMIN}"))
    }
}

struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Value,
}

fn answer(status: u16, body: Value) -> Answer {
    Answer { status, headers: Vec::new(), body }
}

fn problem(status: u16, code: &str) -> Answer {
    answer(status, json!({"type": "about:blank", "title": code, "status": status, "code": code}))
}

fn serve(stream: &TcpStream, ask: &Ask, state: &State) -> io::Result<Next> {
    let is_order = ask.method == "POST" && ask.path.contains("/orders");
    let number = if is_order { state.requests.fetch_add(1, Ordering::SeqCst) + 1 } else { 0 };
    let luck = if is_order { luck(stream, state, number)? } else { Luck::Act };
    let reply = match luck {
        Luck::Act => route(state, ask),
        Luck::Refuse(reply) => reply,
        Luck::Close => return Ok(Next::Close),
    };
    let is_lost = match state.fault {
        Fault::DropsRepliesAfterActing => is_order && number.is_multiple_of(7),
        Fault::DropsSomeEarlyReplies => (10..20).contains(&number),
        _ => reply.headers.iter().any(|(name, _)| *name == rules::LOST),
    };
    if is_lost {
        if state.fault == Fault::DropsSomeEarlyReplies {
            // Longer than the least patience: a loss noticed earlier would be tried again.
            std::thread::sleep(Duration::from_millis(3));
        }
        return Ok(Next::Close);
    }
    write_answer(stream, &reply, state.fault, is_order)?;
    let closes = state.fault == Fault::ClosesAfterEachReply;
    Ok(if closes { Next::Close } else { Next::Read })
}

/// What meets a request before anything is done.
enum Luck {
    Act,
    Refuse(Answer),
    Close,
}

fn luck(mut stream: &TcpStream, state: &State, number: u64) -> io::Result<Luck> {
    let reply = match state.fault {
        Fault::ResetsBeforeActing if number.is_multiple_of(5) => return Ok(Luck::Close),
        Fault::Garbage if number.is_multiple_of(6) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nwhat is this\r\n\r\n")?;
            return Ok(Luck::Close);
        }
        Fault::Throttles if number.is_multiple_of(4) => problem(429, "too_many_requests"),
        Fault::NotNow if number == 9 => {
            Answer { headers: vec![("retry-after", "1".to_owned())], ..problem(503, "overloaded") }
        }
        Fault::Faults if number.is_multiple_of(4) => problem(500, "internal"),
        Fault::Stalls if number == 10 => {
            // All buyers wait behind the one lock, as behind one stopped process.
            let _everyone = state.sales.lock().unwrap();
            std::thread::sleep(Duration::from_millis(400));
            return Ok(Luck::Act);
        }
        Fault::SaysInvalid if number > 3 => Answer {
            body: json!({"type": "about:blank", "title": "t", "status": 422, "code": "invalid",
                "errors": [{"field": "quantity", "message": "must be odd"}]}),
            ..problem(422, "invalid")
        },
        Fault::Redirects => Answer {
            headers: vec![("location", "/elsewhere".to_owned())],
            ..answer(307, Value::Null)
        },
        _ => return Ok(Luck::Act),
    };
    Ok(Luck::Refuse(reply))
}

fn write_answer(
    mut stream: &TcpStream,
    reply: &Answer,
    fault: Fault,
    is_order: bool,
) -> io::Result<()> {
    let body = if reply.body.is_null() { String::new() } else { reply.body.to_string() };
    let mut headers = reply.headers.clone();
    headers.push(("content-type", "application/json".to_owned()));
    let text = match fault {
        Fault::Chunked => in_chunks(reply.status, &headers, &body),
        _ => standin::reply(reply.status, &headers, &body),
    };
    if fault == Fault::SlowBytes && is_order {
        for piece in text.as_bytes().chunks(40) {
            stream.write_all(piece)?;
            std::thread::sleep(Duration::from_millis(1));
        }
        return Ok(());
    }
    stream.write_all(text.as_bytes())
}

fn in_chunks(status: u16, headers: &[(&'static str, String)], body: &str) -> String {
    let mut text = standin::head(status, headers) + "transfer-encoding: chunked\r\n\r\n";
    let (head, tail) = body.split_at(body.len() / 2);
    for part in [head, tail].iter().filter(|part| !part.is_empty()) {
        text.push_str(&format!("{:x}\r\n{part}\r\n", part.len()));
    }
    text + "0\r\n\r\n"
}
