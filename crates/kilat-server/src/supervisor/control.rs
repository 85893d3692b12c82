//! The socket by which another process of the same user asks and orders: a line of JSON each way.
//!
//! It lies in a directory that only its owner may enter.

use super::{Panel, Status};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longest line in either direction, in bytes.
const LINE_BYTES_MAX: u64 = 64 * 1024;
/// Longest wait for the other side.
const ANSWER: Duration = Duration::from_secs(5);

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// How all are.
    Status,
    /// Kill this one as a crash would.
    Kill(String),
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// How all are, in the order of their start.
    Status(Vec<Status>),
    /// Whether it was killed; `false` when none is called so or it does not run.
    Killed(bool),
}

/// Why nothing was answered.
#[derive(Debug)]
pub enum ControlError {
    /// Start it, or say where it is: nobody listens there.
    NotRunning,
    /// Report: the other side speaks otherwise, or broke off.
    Broken(String),
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ControlError::NotRunning => f.write_str("nothing runs there"),
            ControlError::Broken(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for ControlError {}

/// Answers at `path` until the task is aborted.
///
/// # Errors
/// When the socket can't be made.
pub fn listen(path: &Path, panel: Panel) -> io::Result<JoinHandle<()>> {
    // Whoever holds the directory is alone there: what is left is of a process that died.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    Ok(tokio::spawn(async move {
        loop {
            match listener.accept().await {
                // One after the other: there are few, and each is short.
                Ok((stream, _)) => drop(timeout(ANSWER, serve(stream, &panel)).await),
                Err(error) => {
                    tracing::warn!(%error, "the control socket can't take a connection");
                    tokio::time::sleep(ANSWER).await;
                }
            }
        }
    }))
}

async fn serve(stream: UnixStream, panel: &Panel) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let order: Order = read_line(&mut stream).await?;
    let reply = match order {
        Order::Status => Reply::Status(panel.status()),
        Order::Kill(name) => Reply::Killed(panel.kill(&name)),
    };
    write_line(&mut stream, &reply).await
}

/// Asks whoever listens at `path`.
///
/// # Errors
/// [`ControlError`]
pub async fn ask(path: &Path, order: &Order) -> Result<Reply, ControlError> {
    let stream = UnixStream::connect(path).await.map_err(|_| ControlError::NotRunning)?;
    let mut stream = BufReader::new(stream);
    let conversation = async {
        write_line(&mut stream, order).await?;
        read_line(&mut stream).await
    };
    let silent = || ControlError::Broken("it does not answer".to_owned());
    let answer = timeout(ANSWER, conversation).await.map_err(|_| silent())?;
    answer.map_err(|error| ControlError::Broken(format!("it broke off ({error})")))
}

async fn read_line<T: for<'de> Deserialize<'de>>(
    stream: &mut BufReader<UnixStream>,
) -> io::Result<T> {
    let mut line = Vec::new();
    stream.take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
    Ok(serde_json::from_slice(&line)?)
}

async fn write_line(stream: &mut BufReader<UnixStream>, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line).await
}
