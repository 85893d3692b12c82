//! The ids in an address.
//!
//! A text that can't be an id names nothing, so it is answered like an id that
//! nobody has: 404, never 400.

use crate::problem::Fault;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use kilat_api::problem::Code;
use kilat_api::text::is_sale_id;
use kilat_engine::OrderId;
use std::convert::Infallible;

/// `{sale}` and `{order}` as they stand in the address; empty where the route has none.
pub(crate) struct Names {
    sale: String,
    order: String,
}

impl Names {
    /// # Errors
    /// [`Code::SaleNotFound`] when it can't be the id of a sale.
    pub(crate) fn sale(&self) -> Result<&str, Fault> {
        if is_sale_id(&self.sale) { Ok(&self.sale) } else { Err(Code::SaleNotFound.into()) }
    }

    /// # Errors
    /// [`Code::OrderNotFound`] when it can't be the id of an order.
    pub(crate) fn order(&self) -> Result<OrderId, Fault> {
        self.order.parse().map_err(|_| Code::OrderNotFound.into())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Names {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let params = RawPathParams::from_request_parts(parts, state).await.ok();
        let named = |wanted: &str| {
            let mut all = params.iter().flat_map(|params| params.iter());
            all.find(|(name, _)| *name == wanted)
                .map(|(_, value)| value.to_owned())
                .unwrap_or_default()
        };
        Ok(Names { sale: named("sale"), order: named("order") })
    }
}
