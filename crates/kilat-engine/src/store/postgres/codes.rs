//! The numbers that the functions in `schema_1.sql` speak in. They are as lasting as the tables.

use crate::refusals::REFUSALS;
use kilat_ledger::{OrderStatus, Refusal, SaleSwitch};

/// An order, just placed or settled.
pub(super) const ORDER: i16 = 0;
/// An order that had been.
pub(super) const ORDER_AGAIN: i16 = 1;
pub(super) const SALE_CREATED: i16 = 2;
pub(super) const SALE_CREATED_AGAIN: i16 = 3;
pub(super) const SALE_CHANGED: i16 = 4;
pub(super) const SALE_CHANGED_AGAIN: i16 = 5;
/// The first refusal.
const REFUSED: i16 = 10;

pub(super) fn refusal_code(refusal: Refusal) -> i16 {
    let place = REFUSALS.iter().position(|one| *one == refusal).unwrap_or(REFUSALS.len());
    REFUSED + i16::try_from(place).unwrap_or(0)
}

pub(super) fn refusal(code: i16) -> Option<Refusal> {
    REFUSALS.get(usize::try_from(code - REFUSED).ok()?).copied()
}

/// What an order's status is by its number.
pub(super) fn status(number: i16) -> Option<OrderStatus> {
    Some(match number {
        0 => OrderStatus::Held,
        1 => OrderStatus::Confirmed,
        2 => OrderStatus::Cancelled,
        3 => OrderStatus::Expired,
        _ => return None,
    })
}

pub(super) fn switch_number(switch: SaleSwitch) -> i16 {
    match switch {
        SaleSwitch::Open => 0,
        SaleSwitch::Paused => 1,
        SaleSwitch::Closed => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_the_numbers_that_the_functions_use() {
        let used = [
            (Refusal::SaleNotFound, 10),
            (Refusal::SaleExists, 11),
            (Refusal::KeyReused, 12),
            (Refusal::Closed, 13),
            (Refusal::NotOpen, 14),
            (Refusal::Paused, 15),
            (Refusal::LimitReached, 16),
            (Refusal::SoldOut, 17),
            (Refusal::OrderNotFound, 18),
            (Refusal::HoldExpired, 19),
            (Refusal::OrderConfirmed, 20),
            (Refusal::OrderCancelled, 21),
            (Refusal::OrderIdTaken, 22),
            (Refusal::InvalidQuantity, 23),
            (Refusal::InvalidSchedule, 24),
            (Refusal::SupplyOverflow, 25),
            (Refusal::TooLong, 26),
            (Refusal::Full, 27),
        ];
        for (known, code) in used {
            assert_eq!((refusal_code(known), refusal(code)), (code, Some(known)));
        }
        assert_eq!((refusal(9), refusal(28)), (None, None));
    }
}
