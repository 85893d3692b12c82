//! The description of the interface, read without the rest of the world.

use super::driver::Browser;
use crate::program::Server;

/// An operation and what a reader finds in it once it is unfolded.
const OPERATIONS: [(&str, &str, &str); 3] = [
    ("Sale-createSale", "/v1/sales", "Idempotency-Key"),
    ("Orders-placeOrder", "/v1/sales/{sale}/orders", "sold_out"),
    ("Events-publish", "/publish", "application/cloudevents+json"),
];

#[test]
fn the_description_can_be_read_with_no_other_host() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let browser = Browser::start(true);
    // The browser's own first page is not meant.
    browser.open("about:blank");
    browser.requests();
    browser.open(&format!("{}/docs", server.url));
    for (id, path, detail) in OPERATIONS {
        let operation = format!("#operations-{id}");
        // Long paths are broken with zero-width spaces.
        let shown = browser.text(&operation).replace('\u{200b}', "");
        assert!(shown.contains(path), "{id}: {shown}");
        browser.click(&format!("{operation} .opblock-summary-control"));
        browser.wait_for(&operation, |text| text.contains(detail));
    }
    let said = browser.console();
    assert!(said.is_empty(), "{said:?}");
    let asked = browser.requests();
    let files = ["/docs", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/openapi.json"];
    for file in files {
        assert!(asked.contains(&format!("{}{file}", server.url)), "{file}: {asked:?}");
    }
    let own = |address: &&String| address.starts_with(&server.url) || address.starts_with("data:");
    let elsewhere: Vec<_> = asked.iter().filter(|address| !own(address)).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
    server.stop();
}
