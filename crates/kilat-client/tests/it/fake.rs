//! A small server of the contract, written for these tests and from the
//! contract alone, that lies or fails on demand.

mod rules;

use rules::{Sale, route};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
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
}

struct State {
    fault: Fault,
    sales: Mutex<HashMap<String, Sale>>,
    admin_keys: Mutex<Vec<String>>,
    requests: AtomicU64,
    stopping: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

/// A running server. Dropping it stops it.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    accept: Option<JoinHandle<()>>,
}

impl Fake {
    pub(crate) fn start(fault: Fault) -> Fake {
        let state = Arc::new(State {
            fault,
            sales: Mutex::default(),
            admin_keys: Mutex::default(),
            requests: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let accept = Some(serve(listener, Arc::clone(&state)));
        Fake { address, state, accept }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests for orders so far.
    pub(crate) fn orders_asked(&self) -> u64 {
        self.state.requests.load(Ordering::SeqCst)
    }

    /// Keys that came with admin calls.
    pub(crate) fn admin_keys(&self) -> Vec<String> {
        self.state.admin_keys.lock().unwrap().clone()
    }

    /// Breaks every connection and answers nobody.
    pub(crate) fn kill(&mut self) {
        self.state.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(accept) = self.accept.take() {
            accept.join().unwrap();
        }
        for stream in self.state.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }

    /// Serves again on the same port, with everything it knew.
    pub(crate) fn restart(&mut self) {
        self.state.stopping.store(false, Ordering::SeqCst);
        let listener = TcpListener::bind(self.address).unwrap();
        self.accept = Some(serve(listener, Arc::clone(&self.state)));
    }

    /// Makes a sale as if somebody had done so before.
    pub(crate) fn make_sale(&self, id: &str, supply: u64, per_customer: Option<u32>) {
        let request = json!({"id": id, "title": "T", "sku": "S", "price": {"amount": "1", "currency": "IDR"},
            "supply": supply, "per_customer": per_customer, "opens_at": null, "closes_at": null, "hold_seconds": 60});
        let sale = Sale::new(request, supply);
        self.state.sales.lock().unwrap().insert(id.to_owned(), sale);
    }

    /// Lets a stranger buy.
    pub(crate) fn buy_as_stranger(&self, id: &str, customer: &str) {
        let mut sales = self.state.sales.lock().unwrap();
        sales.get_mut(id).unwrap().place("k", customer, 1, "confirmed");
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.kill();
    }
}

fn serve(listener: TcpListener, state: Arc<State>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            if state.stopping.load(Ordering::SeqCst) {
                return;
            }
            state.open.lock().unwrap().push(stream.try_clone().unwrap());
            let state = Arc::clone(&state);
            std::thread::spawn(move || {
                let _ = converse(&stream, &state);
                let _ = stream.shutdown(std::net::Shutdown::Both);
            });
        }
    })
}

/// A request, taken apart.
struct Ask {
    method: String,
    path: String,
    key: Option<String>,
    is_admin: bool,
    body: Value,
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

fn converse(stream: &TcpStream, state: &State) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(ask) = read_ask(&mut reader)? {
        if state.stopping.load(Ordering::SeqCst) {
            return Ok(());
        }
        let is_order = ask.method == "POST" && ask.path.contains("/orders");
        let number = if is_order { state.requests.fetch_add(1, Ordering::SeqCst) + 1 } else { 0 };
        let luck = if is_order { luck(stream, state, number)? } else { Luck::Act };
        let reply = match luck {
            Luck::Act => route(state, &ask),
            Luck::Refuse(reply) => reply,
            Luck::Close => return Ok(()),
        };
        if is_order && state.fault == Fault::DropsRepliesAfterActing && number.is_multiple_of(7) {
            return Ok(());
        }
        if state.fault == Fault::DropsSomeEarlyReplies && (10..20).contains(&number) {
            return Ok(());
        }
        if reply.headers.iter().any(|(name, _)| *name == rules::LOST) {
            return Ok(());
        }
        write_answer(stream, &reply, state.fault, is_order)?;
        if state.fault == Fault::ClosesAfterEachReply {
            return Ok(());
        }
    }
    Ok(())
}

/// What meets a request before anything is done.
enum Luck {
    Act,
    Refuse(Answer),
    Close,
}

fn luck(mut stream: &TcpStream, state: &State, number: u64) -> std::io::Result<Luck> {
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

fn read_ask(reader: &mut BufReader<&TcpStream>) -> std::io::Result<Option<Ask>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (method, path) =
        (words.next().unwrap_or("").to_owned(), words.next().unwrap_or("").to_owned());
    let (mut length, mut key, mut is_admin) = (0, None, false);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "idempotency-key" => key = Some(value.to_owned()),
            "authorization" => is_admin = value == format!("Bearer {ADMIN}"),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Ok(Some(Ask { method, path, key, is_admin, body }))
}

fn write_answer(
    mut stream: &TcpStream,
    reply: &Answer,
    fault: Fault,
    is_order: bool,
) -> std::io::Result<()> {
    let body = if reply.body.is_null() { String::new() } else { reply.body.to_string() };
    let mut text = format!(
        "HTTP/1.1 {} X\r\nx-kilat-node: fake\r\ncontent-type: application/json\r\n",
        reply.status
    );
    for (name, value) in &reply.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if fault == Fault::Chunked {
        let (head, tail) = body.split_at(body.len() / 2);
        text.push_str("transfer-encoding: chunked\r\n\r\n");
        for part in [head, tail].iter().filter(|part| !part.is_empty()) {
            text.push_str(&format!("{:x}\r\n{part}\r\n", part.len()));
        }
        text.push_str("0\r\n\r\n");
    } else {
        text.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    }
    if fault == Fault::SlowBytes && is_order {
        for piece in text.as_bytes().chunks(40) {
            stream.write_all(piece)?;
            std::thread::sleep(Duration::from_millis(1));
        }
        return Ok(());
    }
    stream.write_all(text.as_bytes())
}
