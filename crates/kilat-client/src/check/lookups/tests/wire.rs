//! Over real connections, from real inputs into a real log. Real time passes here: only
//! counts are compared, and moments by the server's own clock.

use super::*;
use crate::check::audit::{Audit, AuditOptions, Ending, Format, RunFacts, Seen};
use crate::check::exchange::{Exchange, ExchangeOptions, Http2};
use crate::check::ids::{IdInput, Ids};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// What a server does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Found,
    NotFound,
    Fails,
    Page,
    /// Breaks the connection in the middle of the reply.
    Breaks,
}

/// What is counted at the server.
#[derive(Default)]
struct Counts {
    requests: AtomicUsize,
    busy: AtomicUsize,
    refused: AtomicUsize,
    early: AtomicUsize,
    told: Mutex<HashMap<String, Instant>>,
    asked: Mutex<HashMap<String, usize>>,
}

/// Takes `places` at once for `delay` each; others are told to come again in 1 s.
struct Server {
    places: usize,
    delay: Duration,
    /// By the id and how often it was served before.
    fate: fn(&str, usize) -> Fate,
    counts: Counts,
}

/// A thread that serves. Dropping it breaks all connections and frees the port.
struct Serving {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    fn new(places: usize, delay: Duration, fate: fn(&str, usize) -> Fate) -> Arc<Server> {
        Arc::new(Server { places, delay, fate, counts: Counts::default() })
    }

    /// Begins to serve at `address`.
    fn serve(self: &Arc<Server>, address: &str) -> Serving {
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, mut stopped) = oneshot::channel();
        let server = Arc::clone(self);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                loop {
                    tokio::select! {
                        _ = &mut stopped => break,
                        accepted = listener.accept() => {
                            let server = Arc::clone(&server);
                            let stream = accepted.unwrap().0;
                            tokio::spawn(async move { server.connection(stream).await });
                        }
                    }
                }
            });
        });
        Serving { address, stop: Some(stop), thread: Some(thread) }
    }

    async fn connection(&self, mut stream: TcpStream) -> Option<()> {
        stream.set_nodelay(true).ok()?;
        let (reading, mut writing) = stream.split();
        let mut lines = BufReader::new(reading).lines();
        loop {
            let first = lines.next_line().await.ok()??;
            while !lines.next_line().await.ok()??.is_empty() {}
            let id = first.split_once("sku=")?.1.split_once(' ')?.0.to_owned();
            let (reply, is_whole) = self.answer(id).await;
            let end = if is_whole { reply.len() } else { reply.len() - 5 };
            writing.write_all(&reply.as_bytes()[..end]).await.ok()?;
            if !is_whole {
                return None;
            }
        }
    }

    /// The reply, and whether it is to arrive whole.
    async fn answer(&self, id: String) -> (String, bool) {
        let Counts { requests, busy, refused, early, told, asked } = &self.counts;
        requests.fetch_add(1, Ordering::Relaxed);
        if let Some(told) = told.lock().unwrap().remove(&id) {
            early.fetch_add(usize::from(told.elapsed() < s(1)), Ordering::Relaxed);
        }
        if busy.load(Ordering::Relaxed) >= self.places {
            refused.fetch_add(1, Ordering::Relaxed);
            told.lock().unwrap().insert(id, Instant::now());
            return (http("429 Too Many Requests", "retry-after: 1\r\n", ""), true);
        }
        let before = {
            let mut asked = asked.lock().unwrap();
            let count = asked.entry(id.clone()).or_insert(0);
            *count += 1;
            *count - 1
        };
        busy.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(self.delay).await;
        busy.fetch_sub(1, Ordering::Relaxed);
        let found = r#"{"name":"a","sku":"b","stock":7,"warehouse":"c"}"#;
        let fate = (self.fate)(&id, before);
        let reply = match fate {
            Fate::Found | Fate::Breaks => http("200 OK", "", found),
            Fate::NotFound => http("404 Not Found", "", r#"{"error":"sku_not_found"}"#),
            Fate::Fails => http("500 Internal Server Error", "", ""),
            Fate::Page => http("200 OK", "content-type: text/html\r\n", "<html>"),
        };
        (reply, fate != Fate::Breaks)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn http(status: &str, fields: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{fields}\r\n{body}", body.len())
}

/// A rig that asks `address`.
fn rig(count: usize, concurrency: u32, address: SocketAddr) -> Rig {
    let mut rig = Rig::new(count).concurrency(concurrency);
    rig.profile = rig.profile.at(&format!("http://{address}"), Lang::English).unwrap();
    rig
}

/// Checks the rig's ids; returns what the run came to and what is on disk.
async fn check(rig: &Rig) -> (RunEnd, Vec<Finding>) {
    let directory = tempfile::tempdir().unwrap();
    let durable = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&durable);
    let run_facts = RunFacts {
        profile: "stock".to_owned(),
        url: rig.profile.url().to_owned(),
        lang: Lang::English,
        total: None,
    };
    let (audit, _) = Audit::open(AuditOptions {
        path: directory.path().join("log.jsonl"),
        format: Format::Json,
        overwrite: false,
        resume: false,
        run: run_facts,
        on_durable: Box::new(move |findings| keep.lock().unwrap().extend_from_slice(findings)),
    })
    .unwrap();
    let listed = rig.ids.iter().map(|id| Id::new(id).unwrap()).collect();
    let seen = Seen::new(directory.path());
    let mut ids = Ids::start(vec![IdInput::Listed(listed)], seen, Lang::English).unwrap();
    let exchange = Exchange::new(
        &ExchangeOptions {
            timeout: rig.options.timeout,
            body_bytes_max: 256 << 10,
            http2: Http2::Auto,
            ca: None,
            connections_max: rig.options.most() as usize,
            allow_private: false,
        },
        Lang::English,
    )
    .unwrap();
    let plan = rig.plan();
    let end = run(
        &plan,
        async || ids.next().await,
        async |request: &Request| exchange.send(request).await,
        async |entry| audit.record(entry).await,
    )
    .await;
    let ending = Ending { complete: end.is_complete(), ..Ending::default() };
    audit.finish(ending).unwrap();
    let durable = std::mem::take(&mut *durable.lock().unwrap());
    let mut indexes: Vec<u64> = durable.iter().map(|finding| finding.index).collect();
    indexes.sort_unstable();
    indexes.dedup();
    assert_eq!(indexes.len(), durable.len(), "an id ended twice");
    assert_eq!(end.recorded, durable.len() as u64);
    (end, durable)
}

fn count(findings: &[Finding], outcome: Outcome) -> usize {
    findings.iter().filter(|finding| finding.outcome == outcome).count()
}

#[tokio::test]
async fn a_server_with_few_places_serves_everybody_and_nobody_comes_too_early() {
    let server = Server::new(64, ms(30), |_, _| Fate::Found);
    let serving = server.serve("127.0.0.1:0");
    let (end, findings) = check(&rig(3_000, 300, serving.address)).await;
    assert!(end.is_complete(), "{:?}", end.why);
    assert_eq!(count(&findings, Outcome::Found), 3_000);
    let counts = &server.counts;
    assert_eq!(counts.requests.load(Ordering::Relaxed) as u64, end.totals.requests);
    // How many depends on how fast the system hands connections over.
    assert!(counts.refused.load(Ordering::Relaxed) > 0);
    assert_eq!(counts.early.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn whatever_the_server_does_each_id_ends_once_as_its_last_answer_says() {
    let server = Server::new(1_000, ms(2), |id, before| match id.as_bytes().last() {
        Some(b'1') => Fate::NotFound,
        Some(b'2') if before == 0 => Fate::Fails,
        Some(b'3') if before == 0 => Fate::Breaks,
        Some(b'4') if before == 0 => Fate::Page,
        Some(b'5') => Fate::Page,
        _ => Fate::Found,
    });
    let serving = server.serve("127.0.0.1:0");
    let mut rig = rig(1_000, 50, serving.address);
    rig.ids.push("é&?=%\u{1}\n".to_owned());
    let (end, findings) = check(&rig).await;
    assert!(end.is_complete(), "{:?}", end.why);
    let outcomes = [Outcome::Found, Outcome::NotFound, Outcome::Unknown];
    assert_eq!(outcomes.map(|outcome| count(&findings, outcome)), [801, 100, 100]);
    for finding in &findings {
        let is_page = finding.id.as_str().ends_with('5');
        assert_eq!(finding.outcome == Outcome::Unknown, is_page, "{finding:?}");
    }
}

#[test]
fn a_server_that_is_killed_and_started_again_costs_no_id() {
    let server = Server::new(1_000, ms(5), |_, _| Fate::Found);
    let serving = server.serve("127.0.0.1:0");
    let address = serving.address;
    let rig = rig(4_000, 64, address);
    let wait_for = |event: &dyn Fn() -> bool| {
        while !event() {
            std::thread::yield_now();
        }
    };
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(check(&rig))
        });
        wait_for(&|| server.counts.requests.load(Ordering::Relaxed) >= 1_000);
        drop(serving);
        wait_for(&|| rig.gauges.troubled.get() == 1);
        let _serving = server.serve(&address.to_string());
        let (end, findings) = run.join().unwrap();
        assert!(end.is_complete(), "{:?}", end.why);
        assert_eq!(count(&findings, Outcome::Found), 4_000);
    });
}
