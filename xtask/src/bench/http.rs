//! One keep-alive connection that sends prepared requests and reads whole replies: enough
//! to set a server up and to load it. Must never know what requests and replies mean.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use memchr::memmem;

/// Longest wait for a connection, or for the next bytes of a reply.
const TIMEOUT: Duration = Duration::from_secs(30);
const HEAD_BYTES_MAX: usize = 16 * 1024;
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
const READ_BYTES: usize = 256 * 1024;

/// A connection and the reply that was read last.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Bytes of `buffer` that hold what was read.
    filled: usize,
}

/// A reply; its body is lent from the connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply<'a> {
    pub(super) status: u16,
    pub(super) body: &'a [u8],
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    body_starts: usize,
    body_bytes: usize,
}

impl Connection {
    pub(super) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Self { stream, buffer: vec![0; READ_BYTES], filled: 0 })
    }

    /// Sends `request` and reads the whole reply to it.
    pub(super) fn exchange(&mut self, request: &[u8]) -> Result<Reply<'_>> {
        self.stream.write_all(request)?;
        self.filled = 0;
        let head = loop {
            if let Some(head) = parse_head(&self.buffer[..self.filled])? {
                break head;
            }
            self.fill()?;
        };
        let end = head.body_starts + head.body_bytes;
        while self.filled < end {
            self.fill()?;
        }
        ensure!(self.filled == end, "the reply is longer than it says");
        Ok(Reply { status: head.status, body: &self.buffer[head.body_starts..end] })
    }

    fn fill(&mut self) -> Result<()> {
        if self.buffer.len() - self.filled < READ_BYTES / 2 {
            self.buffer.resize(self.buffer.len() + READ_BYTES, 0);
        }
        match self.stream.read(&mut self.buffer[self.filled..])? {
            0 => bail!("the server closed the connection before its reply was complete"),
            bytes => self.filled += bytes,
        }
        Ok(())
    }
}

/// The bytes of a request with a body; `headers` are whole lines without their ends.
pub(super) fn request(method: &str, path: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n");
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    text.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    [text.as_bytes(), body].concat()
}

/// `None` while the head is not complete.
fn parse_head(bytes: &[u8]) -> Result<Option<Head>> {
    let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
        ensure!(bytes.len() < HEAD_BYTES_MAX, "the head of the reply is too long");
        return Ok(None);
    };
    let head = str::from_utf8(&bytes[..end]).context("the head of the reply is not text")?;
    let (status, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
    let body_bytes = headers
        .split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok());
    let head = Head {
        status: status.context("the reply has no status")?,
        body_starts: end + 4,
        body_bytes: body_bytes.context("the reply has no Content-Length")?,
    };
    ensure!(head.body_bytes <= BODY_BYTES_MAX, "the body of the reply is too long");
    Ok(Some(head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_when_they_are_complete() {
        let parse = |text: &str| parse_head(text.as_bytes()).map_err(|error| error.to_string());
        let complete = "HTTP/1.1 201 Created\r\ncontent-length: 12\r\nx: y\r\n\r\n";
        let head = Head { status: 201, body_starts: complete.len(), body_bytes: 12 };
        assert_eq!(parse(complete), Ok(Some(head)));
        assert_eq!(parse(&complete[..complete.len() - 1]), Ok(None));
        for faulty in ["HTTP/1.1 200 OK\r\n\r\n", "nonsense\r\ncontent-length: 1\r\n\r\n"] {
            assert!(parse(faulty).is_err(), "{faulty}");
        }
    }

    #[test]
    fn requests_carry_their_length() {
        let bytes = request("POST", "/a", &["X: y"], b"body");
        let expected =
            "POST /a HTTP/1.1\r\nHost: 127.0.0.1\r\nX: y\r\nContent-Length: 4\r\n\r\nbody";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }
}
