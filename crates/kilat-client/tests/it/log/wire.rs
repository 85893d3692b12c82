//! The fake log's side of the wire.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// A request, taken apart.
pub(super) struct Ask {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) wants_minimal: bool,
    pub(super) token: Option<String>,
    pub(super) body: Value,
}

/// Status, headers, body.
pub(super) type Answer = (u16, Vec<(&'static str, String)>, String);

pub(super) fn answer(status: u16, body: &Value) -> Answer {
    (status, Vec::new(), body.to_string())
}

pub(super) fn problem(status: u16, code: &str) -> Answer {
    answer(status, &json!({"type": "about:blank", "title": code, "status": status, "code": code}))
}

pub(super) fn read_ask(reader: &mut BufReader<&TcpStream>) -> std::io::Result<Option<Ask>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (method, path) =
        (words.next().unwrap_or("").to_owned(), words.next().unwrap_or("").to_owned());
    let (mut length, mut wants_minimal, mut token) = (0, false, None);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "prefer" => wants_minimal = value == "return=minimal",
            "authorization" => token = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Ok(Some(Ask { method, path, wants_minimal, token, body }))
}

pub(super) fn write_answer(
    mut stream: &TcpStream,
    (status, headers, body): &Answer,
) -> std::io::Result<()> {
    let mut text = format!("HTTP/1.1 {status} X\r\nx-kilat-node: fake\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(text.as_bytes())
}
