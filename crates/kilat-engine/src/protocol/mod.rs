//! What a replica and a core say to each other: frames, the handshake, and the words in them.
//!
//! Both ends of the connection are built from this one description, which is
//! written down in `docs/formats/core.md`. Total: no bytes from a socket make it
//! panic, and no length is believed before the bytes are there. It knows nothing
//! of sockets, threads, queues or time.

pub(crate) mod events;
pub(crate) mod frame;
pub(crate) mod hello;
pub(crate) mod ledger;
pub(crate) mod wire;

use crate::Unavailable;
use wire::{Input, Malformed};

/// Version of everything in this module. Both ends must speak the same.
pub(crate) const PROTOCOL_VERSION: u16 = 2;
/// Longest frame that a replica sends, in bytes after the length: the largest group or publication.
pub(crate) const REQUEST_BYTES_MAX: usize = 16 << 20;
/// Longest frame that a core sends, in bytes after the length.
pub(crate) const REPLY_BYTES_MAX: usize = 64 << 20;

/// Why a core did not carry a request out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Declined {
    /// As its own engine said.
    Unavailable(Unavailable),
    /// The request was made too long ago.
    Stale,
    /// What was asked for does not fit into a frame, or can't be read.
    Unreadable,
}

impl Declined {
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        out.push(match self {
            Declined::Unavailable(Unavailable::Overloaded) => 0,
            Declined::Unavailable(Unavailable::StorageFull) => 1,
            Declined::Unavailable(Unavailable::ShuttingDown) => 2,
            Declined::Unavailable(Unavailable::TooManyTopics) => 3,
            Declined::Unavailable(
                Unavailable::Failed | Unavailable::Unknown | Unavailable::Away,
            ) => 4,
            Declined::Stale => 5,
            Declined::Unreadable => 6,
        });
    }

    pub(crate) fn read(input: &mut Input<'_>) -> Result<Declined, Malformed> {
        Ok(match input.u8()? {
            0 => Declined::Unavailable(Unavailable::Overloaded),
            1 => Declined::Unavailable(Unavailable::StorageFull),
            2 => Declined::Unavailable(Unavailable::ShuttingDown),
            3 => Declined::Unavailable(Unavailable::TooManyTopics),
            4 => Declined::Unavailable(Unavailable::Failed),
            5 => Declined::Stale,
            6 => Declined::Unreadable,
            _ => return Err(Malformed("a refusal is of no known kind")),
        })
    }
}
