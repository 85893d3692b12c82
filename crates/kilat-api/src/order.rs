//! Placing orders, one or a batch, and showing them.

use crate::body::Validate;
use crate::problem::{Code, FieldFault};
use crate::schema;
use crate::text;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::ToSchema;

/// Most units that one order may ask for.
pub const QUANTITY_MAX: u32 = 1_000_000;
/// Most orders in one batch request.
pub const BATCH_ORDERS_MAX: usize = 8_192;
/// Most orders on one page of a listing.
pub const PAGE_ORDERS_MAX: usize = 1_000;

/// Body of `POST /v1/sales/{sale}/orders`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderRequest<'a> {
    /// Who buys: 1–128 printable characters.
    #[serde(borrow)]
    #[schema(value_type = schema::Customer)]
    pub customer: Cow<'a, str>,
    /// Units asked for, from 1 to a million ([`QUANTITY_MAX`]).
    #[schema(value_type = schema::Quantity)]
    pub quantity: u32,
    /// Hold the units for the sale's `hold_seconds` instead of buying at once.
    #[serde(default)]
    pub hold: bool,
}

impl Validate for OrderRequest<'_> {
    fn validate(&self, faults: &mut Vec<FieldFault>) {
        validate_customer(&self.customer, "customer", faults);
        validate_quantity(self.quantity, "quantity", faults);
    }
}

/// One order of a batch: an [`OrderRequest`] with its key beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchOrder<'a> {
    /// Idempotency key, 1–255 printable ASCII characters.
    #[serde(borrow)]
    #[schema(value_type = schema::IdempotencyKey)]
    pub key: Cow<'a, str>,
    /// Who buys: 1–128 printable characters.
    #[serde(borrow)]
    #[schema(value_type = schema::Customer)]
    pub customer: Cow<'a, str>,
    /// Units asked for, from 1 to a million ([`QUANTITY_MAX`]).
    #[schema(value_type = schema::Quantity)]
    pub quantity: u32,
    /// Hold instead of buying at once.
    #[serde(default)]
    pub hold: bool,
}

/// Body of `POST /v1/sales/{sale}/orders:batch`.
///
/// Each order is decided by itself; the batch is not a transaction. A batch
/// with an order that is not valid is refused whole, before any is decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchRequest<'a> {
    /// 1 to [`BATCH_ORDERS_MAX`] orders.
    #[serde(borrow)]
    #[schema(schema_with = schema::batch_orders)]
    pub orders: Vec<BatchOrder<'a>>,
}

impl Validate for BatchRequest<'_> {
    fn validate(&self, faults: &mut Vec<FieldFault>) {
        if !(1..=BATCH_ORDERS_MAX).contains(&self.orders.len()) {
            faults.push(FieldFault::new(
                "orders",
                format!("must have 1 to {BATCH_ORDERS_MAX} orders"),
            ));
            return;
        }
        for (index, order) in self.orders.iter().enumerate() {
            if !order.is_valid() {
                order.explain(index, faults);
            }
        }
    }
}

impl BatchOrder<'_> {
    /// Whether every field is in range; [`BatchRequest`]'s validation says which is not.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        text::is_idempotency_key(&self.key)
            && text::is_customer(&self.customer)
            && (1..=QUANTITY_MAX).contains(&self.quantity)
    }

    fn explain(&self, index: usize, faults: &mut Vec<FieldFault>) {
        if !text::is_idempotency_key(&self.key) {
            let message =
                format!("must be 1 to {} printable ASCII characters", text::KEY_BYTES_MAX);
            faults.push(FieldFault::new(format!("orders[{index}].key"), message));
        }
        validate_customer(&self.customer, &format!("orders[{index}].customer"), faults);
        validate_quantity(self.quantity, &format!("orders[{index}].quantity"), faults);
    }
}

fn validate_customer(customer: &str, field: &str, faults: &mut Vec<FieldFault>) {
    if !text::is_printable(customer, text::CUSTOMER_CHARS_MAX) {
        let message = format!("must be 1 to {} printable characters", text::CUSTOMER_CHARS_MAX);
        faults.push(FieldFault::new(field, message));
    } else if !text::is_customer(customer) {
        let message =
            format!("must not start with {}, which is the buy page's", text::VISITOR_PREFIX);
        faults.push(FieldFault::new(field, message));
    }
}

fn validate_quantity(quantity: u32, field: &str, faults: &mut Vec<FieldFault>) {
    if !(1..=QUANTITY_MAX).contains(&quantity) {
        faults.push(FieldFault::new(field, format!("must be from 1 to {QUANTITY_MAX}")));
    }
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// The units are set aside until `expires_at`.
    Held,
    /// The units are sold.
    Confirmed,
    /// The buyer gave the units back.
    Cancelled,
    /// The hold was not confirmed in time.
    Expired,
}

impl OrderStatus {
    /// The status as written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            OrderStatus::Held => "held",
            OrderStatus::Confirmed => "confirmed",
            OrderStatus::Cancelled => "cancelled",
            OrderStatus::Expired => "expired",
        }
    }
}

/// An order as every call shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderReply<'a> {
    /// 32 hexadecimal digits, 128 random bits.
    #[serde(borrow)]
    #[schema(value_type = schema::OrderId)]
    pub order: Cow<'a, str>,
    /// The sale's id.
    #[serde(borrow)]
    #[schema(value_type = schema::SaleId)]
    pub sale: Cow<'a, str>,
    /// Who bought.
    #[serde(borrow)]
    pub customer: Cow<'a, str>,
    /// Units.
    #[schema(value_type = schema::Quantity)]
    pub quantity: u32,
    /// Where the order stands now.
    pub status: OrderStatus,
    /// When a hold lapses; `null` for an order that was bought at once.
    #[schema(value_type = Option<schema::Instant>, required = true)]
    pub expires_at: Option<Timestamp>,
    /// Number of the fact that placed the order, within its sale.
    #[schema(value_type = schema::Sequence)]
    pub sequence: u64,
    /// Who answers; not part of the order.
    #[serde(borrow)]
    pub node: Cow<'a, str>,
    /// In a batch reply: `true` when this repeats an earlier effect.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
}

/// What became of one order of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum BatchOutcome<'a> {
    /// The order, new or repeated.
    Order(#[serde(borrow)] OrderReply<'a>),
    /// The reason for which there is none.
    Refused {
        /// Stable machine code.
        code: Code,
    },
}

/// Reply of `POST /v1/sales/{sale}/orders:batch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchReply<'a> {
    /// One for each order asked, in the same order.
    #[serde(borrow)]
    pub outcomes: Vec<BatchOutcome<'a>>,
}

/// Reply of `GET /v1/sales/{sale}/orders`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderPage<'a> {
    /// Orders in sequence.
    #[serde(borrow)]
    pub orders: Vec<OrderReply<'a>>,
    /// The `after` of the next page; `null` when this is the last.
    #[schema(value_type = Option<schema::Sequence>, required = true)]
    pub next: Option<u64>,
}
