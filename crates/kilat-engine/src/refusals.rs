//! The numbers of refusals: in frames between replicas and core, in PostgreSQL's functions and in
//! Redis's rules. Knows nothing of what any of them adds to a number.

use kilat_ledger::Refusal;

/// Every refusal, by its number from 0 on. New ones go to the end: what others speak or keep in a
/// store counts by this order.
pub(crate) const REFUSALS: [Refusal; 18] = [
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
