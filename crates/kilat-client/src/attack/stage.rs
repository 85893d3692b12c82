//! What must stand before the first buyer comes: the sale, and its figures.

use super::options::{AttackOptions, Plan};
use crate::http::{Api, CallError, Patience, decode, random_key};
use crate::{ClientError, Lang};
use kilat_api::audit::Audit;
use kilat_api::sale::{Price, SaleChange, SaleRequest, SaleSwitch};
use std::time::Duration;
use ureq::http::Method;

/// How long a hold of a rehearsal sale lasts.
const HOLD_SECONDS: u32 = 600;

/// Longest that closing the rehearsal sale is tried.
const CLOSING_MAX: Duration = Duration::from_secs(10);

/// Makes the rehearsal sale if one is asked for; else tries whether the token is good.
///
/// # Errors
/// [`ClientError::NoAdminToken`] for a rehearsal without an admin token, else what the server said.
pub(crate) fn prepare(api: &Api, plan: &Plan, options: &AttackOptions) -> Result<(), ClientError> {
    if plan.is_rehearsal {
        return make_rehearsal(api, plan, options);
    }
    if options.admin_token.is_some() {
        return try_token(api, plan).map_err(|error| explain(&error, plan, options.lang));
    }
    Ok(())
}

/// The sale's figures before the first order.
///
/// # Errors
/// What the server said.
pub(crate) fn figures(api: &Api, plan: &Plan, lang: Lang) -> Result<Audit, ClientError> {
    read_audit(api, plan).map_err(|error| explain(&error, plan, lang))
}

/// Closes the rehearsal sale for good, so that nobody goes on buying what was never for sale.
///
/// # Errors
/// What the server said last, when it did not close it within [`CLOSING_MAX`].
pub(crate) fn close(api: &Api, plan: &Plan, options: &AttackOptions) -> Result<(), CallError> {
    let change = SaleChange { state: Some(SaleSwitch::Closed), ..SaleChange::default() };
    // As above: nothing in it can fail to be written.
    let body = serde_json::to_vec(&change).unwrap_or_default();
    let (path, key) = (format!("/v1/sales/{}", plan.sale), random_key());
    let limit = options.patience.min(CLOSING_MAX);
    let patience = Patience { limit, cancel: &options.cancel };
    patience.call(|| api.send(Method::PATCH, &path, Some(&key), body.clone())).map(|_| ())
}

/// The sale's figures now.
pub(crate) fn read_audit(api: &Api, plan: &Plan) -> Result<Audit, CallError> {
    let body = api.get(&format!("/v1/sales/{}/audit", plan.sale))?;
    decode(&body)
}

/// Whether the token lists orders: better known before the attack than in its proof.
fn try_token(api: &Api, plan: &Plan) -> Result<(), CallError> {
    let path = format!("/v1/sales/{}/orders?limit=1", plan.sale);
    api.get(&path).map(|_| ())
}

fn make_rehearsal(api: &Api, plan: &Plan, options: &AttackOptions) -> Result<(), ClientError> {
    let lang = options.lang;
    if !api.has_token() {
        return Err(ClientError::NoAdminToken(lang.say("error.rehearsal_token", &[])));
    }
    let request = SaleRequest {
        id: plan.sale.clone(),
        title: format!("Rehearsal {}", plan.run),
        sku: "REHEARSAL".to_owned(),
        price: Price { amount: "1".to_owned(), currency: "IDR".to_owned() },
        supply: options.supply,
        per_customer: options.per_customer,
        opens_at: None,
        closes_at: None,
        hold_seconds: HOLD_SECONDS,
    };
    // Numbers and strings only: nothing in it can fail to be written.
    let body = serde_json::to_vec(&request).unwrap_or_default();
    api.send(Method::POST, "/v1/sales", Some(&random_key()), body)
        .map(|_| ())
        .map_err(|error| explain(&error, plan, lang))
}

fn explain(error: &CallError, plan: &Plan, lang: Lang) -> ClientError {
    match error {
        CallError::Refused { status: 401 | 403, .. } => {
            ClientError::Usage(lang.say("error.admin_token", &[]))
        }
        error => error.explain(&plan.url, lang),
    }
}
