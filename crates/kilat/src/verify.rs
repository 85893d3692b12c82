//! `kilat verify`: is a data directory whole, and does every sale conserve its supply?

use crate::cli::VerifyArgs;
use crate::failure::Failure;
use crate::lang::Lang;
use kilat_engine::{Sale, Verified};
use rust_i18n::t;
use std::process::ExitCode;

/// Checks and prints; exit code 1 when something does not hold.
///
/// # Errors
/// [`Failure`] with exit code 2 when there is nothing to check.
pub(crate) fn run(args: &VerifyArgs, lang: Lang) -> Result<ExitCode, Failure> {
    let found = kilat_engine::verify(&args.path).map_err(Failure::usage)?;
    if args.json {
        println!("{}", as_json(&found));
    } else {
        print!("{}", as_text(&found, lang));
    }
    Ok(if found.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn as_text(found: &Verified, lang: Lang) -> String {
    let locale = lang.code();
    let read = if found.corruption.is_none() { "verify.journal" } else { "verify.until" };
    let mut text = format!(
        "{}\n",
        t!(
            read,
            locale = locale,
            frames = found.frames,
            segments = found.segments,
            orders = found.orders
        )
    );
    for sale in &found.sales {
        text.push_str(&sale_line(sale, lang));
    }
    if found.torn_bytes > 0 {
        text.push_str(&format!(
            "{}\n",
            t!("verify.torn", locale = locale, bytes = found.torn_bytes)
        ));
    }
    let verdict = match &found.corruption {
        Some(damage) => t!("verify.damaged", locale = locale, damage = damage),
        None if found.holds() => t!("verify.holds", locale = locale, chain = found.chain),
        None => t!("verify.unbalanced", locale = locale),
    };
    text + &format!("{verdict}\n")
}

fn sale_line(sale: &Sale, lang: Lang) -> String {
    let units = &sale.counters;
    let mark = if units.balanced() { "✓" } else { "✗" };
    let line = t!(
        "verify.sale",
        locale = lang.code(),
        id = sale.terms.id,
        available = units.available,
        held = units.held,
        sold = units.sold,
        supply = units.supply
    );
    format!("  {mark} {line}\n")
}

fn as_json(found: &Verified) -> serde_json::Value {
    let sales = found.sales.iter().map(|sale| {
        let units = &sale.counters;
        serde_json::json!({
            "id": sale.terms.id, "supply": units.supply, "available": units.available, "held": units.held,
            "sold": units.sold, "cancelled": units.cancelled, "expired": units.expired,
            "sequence": sale.sequence, "balanced": units.balanced(),
        })
    });
    serde_json::json!({
        "holds": found.holds(), "frames": found.frames, "segments": found.segments, "orders": found.orders,
        "torn_bytes": found.torn_bytes, "chain": found.chain, "corruption": found.corruption,
        "sales": sales.collect::<Vec<_>>(),
    })
}
