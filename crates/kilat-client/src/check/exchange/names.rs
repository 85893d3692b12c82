//! Addresses of hosts, asked for once in a while and not for each connection.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// How long an answer is used. The system's resolver does not tell how long it holds.
const ANSWER_AGE_MAX: Duration = Duration::from_secs(30);
/// How long a failure is used, so that a dead resolver is not asked by everyone at once.
const FAILURE_AGE_MAX: Duration = Duration::from_secs(1);
/// Most answers kept.
const ANSWERS_MAX: usize = 4_096;
/// Most questions at once. Each holds a thread, which can't be called back.
const QUESTIONS_MAX: usize = 16;
/// Most addresses used of one host.
const ADDRESSES_MAX: usize = 8;

#[derive(Default)]
struct Answers(Mutex<HashMap<String, (Instant, Answer)>>);

type Answer = Result<Arc<[IpAddr]>, String>;

pub(super) struct Names {
    answers: Arc<Answers>,
    questions: Arc<Semaphore>,
}

impl Names {
    pub(super) fn new() -> Names {
        Names { answers: Arc::default(), questions: Arc::new(Semaphore::new(QUESTIONS_MAX)) }
    }

    /// The addresses of a host, best first; never empty. An answer that comes when nobody waits
    /// for it any more is for whoever asks next.
    pub(super) async fn resolve(&self, host: &str) -> Answer {
        if let Some(answer) = self.answers.known(host) {
            return answer;
        }
        let permit = Arc::clone(&self.questions).acquire_owned().await;
        if let Some(answer) = self.answers.known(host) {
            return answer;
        }
        let (name, answers) = (host.to_owned(), Arc::clone(&self.answers));
        let asked = tokio::task::spawn_blocking(move || {
            let answer = ask(&name);
            answers.keep(name, answer.clone());
            drop(permit);
            answer
        });
        asked.await.unwrap_or_else(|e| Err(e.to_string()))
    }

    /// Puts the address that answered before those that did not.
    pub(super) fn prefer(&self, host: &str, address: IpAddr) {
        if let Some((_, Ok(addresses))) = self.answers.lock().get_mut(host)
            && addresses.first() != Some(&address)
        {
            let others = addresses.iter().filter(|&&other| other != address);
            *addresses = std::iter::once(&address).chain(others).copied().collect();
        }
    }
}

impl Answers {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Instant, Answer)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, host: &str) -> Option<Answer> {
        self.lock().get(host).filter(|kept| is_fresh(kept)).map(|(_, answer)| answer.clone())
    }

    fn keep(&self, host: String, answer: Answer) {
        let mut answers = self.lock();
        if answers.len() >= ANSWERS_MAX {
            answers.retain(|_, kept| is_fresh(kept));
        }
        if answers.len() >= ANSWERS_MAX {
            answers.clear();
        }
        answers.insert(host, (Instant::now(), answer));
    }
}

fn is_fresh((at, answer): &(Instant, Answer)) -> bool {
    at.elapsed() < if answer.is_ok() { ANSWER_AGE_MAX } else { FAILURE_AGE_MAX }
}

fn ask(name: &str) -> Answer {
    let found = (name, 0).to_socket_addrs().map_err(|e| e.to_string())?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found.map(|address: SocketAddr| address.ip()) {
        if addresses.len() < ADDRESSES_MAX && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() { Err("no address".to_owned()) } else { Ok(addresses.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    #[tokio::test]
    async fn an_answer_that_comes_late_is_for_whoever_asks_next() {
        let names = Names::new();
        {
            let mut hasty = pin!(names.resolve("localhost"));
            assert!(hasty.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        let kept = async {
            while names.answers.known("localhost").is_none() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), kept).await.unwrap();
        assert!(names.answers.known("localhost").unwrap().is_ok());
    }
}
