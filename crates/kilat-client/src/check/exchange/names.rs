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

type Answer = Result<Arc<[IpAddr]>, String>;

pub(super) struct Names {
    answers: Mutex<HashMap<String, (Instant, Answer)>>,
    questions: Arc<Semaphore>,
}

impl Names {
    pub(super) fn new() -> Names {
        Names { answers: Mutex::default(), questions: Arc::new(Semaphore::new(QUESTIONS_MAX)) }
    }

    /// The addresses of a host, best first; never empty.
    pub(super) async fn resolve(&self, host: &str) -> Answer {
        if let Some(answer) = self.known(host) {
            return answer;
        }
        let permit = Arc::clone(&self.questions).acquire_owned().await;
        if let Some(answer) = self.known(host) {
            return answer;
        }
        let name = host.to_owned();
        let asked = tokio::task::spawn_blocking(move || {
            let answer = ask(&name);
            drop(permit);
            answer
        });
        let answer = asked.await.unwrap_or_else(|e| Err(e.to_string()));
        self.keep(host, answer.clone());
        answer
    }

    /// Puts the address that answered before those that did not.
    pub(super) fn prefer(&self, host: &str, address: IpAddr) {
        if let Some((_, Ok(addresses))) = self.lock().get_mut(host)
            && addresses.first() != Some(&address)
        {
            let others = addresses.iter().filter(|&&other| other != address);
            *addresses = std::iter::once(&address).chain(others).copied().collect();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Instant, Answer)>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, host: &str) -> Option<Answer> {
        self.lock().get(host).filter(|kept| is_fresh(kept)).map(|(_, answer)| answer.clone())
    }

    fn keep(&self, host: &str, answer: Answer) {
        let mut answers = self.lock();
        if answers.len() >= ANSWERS_MAX {
            answers.retain(|_, kept| is_fresh(kept));
        }
        if answers.len() >= ANSWERS_MAX {
            answers.clear();
        }
        answers.insert(host.to_owned(), (Instant::now(), answer));
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
