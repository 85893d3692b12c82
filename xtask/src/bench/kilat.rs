//! `kilat serve` and `kilat up` as the things that are measured: started on a data directory, given sales,
//! and asked about them. Speaks HTTP only, as any other caller.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::http::{self, Connection};
use super::scene::Scene;
use super::server::{self, Program, Ready, Server};

/// Of servers that live for seconds on loopback: nothing to keep secret.
pub(super) const ADMIN_TOKEN: &str = "a-token-that-only-the-benchmarks-use";
/// Units that no run sells out.
pub(super) const HUGE_SUPPLY: u64 = 1_000_000_000;

/// Where and how one server runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// The data directory and the log are made in it.
    pub(super) folder: &'a Path,
    pub(super) core: Option<usize>,
}

/// Starts `kilat serve` on the data directory in the place, new or not, and waits until it is ready.
pub(super) fn serve(scene: &Scene, place: Place<'_>) -> Result<Server> {
    let address = server::free_address()?;
    Program::new(scene.kilat()?, address, place.core, place.folder)?
        .without_env("KILAT_")
        .env("KILAT_ADMIN_TOKEN", ADMIN_TOKEN)
        .args(["serve", "--lanes", "1", "--log", "warn"])
        .args(["--listen", &address.to_string()])
        .arg_path("--data", &place.folder.join("data"))
        .start(Ready::Get("/readyz"))
}

/// Starts `kilat core` in the same way; it is asked at its own address for HTTP.
pub(super) fn core(scene: &Scene, place: Place<'_>) -> Result<Server> {
    let address = server::free_address()?;
    Program::new(scene.kilat()?, address, place.core, place.folder)?
        .without_env("KILAT_")
        .env("KILAT_ADMIN_TOKEN", ADMIN_TOKEN)
        .args(["core", "--log", "warn", "--admin", &address.to_string()])
        .arg_path("--data", &place.folder.join("data"))
        .start(Ready::Get("/readyz"))
}

/// Starts `kilat up` on the data directory in the place, and waits until it is ready.
pub(super) fn up(scene: &Scene, place: Place<'_>) -> Result<Server> {
    let address = server::free_address()?;
    Program::new(scene.kilat()?, address, place.core, place.folder)?
        .without_env("KILAT_")
        .env("KILAT_ADMIN_TOKEN", ADMIN_TOKEN)
        // Other servers of this machine may have its port.
        .env("KILAT_LOOKUP_LISTEN", "none")
        .args(["up", "--listen", &address.to_string()])
        .arg_path("--data", &place.folder.join("data"))
        .start(Ready::Get("/readyz"))
}

/// Creates an open sale without a limit for each customer.
pub(super) fn create_sale(server: &Server, id: &str, supply: u64) -> Result<()> {
    let sale = json!({
        "id": id,
        "title": "Benchmark",
        "sku": "BENCHMARK",
        "price": { "amount": "1", "currency": "IDR" },
        "supply": supply,
        "per_customer": null,
        "opens_at": null,
        "closes_at": null,
        "hold_seconds": 600,
    });
    let headers = [
        "Content-Type: application/json",
        &format!("Authorization: Bearer {ADMIN_TOKEN}"),
        &format!("Idempotency-Key: create-{id}"),
    ];
    let request = http::request("POST", "/v1/sales", &headers, sale.to_string().as_bytes());
    let mut connection = Connection::open(server.address())?;
    let reply = connection.exchange(&request)?;
    let body = String::from_utf8_lossy(reply.body);
    ensure!(reply.status == 201, "creating a sale answers {}: {body}", reply.status);
    Ok(())
}

/// Units of a sale that are sold, as the sale itself says.
pub(super) fn sold(server: &Server, id: &str) -> Result<u64> {
    let request = http::request("GET", &format!("/v1/sales/{id}"), &[], b"");
    let mut connection = Connection::open(server.address())?;
    let reply = connection.exchange(&request)?;
    let sale: Value = serde_json::from_slice(reply.body)?;
    sale["sold"].as_u64().with_context(|| format!("the sale does not say what is sold: {sale}"))
}
