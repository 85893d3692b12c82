//! A small blocking HTTP client in which every failure is a value: servers die on purpose here.

use serde_json::Value;
use std::io::{self, BufRead, BufReader, Error, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// So that a test that waits for nothing fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

/// A reply that arrived whole.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Connection {
    /// Connects to `http://host:port`.
    pub(crate) fn open(url: &str) -> io::Result<Connection> {
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream: BufReader::new(stream) })
    }

    /// Sends a request and reads its reply to the last byte.
    pub(crate) fn call(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> io::Result<Reply> {
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += &format!("content-length: {}\r\n\r\n{body}", body.len());
        self.stream.get_mut().write_all(text.as_bytes())?;
        self.read_reply()
    }

    fn read_reply(&mut self) -> io::Result<Reply> {
        let broken = || Error::other("not an HTTP reply");
        let status = self.read_line()?;
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        let mut headers = Vec::new();
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(broken)?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut reply = Reply { status: status.ok_or_else(broken)?, headers, body: Vec::new() };
        reply.body = self.read_body(&reply)?;
        Ok(reply)
    }

    fn read_body(&mut self, reply: &Reply) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if let Some(length) = reply.header("content-length") {
            body.resize(length.parse().map_err(Error::other)?, 0);
            self.stream.read_exact(&mut body)?;
        } else if reply.header("transfer-encoding").is_some() {
            while self.read_chunk(&mut body)? {}
        } else if reply.status != 204 && reply.status != 304 {
            self.stream.read_to_end(&mut body)?;
        }
        Ok(body)
    }

    fn read_chunk(&mut self, body: &mut Vec<u8>) -> io::Result<bool> {
        let length = usize::from_str_radix(&self.read_line()?, 16).map_err(Error::other)?;
        let start = body.len();
        body.resize(start + length, 0);
        self.stream.read_exact(&mut body[start..])?;
        self.read_line()?;
        Ok(length > 0)
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let whole = line.strip_suffix("\r\n").map(str::to_owned);
        whole.ok_or_else(|| Error::from(io::ErrorKind::UnexpectedEof))
    }
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

/// One request on a connection of its own.
pub(crate) fn call(
    url: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<Reply> {
    Connection::open(url)?.call(method, path, headers, body)
}

pub(crate) fn get(url: &str, path: &str) -> io::Result<Reply> {
    call(url, "GET", path, &[], "")
}
