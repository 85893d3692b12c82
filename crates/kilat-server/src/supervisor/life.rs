//! One process, from its start to its end.
//!
//! Its log is read line by line, so that a process that says much can't block on it.

use super::{LogLine, Spec};
use futures_util::StreamExt;
use rustix::process::{Pid, Signal, kill_process};
use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncRead;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::codec::{FramedRead, LinesCodec};

/// Longest line of a log; the rest of a longer one is left out.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// Longest wait for what a process said before it ended.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// A process that runs. Dropping it kills it.
pub(super) struct Life {
    child: Child,
    /// Ends when its standard error does.
    listener: Option<JoinHandle<()>>,
    last_words: Arc<Mutex<String>>,
}

impl Life {
    /// # Errors
    /// When the system can't start it.
    pub(super) fn begin(spec: &Spec, log: &LogLine) -> io::Result<Life> {
        let mut command = Command::new(&spec.program);
        command.args(&spec.arguments).kill_on_drop(true);
        command.env_clear().envs(spec.environment.iter().map(|(name, value)| (name, value)));
        // A group of its own: Ctrl-C in a terminal reaches the supervisor, which ends them in order.
        command.process_group(0);
        // What is said on stdout is for whoever starts it by hand.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let last_words = Arc::new(Mutex::new(String::new()));
        let listener = child.stderr.take().map(|pipe| {
            tokio::spawn(tell(pipe, spec.name.clone(), Arc::clone(log), Arc::clone(&last_words)))
        });
        Ok(Life { child, listener, last_words })
    }

    /// `None` once its end was waited for.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// The last line of its log.
    pub(super) fn last_words(&self) -> String {
        self.last_words.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for its end; gives its exit code, and says how it ended and what it said last.
    pub(super) async fn end(&mut self) -> (Option<i32>, String) {
        let (code, how) = match self.child.wait().await {
            Ok(status) => (status.code(), told(status)),
            Err(error) => (None, format!("lost ({error})")),
        };
        if let Some(listener) = self.listener.take() {
            // Its own children may hold the pipe open for longer.
            let _ = timeout(LAST_WORDS, listener).await;
        }
        let words = self.last_words();
        // What one said that was killed has nothing to do with its end.
        let is_told = code.is_some_and(|code| code != 0) && !words.is_empty();
        (code, if is_told { format!("{how}: {words}") } else { how })
    }

    /// Ends it as a crash would; [`Life::end`] sees it.
    pub(super) fn kill(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.start_kill();
    }

    /// Asks it to end, and kills it when it does not in `patience`.
    pub(super) async fn stop(mut self, patience: Duration) {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        if let Some(pid) = pid {
            // An error means that it has ended already.
            let _ = kill_process(pid, Signal::TERM);
        }
        if timeout(patience, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

/// Passes lines on until the pipe ends, and remembers the last one.
async fn tell(
    pipe: impl AsyncRead + Unpin,
    name: String,
    log: LogLine,
    last_words: Arc<Mutex<String>>,
) {
    let mut lines = FramedRead::new(pipe, LinesCodec::new_with_max_length(LINE_BYTES_MAX));
    while let Some(line) = lines.next().await {
        // A line that is too long or no text: what follows it may be readable again.
        let Ok(line) = line else { continue };
        log(&name, &line);
        *last_words.lock().unwrap_or_else(PoisonError::into_inner) = line;
    }
}

fn told(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(0), _) => "ended by itself".to_owned(),
        (Some(code), _) => format!("ended with exit code {code}"),
        (_, Some(9)) => "killed".to_owned(),
        (_, Some(signal)) => format!("ended by signal {signal}"),
        _ => "ended".to_owned(),
    }
}
