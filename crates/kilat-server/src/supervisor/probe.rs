//! The question whether a process is ready. Must never wait longer than it says.

use super::Ready;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(1);
const REQUEST: &[u8] = b"GET /readyz HTTP/1.1\r\nhost: supervisor\r\nconnection: close\r\n\r\n";
const READY: &[u8] = b"HTTP/1.1 200 ";

/// Whether it is ready now.
pub(super) async fn holds(ready: &Ready) -> bool {
    let answer = async {
        match ready {
            Ready::Http(address) => answers(TcpStream::connect(address).await?).await,
            Ready::Socket(path) => UnixStream::connect(path).await.map(|_| true),
        }
    };
    matches!(timeout(ANSWER, answer).await, Ok(Ok(true)))
}

async fn answers(mut stream: TcpStream) -> io::Result<bool> {
    stream.write_all(REQUEST).await?;
    let mut head = [0; READY.len()];
    stream.read_exact(&mut head).await?;
    Ok(head == READY)
}
