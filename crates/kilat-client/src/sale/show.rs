//! Sales as tables for people.

use crate::Lang;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use jiff::Timestamp;
use kilat_api::sale::SaleReply;

/// Every sale on a line.
pub(crate) fn list(sales: &[SaleReply], lang: Lang) -> String {
    if sales.is_empty() {
        return lang.say("sale.none", &[]) + "\n";
    }
    let columns = ["id", "state", "available", "held", "sold", "supply", "price"];
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(columns.map(|column| label(column, lang)));
    for sale in sales {
        table.add_row([
            sale.id.clone(),
            state(sale, lang),
            lang.number(sale.available),
            lang.number(sale.held),
            lang.number(sale.sold),
            lang.number(sale.supply),
            lang.price(&sale.price.amount, &sale.price.currency),
        ]);
    }
    for index in 2..columns.len() {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{table}\n")
}

/// One sale, a field on a line.
pub(crate) fn one(sale: &SaleReply, lang: Lang) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    let limit = sale.per_customer.map(|most| lang.number(most.into()));
    let rows = [
        ("id", sale.id.clone()),
        ("item", sale.title.clone()),
        ("sku", sale.sku.clone()),
        ("price", lang.price(&sale.price.amount, &sale.price.currency)),
        ("state", state(sale, lang)),
        ("supply", lang.number(sale.supply)),
        ("available", lang.number(sale.available)),
        ("held", lang.number(sale.held)),
        ("sold", lang.number(sale.sold)),
        ("per_customer", limit.unwrap_or_else(|| label("no_limit", lang))),
        ("opens_at", time(sale.opens_at)),
        ("closes_at", time(sale.closes_at)),
        ("hold_seconds", lang.number(sale.hold_seconds.into())),
    ];
    for (name, value) in rows {
        table.add_row([label(name, lang), value]);
    }
    format!("{table}\n")
}

fn label(name: &str, lang: Lang) -> String {
    lang.say(&format!("sale.{name}"), &[])
}

fn state(sale: &SaleReply, lang: Lang) -> String {
    label(&format!("state_{}", sale.state.as_str()), lang)
}

/// A dash where no time was set: an open sale does not open "now", nor does a closed one.
fn time(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "–".to_owned(), |at| at.to_string())
}
