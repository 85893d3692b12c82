//! What the operator's pages say: of forms that are wrong, of sales to choose from, of what happened.

use crate::ops::Browser;
use crate::world::World;

#[test]
fn a_price_is_not_mistaken_for_a_smaller_one() {
    let world = World::open();
    let browser = Browser::signed_in(&world);
    let form = browser.get("/ops/new-sale?lang=id");
    let hint = "Tanpa pemisah ribuan: 24999000. Titik hanya untuk desimal: 19.90.";
    assert!(form.text().contains(hint), "{}", form.text());
    let table = [
        ("1.500", "IDR", "Write 1500, without separators."),
        ("24.999.000", "idr", "Write 24999000, without separators."),
        ("1,500", "USD", "Write 1500, without separators."),
        ("19.999", "USD", "Write 19999, without separators."),
        ("19.9999", "USD", "at most 2 decimals for USD"),
        ("1.5", "jpy", "a whole number for JPY"),
        ("cheap", "IDR", "a number such as 24999000 or 19.90"),
    ];
    for (amount, currency, said) in table {
        let fields = format!(
            "id=baru&title=T&sku=S&amount={amount}&currency={currency}&supply=5&per_customer=1&hold_seconds=60&opens_at=&closes_at=&zone=7"
        );
        let reply = browser.post("/ops/sales", &fields);
        assert_eq!(reply.status, 422, "{amount}");
        let page = reply.text();
        let wrong = page.split("id=\"w-amount\">").nth(1).expect(amount);
        let wrong = wrong.split('<').next().unwrap();
        assert!(wrong.contains(said), "{amount} {currency}: {wrong}");
        assert!(page.contains(&format!("value=\"{amount}\"")), "{amount}: what was typed is kept");
    }
}

#[test]
fn a_change_that_is_wrong_names_the_field_and_keeps_what_was_typed() {
    let world = World::open();
    world.make_sale(&[]);
    let browser = Browser::signed_in(&world);
    let schedule = |opens: &str, closes: &str| {
        format!("do=schedule&opens_at={opens}&closes_at={closes}&zone=9")
    };
    let table = [
        (
            schedule("2030-11-30T10:00", "2030-11-29T10:00"),
            "closes_at",
            "Closes at: must be after the opening.",
            &["value=\"2030-11-30T10:00\"", "value=\"2030-11-29T10:00\"", "value=\"9\" selected"][..],
        ),
        (schedule("soon", ""), "opens_at", "Opens at: a date and time.", &["value=\"soon\""]),
        (schedule("", "late"), "closes_at", "Closes at: a date and time.", &["value=\"late\""]),
        (
            "do=restock&units=0".to_owned(),
            "units",
            "Units to add: a whole number from 1 to 1,000,000,000,000.",
            &["value=\"0\""],
        ),
    ];
    for (fields, field, said, kept) in table {
        let reply = browser.post("/ops/sales/s", &format!("key=k&{fields}"));
        assert_eq!(reply.status, 422, "{fields}");
        let page = reply.text();
        assert!(page.contains(said), "{fields}: {said} in {page}");
        assert!(page.contains(&format!("aria-describedby=\"w-{field}\"")), "{fields}: {page}");
        assert!(page.contains(&format!("id=\"w-{field}\"")), "{fields}: {page}");
        for value in kept {
            assert!(page.contains(value), "{fields}: {value} in {page}");
        }
    }
    let page = browser.get("/ops/sales/s");
    assert!(!page.text().contains("aria-invalid"), "{}", page.text());
}

#[test]
fn a_rehearsal_is_offered_of_sales_that_are_not_over_each_by_its_id() {
    let world = World::open();
    world.make_sale(&[("Lampu <Kilat> & \\\"Co\\\"", "Lampu")]);
    world.make_sale(&[("\"id\":\"s\"", "\"id\":\"over\"")]);
    let browser = Browser::signed_in(&world);
    let offered = || browser.get("/ops").text().contains("<option value=\"over\">");
    assert!(offered());
    browser.post("/ops/sales/over", "key=k&do=close&sure=yes");
    assert!(!offered());
    let page = browser.get("/ops");
    assert!(page.text().contains("<option value=\"s\">Lampu (s)</option>"), "{}", page.text());
}

#[test]
fn what_happened_to_an_order_is_told_in_words() {
    let world = World::open();
    let browser = Browser::signed_in(&world);
    for (language, words) in [
        ("id", "data-fact-order_placed=\"pesanan dibuat\""),
        ("en", "data-fact-order_placed=\"order placed\""),
    ] {
        let page = browser.get(&format!("/ops?lang={language}"));
        assert!(page.text().contains(words), "{}", page.text());
    }
}
