//! Sales as an operator runs them, and the health check.

use crate::fake::{ADMIN, Fake, Fault};
use kilat_api::sale::SaleSwitch;
use kilat_client::health::{Probe, check};
use kilat_client::sale::{SaleAction, SaleDraft, SaleOptions, run};
use kilat_client::{Access, ClientError, Lang, Token};
use std::time::Duration;

fn access(fake: &Fake) -> Access {
    Access { url: fake.url(), token: Some(Token::from(ADMIN)), timeout: Duration::from_secs(5) }
}

fn act(fake: &Fake, action: SaleAction) -> Result<String, ClientError> {
    run(&SaleOptions {
        access: access(fake),
        action,
        idempotency_key: None,
        json: false,
        lang: Lang::English,
    })
}

fn draft() -> SaleDraft {
    SaleDraft {
        id: Some("phone".to_owned()),
        title: Some("Phone".to_owned()),
        sku: Some("PHONE".to_owned()),
        price: Some("24999000 IDR".to_owned()),
        supply: Some(1_000),
        ..SaleDraft::default()
    }
}

#[test]
fn the_life_of_a_sale() {
    let fake = Fake::start(Fault::None);
    let phone = || "phone".to_owned();
    assert!(act(&fake, SaleAction::List).unwrap().contains("There is no sale yet."));
    let steps: Vec<(SaleAction, &[&str])> = vec![
        (
            SaleAction::Create(Box::new(draft())),
            &["phone", "IDR 24,999,000", "1,000", "no limit", "open"],
        ),
        (SaleAction::Restock { sale: phone(), units: 500 }, &["1,500"]),
        (SaleAction::Switch { sale: phone(), to: SaleSwitch::Paused }, &["paused"]),
        (SaleAction::Switch { sale: phone(), to: SaleSwitch::Closed }, &["closed"]),
        (
            SaleAction::Schedule {
                sale: phone(),
                opens_at: Some("2026-12-01T09:00:00+07:00".to_owned()),
                closes_at: Some("never".to_owned()),
            },
            &["2026-12-01T02:00:00Z", "–"],
        ),
        (SaleAction::Show { sale: phone() }, &["2026-12-01T02:00:00Z"]),
        (SaleAction::List, &["phone", "1,500"]),
    ];
    for (action, parts) in steps {
        let text = act(&fake, action.clone()).unwrap();
        for part in parts {
            assert!(text.contains(part), "{action:?}: {part} is not in\n{text}");
        }
    }
    let mut keys = fake.admin_keys();
    assert_eq!(keys.len(), 5);
    keys.dedup();
    assert_eq!(keys.len(), 5);
}

#[test]
fn json_is_the_contract() {
    let fake = Fake::start(Fault::None);
    let action = SaleAction::Create(Box::new(draft()));
    let options = SaleOptions {
        access: access(&fake),
        action,
        idempotency_key: Some("k1".to_owned()),
        json: true,
        lang: Lang::Indonesian,
    };
    let sale: kilat_api::sale::SaleReply = serde_json::from_str(&run(&options).unwrap()).unwrap();
    assert_eq!((sale.id.as_str(), sale.supply, sale.hold_seconds), ("phone", 1_000, 600));
    assert_eq!(fake.admin_keys(), ["k1"]);
    let again = run(&options).unwrap_err();
    assert!(
        matches!(&again, ClientError::Refused(text) if text.contains("sale_exists")),
        "{again}"
    );
}

#[track_caller]
fn check_file(name: &str, text: &str, expected: &[&str]) {
    let fake = Fake::start(Fault::None);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(name);
    std::fs::write(&file, text).unwrap();
    let draft = SaleDraft { file: Some(file), supply: Some(7), ..SaleDraft::default() };
    let said = match act(&fake, SaleAction::Create(Box::new(draft))) {
        Ok(text) => text,
        Err(ClientError::Usage(text)) => text,
        Err(other) => panic!("{other}"),
    };
    for part in expected {
        assert!(said.contains(part), "{part} is not in {said}");
    }
}

const TOML: &str = "id = \"phone\"\ntitle = \"Phone\"\nsku = \"PHONE\"\nsupply = 100\nopens_at = 2026-12-01T09:00:00+07:00\n[price]\namount = \"19.90\"\ncurrency = \"IDR\"\n";

#[test]
fn sale_files() {
    check_file("sale.toml", TOML, &["phone", "IDR 19.90", "┆ 7", "2026-12-01T02:00:00Z"]);
    check_file(
        "sale.json",
        r#"{"id":"p","title":"P","sku":"P","price":{"amount":"1","currency":"IDR"}}"#,
        &["IDR", "┆ 7"],
    );
    check_file(
        "sale.toml",
        &TOML.replace("IDR", "XYZ"),
        &["sale.toml", "price.currency", "ISO 4217"],
    );
    check_file("sale.toml", &format!("discount = 1\n{TOML}"), &["sale.toml", "discount"]);
    check_file("sale.toml", "id = ", &["sale.toml", "line 1"]);
    check_file("sale.json", "[1]", &["sale.json"]);
    check_file("sale.yaml", "", &["sale.yaml", ".toml"]);
}

#[test]
fn mistakes_are_named() {
    let fake = Fake::start(Fault::None);
    let create = |draft| SaleAction::Create(Box::new(draft));
    let table: Vec<(SaleAction, &[&str])> = vec![
        (create(SaleDraft::default()), &["id"]),
        (create(SaleDraft { price: Some("1,5IDR".to_owned()), ..draft() }), &["--price 1,5IDR"]),
        (
            create(SaleDraft { opens_at: Some("tomorrow".to_owned()), ..draft() }),
            &["--opens-at tomorrow"],
        ),
        (
            create(SaleDraft { file: Some("/nowhere/sale.toml".into()), ..draft() }),
            &["/nowhere/sale.toml"],
        ),
        (SaleAction::Show { sale: "../x".to_owned() }, &["../x"]),
        (SaleAction::Restock { sale: "s".to_owned(), units: 0 }, &["UNITS: must be from 1"]),
        (
            SaleAction::Schedule { sale: "s".to_owned(), opens_at: None, closes_at: None },
            &["--opens-at"],
        ),
    ];
    for (action, parts) in table {
        let error = act(&fake, action.clone()).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{action:?}: {error}");
        for part in parts {
            assert!(error.to_string().contains(part), "{action:?}: {part} is not in {error}");
        }
    }
}

#[test]
fn a_wrong_token_and_a_missing_sale_are_told_apart() {
    let fake = Fake::start(Fault::None);
    let error = act(&fake, SaleAction::Show { sale: "none".to_owned() }).unwrap_err();
    assert!(
        matches!(&error, ClientError::Refused(text) if text.contains("sale_not_found")),
        "{error}"
    );
    let strange = Access { token: Some(Token::from("other")), ..access(&fake) };
    let action = SaleAction::Create(Box::new(draft()));
    let error = run(&SaleOptions {
        access: strange,
        action,
        idempotency_key: None,
        json: false,
        lang: Lang::English,
    })
    .unwrap_err();
    assert!(error.to_string().contains("KILAT_ADMIN_TOKEN"), "{error}");
}

#[test]
fn a_change_without_a_token_is_not_even_sent() {
    let fake = Fake::start(Fault::None);
    let act = |action| {
        let access = Access { token: None, ..access(&fake) };
        let lang = Lang::English;
        run(&SaleOptions { access, action, idempotency_key: None, json: false, lang })
    };
    let error = act(SaleAction::Create(Box::new(draft()))).unwrap_err();
    assert!(matches!(error, ClientError::NoAdminToken(_)), "{error}");
    assert_eq!(error.exit_code(), 2);
    assert!(act(SaleAction::List).is_ok(), "everybody may see the sales");
}

#[test]
fn health() {
    let mut fake = Fake::start(Fault::None);
    assert_eq!(check(&access(&fake), Probe::Ready, Lang::English), Ok(()));
    let sick = check(&access(&fake), Probe::Live, Lang::English);
    assert_eq!(sick, Err(ClientError::Refused("/livez answers 503".to_owned())));
    let address = access(&fake);
    fake.server.kill();
    assert!(matches!(
        check(&address, Probe::Ready, Lang::English),
        Err(ClientError::Unreachable(_))
    ));
}
