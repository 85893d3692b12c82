//! The sale that `kilat up` makes on its first start, so that there is something to click.

use crate::failure::Failure;
use kilat_engine::{Change, Handle, SaleTerms};

/// Id of the demo sale.
const SALE: &str = "iphone-17-pro-max";

/// Makes the demo sale if the ledger has no sale at all.
///
/// # Errors
/// [`Failure`] when the engine can't.
pub(crate) async fn ensure(handle: &Handle) -> Result<(), Failure> {
    if handle.board().sales().is_empty() {
        handle
            .change(Change::CreateSale { terms: Box::new(terms()) })
            .await
            .map_err(|why| Failure::failed(format!("the demo sale can't be made: {why}")))?;
    }
    Ok(())
}

fn terms() -> SaleTerms {
    SaleTerms {
        id: SALE.to_owned(),
        title: "iPhone 17 Pro Max".to_owned(),
        sku: "IPHONE-17-PRO-MAX".to_owned(),
        price_amount: "25749000".to_owned(),
        price_currency: "IDR".to_owned(),
        supply: 100,
        per_customer: Some(1),
        opens_at: None,
        closes_at: None,
        hold_seconds: 600,
    }
}
