//! Being taken in by a core.

use super::presence::Presence;
use crate::core::{BUILD, nonce};
use crate::protocol::frame::{Frame, FrameReader, Kind, garbage, put_frame};
use crate::protocol::hello::{
    Challenge, Hello, Proof, Prover, Refusal, Role, Version, WELCOME_BYTES_MAX, Welcome,
};
use crate::protocol::{PROTOCOL_VERSION, REPLY_BYTES_MAX};
use crate::socket::{CoreAddress, Stream};
use std::io::{self, BufReader, Write as _};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Longest that connecting and each step of the greeting may take.
const GREETING_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest silence of a core, which tells its time twice a second.
const SILENCE_MAX: Duration = Duration::from_secs(3);
/// Longest that a core may take nothing of what is sent to it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes taken from a socket at a time.
const READ_BYTES: usize = 64 << 10;
/// Nothing is to be done about it here: who keeps the core starts it again.
const AWAY: &str = "the core is away: it is asked again until it is back";

/// Why a replica is not connected.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers there, or not as a core: start the core, or name the right address.
    #[error("the core at {core} can't be reached ({error}): start it, or give its address")]
    Unreachable {
        /// Where it should be.
        core: CoreAddress,
        /// What happened.
        error: io::Error,
    },
    /// The core takes no more replicas for now: try again later.
    #[error("the core at {0} takes no more replicas for now: try again later")]
    Busy(CoreAddress),
    /// The core is of another version: run the same on both.
    #[error(
        "the core at {core} is kilat {build} and speaks protocol {protocol}; this is kilat {} \
         with protocol {PROTOCOL_VERSION}: run the same version on both",
        BUILD
    )]
    Version {
        /// Where it is.
        core: CoreAddress,
        /// Its version.
        build: String,
        /// Its protocol.
        protocol: u16,
    },
    /// The core does not accept this replica's proof.
    #[error(
        "this replica is refused by the core at {0}: give both the same secret (KILAT_SECRET), or, for a socket \
         on this machine, run both as the same user"
    )]
    Secret(CoreAddress),
    /// There is no secret to prove, and the core is not on this machine.
    #[error(
        "a core over TCP wants proof of its secret: give this replica the same one (KILAT_SECRET)"
    )]
    NoSecret,
    /// Who answers can't prove that it is the core.
    #[error("what answers at {0} does not know the secret: it is not your core")]
    Impostor(CoreAddress),
    /// The core holds other data than it did.
    #[error(
        "the core at {0} holds another data directory than before: restart this replica if that is \
         meant"
    )]
    OtherData(CoreAddress),
    /// The core did not tell its states.
    #[error("the core at {0} does not tell its states: look at its log")]
    Silent(CoreAddress),
    /// The system has no more threads.
    #[error("a thread can't be started ({0}); free resources and start again")]
    Threads(io::Error),
}

impl ConnectError {
    /// This replica's version.
    pub const OWN_BUILD: &str = BUILD;
    /// This replica's protocol.
    pub const OWN_PROTOCOL: u16 = PROTOCOL_VERSION;

    /// Whether waiting may help.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, ConnectError::Unreachable { .. } | ConnectError::Busy(_))
    }
}

/// A connection that was taken in.
pub(super) struct Session {
    pub(super) stream: Stream,
    pub(super) incoming: FrameReader<BufReader<Stream>>,
    welcome: Welcome,
    /// When the welcome was read.
    heard: Instant,
}

impl Session {
    pub(super) fn handover(&self) -> &str {
        &self.welcome.handover
    }

    /// The core's clock, and when it was heard.
    pub(super) fn tick(&self) -> (u64, Instant) {
        (self.welcome.tick_ms, self.heard)
    }
}

/// Makes sessions with one core.
pub(super) struct Greeter {
    address: CoreAddress,
    prover: Option<Prover>,
    name: String,
    /// The data directory that the core had first.
    data: OnceLock<[u8; 16]>,
    presence: Presence,
}

impl Greeter {
    pub(super) fn new(address: CoreAddress, secret: Option<Vec<u8>>, name: String) -> Greeter {
        let prover = secret.map(|secret| Prover::new(&secret));
        Greeter { address, prover, name, data: OnceLock::new(), presence: Presence::default() }
    }

    pub(super) fn address(&self) -> &CoreAddress {
        &self.address
    }

    /// The connection for `role` broke.
    pub(super) fn tell_lost(&self, role: Role, error: &io::Error) {
        if self.presence.lose(role) {
            tracing::warn!(%error, core = %self.address, "{AWAY}");
        }
    }

    /// A connection for `role` could not be made again. What waiting mends is told once for all
    /// roles; what it does not, whenever it is another reason.
    pub(super) fn tell_refused(&self, role: Role, why: &ConnectError) {
        let is_first = self.presence.lose(role);
        let is_news = !why.may_pass() && self.presence.is_news(&why.to_string());
        match why {
            ConnectError::Unreachable { error, .. } if is_first => {
                tracing::warn!(%error, core = %self.address, "{AWAY}");
            }
            why if is_first || is_news => tracing::warn!(%why, "trying again to reach the core"),
            _ => {}
        }
    }

    /// There is a connection for `role` again.
    pub(super) fn tell_found(&self, role: Role) {
        if self.presence.find(role) {
            tracing::info!(core = %self.address, "the core is back");
        }
    }

    /// Names the history that the core has; zeros before the first greeting.
    pub(super) fn history(&self) -> [u8; 16] {
        self.data.get().copied().unwrap_or_default()
    }

    /// Connects for `role`.
    pub(super) fn greet(&self, role: Role) -> Result<Session, ConnectError> {
        let unreachable = |error| ConnectError::Unreachable { core: self.address.clone(), error };
        let connect = || {
            let stream = Stream::connect(&self.address, GREETING_TIMEOUT)?;
            stream.set_timeouts(GREETING_TIMEOUT, WRITE_TIMEOUT)?;
            let incoming = BufReader::with_capacity(READ_BYTES, stream.try_clone()?);
            Ok((stream, FrameReader::new(incoming, WELCOME_BYTES_MAX)))
        };
        let (stream, incoming) = connect().map_err(unreachable)?;
        let mut session = self.shake_hands(stream, incoming, role)?;
        session.incoming.allow(REPLY_BYTES_MAX);
        session.stream.set_timeouts(SILENCE_MAX, WRITE_TIMEOUT).map_err(unreachable)?;
        if *self.data.get_or_init(|| session.welcome.data) != session.welcome.data {
            return Err(ConnectError::OtherData(self.address.clone()));
        }
        if session.welcome.build != BUILD {
            tracing::warn!(
                core = session.welcome.build,
                here = BUILD,
                "the core is of another version"
            );
        }
        Ok(session)
    }

    fn shake_hands(
        &self,
        mut stream: Stream,
        mut incoming: FrameReader<BufReader<Stream>>,
        role: Role,
    ) -> Result<Session, ConnectError> {
        let unreachable = |error| ConnectError::Unreachable { core: self.address.clone(), error };
        let hello = Hello {
            protocol: PROTOCOL_VERSION,
            build: BUILD.to_owned(),
            role,
            name: self.name.clone(),
            nonce: nonce().map_err(unreachable)?,
        };
        send(&mut stream, Kind::Hello, |out| hello.write(out)).map_err(unreachable)?;
        let mut frame = self.next(&mut incoming, Kind::Challenge)?;
        let challenge = Challenge::read(&mut frame.body).map_err(garbage).map_err(unreachable)?;
        let (ours, theirs) = self.proofs(&stream, &hello, &challenge)?;
        send(&mut stream, Kind::Proof, |out| out.extend_from_slice(ours.as_bytes()))
            .map_err(unreachable)?;
        let mut frame = self.next(&mut incoming, Kind::Welcome)?;
        let (proof, welcome) =
            Welcome::read(&mut frame.body).map_err(garbage).map_err(unreachable)?;
        if theirs.is_some_and(|theirs| theirs != proof) {
            return Err(ConnectError::Impostor(self.address.clone()));
        }
        Ok(Session { stream, incoming, welcome, heard: Instant::now() })
    }

    /// The proof to send, and the one to expect. On this machine the system says who is there.
    fn proofs(
        &self,
        stream: &Stream,
        hello: &Hello,
        challenge: &Challenge,
    ) -> Result<(Proof, Option<Proof>), ConnectError> {
        if stream.is_local() {
            let nothing = Proof::from_bytes([0; 32]);
            return if stream.is_own() {
                Ok((nothing, None))
            } else {
                Err(ConnectError::Impostor(self.address.clone()))
            };
        }
        let prover = self.prover.as_ref().ok_or(ConnectError::NoSecret)?;
        let theirs = prover.of_core(hello, challenge);
        Ok((prover.of_replica(hello, challenge), Some(theirs)))
    }

    /// The next frame, which must be of this kind unless it is a refusal.
    fn next<'a>(
        &self,
        incoming: &'a mut FrameReader<BufReader<Stream>>,
        kind: Kind,
    ) -> Result<Frame<'a>, ConnectError> {
        let core = || self.address.clone();
        let unreachable = |error| ConnectError::Unreachable { core: core(), error };
        let mut frame = incoming.next().map_err(unreachable)?;
        if frame.kind != Kind::Refusal {
            return frame.expect(kind).map_err(garbage).map_err(unreachable);
        }
        Err(match Refusal::read(&mut frame.body).map_err(garbage).map_err(unreachable)? {
            Refusal::Version(Version { protocol, build }) => {
                ConnectError::Version { core: core(), build, protocol }
            }
            Refusal::Secret => ConnectError::Secret(core()),
            Refusal::Busy => ConnectError::Busy(core()),
        })
    }
}

fn send(stream: &mut Stream, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
    let mut out = Vec::new();
    put_frame(&mut out, kind, 0, write);
    stream.write_all(&out)
}
