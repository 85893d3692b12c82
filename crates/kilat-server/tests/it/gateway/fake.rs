//! A replica of the test: reads requests as strictly as can be, remembers them, and answers or
//! misbehaves as the path says.

use socket2::SockRef;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// So that a test that waits for nothing fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) path: String,
    /// Names as they came, in order.
    pub(super) headers: Vec<(String, String)>,
    /// `None` until it is whole.
    pub(super) body: Option<Vec<u8>>,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(key, _)| key == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "two of {name}: {self:?}");
        value
    }
}

/// One replica.
pub(super) struct Fake {
    pub(super) address: SocketAddr,
    pub(super) name: &'static str,
    state: Arc<State>,
    accepting: Option<JoinHandle<()>>,
}

struct State {
    name: &'static str,
    /// Answers nothing any more, probes included.
    is_silent: AtomicBool,
    /// Says 503 to probes and to all else, because it is stopping.
    is_leaving: AtomicBool,
    /// Says 503 to probes and to all else but `/page`, because its disk is full.
    is_full: AtomicBool,
    is_dead: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
    seen: Mutex<Vec<Seen>>,
    /// Connections with more than probes: all, and those that are open.
    used: AtomicUsize,
    open: AtomicUsize,
    /// Where something that waits may go on, once for each.
    permits: Mutex<Vec<&'static str>>,
    changed: Condvar,
}

impl Fake {
    pub(super) fn start(name: &'static str) -> Fake {
        Fake::start_at("127.0.0.1:0".parse().unwrap(), name)
    }

    pub(super) fn start_at(address: SocketAddr, name: &'static str) -> Fake {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            name,
            is_silent: AtomicBool::new(false),
            is_leaving: AtomicBool::new(false),
            is_full: AtomicBool::new(false),
            is_dead: AtomicBool::new(false),
            streams: Mutex::default(),
            seen: Mutex::default(),
            used: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            permits: Mutex::default(),
            changed: Condvar::new(),
        });
        let shared = Arc::clone(&state);
        let accepting = std::thread::spawn(move || accept(&listener, &shared));
        Fake { address, name, state, accepting: Some(accepting) }
    }

    /// As `kill -9` does: the port refuses and every connection is reset.
    pub(super) fn kill(&mut self) {
        self.state.is_dead.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        self.accepting.take().into_iter().for_each(|thread| thread.join().unwrap());
        for stream in self.state.streams.lock().unwrap().drain(..) {
            let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.state.changed.notify_all();
    }

    /// As a replica does with connections that were silent for too long.
    pub(super) fn close_connections(&self) {
        for stream in self.state.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// As `kill -STOP` does: connections stay and nothing is answered.
    pub(super) fn stop_answering(&self) {
        self.state.is_silent.store(true, Ordering::SeqCst);
    }

    /// As a server that is told to stop: nothing new is carried out.
    pub(super) fn leave(&self, is_leaving: bool) {
        self.state.is_leaving.store(is_leaving, Ordering::SeqCst);
    }

    /// As a server without space: it lives, and says no.
    pub(super) fn fill(&self, is_full: bool) {
        self.state.is_full.store(is_full, Ordering::SeqCst);
    }

    /// Lets one that waits at `path` go on, once.
    pub(super) fn permit(&self, path: &'static str) {
        self.state.permits.lock().unwrap().push(path);
        self.state.changed.notify_all();
    }

    /// Whether one was let go on that has not gone on yet.
    pub(super) fn has_permits(&self) -> bool {
        !self.state.permits.lock().unwrap().is_empty()
    }

    /// Every request so far, probes apart.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// Those to a path that begins so.
    pub(super) fn seen_at(&self, path: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.path.starts_with(path)).collect()
    }

    /// Connections so far that were not for a probe.
    pub(super) fn connections_seen(&self) -> usize {
        self.state.used.load(Ordering::SeqCst)
    }

    /// Those of them that are open.
    pub(super) fn open(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }

    /// Waits until none of them is open. What streams finds out by sending.
    pub(super) fn await_closed(&self) {
        let started = Instant::now();
        while self.open() > 0 {
            assert!(started.elapsed() < PATIENCE, "connections stay open");
            self.permit("/events");
            std::thread::yield_now();
        }
    }

    /// Waits until the head of a request to `path` has arrived.
    pub(super) fn await_request(&self, path: &str) {
        let seen = self.state.seen.lock().unwrap();
        let waits = |seen: &mut Vec<Seen>| !seen.iter().any(|seen| seen.path == path);
        let (_seen, timed_out) =
            self.state.changed.wait_timeout_while(seen, PATIENCE, waits).unwrap();
        assert!(!timed_out.timed_out(), "{path} did not arrive");
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.kill();
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    while let Ok((stream, _)) = listener.accept() {
        if state.is_dead.load(Ordering::SeqCst) {
            return;
        }
        stream.set_nodelay(true).unwrap();
        state.streams.lock().unwrap().push(stream.try_clone().unwrap());
        let state = Arc::clone(state);
        std::thread::spawn(move || {
            let other = stream.try_clone().unwrap();
            serve(stream, &state);
            // Its clone among the streams would keep it open.
            let _ = other.shutdown(Shutdown::Both);
        });
    }
}

/// A connection that was used for more than a probe, until it ends.
struct Open<'a>(&'a State);

impl Open<'_> {
    fn new(state: &State) -> Open<'_> {
        state.used.fetch_add(1, Ordering::SeqCst);
        state.open.fetch_add(1, Ordering::SeqCst);
        Open(state)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Serves requests until the peer leaves or something ends the connection.
fn serve(stream: TcpStream, state: &State) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut open = None;
    loop {
        let head = read_head(&mut reader)?;
        let path = head.path.clone();
        let body = if path == "/readyz" {
            Some(Vec::new())
        } else {
            open.get_or_insert_with(|| Open::new(state));
            let place = state.note(head.clone());
            let body = read_body(&mut reader, &head);
            state.seen.lock().unwrap()[place].body.clone_from(&body);
            body
        };
        if path == "/v1/sales/frail/orders" && state.times_seen(&head) < 3 {
            return None;
        }
        if state.is_silent.load(Ordering::SeqCst) {
            state.wait_for_ever();
        }
        answer(reader.get_mut(), state, &path, body?.len())?;
    }
}

fn answer(stream: &mut TcpStream, state: &State, path: &str, body_length: usize) -> Option<()> {
    if state.is_leaving.load(Ordering::SeqCst) {
        let body = r#"{"status":503,"code":"shutting_down"}"#;
        return send(stream, &whole(state, "503 Service Unavailable", body.as_bytes()));
    }
    if state.is_full.load(Ordering::SeqCst) && path != "/page" {
        let body = r#"{"status":503,"code":"storage_full"}"#;
        return send(stream, &whole(state, "503 Service Unavailable", body.as_bytes()));
    }
    match path {
        "/die" => None,
        "/half" => {
            let reply = whole(state, "200 OK", &[b'x'; 100]);
            send(stream, &reply[..reply.len() - 50])?;
            None
        }
        "/half-large" => {
            let reply = whole(state, "200 OK", &[b'x'; 300_000]);
            send(stream, &reply[..reply.len() - 50])?;
            None
        }
        "/large" => send(stream, &whole(state, "200 OK", &[b'x'; 1_000_000])),
        "/wait" => {
            state.wait_for_permit("/wait")?;
            send(stream, &whole(state, "200 OK", state.name.as_bytes()))
        }
        "/events" => stream_events(stream, state),
        "/chunked" => {
            let node = state.name;
            let head = format!(
                "HTTP/1.1 200 OK\r\nx-kilat-node: {node}\r\ntransfer-encoding: chunked\r\n\r\n"
            );
            send(stream, head.as_bytes())?;
            send(stream, b"3\r\nabc\r\n")?;
            send(stream, b"3\r\ndef\r\n0\r\n\r\n")
        }
        "/v1/sales/wait/orders" => {
            state.wait_for_permit("/v1/sales/wait/orders")?;
            send(stream, &whole(state, "201 Created", body_length.to_string().as_bytes()))
        }
        "/v1/sales/die/orders" => None,
        "/v1/sales/only-at-b/orders" if state.name != "b" => None,
        "/v1/sales/garbage/orders" => send(stream, b"201 Created\r\n\r\n"),
        "/v1/sales/half/orders" => {
            let reply = whole(state, "201 Created", &[b'x'; 100]);
            send(stream, &reply[..reply.len() - 50])?;
            None
        }
        "/v1/sales/twice/orders" => send(stream, &whole(state, "201 Created", b"twice").repeat(2)),
        "/v1/sales/other/orders" => {
            let length = "x-request-id: another\r\ncontent-length: 2\r\n\r\n{}";
            send(stream, format!("HTTP/1.1 201 Created\r\n{length}").as_bytes())
        }
        "/v1/sales/chunked/orders" => {
            let head = "HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n";
            send(stream, head.as_bytes())?;
            send(stream, b"3\r\nabc\r\n0\r\n\r\n")
        }
        "/v1/sales/last/orders" => {
            let length = "connection: close\r\ncontent-length: 4\r\n\r\nlast";
            send(stream, format!("HTTP/1.1 201 Created\r\n{length}").as_bytes())?;
            None
        }
        "/v1/sales/large/orders" => send(stream, &whole(state, "201 Created", &[b'x'; 60_000])),
        "/no-content" => send(
            stream,
            b"HTTP/1.1 204 No Content\r\nx-request-id: its-own\r\nkeep-alive: timeout=5\r\n\r\n",
        ),
        _ => send(stream, &whole(state, "200 OK", body_length.to_string().as_bytes())),
    }
}

/// An event for each permit, until the peer leaves.
fn stream_events(stream: &mut TcpStream, state: &State) -> Option<()> {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    send(stream, head.as_bytes())?;
    for number in 1.. {
        state.wait_for_permit("/events")?;
        let event = format!("data: {number}\n\n");
        send(stream, format!("{:x}\r\n{event}\r\n", event.len()).as_bytes())?;
    }
    None
}

fn whole(state: &State, status: &str, body: &[u8]) -> Vec<u8> {
    let (node, length) = (state.name, body.len());
    let head =
        format!("HTTP/1.1 {status}\r\nx-kilat-node: {node}\r\ncontent-length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn send(stream: &mut TcpStream, bytes: &[u8]) -> Option<()> {
    stream.write_all(bytes).ok()
}

impl State {
    /// Remembers a request whose body comes; tells where.
    fn note(&self, head: Seen) -> usize {
        let mut seen = self.seen.lock().unwrap();
        seen.push(head);
        self.changed.notify_all();
        seen.len() - 1
    }

    /// How often this request has arrived.
    fn times_seen(&self, head: &Seen) -> usize {
        let id = head.header("x-request-id");
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|seen| seen.header("x-request-id") == id).count()
    }

    /// `None` when the replica is killed meanwhile.
    fn wait_for_permit(&self, path: &str) -> Option<()> {
        let is_dead = || self.is_dead.load(Ordering::SeqCst);
        let is_ours = |permit: &&str| *permit == path;
        let permits = self.permits.lock().unwrap();
        let waits = |permits: &mut Vec<&str>| !permits.iter().any(is_ours) && !is_dead();
        let (mut permits, _) = self.changed.wait_timeout_while(permits, PATIENCE, waits).unwrap();
        let place = permits.iter().position(is_ours).filter(|_| !is_dead())?;
        permits.remove(place);
        Some(())
    }

    fn wait_for_ever(&self) {
        let permits = self.permits.lock().unwrap();
        let is_alive = |_: &mut Vec<&str>| !self.is_dead.load(Ordering::SeqCst);
        drop(self.changed.wait_timeout_while(permits, PATIENCE, is_alive));
    }
}

/// Reads a head; what is not the plainest form of one is the gateway's fault, and ends the test.
fn read_head(reader: &mut BufReader<TcpStream>) -> Option<Seen> {
    let line = read_line(reader)?;
    let parts: Vec<&str> = line.split(' ').collect();
    let [method, path, "HTTP/1.1"] = parts[..] else {
        panic!("not a request line: {line:?}");
    };
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no header: {line:?}"));
        let is_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b);
        assert!(!name.is_empty() && name.bytes().all(is_name), "{line:?}");
        headers.push((name.to_owned(), value.to_owned()));
    }
    let (method, path) = (method.to_owned(), path.to_owned());
    Some(Seen { method, path, headers, body: None })
}

/// `None` at an end before or in the line.
fn read_line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).ok()?;
    let line = line.strip_suffix(b"\n")?;
    let line = line.strip_suffix(b"\r").expect("CR LF at the end of a line");
    assert!(!line.contains(&b'\r'), "a bare CR: {line:?}");
    Some(String::from_utf8_lossy(line).into_owned())
}

/// `None` when the body breaks off.
fn read_body(reader: &mut BufReader<TcpStream>, seen: &Seen) -> Option<Vec<u8>> {
    match (seen.header("content-length"), seen.header("transfer-encoding")) {
        (None, None) => Some(Vec::new()),
        (Some(length), None) => {
            let number: usize = length.parse().unwrap();
            assert_eq!(number.to_string(), length, "not the plainest form");
            read_exactly(reader, number)
        }
        (None, Some(coding)) => {
            assert_eq!(coding, "chunked");
            read_chunks(reader)
        }
        (Some(_), Some(_)) => panic!("both length and coding: {seen:?}"),
    }
}

fn read_chunks(reader: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = usize::from_str_radix(&read_line(reader)?, 16).unwrap();
        body.extend(read_exactly(reader, size)?);
        assert_eq!(read_line(reader)?, "", "a chunk ends with CR LF");
        if size == 0 {
            return Some(body);
        }
    }
}

fn read_exactly(reader: &mut impl Read, count: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; count];
    reader.read_exact(&mut bytes).ok()?;
    Some(bytes)
}
