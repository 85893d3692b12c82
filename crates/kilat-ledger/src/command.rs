//! What callers ask for. Knows nothing about what is allowed: `decide` does.

use crate::fingerprint::{Fingerprint, Fingerprinter, Prints};
use crate::order_id::OrderId;
use crate::time::Time;

/// Largest supply of a sale, in units, restocks included.
pub const SUPPLY_MAX: u64 = 1_000_000_000_000;
/// Longest customer, in bytes.
pub const CUSTOMER_BYTES_MAX: usize = 1_024;
/// Longest idempotency key, in bytes.
pub const KEY_BYTES_MAX: usize = 255;
/// Longest text of a sale's terms (id, title, SKU, price), in bytes.
pub const TERMS_TEXT_BYTES_MAX: usize = 4_096;

/// One request to the ledger. Borrows its strings: nothing is copied for a refusal.
#[derive(Clone, Copy, Debug)]
pub enum Command<'a> {
    /// Create a sale. Idempotent by content: the same terms again change nothing.
    CreateSale {
        /// What is sold, and how.
        terms: &'a SaleTerms,
    },
    /// Restock, pause, open, close or reschedule a sale.
    ChangeSale {
        /// The sale's id.
        sale: &'a str,
        /// Idempotency key, scoped to the sale and remembered for its life.
        key: &'a str,
        /// What changes.
        change: &'a SaleChange,
    },
    /// Buy or hold units.
    PlaceOrder(PlaceOrder<'a>),
    /// Turn a hold into a sale.
    ConfirmOrder {
        /// The sale's id.
        sale: &'a str,
        /// The order.
        order: OrderId,
        /// Only this customer's order; anyone else's is `OrderNotFound`. `None` for the shop.
        by: Option<&'a str>,
    },
    /// Give a hold back.
    CancelOrder {
        /// The sale's id.
        sale: &'a str,
        /// The order.
        order: OrderId,
        /// Only this customer's order; anyone else's is `OrderNotFound`. `None` for the shop.
        by: Option<&'a str>,
    },
}

/// Buy or hold `quantity` units. Made with [`PlaceOrder::new`], which hashes, so that the
/// thread that commits does not have to.
#[derive(Clone, Copy, Debug)]
pub struct PlaceOrder<'a> {
    /// The id of the order, if it comes to one.
    pub id: OrderId,
    /// The sale's id.
    pub sale: &'a str,
    /// Who buys.
    pub customer: &'a str,
    /// Idempotency key, scoped to (sale, customer) and remembered for the life of the sale.
    pub key: &'a str,
    /// Units, at least 1.
    pub quantity: u32,
    /// Hold the units for the sale's `hold_seconds` instead of buying them at once.
    pub hold: bool,
    prints: Prints,
}

impl<'a> PlaceOrder<'a> {
    /// Computes the fingerprints. The fingerprinter must have the ledger's own key.
    #[must_use]
    pub fn new(
        fingerprinter: &Fingerprinter,
        id: OrderId,
        sale: &'a str,
        customer: &'a str,
        key: &'a str,
        quantity: u32,
        hold: bool,
    ) -> Self {
        Self {
            id,
            sale,
            customer,
            key,
            quantity,
            hold,
            prints: fingerprinter.prints(sale, customer, key),
        }
    }

    /// The order with fingerprints made elsewhere: [`Fingerprinter::prints`] of the same
    /// sale, customer and key. With any other the ledger forgets who this is.
    #[must_use]
    pub fn with_prints(
        prints: Prints,
        id: OrderId,
        sale: &'a str,
        customer: &'a str,
        key: &'a str,
        quantity: u32,
        hold: bool,
    ) -> Self {
        Self { id, sale, customer, key, quantity, hold, prints }
    }

    /// Of (sale, customer).
    #[must_use]
    pub const fn customer_print(&self) -> Fingerprint {
        self.prints.customer
    }

    /// Of (sale, customer, key).
    #[must_use]
    pub const fn order_print(&self) -> Fingerprint {
        self.prints.order
    }

    /// Both.
    #[must_use]
    pub const fn prints(&self) -> Prints {
        self.prints
    }
}

/// What a sale offers, as it was created. What changes later stands in
/// [`SaleView`](crate::SaleView).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SaleTerms {
    /// The sale's id, unique for the life of the ledger.
    pub id: String,
    /// For people.
    pub title: String,
    /// Stock-keeping unit.
    pub sku: String,
    /// Decimal string; the ledger does not calculate with it.
    pub price_amount: String,
    /// ISO 4217 code.
    pub price_currency: String,
    /// Units at the start, at most [`SUPPLY_MAX`].
    pub supply: u64,
    /// Most units held and bought by one customer; `None` for no limit.
    pub per_customer: Option<u32>,
    /// Orders are refused before this; `None` for open now.
    pub opens_at: Option<Time>,
    /// Orders are refused from this on; `None` for never.
    pub closes_at: Option<Time>,
    /// How long a hold lasts, in seconds. With 0 a hold is over as soon as it is placed.
    pub hold_seconds: u32,
}

/// A change of a sale. The default changes nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SaleChange {
    /// Units to add to supply and stock.
    pub add_supply: u64,
    /// Pause, resume or close for good.
    pub state: Option<SaleSwitch>,
    /// `Some(None)` opens now.
    pub opens_at: Option<Option<Time>>,
    /// `Some(None)` never closes by itself.
    pub closes_at: Option<Option<Time>>,
}

/// What an operator has set a sale to. A closed sale can't be reopened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SaleSwitch {
    /// Sells, if the schedule says so.
    #[default]
    Open,
    /// Sells nothing for now.
    Paused,
    /// Sells nothing any more.
    Closed,
}
