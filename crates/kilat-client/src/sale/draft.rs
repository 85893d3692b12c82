//! A sale to create: a TOML or JSON file, with flags over it.

use super::parse_time;
use crate::{ClientError, Lang};
use kilat_api::body::decode;
use kilat_api::problem::Problem;
use kilat_api::sale::SaleRequest;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Flags of `sale create`. A flag that is given replaces the file's field.
#[derive(Clone, Debug, Default)]
pub struct SaleDraft {
    /// A `.toml` or `.json` file with the fields of `POST /v1/sales`.
    pub file: Option<PathBuf>,
    /// `[a-z0-9][a-z0-9-]{0,63}`.
    pub id: Option<String>,
    /// Shown to buyers.
    pub title: Option<String>,
    /// Stock keeping unit.
    pub sku: Option<String>,
    /// Amount and ISO 4217 currency, such as `24999000 IDR`.
    pub price: Option<String>,
    /// Units on sale.
    pub supply: Option<u64>,
    /// Most units for one customer; left out for no limit.
    pub per_customer: Option<u32>,
    /// RFC 3339 with an offset; left out for now.
    pub opens_at: Option<String>,
    /// RFC 3339 with an offset; left out for never.
    pub closes_at: Option<String>,
    /// How long a hold lasts, in seconds.
    pub hold_seconds: Option<u32>,
}

impl SaleDraft {
    /// The request, checked as the server will check it.
    pub(crate) fn to_request(&self, lang: Lang) -> Result<SaleRequest, ClientError> {
        let mut fields = match &self.file {
            Some(file) => read_file(file, lang)?,
            None => Map::new(),
        };
        self.write_over(&mut fields, lang)?;
        let body = Value::Object(fields).to_string();
        decode(body.as_bytes()).map_err(|problem| match &self.file {
            Some(file) => faulty("error.file_fields", &file.display().to_string(), &problem, lang),
            None => faulty("error.flag_fields", "", &problem, lang),
        })
    }

    fn write_over(&self, fields: &mut Map<String, Value>, lang: Lang) -> Result<(), ClientError> {
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                fields.insert(name.to_owned(), value);
            }
        };
        put("id", self.id.as_deref().map(Value::from));
        put("title", self.title.as_deref().map(Value::from));
        put("sku", self.sku.as_deref().map(Value::from));
        put("supply", self.supply.map(Value::from));
        put("per_customer", self.per_customer.map(Value::from));
        put("hold_seconds", self.hold_seconds.map(Value::from));
        put("price", self.price.as_deref().map(|price| parse_price(price, lang)).transpose()?);
        for (name, option, time) in
            [("opens_at", "opens-at", &self.opens_at), ("closes_at", "closes-at", &self.closes_at)]
        {
            if let Some(time) = time {
                put(name, Some(parse_time(option, time, lang)?.to_string().into()));
            }
        }
        Ok(())
    }
}

fn parse_price(price: &str, lang: Lang) -> Result<Value, ClientError> {
    match price.split_whitespace().collect::<Vec<_>>()[..] {
        [amount, currency] => Ok(json!({"amount": amount, "currency": currency})),
        _ => Err(ClientError::Usage(lang.say("error.price", &[("price", &price)]))),
    }
}

fn read_file(file: &Path, lang: Lang) -> Result<Map<String, Value>, ClientError> {
    let name = file.display();
    let usage = |key: &str, why: &dyn std::fmt::Display| {
        ClientError::Usage(lang.say(key, &[("file", &name), ("why", why)]))
    };
    let text = std::fs::read_to_string(file).map_err(|e| usage("error.file_unreadable", &e))?;
    let value = match file.extension().and_then(|end| end.to_str()) {
        Some("toml") => {
            let table: toml::Table = toml::from_str(&text)
                .map_err(|e| usage("error.file_syntax", &e.to_string().trim_end()))?;
            from_toml(toml::Value::Table(table))
        }
        Some("json") => serde_json::from_str(&text).map_err(|e| usage("error.file_syntax", &e))?,
        _ => return Err(usage("error.file_kind", &"")),
    };
    match value {
        Value::Object(fields) => Ok(fields),
        _ => Err(usage("error.file_syntax", &"{ … }")),
    }
}

/// TOML as JSON. Its own times become texts, which the contract reads.
fn from_toml(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(truth) => truth.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(from_toml).collect(),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(name, value)| (name, from_toml(value))).collect())
        }
    }
}

/// One sentence, then each field at fault on a line of its own.
pub(crate) fn faulty(key: &str, file: &str, problem: &Problem, lang: Lang) -> ClientError {
    let mut text = lang.say(key, &[("file", &file)]);
    for fault in &problem.errors {
        let field = if fault.field.is_empty() { "" } else { &format!("{}: ", fault.field) };
        text.push_str(&format!("\n  {field}{}", fault.message));
    }
    if let Some(detail) = &problem.detail {
        text.push_str(&format!("\n  {detail}"));
    }
    ClientError::Usage(text)
}
