//! A small blocking HTTP client that sends exactly what it is told.

use serde_json::Value;
use socket2::SockRef;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// So that a test that waits for nothing fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(20);
/// For what is on its way.
const MOMENT: Duration = Duration::from_millis(200);

pub(crate) struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let found = self.headers.iter().filter(move |(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The problem's code, after a check that it is one in every respect.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{self:?}");
        assert!(problem["title"].is_string() && problem["type"] == "about:blank", "{self:?}");
        problem["code"].as_str().unwrap().to_owned()
    }
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Connection {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Connection { stream, unread: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends though the peer may have closed.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Sends until the peer takes nothing for a moment; tells how many bytes it took.
    pub(crate) fn send_until_refused(&mut self, bytes: &[u8]) -> usize {
        self.stream.set_write_timeout(Some(MOMENT)).unwrap();
        let mut sent = 0;
        while let Ok(count) = self.stream.write(&bytes[sent..])
            && count > 0
        {
            sent += count;
        }
        self.stream.set_write_timeout(None).unwrap();
        sent
    }

    /// Tells the peer that nothing more will be sent; what comes can still be read.
    pub(crate) fn end_sending(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Sends these bytes and the end with them: who looks sees both or neither.
    pub(crate) fn send_and_end(&mut self, bytes: &[u8]) {
        SockRef::from(&self.stream).set_tcp_cork(true).unwrap();
        self.send(bytes);
        self.end_sending();
    }

    /// The same socket, for a thread that sends while this one reads.
    pub(crate) fn clone_for_sending(&self) -> Connection {
        Connection { stream: self.stream.try_clone().unwrap(), unread: Vec::new() }
    }

    /// Whether the peer has sent something, or closed, by now.
    pub(crate) fn has_more(&self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        !self.unread.is_empty() || peeked.is_ok()
    }

    /// As [`Connection::has_more`], after a moment for what is on its way.
    pub(crate) fn has_more_soon(&self) -> bool {
        self.stream.set_read_timeout(Some(MOMENT)).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        !self.unread.is_empty() || peeked.is_ok()
    }

    /// Reads until the peer closes.
    pub(crate) fn read_to_end(&mut self) -> Vec<u8> {
        let mut all = std::mem::take(&mut self.unread);
        loop {
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) => return all,
                Ok(count) => all.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return all,
                Err(error) => panic!("the peer did not close: {error}"),
            }
        }
    }

    /// Reads until the peer closes, which must be without a reset; what came can be read as ever.
    pub(crate) fn await_end(&mut self) {
        self.stream.read_to_end(&mut self.unread).expect("an end without a reset");
    }

    pub(crate) fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Reads up to and with `end`.
    pub(crate) fn read_until(&mut self, end: &[u8]) -> Vec<u8> {
        let mut seen = 0;
        loop {
            let found = self.unread[seen..].windows(end.len()).position(|part| part == end);
            if let Some(at) = found {
                return self.unread.drain(..seen + at + end.len()).collect();
            }
            seen = self.unread.len().saturating_sub(end.len());
            self.fill();
        }
    }

    fn fill(&mut self) {
        let mut buffer = [0; 65536];
        let count = self.stream.read(&mut buffer).expect("a reply in time");
        assert!(count > 0, "the peer closed early: {:?}", String::from_utf8_lossy(&self.unread));
        self.unread.extend_from_slice(&buffer[..count]);
    }

    fn read_exactly(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count {
            self.fill();
        }
        self.unread.drain(..count).collect()
    }

    pub(crate) fn read_head(&mut self) -> Reply {
        let head = String::from_utf8(self.read_until(b"\r\n\r\n")).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
        Reply { status, headers: headers.collect(), body: Vec::new() }
    }

    pub(crate) fn read_reply(&mut self) -> Reply {
        let mut reply = self.read_head();
        if reply.header("transfer-encoding") == Some("chunked") {
            loop {
                let size = String::from_utf8(self.read_until(b"\r\n")).unwrap();
                let size = usize::from_str_radix(size.trim(), 16).unwrap();
                let chunk = self.read_exactly(size + 2);
                if size == 0 {
                    return reply;
                }
                reply.body.extend_from_slice(&chunk[..size]);
            }
        }
        let length = reply.header("content-length").map_or(0, |length| length.parse().unwrap());
        if reply.status != 304 {
            reply.body = self.read_exactly(length);
        }
        reply
    }

    /// A reply whose body may end before its length.
    pub(crate) fn read_cut_reply(&mut self) -> Reply {
        let mut reply = self.read_head();
        let length = reply.header("content-length").map_or(0, |length| length.parse().unwrap());
        while self.unread.len() < length {
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer).expect("a reply in time") {
                0 => break,
                count => self.unread.extend_from_slice(&buffer[..count]),
            }
        }
        reply.body = std::mem::take(&mut self.unread);
        reply
    }

    /// One request and its reply.
    pub(crate) fn call(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        self.send(request(method, path, headers, body));
        self.read_reply()
    }
}

/// A request as bytes, with host and length.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: kilat.test\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    text + "\r\n" + body
}
