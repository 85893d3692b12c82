//! Keyed 128-bit fingerprints of (sale, customer) and (sale, customer, key).
//!
//! The ledger finds a customer or a remembered order by fingerprint alone and never compares
//! the strings. Two different inputs share a 128-bit fingerprint with probability 2^-128; among
//! 4 billion orders (the most a ledger holds) any collision has a probability below 2^-64, far
//! below that of undetected memory errors. Strangers choose customers and keys, so the hash is
//! keyed with a secret (SipHash-1-3, Aumasson and Bernstein, 2012): without the key nobody can
//! look for colliding inputs. The key must stay secret and the same for the life of the data.

use std::fmt;
use std::hash::{BuildHasher, Hasher};

use siphasher::sip::SipHasher13 as SipHasher64;
use siphasher::sip128::{Hasher128, SipHasher13};

/// A keyed 128-bit hash that stands for what it was made of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Fingerprint(pub(crate) u128);

/// The fingerprints an order needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prints {
    /// Of (sale, customer).
    pub customer: Fingerprint,
    /// Of (sale, customer, key).
    pub order: Fingerprint,
}

/// Makes fingerprints with a secret key. Cheap to copy into every thread that makes commands.
#[derive(Clone, Copy)]
pub struct Fingerprinter {
    key: [u8; 16],
}

impl fmt::Debug for Fingerprinter {
    /// Keeps the key out of every log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprinter")
    }
}

impl Fingerprinter {
    /// With 16 secret bytes, the same for the life of the data.
    #[must_use]
    pub const fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    /// Of a customer within a sale.
    #[must_use]
    pub fn customer(&self, sale: &str, customer: &str) -> Fingerprint {
        finish(&self.prefix(sale, customer))
    }

    /// Of an idempotency key within a customer within a sale.
    #[must_use]
    pub fn order(&self, sale: &str, customer: &str, key: &str) -> Fingerprint {
        self.prints(sale, customer, key).order
    }

    /// Both at once, hashing what they share once.
    #[must_use]
    pub fn prints(&self, sale: &str, customer: &str, key: &str) -> Prints {
        let mut hasher = self.prefix(sale, customer);
        let customer = finish(&hasher);
        hasher.write(key.as_bytes());
        Prints { customer, order: finish(&hasher) }
    }

    /// Lengths come first, so that no two (sale, customer) pairs give the same bytes, and the
    /// key is whatever follows. The two kinds of prints live in tables of their own.
    fn prefix(&self, sale: &str, customer: &str) -> SipHasher13 {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        hasher.write(&(sale.len() as u64).to_le_bytes());
        hasher.write(&(customer.len() as u64).to_le_bytes());
        hasher.write(sale.as_bytes());
        hasher.write(customer.as_bytes());
        hasher
    }

    /// Tells whether two fingerprinters have the same key without giving the key away: a
    /// snapshot carries it. Its input can't be a (sale, customer) pair: the lengths don't fit.
    pub(crate) fn check_value(&self) -> u128 {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        hasher.write(&[0xff; 16]);
        finish(&hasher).0
    }
}

/// Hashes the names of sales: with a key, since strangers may ask for any name.
impl BuildHasher for Fingerprinter {
    type Hasher = SipHasher64;

    fn build_hasher(&self) -> SipHasher64 {
        SipHasher64::new_with_key(&self.key)
    }
}

fn finish(hasher: &SipHasher13) -> Fingerprint {
    Fingerprint(hasher.finish128().as_u128())
}
