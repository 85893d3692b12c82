//! The question whether a process is ready. Must never wait longer than it says.

use super::Ready;
use serde::Deserialize;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(1);
/// Most bytes of an answer that are read.
const ANSWER_BYTES_MAX: u64 = 16 * 1024;
const REQUEST: &[u8] = b"GET /readyz HTTP/1.1\r\nhost: supervisor\r\nconnection: close\r\n\r\n";
const READY: &[u8] = b"HTTP/1.1 200 ";

/// What a process says of itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It does its work.
    Ready,
    /// It lives and says why it does no work now: ending it would mend nothing.
    NotNow(String),
    /// Nothing.
    Silence,
}

/// What can be read of a reply that is none of success.
#[derive(Deserialize)]
struct Problem {
    detail: Option<String>,
    title: Option<String>,
}

/// Asks it now.
pub(super) async fn ask(ready: &Ready) -> Answer {
    let answer = async {
        match ready {
            Ready::Http(address) => answer_of(TcpStream::connect(address).await?).await,
            Ready::Socket(path) => UnixStream::connect(path).await.map(|_| Answer::Ready),
        }
    };
    match timeout(ANSWER, answer).await {
        Ok(Ok(answer)) => answer,
        _ => Answer::Silence,
    }
}

async fn answer_of(mut stream: TcpStream) -> io::Result<Answer> {
    stream.write_all(REQUEST).await?;
    let mut head = [0; READY.len()];
    stream.read_exact(&mut head).await?;
    if head == READY {
        return Ok(Answer::Ready);
    }
    let mut rest = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut rest).await?;
    Ok(Answer::NotNow(reason(&head, &rest)))
}

/// What the problem document says, else the status.
fn reason(head: &[u8], rest: &[u8]) -> String {
    let body = rest.windows(4).position(|part| part == b"\r\n\r\n").map(|at| &rest[at + 4..]);
    let problem = body.and_then(|body| serde_json::from_slice::<Problem>(body).ok());
    let said = problem.and_then(|problem| problem.detail.or(problem.title));
    // What another process says goes to terminals and logs.
    let said = said.map(|said| said.escape_debug().to_string());
    said.unwrap_or_else(|| {
        format!("/readyz says {}", String::from_utf8_lossy(head).trim_start_matches("HTTP/1.1 "))
            .trim_end()
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_what_the_problem_says_or_the_status() {
        let check = |rest: &[u8], expected| {
            assert_eq!(reason(b"HTTP/1.1 503 ", rest), expected);
        };
        check(b"X\r\n\r\n{\"title\":\"t\",\"detail\":\"no space\\u001b\"}", "no space\\u{1b}");
        check(b"X\r\n\r\n{\"title\":\"t\"}", "t");
        check(b"X\r\n\r\nnothing", "/readyz says 503");
        check(b"X", "/readyz says 503");
    }
}
