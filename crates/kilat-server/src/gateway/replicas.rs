//! The replicas: where they are, which of them can be sent work, and whose turn it is.
//!
//! Knows no request and opens no connection: what is known about a replica is told to it.

use super::figures::ReplicaFigures;
use super::limits::REPLICAS_MAX;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::sync::{Notify, watch};

/// The address of a replica, written as `http://HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    host: String,
    port: u16,
    /// When the host is a number already.
    address: Option<SocketAddr>,
}

/// Why a text is not the address of a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadReplica(String);

/// What is known about a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// It said that it is ready.
    Ready,
    /// It does not answer probes in time, or says that it can do no work now: only for when no
    /// other is ready, since its own words are better than none.
    Doubtful,
    /// It can't be reached, or is stopping.
    Out,
}

/// All replicas of a gateway.
pub(super) struct Replicas {
    members: Vec<Member>,
    /// One bit for each that is ready, and for each that is doubtful.
    ready: AtomicU64,
    doubtful: AtomicU64,
    turn: AtomicUsize,
    /// Sent whenever one becomes ready or doubtful.
    better: watch::Sender<()>,
}

/// One of them.
pub(super) struct Member {
    pub(super) replica: Replica,
    pub(super) figures: ReplicaFigures,
    /// Asks for a probe now.
    pub(super) doubt: Notify,
}

impl Replicas {
    /// None of them is known to be ready yet. More than [`REPLICAS_MAX`] are not used.
    pub(super) fn new(replicas: impl IntoIterator<Item = Replica>) -> Replicas {
        let member = |replica: Replica| {
            let figures = ReplicaFigures::new(&replica);
            Member { replica, figures, doubt: Notify::new() }
        };
        Replicas {
            members: replicas.into_iter().take(REPLICAS_MAX).map(member).collect(),
            ready: AtomicU64::new(0),
            doubtful: AtomicU64::new(0),
            turn: AtomicUsize::new(0),
            better: watch::Sender::new(()),
        }
    }

    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// The next in turn of those that are ready, else of those that are doubtful, without `tried`.
    pub(super) fn choose(&self, tried: u64) -> Option<usize> {
        let ready = self.ready.load(Ordering::Relaxed) & !tried;
        let usable =
            if ready != 0 { ready } else { self.doubtful.load(Ordering::Relaxed) & !tried };
        if usable == 0 {
            return None;
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        Some(nth_bit(usable, turn % usable.count_ones() as usize))
    }

    /// Whether one of them is ready.
    pub(super) fn is_any_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed) != 0
    }

    pub(super) fn is_ready(&self, index: usize) -> bool {
        self.ready.load(Ordering::Relaxed) & bit(index) != 0
    }

    /// Changes whenever one becomes ready or doubtful from now on.
    pub(super) fn better(&self) -> watch::Receiver<()> {
        self.better.subscribe()
    }

    /// Notes what is known about one of them now; `why` is for the log.
    pub(super) fn note(&self, index: usize, health: Health, why: &dyn fmt::Display) {
        let before = self.set(index, health);
        if before == health {
            return;
        }
        let member = &self.members[index];
        member.figures.up(health == Health::Ready);
        let replica = &member.replica;
        match health {
            Health::Ready => tracing::info!(%replica, "a replica is ready"),
            Health::Doubtful => tracing::warn!(%replica, %why, "a replica is doubtful"),
            Health::Out => tracing::warn!(%replica, %why, "a replica is out"),
        }
        if health != Health::Out {
            self.better.send_replace(());
        }
    }

    fn set(&self, index: usize, health: Health) -> Health {
        let put = |bits: &AtomicU64, is_set: bool| match is_set {
            true => bits.fetch_or(bit(index), Ordering::Relaxed),
            false => bits.fetch_and(!bit(index), Ordering::Relaxed),
        };
        let was_ready = put(&self.ready, health == Health::Ready) & bit(index) != 0;
        let was_doubtful = put(&self.doubtful, health == Health::Doubtful) & bit(index) != 0;
        match (was_ready, was_doubtful) {
            (true, _) => Health::Ready,
            (false, true) => Health::Doubtful,
            (false, false) => Health::Out,
        }
    }
}

pub(super) fn bit(index: usize) -> u64 {
    1 << index
}

/// The place of the bit of `bits` that has `n` set bits below it.
fn nth_bit(bits: u64, n: usize) -> usize {
    let rest = (0..n).fold(bits, |rest, _| rest & (rest - 1));
    rest.trailing_zeros() as usize
}

impl Replica {
    /// Where it is, as it was named.
    pub(super) fn host_and_port(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// The address to connect to: resolved by the system when the host is a name.
    ///
    /// # Errors
    /// When a name can't be resolved or nobody accepts.
    pub(super) async fn connect(&self) -> std::io::Result<tokio::net::TcpStream> {
        match self.address {
            Some(address) => tokio::net::TcpStream::connect(address).await,
            None => tokio::net::TcpStream::connect((self.host.as_str(), self.port)).await,
        }
    }
}

impl From<SocketAddr> for Replica {
    fn from(address: SocketAddr) -> Replica {
        let host = match address {
            SocketAddr::V4(v4) => v4.ip().to_string(),
            SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
        };
        Replica { host, port: address.port(), address: Some(address) }
    }
}

impl FromStr for Replica {
    type Err = BadReplica;

    fn from_str(text: &str) -> Result<Replica, BadReplica> {
        let bad = || BadReplica(text.escape_default().to_string());
        let rest = text.strip_prefix("http://").ok_or_else(bad)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if let Ok(address) = rest.parse::<SocketAddr>() {
            return Ok(address.into());
        }
        let (host, port) = rest.split_once(':').unwrap_or((rest, "80"));
        let is_name = !host.is_empty()
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        let port = port.parse().map_err(|_| bad())?;
        if !is_name {
            return Err(bad());
        }
        let address = format!("{host}:{port}").parse().ok();
        Ok(Replica { host: host.to_owned(), port, address })
    }
}

impl fmt::Display for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Display for BadReplica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is no replica: write it as http://127.0.0.1:8081", self.0)
    }
}

impl std::error::Error for BadReplica {}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Replicas {
        let addresses = ["http://10.0.0.1:1", "http://10.0.0.1:2", "http://10.0.0.1:3"];
        Replicas::new(addresses.map(|text| text.parse().unwrap()))
    }

    fn turns(replicas: &Replicas, tried: u64) -> Vec<Option<usize>> {
        (0..6).map(|_| replicas.choose(tried)).collect()
    }

    #[test]
    fn those_that_are_ready_take_turns_in_equal_parts() {
        let replicas = three();
        assert_eq!(replicas.choose(0), None);
        (0..3).for_each(|index| replicas.note(index, Health::Ready, &""));
        assert_eq!(turns(&replicas, 0), [0, 1, 2, 0, 1, 2].map(Some));
        replicas.note(1, Health::Out, &"");
        assert_eq!(turns(&replicas, 0), [0, 2, 0, 2, 0, 2].map(Some));
        assert_eq!(turns(&replicas, bit(0)), [Some(2); 6]);
        assert_eq!(replicas.choose(bit(0) | bit(2)), None);
    }

    #[test]
    fn a_doubtful_one_is_asked_only_when_none_is_ready() {
        let replicas = three();
        replicas.note(0, Health::Doubtful, &"");
        replicas.note(1, Health::Ready, &"");
        assert_eq!(turns(&replicas, 0), [Some(1); 6]);
        replicas.note(1, Health::Out, &"");
        assert_eq!(turns(&replicas, 0), [Some(0); 6]);
        replicas.note(0, Health::Out, &"");
        assert_eq!(replicas.choose(0), None);
    }

    #[test]
    fn who_waits_hears_of_one_that_comes_back() {
        let replicas = three();
        let better = replicas.better();
        replicas.note(0, Health::Out, &"");
        assert!(!better.has_changed().unwrap());
        replicas.note(0, Health::Ready, &"");
        assert!(better.has_changed().unwrap());
    }

    #[test]
    fn addresses_are_read() {
        for (text, shown) in [
            ("http://127.0.0.1:8081", Some("127.0.0.1:8081")),
            ("http://[::1]:8081/", Some("[::1]:8081")),
            ("http://kilat-0.kilat:8080", Some("kilat-0.kilat:8080")),
            ("http://kilat", Some("kilat:80")),
            ("https://kilat", None),
            ("127.0.0.1:8081", None),
            ("http://a/b", None),
            ("http://a:0x1", None),
            ("http://user@a:1", None),
            ("http://", None),
        ] {
            let found = text.parse::<Replica>().ok().map(|replica| replica.to_string());
            assert_eq!(found.as_deref(), shown, "{text}");
        }
    }
}
