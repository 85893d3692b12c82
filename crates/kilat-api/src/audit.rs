//! The figures that prove conservation.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Reply of `GET /v1/sales/{sale}/audit`: units, read at one instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Audit {
    /// Units ever put on sale.
    pub supply: u64,
    /// Units that can be bought now.
    pub available: u64,
    /// Units set aside in holds.
    pub held: u64,
    /// Units sold.
    pub sold: u64,
    /// Units in confirmed orders; equals `sold`.
    pub confirmed: u64,
    /// Units in cancelled orders.
    pub cancelled: u64,
    /// Units in expired orders.
    pub expired: u64,
    /// Units on their way between the parts of a sale whose stock is split; not said when 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub in_transit: u64,
    /// `available + held + sold + in_transit == supply` and `confirmed == sold`.
    pub balanced: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references over")]
fn is_zero(units: &u64) -> bool {
    *units == 0
}

impl Audit {
    /// Whether the figures conserve the supply, computed from the figures themselves.
    #[must_use]
    pub fn conserves(&self) -> bool {
        let total = u128::from(self.available)
            + u128::from(self.held)
            + u128::from(self.sold)
            + u128::from(self.in_transit);
        total == u128::from(self.supply) && self.confirmed == self.sold
    }
}
