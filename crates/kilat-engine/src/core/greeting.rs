//! Taking a replica in, or telling it why not.

use super::Shared;
use crate::protocol::PROTOCOL_VERSION;
use crate::protocol::frame::{FrameReader, Kind, garbage, put_frame};
use crate::protocol::hello::{Challenge, HELLO_BYTES_MAX, Hello, Nonce, Refusal, Version, Welcome};
use crate::protocol::wire::Malformed;
use crate::socket::Stream;
use std::fs::File;
use std::io::{self, BufReader, Read as _, Write as _};
use std::time::Duration;

/// Longest that each step of a greeting may take.
pub(super) const GREETING_TIMEOUT: Duration = Duration::from_secs(5);
/// The program's version.
pub(crate) const BUILD: &str = env!("CARGO_PKG_VERSION");

/// Why a connection came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotTaken {
    #[error("it speaks protocol {}, of kilat {}", .0.protocol, .0.build)]
    Version(Version),
    #[error("it does not know the secret, or runs as another user")]
    Secret,
    #[error("it left before it said who it is")]
    Silent,
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// A replica's side of the socket, to be read from.
pub(super) type Incoming = FrameReader<BufReader<Stream>>;

/// Goes through the handshake; what the replica said of itself.
pub(super) fn greet(
    shared: &Shared,
    incoming: &mut Incoming,
    stream: &mut Stream,
) -> Result<Hello, NotTaken> {
    let first = incoming.next().map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => NotTaken::Silent,
        _ => NotTaken::Io(error),
    })?;
    let mut first = first.expect(Kind::Hello).map_err(garbage)?;
    let hello = match Hello::read(&mut first.body).map_err(garbage)? {
        Ok(hello) => hello,
        Err(theirs) => {
            let ours = Version { protocol: PROTOCOL_VERSION, build: BUILD.to_owned() };
            refuse(stream, &Refusal::Version(ours));
            return Err(NotTaken::Version(theirs));
        }
    };
    let challenge = Challenge { nonce: nonce()? };
    send(stream, Kind::Challenge, |out| challenge.write(out))?;
    let mut proof = incoming.next()?.expect(Kind::Proof).map_err(garbage)?;
    let proof = blake3::Hash::from_bytes(proof.body.array().map_err(garbage)?);
    // A socket in the file system is for this user's own processes, who could read the secret.
    let known = stream.is_own()
        || (!stream.is_local() && proof == shared.prover.of_replica(&hello, &challenge));
    if !known {
        refuse(stream, &Refusal::Secret);
        return Err(NotTaken::Secret);
    }
    let welcome = Welcome {
        data: shared.data,
        build: BUILD.to_owned(),
        tick_ms: shared.now_ms(),
        handover: if stream.is_own() { shared.handover.clone() } else { String::new() },
    };
    let proof = shared.prover.of_core(&hello, &challenge);
    send(stream, Kind::Welcome, |out| welcome.write(&proof, out))?;
    Ok(hello)
}

/// Too many are here already.
pub(super) fn refuse_busy(mut stream: Stream) {
    // The buffer of a new socket takes a frame without waiting.
    refuse(&mut stream, &Refusal::Busy);
}

/// A replica that does not take the reason is no fault of ours.
fn refuse(stream: &mut Stream, why: &Refusal) {
    let _ = send(stream, Kind::Refusal, |out| why.write(out));
}

fn send(stream: &mut Stream, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
    let mut out = Vec::new();
    put_frame(&mut out, kind, 0, write);
    stream.write_all(&out)
}

/// Random bytes that nobody can foresee.
pub(crate) fn nonce() -> io::Result<Nonce> {
    let mut nonce = Nonce::default();
    File::open("/dev/urandom")?.read_exact(&mut nonce)?;
    Ok(nonce)
}

/// A reader for a new connection, which may say little before it is known.
pub(super) fn incoming(stream: &Stream) -> io::Result<Incoming> {
    stream.set_timeouts(GREETING_TIMEOUT, GREETING_TIMEOUT)?;
    Ok(FrameReader::new(BufReader::with_capacity(READ_BYTES, stream.try_clone()?), HELLO_BYTES_MAX))
}

/// Bytes taken from a socket at a time.
const READ_BYTES: usize = 64 << 10;

impl From<Malformed> for NotTaken {
    fn from(why: Malformed) -> NotTaken {
        NotTaken::Io(garbage(why))
    }
}
