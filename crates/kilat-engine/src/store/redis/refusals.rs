//! The numbers by which the rules in Lua call refusals.

use super::fault::unexpected;
use crate::store::StoreFault;
use kilat_ledger::Refusal;

/// Refusals by their number in the rules, from 1 on.
const REFUSALS: [Refusal; 18] = [
    Refusal::SaleNotFound,
    Refusal::SaleExists,
    Refusal::KeyReused,
    Refusal::Closed,
    Refusal::NotOpen,
    Refusal::Paused,
    Refusal::LimitReached,
    Refusal::SoldOut,
    Refusal::OrderNotFound,
    Refusal::HoldExpired,
    Refusal::OrderConfirmed,
    Refusal::OrderCancelled,
    Refusal::OrderIdTaken,
    Refusal::InvalidQuantity,
    Refusal::InvalidSchedule,
    Refusal::SupplyOverflow,
    Refusal::TooLong,
    Refusal::Full,
];

/// The number of a refusal.
#[expect(clippy::cast_possible_truncation, reason = "there are 18")]
pub(super) fn code(refusal: Refusal) -> u8 {
    REFUSALS.iter().position(|known| *known == refusal).map_or(0, |index| index as u8 + 1)
}

/// The refusal that a number stands for.
pub(super) fn of(code: u8) -> Result<Refusal, StoreFault> {
    let refusal = usize::from(code).checked_sub(1).and_then(|index| REFUSALS.get(index));
    refusal.copied().ok_or_else(|| unexpected("a refusal"))
}
