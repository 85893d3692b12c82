//! The reference server that everyone asks, and the ids that it is asked for.
//! Must never know who asks.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use crate::bench::scene::Scene;
use crate::bench::server::{self, Program, Ready, Server};

/// Enough for the largest number in flight, and for connections that replace others.
const CONNECTIONS_MAX: u32 = 20_000;
/// Every second id is in the data set, so that both kinds of reply are read.
const KNOWN_IDS: u64 = 50_000;

/// Delays of the seed's stock server.
pub(super) const SEED_DELAY: &str = "0.2..0.6";
/// The middle of that range.
pub(super) const DELAY_MEAN: Duration = Duration::from_millis(400);

/// Starts `kilat lookup`; `arguments` are those of the rehearsal.
pub(super) fn serve(scene: &Scene, folder: &Path, arguments: &[&str]) -> Result<Server> {
    let address = server::free_address()?;
    Program::new(scene.kilat()?, address, None, folder)?
        .without_env("KILAT_")
        .args(["lookup", "--seed", "1", "--log", "warn"])
        .args(["--listen", &address.to_string()])
        .args(["--connections-max", &CONNECTIONS_MAX.to_string()])
        .arg_path("--extend", &data_set(folder)?)
        .args(arguments)
        .start(Ready::Accepts)
}

/// A file with so many different ids, one a line.
pub(super) fn ids(folder: &Path, count: u64) -> Result<PathBuf> {
    let path = folder.join(format!("ids-{count}.txt"));
    let mut text = String::with_capacity(usize::try_from(count)? * 13);
    for number in 0..count {
        let _ = writeln!(text, "{}", id(number));
    }
    fs::write(&path, text)?;
    Ok(path)
}

/// How many of the first ids the server knows.
pub(super) fn known_among(count: u64) -> u64 {
    count.div_ceil(2).min(KNOWN_IDS)
}

fn id(number: u64) -> String {
    format!("ITEM-{number:07}")
}

fn data_set(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("stock.json");
    let rows: serde_json::Map<String, serde_json::Value> = (0..KNOWN_IDS)
        .map(|number| {
            let row = serde_json::json!({
                "name": format!("Item {number}"), "stock": number % 100, "warehouse": "Gudang A",
            });
            (id(number * 2), row)
        })
        .collect();
    fs::write(&path, serde_json::json!({ "stock": rows }).to_string())?;
    Ok(path)
}
