//! Creating, changing and showing sales.

use crate::body::Validate;
use crate::problem::FieldFault;
use crate::schema;
use crate::text;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// Most units that a sale may ever have, restocks included.
pub const SUPPLY_MAX: u64 = 1_000_000_000_000;
/// Longest hold, in seconds: 30 days.
pub const HOLD_SECONDS_MAX: u32 = 30 * 24 * 3600;
/// Longest amount, in characters.
pub const AMOUNT_CHARS_MAX: usize = 32;

/// What a unit costs. Kilat shows the price; it never computes with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Decimal string, such as `24999000` or `19.90`: no more decimals than the currency has, and no
    /// separators of thousands.
    #[schema(value_type = schema::Amount)]
    pub amount: String,
    /// ISO 4217 code, such as `IDR`.
    #[schema(value_type = schema::Currency)]
    pub currency: String,
}

impl Price {
    /// Most decimals that an amount in `currency` may have: the minor units of ISO 4217. `None` where
    /// there are none to count, as for gold, and for what is no currency.
    #[must_use]
    pub fn decimals_max(currency: &str) -> Option<usize> {
        iso_currency::Currency::from_code(currency)?.exponent().map(usize::from)
    }

    /// What is wrong with the amount. `1.500` rupiah is one and a half to a program and fifteen hundred
    /// to who wrote it, so it is neither.
    fn fault(&self) -> Option<String> {
        if !is_amount(&self.amount) {
            return Some("must be a decimal such as \"19.90\"".to_owned());
        }
        let most = Price::decimals_max(&self.currency)?;
        let (_, decimals) = self.amount.split_once('.')?;
        (decimals.len() > most).then(|| {
            let currency = &self.currency;
            format!(
                "must have at most {most} decimals in {currency}, and no separators of thousands"
            )
        })
    }
}

/// Body of `POST /v1/sales`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SaleRequest {
    /// `[a-z0-9][a-z0-9-]{0,63}`.
    #[schema(value_type = schema::SaleId)]
    pub id: String,
    /// Shown to buyers: 1–200 printable characters.
    #[schema(value_type = schema::Title)]
    pub title: String,
    /// Stock keeping unit: 1–64 printable characters.
    #[schema(value_type = schema::Sku)]
    pub sku: String,
    /// What a unit costs.
    pub price: Price,
    /// Units on sale, up to a million millions ([`SUPPLY_MAX`]).
    #[schema(value_type = schema::Supply)]
    pub supply: u64,
    /// Most units that one customer may hold and buy; `null` for no limit.
    #[serde(default)]
    #[schema(value_type = Option<schema::PerCustomer>)]
    pub per_customer: Option<u32>,
    /// When buying starts; `null` for at once.
    #[serde(default)]
    #[schema(value_type = Option<schema::Instant>)]
    pub opens_at: Option<Timestamp>,
    /// When buying ends; `null` for never.
    #[serde(default)]
    #[schema(value_type = Option<schema::Instant>)]
    pub closes_at: Option<Timestamp>,
    /// How long a hold lasts, in seconds, up to 30 days ([`HOLD_SECONDS_MAX`]).
    #[serde(default = "default_hold_seconds")]
    #[schema(value_type = schema::HoldSeconds, default = default_hold_seconds)]
    pub hold_seconds: u32,
}

const fn default_hold_seconds() -> u32 {
    600
}

impl Validate for SaleRequest {
    fn validate(&self, faults: &mut Vec<FieldFault>) {
        let mut require = |holds: bool, field: &str, message: String| {
            if !holds {
                faults.push(FieldFault::new(field, message));
            }
        };
        let printable = |most| format!("must be 1 to {most} printable characters");
        require(
            text::is_sale_id(&self.id),
            "id",
            "must be 1 to 64 characters a-z, 0-9 and '-', not starting with '-'".to_owned(),
        );
        require(
            text::is_printable(&self.title, text::TITLE_CHARS_MAX),
            "title",
            printable(text::TITLE_CHARS_MAX),
        );
        require(
            text::is_printable(&self.sku, text::SKU_CHARS_MAX),
            "sku",
            printable(text::SKU_CHARS_MAX),
        );
        let amount = self.price.fault();
        require(amount.is_none(), "price.amount", amount.unwrap_or_default());
        require(
            iso_currency::Currency::from_code(&self.price.currency).is_some(),
            "price.currency",
            "must be an ISO 4217 code such as \"IDR\"".to_owned(),
        );
        require(self.supply <= SUPPLY_MAX, "supply", format!("must be at most {SUPPLY_MAX}"));
        require(
            self.per_customer != Some(0),
            "per_customer",
            "must be at least 1, or null for no limit".to_owned(),
        );
        require(
            (1..=HOLD_SECONDS_MAX).contains(&self.hold_seconds),
            "hold_seconds",
            format!("must be from 1 to {HOLD_SECONDS_MAX}"),
        );
        require(
            !matches!((self.opens_at, self.closes_at), (Some(open), Some(close)) if close <= open),
            "closes_at",
            "must be after opens_at".to_owned(),
        );
    }
}

/// Digits with at most one point between them, at most [`AMOUNT_CHARS_MAX`] long.
fn is_amount(amount: &str) -> bool {
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    amount.len() <= AMOUNT_CHARS_MAX && digits(whole) && digits(fraction)
}

/// What an operator can switch a sale to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SaleSwitch {
    /// Refuse new orders until opened again.
    Paused,
    /// Take orders again.
    Open,
    /// Refuse new orders for good.
    Closed,
}

/// Body of `PATCH /v1/sales/{sale}`: at least one field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1)]
pub struct SaleChange {
    /// Units to add to the supply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = schema::AddedSupply)]
    pub add_supply: Option<u64>,
    /// What to switch the sale to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = SaleSwitch)]
    pub state: Option<SaleSwitch>,
    /// New opening: absent leaves it, `null` opens at once.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[schema(value_type = Option<schema::Instant>)]
    pub opens_at: Option<Option<Timestamp>>,
    /// New closing: absent leaves it, `null` means never.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[schema(value_type = Option<schema::Instant>)]
    pub closes_at: Option<Option<Timestamp>>,
}

/// Tells `null` from an absent field, which serde would fold into one.
fn present<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<Timestamp>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Validate for SaleChange {
    fn validate(&self, faults: &mut Vec<FieldFault>) {
        if *self == SaleChange::default() {
            let message = "must have at least one of add_supply, state, opens_at, closes_at";
            faults.push(FieldFault::new("", message));
        }
        if self.add_supply.is_some_and(|n| !(1..=SUPPLY_MAX).contains(&n)) {
            faults.push(FieldFault::new("add_supply", format!("must be from 1 to {SUPPLY_MAX}")));
        }
        if matches!((self.opens_at, self.closes_at), (Some(Some(open)), Some(Some(close))) if close <= open)
        {
            faults.push(FieldFault::new("closes_at", "must be after opens_at"));
        }
    }
}

/// What a buyer would meet now. The first that applies, from the bottom up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SaleState {
    /// Opens later.
    Scheduled,
    /// Takes orders.
    Open,
    /// Stopped by an operator for now.
    Paused,
    /// Nothing left; a restock or an expired hold may change that.
    SoldOut,
    /// Over for good.
    Closed,
}

impl SaleState {
    /// The state as written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            SaleState::Scheduled => "scheduled",
            SaleState::Open => "open",
            SaleState::Paused => "paused",
            SaleState::SoldOut => "sold_out",
            SaleState::Closed => "closed",
        }
    }
}

/// A sale as every call shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SaleReply {
    /// The sale's id.
    #[schema(value_type = schema::SaleId)]
    pub id: String,
    /// Shown to buyers.
    pub title: String,
    /// Stock keeping unit.
    pub sku: String,
    /// What a unit costs.
    pub price: Price,
    /// Units ever put on sale.
    pub supply: u64,
    /// Units that can be bought now.
    pub available: u64,
    /// Units set aside in holds.
    pub held: u64,
    /// Units sold.
    pub sold: u64,
    /// What a buyer would meet now.
    pub state: SaleState,
    /// Most units that one customer may hold and buy.
    #[schema(value_type = Option<schema::PerCustomer>, required = true)]
    pub per_customer: Option<u32>,
    /// When buying starts.
    #[schema(value_type = Option<schema::Instant>, required = true)]
    pub opens_at: Option<Timestamp>,
    /// When buying ends.
    #[schema(value_type = Option<schema::Instant>, required = true)]
    pub closes_at: Option<Timestamp>,
    /// How long a hold lasts.
    #[schema(value_type = schema::HoldSeconds)]
    pub hold_seconds: u32,
}

/// Reply of `GET /v1/sales`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SaleList {
    /// Every sale, in the order of creation.
    pub sales: Vec<SaleReply>,
}

/// Data of a `stock` event on `GET /v1/sales/{sale}/stream`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stock {
    /// Units ever put on sale.
    pub supply: u64,
    /// Units that can be bought now.
    pub available: u64,
    /// Units set aside in holds.
    pub held: u64,
    /// Units sold.
    pub sold: u64,
    /// What a buyer would meet now.
    pub state: SaleState,
    /// When buying starts.
    #[schema(value_type = Option<schema::Instant>, required = true)]
    pub opens_at: Option<Timestamp>,
    /// When buying ends.
    #[schema(value_type = Option<schema::Instant>, required = true)]
    pub closes_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::decode;

    fn sale(patch: &str) -> String {
        let mut value: serde_json::Value = serde_json::json!({
            "id": "s", "title": "T", "sku": "SKU", "price": {"amount": "1.50", "currency": "IDR"},
            "supply": 100, "per_customer": 1, "opens_at": null, "closes_at": null, "hold_seconds": 60,
        });
        let patch: serde_json::Value = serde_json::from_str(patch).unwrap();
        for (name, part) in patch.as_object().unwrap() {
            value[name] = part.clone();
        }
        value.to_string()
    }

    fn check(patch: &str, fields: &[&str]) {
        let found = match decode::<SaleRequest>(sale(patch).as_bytes()) {
            Ok(_) => Vec::new(),
            Err(problem) => problem.errors.iter().map(|e| e.field.clone()).collect(),
        };
        assert_eq!(found, fields, "{patch}");
    }

    #[test]
    fn each_field_has_its_range() {
        check("{}", &[]);
        check(r#"{"per_customer":null,"opens_at":"2026-11-21T09:00:00+07:00"}"#, &[]);
        check(r#"{"id":"Not OK"}"#, &["id"]);
        check(r#"{"title":"","sku":"a\u0000"}"#, &["title", "sku"]);
        check(
            r#"{"price":{"amount":"1,5","currency":"XYZ"}}"#,
            &["price.amount", "price.currency"],
        );
        check(r#"{"price":{"amount":".5","currency":"IDR"}}"#, &["price.amount"]);
        check(r#"{"supply":1000000000001}"#, &["supply"]);
        check(r#"{"per_customer":0,"hold_seconds":0}"#, &["per_customer", "hold_seconds"]);
        check(
            r#"{"opens_at":"2026-11-21T09:00:00Z","closes_at":"2026-11-21T09:00:00Z"}"#,
            &["closes_at"],
        );
        check(r#"{"opens_at":"2026-11-21T09:00:00"}"#, &["opens_at"]);
        check(r#"{"discount":1}"#, &["discount"]);
        check(r#"{"price":{"amount":"1","currency":"IDR","tax":1}}"#, &["price.tax"]);
    }

    #[test]
    fn a_price_has_no_more_decimals_than_its_currency() {
        let table = [
            ("24999000", "IDR", true),
            ("24999000.50", "IDR", true),
            ("1.500", "IDR", false),
            ("19.9", "USD", true),
            ("19.90", "USD", true),
            ("19.999", "USD", false),
            ("1500", "JPY", true),
            ("1500.0", "JPY", false),
            ("1.500", "KWD", true),
            ("1.5000", "KWD", false),
            ("0.0321507", "XAU", true),
        ];
        for (amount, currency, is_one) in table {
            let fields: &[&str] = if is_one { &[] } else { &["price.amount"] };
            let price = serde_json::json!({"price": {"amount": amount, "currency": currency}});
            check(&price.to_string(), fields);
        }
        let price = sale(r#"{"price":{"amount":"1.500","currency":"IDR"}}"#);
        let problem = decode::<SaleRequest>(price.as_bytes()).unwrap_err();
        assert_eq!(
            problem.errors[0].message,
            "must have at most 2 decimals in IDR, and no separators of thousands"
        );
    }

    #[test]
    fn a_change_tells_null_from_absent() {
        let change: SaleChange = decode(br#"{"closes_at":null}"#).unwrap();
        assert_eq!((change.opens_at, change.closes_at), (None, Some(None)));
        assert!(decode::<SaleChange>(b"{}").is_err());
        assert!(decode::<SaleChange>(br#"{"add_supply":0}"#).is_err());
        assert!(decode::<SaleChange>(br#"{"supply":5}"#).is_err());
    }
}
