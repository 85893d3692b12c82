//! The handshake: who speaks which version, and proof that both ends know the same secret.
//!
//! ```text
//! replica                                   core
//!   Hello  magic, protocol, build, role, name, nonce ─▶
//!                       ◀─ Challenge  protocol, build, nonce          (or Refusal)
//!   Proof  keyed hash over everything so far ─▶
//!                       ◀─ Welcome  keyed hash, state, handover       (or Refusal)
//! ```
//!
//! The secret itself never travels. The proofs are BLAKE3 keyed hashes over both
//! nonces; each end's differs, so that neither can be sent back. What follows is
//! neither encrypted nor signed: see the ADR for what that means on a network.

use super::PROTOCOL_VERSION;
use super::wire::{Input, Malformed, Put as _};

/// First bytes of a hello.
const MAGIC: [u8; 8] = *b"KILATCOR";
/// Longest frame of the handshake from a replica, in bytes.
pub(crate) const HELLO_BYTES_MAX: usize = 1_024;
/// Longest frame of the handshake from a core, in bytes.
pub(crate) const WELCOME_BYTES_MAX: usize = 64 << 10;
/// Longest name of a replica, in bytes.
const NAME_BYTES_MAX: usize = 256;
/// For what the secret's derived key is used, and nothing else.
const CONTEXT: &str = "kilat 2026-11 core protocol handshake";

/// Random bytes of one end and one handshake.
pub(crate) type Nonce = [u8; 32];
/// A keyed hash over a handshake. Compared in constant time.
pub(crate) type Proof = blake3::Hash;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Role {
    /// Commands to the ledger, and the states of sales.
    Ledger = 1,
    /// Publications, and how far the event log has come.
    Events = 2,
    /// Reads of the event log, which may take long.
    Reads = 3,
}

/// How a replica begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) protocol: u16,
    pub(crate) build: String,
    pub(crate) role: Role,
    /// For the core's log.
    pub(crate) name: String,
    pub(crate) nonce: Nonce,
}

impl Hello {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.put(MAGIC);
        out.put(self.protocol.to_le_bytes());
        out.put_text(&self.build);
        out.push(self.role as u8);
        let name = &self.name[..self.name.floor_char_boundary(NAME_BYTES_MAX)];
        out.put_text(name);
        out.put(self.nonce);
    }

    /// A hello of another version is read as far as all versions agree: protocol and build.
    pub(crate) fn read(input: &mut Input<'_>) -> Result<Result<Hello, Version>, Malformed> {
        if input.array()? != MAGIC {
            return Err(Malformed("this is not a replica"));
        }
        let version = Version { protocol: input.u16()?, build: input.owned()? };
        if version.protocol != PROTOCOL_VERSION {
            return Ok(Err(version));
        }
        let role = match input.u8()? {
            1 => Role::Ledger,
            2 => Role::Events,
            3 => Role::Reads,
            _ => return Err(Malformed("a replica wants what there is not")),
        };
        let (name, nonce) = (input.owned()?, input.array()?);
        input.end()?;
        let Version { protocol, build } = version;
        Ok(Ok(Hello { protocol, build, role, name, nonce }))
    }
}

/// Which program speaks which protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) protocol: u16,
    pub(crate) build: String,
}

/// How a core answers a hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Challenge {
    pub(crate) nonce: Nonce,
}

impl Challenge {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.put(self.nonce);
    }

    pub(crate) fn read(input: &mut Input<'_>) -> Result<Challenge, Malformed> {
        let nonce = input.array()?;
        input.end()?;
        Ok(Challenge { nonce })
    }
}

/// Why a core does not take a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The core speaks another protocol.
    Version(Version),
    /// The replica does not know the secret.
    Secret,
    /// The core has as many connections as it takes, or is stopping: ask again later.
    Busy,
}

impl Refusal {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Refusal::Version(Version { protocol, build }) => {
                out.push(1);
                out.put(protocol.to_le_bytes());
                out.put_text(build);
            }
            Refusal::Secret => out.push(2),
            Refusal::Busy => out.push(3),
        }
    }

    pub(crate) fn read(input: &mut Input<'_>) -> Result<Refusal, Malformed> {
        Ok(match input.u8()? {
            1 => Refusal::Version(Version { protocol: input.u16()?, build: input.owned()? }),
            2 => Refusal::Secret,
            3 => Refusal::Busy,
            _ => return Err(Malformed("a core refuses for no known reason")),
        })
    }
}

/// What a replica that is taken learns.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Welcome {
    /// Names the data directory: a replica goes on with this one only.
    pub(crate) data: [u8; 16],
    /// The program's version.
    pub(crate) build: String,
    /// The core's clock of connections, in milliseconds; it never goes back while the core runs.
    pub(crate) tick_ms: u64,
    /// What the core's owner gives to replicas of the same user on the same machine.
    pub(crate) handover: String,
}

impl Welcome {
    pub(crate) fn write(&self, proof: &Proof, out: &mut Vec<u8>) {
        out.put(*proof.as_bytes());
        out.put(self.data);
        out.put_text(&self.build);
        out.put(self.tick_ms.to_le_bytes());
        out.put_text(&self.handover);
    }

    pub(crate) fn read(input: &mut Input<'_>) -> Result<(Proof, Welcome), Malformed> {
        let proof = blake3::Hash::from_bytes(input.array()?);
        let welcome = Welcome {
            data: input.array()?,
            build: input.owned()?,
            tick_ms: input.u64()?,
            handover: input.owned()?,
        };
        input.end()?;
        Ok((proof, welcome))
    }
}

/// Proves that both ends know the same secret.
#[derive(Clone)]
pub(crate) struct Prover([u8; 32]);

impl Prover {
    pub(crate) fn new(secret: &[u8]) -> Prover {
        Prover(blake3::derive_key(CONTEXT, secret))
    }

    /// The replica's proof, over its whole hello and the core's nonce.
    pub(crate) fn of_replica(&self, hello: &Hello, challenge: &Challenge) -> Proof {
        self.prove(b"replica", hello, challenge)
    }

    /// The core's proof over the same.
    pub(crate) fn of_core(&self, hello: &Hello, challenge: &Challenge) -> Proof {
        self.prove(b"core", hello, challenge)
    }

    fn prove(&self, by: &[u8], hello: &Hello, challenge: &Challenge) -> Proof {
        let mut said = Vec::new();
        hello.write(&mut said);
        challenge.write(&mut said);
        said.extend_from_slice(by);
        blake3::keyed_hash(&self.0, &said)
    }
}
