//! The engine's words in the contract's: sales and their figures.

use crate::render::timestamp;
use jiff::Timestamp;
use kilat_api::audit::Audit;
use kilat_api::sale::{self as api, Price, SaleReply, Stock};
use kilat_engine::{Sale, SaleChange, SaleState, SaleSwitch, SaleTerms, Time};

/// A sale as every call shows it.
pub(crate) fn sale(sale: &Sale, now: Time) -> SaleReply {
    let Stock { supply, available, held, sold, state, opens_at, closes_at } = stock(sale, now);
    SaleReply {
        id: sale.terms.id.clone(),
        title: sale.terms.title.clone(),
        sku: sale.terms.sku.clone(),
        price: Price {
            amount: sale.terms.price_amount.clone(),
            currency: sale.terms.price_currency.clone(),
        },
        supply,
        available,
        held,
        sold,
        state,
        per_customer: sale.terms.per_customer,
        opens_at,
        closes_at,
        hold_seconds: sale.terms.hold_seconds,
    }
}

/// What changes while a sale runs.
pub(crate) fn stock(sale: &Sale, now: Time) -> Stock {
    let units = sale.counters;
    Stock {
        supply: units.supply,
        available: units.available,
        held: units.held,
        sold: units.sold,
        state: state(sale.state(now)),
        opens_at: sale.opens_at.map(timestamp),
        closes_at: sale.closes_at.map(timestamp),
    }
}

/// The figures that prove conservation.
pub(crate) fn audit(sale: &Sale) -> Audit {
    let units = sale.counters;
    let mut audit = Audit {
        supply: units.supply,
        available: units.available,
        held: units.held,
        sold: units.sold,
        confirmed: units.confirmed(),
        cancelled: units.cancelled,
        expired: units.expired,
        in_transit: sale.in_transit,
        balanced: false,
    };
    audit.balanced = audit.conserves();
    audit
}

/// The next instant at which a sale's state changes though nobody does anything.
pub(crate) fn next_switch(sale: &Sale, now: Time) -> Option<Time> {
    [sale.opens_at, sale.closes_at].into_iter().flatten().filter(|time| *time > now).min()
}

/// The terms of a sale that is asked for.
pub(crate) fn terms(request: api::SaleRequest) -> SaleTerms {
    SaleTerms {
        id: request.id,
        title: request.title,
        sku: request.sku,
        price_amount: request.price.amount,
        price_currency: request.price.currency,
        supply: request.supply,
        per_customer: request.per_customer,
        opens_at: request.opens_at.map(time),
        closes_at: request.closes_at.map(time),
        hold_seconds: request.hold_seconds,
    }
}

/// A change that is asked for.
pub(crate) fn change(request: &api::SaleChange) -> SaleChange {
    SaleChange {
        add_supply: request.add_supply.unwrap_or(0),
        state: request.state.map(|state| match state {
            api::SaleSwitch::Open => SaleSwitch::Open,
            api::SaleSwitch::Paused => SaleSwitch::Paused,
            api::SaleSwitch::Closed => SaleSwitch::Closed,
        }),
        opens_at: request.opens_at.map(|at| at.map(time)),
        closes_at: request.closes_at.map(|at| at.map(time)),
    }
}

fn time(timestamp: Timestamp) -> Time {
    Time::from_millis(timestamp.as_millisecond())
}

const fn state(state: SaleState) -> api::SaleState {
    match state {
        SaleState::Scheduled => api::SaleState::Scheduled,
        SaleState::Open => api::SaleState::Open,
        SaleState::Paused => api::SaleState::Paused,
        SaleState::SoldOut => api::SaleState::SoldOut,
        SaleState::Closed => api::SaleState::Closed,
    }
}
