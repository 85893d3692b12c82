//! The limits of [`text`] and of the fields in the words of JSON Schema.
//!
//! Each field that has limits of its own is a type here, without values, for
//! the description of the interface. Bounds and patterns are made from the
//! constants that validation uses, so that the two can't drift apart. Must
//! never be used to validate.

use crate::event::{EVENTS_MAX, EventRequest, PAGE_EVENTS_MAX, PAGE_TOPICS_MAX, PublishRequest};
use crate::order::{BATCH_ORDERS_MAX, BatchOrder, PAGE_ORDERS_MAX, QUANTITY_MAX};
use crate::problem::{Code, FAULTS_MAX, FieldFault};
use crate::sale::{AMOUNT_CHARS_MAX, HOLD_SECONDS_MAX, SUPPLY_MAX};
use crate::text;
use std::fmt::Write;
use utoipa::openapi::schema::{
    AdditionalProperties, Array, ArrayBuilder, KnownFormat, Object, ObjectBuilder, OneOf,
    SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident => $schema:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                RefOr::T(Schema::Object($schema))
            }
        }

        impl ToSchema for $name {}
    )*};
}

fields! {
    /// See [`text::is_sale_id`].
    SaleId => text(text::SALE_ID_BYTES_MAX, "^[a-z0-9][a-z0-9-]*$")
        .description(Some("Id of a sale.")).examples(["iphone-17-pro-max"]).build();
    /// See [`text::is_customer`].
    Customer => text(text::CUSTOMER_CHARS_MAX, &customer_pattern())
        .description(Some("Who buys, as the shop calls them.")).examples(["budi"]).build();
    /// See [`text::is_printable`]: whose orders are listed.
    ListedCustomer => text(text::CUSTOMER_CHARS_MAX, &printable_pattern()).build();
    /// See [`text::is_idempotency_key`].
    IdempotencyKey => text(text::KEY_BYTES_MAX, "^[ -~]+$")
        .description(Some("Names one intent; the same key never has a second effect. Printable ASCII."))
        .examples(["b7f0c2e4-buy"]).build();
    /// A title that pages can show.
    Title => text(text::TITLE_CHARS_MAX, &printable_pattern()).examples(["iPhone 17 Pro Max"]).build();
    /// A stock keeping unit.
    Sku => text(text::SKU_CHARS_MAX, &printable_pattern()).examples(["IPHONE-17-PRO-MAX"]).build();
    /// A decimal.
    Amount => text(AMOUNT_CHARS_MAX, "^[0-9]+(\\.[0-9]+)?$")
        .description(Some("No more decimals than the currency has (ISO 4217), and no separators of thousands."))
        .examples(["24999000"]).build();
    /// A currency of ISO 4217.
    Currency => string().description(Some("ISO 4217 code.")).enum_values(Some(currencies()))
        .examples(["IDR"]).build();
    /// An instant.
    Instant => string().description(Some("RFC 3339 with an offset."))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).examples(["2026-11-21T09:00:00+07:00"]).build();
    /// Units of one order.
    Quantity => number(1, QUANTITY_MAX.into()).build();
    /// A place in a row of facts or events.
    Sequence => number(0, u64::MAX).build();
    /// See [`text::is_topic`].
    Topic => text(text::TOPIC_BYTES_MAX, r"^(?!\.{1,2}$)[A-Za-z0-9._-]+$")
        .description(Some("Topic of an event.")).examples(["orders"]).build();
    /// See [`text::is_printable`]: names an event within its topic.
    EventId => text(text::EVENT_ID_CHARS_MAX, &printable_pattern())
        .description(Some("Names an event within its topic, for ever.")).examples(["order-1001"]).build();
    /// See [`text::is_printable`]: who says so.
    Source => text(text::SOURCE_CHARS_MAX, &printable_pattern()).examples(["shop-backend"]).build();
    /// A place in the log, as readers of a stream name it.
    Place => string().pattern(Some("^(-1|[0-9]{1,19})$"))
        .description(Some("An offset, or `-1` for the beginning.")).examples(["-1"]).build();
    /// How long ago, in seconds.
    Age => number(0, u64::MAX).build();
    /// Events on a page.
    PageEvents => number(1, PAGE_EVENTS_MAX as u64).build();
    /// Topics on a page.
    PageTopics => number(1, PAGE_TOPICS_MAX as u64).build();
    /// An event as CloudEvents 1.0 writes it in JSON.
    CloudEvent => cloud_event();
    /// Orders on a page.
    PageOrders => number(1, PAGE_ORDERS_MAX as u64).build();
    /// Units of a sale.
    Supply => number(0, SUPPLY_MAX).build();
    /// Units to add to a sale.
    AddedSupply => number(1, SUPPLY_MAX).build();
    /// Units of one customer.
    PerCustomer => number(1, u32::MAX.into()).build();
    /// Seconds of a hold.
    HoldSeconds => number(1, HOLD_SECONDS_MAX.into()).build();
    /// An order's number.
    OrderId => string().description(Some("Id of an order: 128 random bits."))
        .pattern(Some("^[0-9a-f]{32}$")).examples(["00000000000000000000000000000000"]).build();
}

impl PartialSchema for Code {
    fn schema() -> RefOr<Schema> {
        let codes = Code::ALL.iter().map(|code| code.as_str());
        let code = string().description(Some("Stable machine code; callers branch on it."));
        RefOr::T(Schema::Object(code.enum_values(Some(codes)).build()))
    }
}

impl ToSchema for Code {}

impl PartialSchema for PublishRequest<'_> {
    fn schema() -> RefOr<Schema> {
        let one = Ref::from_schema_name(EventRequest::name());
        let many = items::<EventRequest<'_>>("Stored together or not at all.", 1, EVENTS_MAX);
        RefOr::T(Schema::OneOf(OneOf::builder().item(one).item(many).build()))
    }
}

impl ToSchema for PublishRequest<'_> {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((EventRequest::name().into_owned(), EventRequest::schema()));
        EventRequest::schemas(schemas);
    }
}

/// The orders of a batch.
#[must_use]
pub fn batch_orders() -> Array {
    items::<BatchOrder<'_>>("Each is decided by itself.", 1, BATCH_ORDERS_MAX)
}

/// CloudEvents in one piece.
#[derive(Debug)]
pub enum CloudEvents {}

impl PartialSchema for CloudEvents {
    fn schema() -> RefOr<Schema> {
        RefOr::T(Schema::Array(items::<CloudEvent>("In one piece.", 0, EVENTS_MAX)))
    }
}

impl ToSchema for CloudEvents {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((CloudEvent::name().into_owned(), CloudEvent::schema()));
    }
}

/// The faults in a problem.
#[must_use]
pub fn faults() -> Array {
    items::<FieldFault>("The fields at fault.", 0, FAULTS_MAX)
}

fn items<T: ToSchema>(description: &str, min: usize, max: usize) -> Array {
    ArrayBuilder::new()
        .description(Some(description))
        .items(Ref::from_schema_name(T::name()))
        .min_items(Some(min))
        .max_items(Some(max))
        .build()
}

/// Attributes that are `null` are not set. Extensions are in the open.
fn cloud_event() -> Object {
    let own =
        |schema: RefOr<Schema>| Schema::OneOf(OneOf::builder().item(schema).item(null()).build());
    let plain = || string().min_length(Some(1)).pattern(Some(CONTROL_FREE));
    let extension = OneOf::builder()
        .item(string().pattern(Some(CONTROL_FREE)))
        .item(Object::with_type(Type::Boolean))
        .item(number(0, 0).minimum(Some(i32::MIN)).maximum(Some(i32::MAX)))
        .item(null());
    Object::builder()
        .schema_type(Type::Object)
        .property("specversion", string().enum_values(Some(["1.0"])))
        .property("id", EventId::schema())
        .property("source", Source::schema())
        .property("type", plain().description(Some("The topic, unless there is one.")))
        .property("topic", own(Topic::schema()))
        .property("time", own(Instant::schema()))
        .property("subject", own(plain().into()))
        .property("dataschema", own(plain().into()))
        .property("datacontenttype", own(string().pattern(Some(MEDIA_TYPE)).into()))
        .property("data", Object::with_type(SchemaType::AnyValue))
        .property(
            "data_base64",
            own(string().content_encoding("base64").pattern(Some(BASE64)).into()),
        )
        .required("specversion")
        .required("id")
        .required("source")
        .required("type")
        .property_names(Some(string().pattern(Some("^([a-z0-9]+|data_base64)$")).build()))
        .additional_properties(Some(AdditionalProperties::RefOr(RefOr::T(Schema::OneOf(
            extension.build(),
        )))))
        .build()
}

const CONTROL_FREE: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$";
const MEDIA_TYPE: &str = "^[!-.0-:<-~]+/[!-.0-:<-~]+(;[ -~]*)?$";
/// RFC 4648, section 4.
const BASE64: &str =
    "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$";

fn null() -> Object {
    Object::with_type(Type::Null)
}

fn string() -> ObjectBuilder {
    Object::builder().schema_type(Type::String)
}

fn text(chars_max: usize, pattern: &str) -> ObjectBuilder {
    string().min_length(Some(1)).max_length(Some(chars_max)).pattern(Some(pattern))
}

fn number(min: u64, max: u64) -> ObjectBuilder {
    Object::builder().schema_type(Type::Integer).minimum(Some(min)).maximum(Some(max))
}

/// A pattern that [`text::is_printable`] texts match and others don't.
fn printable_pattern() -> String {
    format!("^{}+$", printable_class())
}

fn customer_pattern() -> String {
    format!("^(?!{}){}+$", text::VISITOR_PREFIX, printable_class())
}

/// Characters past the first plane stand for themselves: there is no escape for
/// them that all dialects share.
fn printable_class() -> String {
    let mut class = "[^".to_owned();
    for range in text::UNPRINTABLE {
        let end = Some(*range.end()).filter(|end| end != range.start());
        for (mark, c) in [("", Some(*range.start())), ("-", end)] {
            let Some(c) = c else { continue };
            // Writing to a String can't fail.
            let _ = match u16::try_from(u32::from(c)) {
                Ok(code) => write!(class, "{mark}\\u{code:04x}"),
                Err(_) => write!(class, "{mark}{c}"),
            };
        }
    }
    class + "]"
}

/// Every code that validation takes.
fn currencies() -> Vec<String> {
    let letters = || b'A'..=b'Z';
    let codes =
        letters().flat_map(|a| letters().flat_map(move |b| letters().map(move |c| [a, b, c])));
    codes
        .map(|code| code.map(char::from).iter().collect::<String>())
        .filter(|code| iso_currency::Currency::from_code(code).is_some())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_currency_is_three_letters() {
        let all = currencies();
        assert!(all.len() > 150 && all.iter().any(|code| code == "IDR"), "{all:?}");
    }

    #[test]
    fn a_pattern_names_what_validation_refuses() {
        let pattern = printable_pattern();
        assert!(
            pattern.starts_with("^[^\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u061c"),
            "{pattern}"
        );
        assert!(pattern.ends_with("\u{e0000}-\u{e007f}]+$"), "{pattern}");
        assert!(customer_pattern().starts_with("^(?!visitor:)[^"));
    }
}
