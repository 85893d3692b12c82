//! The numbers by which the rules in Lua call refusals.

use super::fault::unexpected;
use crate::refusals::REFUSALS;
use crate::store::StoreFault;
use kilat_ledger::Refusal;

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
