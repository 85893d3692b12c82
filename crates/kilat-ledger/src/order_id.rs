//! Order ids: 128 random bits that enter with the command, so that they can't be guessed and
//! deciding stays deterministic. Makes none itself.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// An order's id. Written as 32 lowercase hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OrderId(u128);

impl OrderId {
    /// From 128 bits that the caller drew at random.
    #[must_use]
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// The 128 bits.
    #[must_use]
    pub const fn to_bits(self) -> u128 {
        self.0
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for OrderId {
    type Err = OrderIdError;

    /// Accepts exactly what `Display` writes, so that an order has one spelling.
    fn from_str(text: &str) -> Result<Self, OrderIdError> {
        let canonical = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 32 || !text.bytes().all(canonical) {
            return Err(OrderIdError);
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| OrderIdError)
    }
}

/// The text is no order id. What to do: fix the request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OrderIdError;

impl fmt::Display for OrderIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an order id must be 32 lowercase hexadecimal digits")
    }
}

impl Error for OrderIdError {}
