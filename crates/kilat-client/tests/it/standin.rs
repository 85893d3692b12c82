//! What every stand-in for a server needs: a port, connections that can be broken and taken up
//! again, and requests taken apart. What is answered is decided by whoever starts one.

use serde_json::Value;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// A running server. Dropping it stops it.
pub(crate) struct StandIn {
    address: SocketAddr,
    shared: Arc<Shared>,
    accept: Option<JoinHandle<()>>,
}

/// Answers one request, if it does.
type Serve = dyn Fn(&TcpStream, &Ask) -> Result<Next> + Send + Sync;

struct Shared {
    serve: Box<Serve>,
    stopping: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

/// What becomes of a connection after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Read,
    Close,
}

/// A request, taken apart.
pub(crate) struct Ask {
    pub(crate) method: String,
    /// With its query.
    pub(crate) path: String,
    headers: HashMap<String, String>,
    /// `null` when there is none or it is not JSON.
    pub(crate) body: Value,
}

impl Ask {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    fn read(reader: &mut BufReader<&TcpStream>) -> Result<Option<Ask>> {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut headers = HashMap::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let Some((name, value)) = header.trim_end().split_once(": ") else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Ok(Some(Ask { method, path, headers, body }))
    }
}

impl StandIn {
    pub(crate) fn start(
        serve: impl Fn(&TcpStream, &Ask) -> Result<Next> + Send + Sync + 'static,
    ) -> StandIn {
        let shared = Arc::new(Shared {
            serve: Box::new(serve),
            stopping: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let accept = Some(accept(listener, Arc::clone(&shared)));
        StandIn { address, shared, accept }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Breaks every connection and answers nobody.
    pub(crate) fn kill(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(accept) = self.accept.take() {
            accept.join().unwrap();
        }
        for stream in self.shared.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Serves again on the same port.
    pub(crate) fn restart(&mut self) {
        self.shared.stopping.store(false, Ordering::SeqCst);
        let listener = TcpListener::bind(self.address).unwrap();
        self.accept = Some(accept(listener, Arc::clone(&self.shared)));
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.kill();
    }
}

fn accept(listener: TcpListener, shared: Arc<Shared>) -> JoinHandle<()> {
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            if shared.stopping.load(Ordering::SeqCst) {
                return;
            }
            shared.open.lock().unwrap().push(stream.try_clone().unwrap());
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let _ = converse(&stream, &shared);
                let _ = stream.shutdown(Shutdown::Both);
            });
        }
    })
}

fn converse(stream: &TcpStream, shared: &Shared) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(ask) = Ask::read(&mut reader)? {
        let stops = shared.stopping.load(Ordering::SeqCst);
        if stops || (shared.serve)(stream, &ask)? == Next::Close {
            break;
        }
    }
    Ok(())
}

/// Sends a head and a body that is as long as the head says.
pub(crate) fn write_reply(
    mut stream: &TcpStream,
    status: u16,
    headers: &[(&'static str, String)],
    body: &str,
) -> Result<()> {
    stream.write_all(reply(status, headers, body).as_bytes())
}

/// The same as text.
pub(crate) fn reply(status: u16, headers: &[(&'static str, String)], body: &str) -> String {
    let length = body.len();
    format!("{}content-length: {length}\r\n\r\n{body}", head(status, headers))
}

/// A head that still lacks how its body ends.
pub(crate) fn head(status: u16, headers: &[(&'static str, String)]) -> String {
    let lines = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    format!("HTTP/1.1 {status} X\r\nx-kilat-node: fake\r\n{}", lines.collect::<String>())
}
