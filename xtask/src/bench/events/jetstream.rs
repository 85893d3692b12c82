//! One connection to a NATS server with JetStream, in the server's own text protocol: makes a
//! stream, publishes with a bounded number of messages in flight, asks how many are stored.
//! Must never know what messages mean.
//!
//! The protocol: <https://docs.nats.io/reference/reference-protocols/nats-protocol>.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use memchr::memmem;
use serde_json::{Value, json};

use super::generator::Batches;
use super::load::{self, ID_BYTES, Row, Template};

/// Messages that are published and not yet acknowledged.
pub(super) const IN_FLIGHT_MAX: u64 = 1_000;
/// Longest wait for the server.
const TIMEOUT: Duration = Duration::from_secs(30);
const READ_BYTES: usize = 256 * 1024;
const STREAM: &str = "EVENTS";
/// JetStream's default, in nanoseconds.
const DEDUP_WINDOW_NS: u64 = 120_000_000_000;

/// A connection, with what was read and not yet understood.
#[derive(Debug)]
pub(super) struct Client {
    stream: TcpStream,
    /// Where replies go: no other process listens there.
    inbox: String,
    unread: Vec<u8>,
}

/// What the server sends.
#[derive(Debug, PartialEq, Eq)]
enum Message<'a> {
    /// A reply; only the inbox is subscribed to.
    Reply(&'a [u8]),
    Ping,
    /// Greetings and good news.
    Other,
    Error(&'a [u8]),
}

/// Publishes the batches, each event a message whose id is the event's topic and id.
pub(super) fn publish(address: SocketAddr, row: Row, batches: &Batches) -> Result<()> {
    let mut client = Client::open(address)?;
    let mut frame = Frame::new(&client.inbox);
    let (mut in_flight, mut bytes) = (0, Vec::new());
    while let Some(events) = batches.take() {
        let count = events.end - events.start;
        while in_flight + count > IN_FLIGHT_MAX {
            in_flight -= client.acknowledged()?;
        }
        bytes.clear();
        for index in events {
            bytes.extend_from_slice(frame.with(row.id_number(index)));
        }
        client.stream.write_all(&bytes)?;
        in_flight += count;
    }
    while in_flight > 0 {
        in_flight -= client.acknowledged()?;
    }
    Ok(())
}

impl Client {
    pub(super) fn open(address: SocketAddr) -> Result<Self> {
        let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let options =
            json!({ "verbose": false, "pedantic": false, "headers": true, "no_responders": true });
        let inbox = format!("_INBOX.benchmark-{}", process::id());
        stream.write_all(format!("CONNECT {options}\r\nSUB {inbox} 1\r\n").as_bytes())?;
        Ok(Self { stream, inbox, unread: Vec::new() })
    }

    /// Makes the stream on files, with JetStream's default window for duplicates.
    pub(super) fn create_stream(&mut self) -> Result<()> {
        let stream = json!({
            "name": STREAM,
            "subjects": ["events.>"],
            "retention": "limits",
            "storage": "file",
            "num_replicas": 1,
            "max_consumers": -1,
            "max_msgs": -1,
            "max_bytes": -1,
            "duplicate_window": DEDUP_WINDOW_NS,
        });
        self.ask(&format!("STREAM.CREATE.{STREAM}"), &stream.to_string()).map(|_| ())
    }

    /// Messages that the stream holds.
    pub(super) fn stored(&mut self) -> Result<u64> {
        let info = self.ask(&format!("STREAM.INFO.{STREAM}"), "")?;
        info["state"]["messages"].as_u64().with_context(|| format!("no count of messages: {info}"))
    }

    fn ask(&mut self, call: &str, body: &str) -> Result<Value> {
        let head = format!("PUB $JS.API.{call} {} {}\r\n", self.inbox, body.len());
        self.stream.write_all(format!("{head}{body}\r\n").as_bytes())?;
        let mut replies = Vec::new();
        while replies.is_empty() {
            self.receive(|reply| {
                replies.push(serde_json::from_slice::<Value>(reply)?);
                Ok(())
            })?;
        }
        let reply = replies.swap_remove(0);
        ensure!(reply.get("error").is_none(), "{call} answers {reply}");
        Ok(reply)
    }

    /// Waits for acknowledgements, and tells how many came.
    fn acknowledged(&mut self) -> Result<u64> {
        let mut count = 0;
        self.receive(|reply| {
            let text = || String::from_utf8_lossy(reply).into_owned();
            ensure!(memmem::find(reply, b"\"seq\"").is_some(), "a message got {}", text());
            count += 1;
            Ok(())
        })?;
        Ok(count)
    }

    /// Reads once and hands over every reply that is complete.
    fn receive(&mut self, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let filled = self.unread.len();
        self.unread.resize(filled + READ_BYTES, 0);
        let bytes = self.stream.read(&mut self.unread[filled..])?;
        ensure!(bytes > 0, "the server closed the connection");
        self.unread.truncate(filled + bytes);
        let mut at = 0;
        while let Some((message, length)) = parse(&self.unread[at..])? {
            at += length;
            match message {
                Message::Reply(reply) => each(reply)?,
                Message::Ping => self.stream.write_all(b"PONG\r\n")?,
                Message::Error(error) => {
                    bail!("the server says {}", String::from_utf8_lossy(error))
                }
                Message::Other => {}
            }
        }
        self.unread.drain(..at);
        Ok(())
    }
}

/// One message to publish, whose event gets a new id before each sending, in place.
#[derive(Debug)]
struct Frame {
    bytes: Vec<u8>,
    template: Template,
    subject_digit_at: usize,
    header_at: usize,
    event_at: usize,
}

impl Frame {
    fn new(inbox: &str) -> Self {
        let template = Template::new();
        let event = template.text();
        let id = format!("orders.#/{:#>ID_BYTES$}", "");
        let header = format!("NATS/1.0\r\nNats-Msg-Id: {id}\r\n\r\n");
        let subject = "HPUB events.orders.#";
        let total = header.len() + event.len();
        let head = format!("{subject} {inbox} {} {total}\r\n", header.len());
        let header_at = head.len() + header.len() - 4 - id.len();
        Self {
            subject_digit_at: subject.len() - 1,
            header_at,
            event_at: head.len() + header.len(),
            bytes: format!("{head}{header}{event}\r\n").into_bytes(),
            template,
        }
    }

    fn with(&mut self, number: u64) -> &[u8] {
        let id_at = self.header_at + "orders.#/".len();
        self.bytes[self.subject_digit_at] = load::topic_digit(number);
        self.bytes[id_at - 2] = load::topic_digit(number);
        self.bytes[id_at..id_at + ID_BYTES].copy_from_slice(&load::id(number));
        self.template.fill(&mut self.bytes, self.event_at, number);
        &self.bytes
    }
}

/// The first message and its length; `None` while it is not complete.
fn parse(bytes: &[u8]) -> Result<Option<(Message<'_>, usize)>> {
    let Some(end) = memmem::find(bytes, b"\r\n") else {
        return Ok(None);
    };
    let (line, after) = (&bytes[..end], end + 2);
    if line.starts_with(b"-ERR") {
        return Ok(Some((Message::Error(line), after)));
    }
    if line == b"PING" {
        return Ok(Some((Message::Ping, after)));
    }
    if !line.starts_with(b"MSG ") && !line.starts_with(b"HMSG ") {
        return Ok(Some((Message::Other, after)));
    }
    let length = line.rsplit(|byte| *byte == b' ').next();
    let length: usize = length
        .and_then(|digits| str::from_utf8(digits).ok()?.parse().ok())
        .context("a message without a length")?;
    let complete = after + length + 2;
    let reply = bytes.get(after..after + length).filter(|_| bytes.len() >= complete);
    Ok(reply.map(|reply| (Message::Reply(reply), complete)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_when_they_are_complete() {
        let whole = b"MSG _INBOX.benchmark 1 4\r\nabcd\r\nPING\r\n";
        let first = parse(whole).unwrap().unwrap();
        assert_eq!(first, (Message::Reply(b"abcd"), whole.len() - 6));
        assert_eq!(parse(&whole[..whole.len() - 7]).unwrap(), None);
        assert_eq!(parse(&whole[first.1..]).unwrap(), Some((Message::Ping, 6)));
        assert_eq!(parse(b"INFO {}\r\nx").unwrap(), Some((Message::Other, 9)));
        assert!(matches!(parse(b"-ERR 'no'\r\n").unwrap(), Some((Message::Error(_), 11))));
        assert!(parse(b"MSG a 1 x\r\n").is_err());
    }

    #[test]
    fn a_frame_says_its_own_lengths() {
        let mut frame = Frame::new("inbox");
        let text = String::from_utf8(frame.with(3).to_vec()).unwrap();
        let (head, rest) = text.split_once("\r\n").unwrap();
        let lengths: Vec<usize> =
            head.split(' ').skip(3).map(|number| number.parse().unwrap()).collect();
        let id = load::id(3);
        let id = str::from_utf8(&id).unwrap();
        assert!(head.starts_with("HPUB events.orders.3 "), "{head}");
        assert!(rest.starts_with(&format!("NATS/1.0\r\nNats-Msg-Id: orders.3/{id}\r\n\r\n{{")));
        assert_eq!((lengths[1], &rest[lengths[1]..]), (rest.len() - 2, "\r\n"));
        assert!(rest[lengths[0]..].starts_with('{'));
    }
}
