//! Where a server's means or the rules' bytes come to an end.

use super::{Shop, buy, place, terms};
use crate::query::Page;
use crate::store::redis::{Redis, RedisOptions, Script};
use crate::store::{LedgerStore as _, StoreFault};
use kilat_ledger::{Command, OrderId, OrderStatus, Outcome, Refusal};

/// A shop with sale `s` of this many units.
fn open(supply: u64) -> Shop {
    let mut shop = Shop::open(&[], false);
    let created = shop.redis.commit(&[Command::CreateSale { terms: &terms("s", supply) }]).unwrap();
    assert_eq!(created.outcomes, [Outcome::SaleCreated]);
    shop
}

fn is_sold(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Order { replayed: false, .. })
}

fn kind(fault: &StoreFault) -> &'static str {
    match fault {
        StoreFault::Lost(_) => "lost",
        StoreFault::Away(_) => "away",
        StoreFault::Busy(_) => "busy",
        StoreFault::Full(_) => "full",
        StoreFault::Refused(_) => "refused",
    }
}

#[test]
fn without_memory_nothing_is_half_done() {
    for as_scripts in [false, true] {
        let mut shop = Shop::open(&[], as_scripts);
        let held = place(OrderId::from_bits(1), "s", "a", "1", 2, true);
        let first = [Command::CreateSale { terms: &terms("s", 5) }, Command::PlaceOrder(held)];
        shop.redis.commit(&first).unwrap();
        // The hold is due: its expiry can't be recorded either.
        shop.set_time(60_000);
        let _: () = shop.ask(&["CONFIG", "SET", "maxmemory", "1"]);
        let before: (Vec<u8>, Vec<u8>) =
            (shop.ask(&["DUMP", "{kilat:s}:s"]), shop.ask(&["DUMP", "{kilat:s}:l:0"]));
        let keys: u64 = shop.ask(&["DBSIZE"]);
        let batch = [buy(2, "s", "b", "1"), buy(3, "s", "c", "1")];
        assert_eq!(kind(&shop.redis.commit(&batch).unwrap_err()), "full");
        assert_eq!(shop.ask::<u64>(&["DBSIZE"]), keys);
        let after: (Vec<u8>, Vec<u8>) =
            (shop.ask(&["DUMP", "{kilat:s}:s"]), shop.ask(&["DUMP", "{kilat:s}:l:0"]));
        assert!(before == after, "something was written");
        // Reading goes on.
        assert_eq!(shop.redis.sale("s").unwrap().unwrap().counters.held, 2);
        let order = shop.redis.order("s", OrderId::from_bits(1)).unwrap().unwrap();
        assert_eq!(order.order.status, OrderStatus::Expired);
        let _: () = shop.ask(&["CONFIG", "SET", "maxmemory", "0"]);
        let decided = shop.redis.commit(&batch).unwrap();
        assert!(decided.outcomes.iter().all(is_sold), "{:?}", decided.outcomes);
        assert_eq!((decided.expired, decided.sales[0].counters.sold), (1, 2));
    }
}

#[test]
fn rules_that_the_server_lost_are_brought_again() {
    for as_scripts in [false, true] {
        let mut shop = Shop::open(&[], as_scripts);
        shop.redis.commit(&[Command::CreateSale { terms: &terms("s", 5) }]).unwrap();
        let _: () = shop.ask(&["FUNCTION", "FLUSH"]);
        let _: () = shop.ask(&["SCRIPT", "FLUSH"]);
        let decided = shop.redis.commit(&[buy(1, "s", "a", "1"), buy(2, "s", "b", "1")]).unwrap();
        assert!(decided.outcomes.iter().all(is_sold), "{:?}", decided.outcomes);
    }
}

/// A process of another version beside one of this: each has its own rules, on the same keys.
#[test]
fn two_versions_of_the_rules_work_side_by_side() {
    let mut shop = Shop::of_stripes(2, &[], false);
    let mut options = super::options(&shop.server);
    options.script = Script::another();
    let mut other = Redis::open(&options, None).unwrap();
    shop.redis.commit(&[Command::CreateSale { terms: &terms("s", 20) }]).unwrap();
    let names: Vec<String> = (0..24).map(|n| format!("c{n}")).collect();
    let mut won = 0;
    for (id, name) in (1..).zip(&names) {
        let redis = if id % 2 == 0 { &mut shop.redis } else { &mut other };
        let told = redis.commit(&[buy(id, "s", name, "k")]).unwrap().outcomes[0];
        won += u32::from(is_sold(&told));
        // The other one knows it.
        let redis = if id % 2 == 0 { &mut other } else { &mut shop.redis };
        let again = redis.commit(&[buy(id, "s", name, "k")]).unwrap().outcomes[0];
        assert_eq!(
            is_sold(&told),
            matches!(again, Outcome::Order { replayed: true, .. }),
            "{again:?}"
        );
    }
    assert_eq!(won, 20);
    let libraries: String = redis::cmd("FUNCTION")
        .arg("STATS")
        .query::<redis::Value>(&mut shop.admin)
        .map(|said| format!("{said:?}"))
        .unwrap();
    assert!(libraries.contains("int(2)"), "{libraries}");
    // What a version before stripes refuses.
    let format: String = shop.ask(&["HGET", "{kilat:s}:s", "format"]);
    assert_eq!(format, "3");
}

/// What another version made is neither read nor sold, whichever way it is come to, and told apart.
#[test]
fn a_sale_of_another_format_is_refused_by_name() {
    for as_scripts in [false, true] {
        let mut shop = Shop::open(&[], as_scripts);
        let _: u64 = shop.ask(&["HSET", "{kilat}:sales", "s", "0"]);
        for (format, says) in [("4", "a later one"), ("2", "sell it to its end")] {
            let _: u64 = shop.ask(&["HSET", "{kilat:s}:s", "format", format]);
            let mut redis = another_way(&shop, as_scripts);
            let faults = [
                redis.sale("s").map(drop).unwrap_err(),
                redis.sales().map(drop).unwrap_err(),
                redis.changed().map(drop).unwrap_err(),
                redis.facts(10).map(drop).unwrap_err(),
                redis.commit(&[buy(1, "s", "a", "1")]).map(drop).unwrap_err(),
                redis.order("s", OrderId::from_bits(1)).map(drop).unwrap_err(),
            ];
            for fault in faults {
                let said = fault.to_string();
                let names_it = said.contains(&format!("{{kilat:s}} has format {format}"));
                assert!(kind(&fault) == "refused" && names_it && said.contains(says), "{said}");
            }
        }
    }
}

fn another_way(shop: &Shop, as_scripts: bool) -> Redis {
    let options = RedisOptions { as_scripts, ..super::options(&shop.server) };
    Redis::open(&options, None).unwrap()
}

#[test]
fn a_server_that_can_not_serve_now_is_told_from_one_that_never_will() {
    let mut shop = open(5);
    let batch = [buy(1, "s", "a", "1")];
    let _: () = shop.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    assert_eq!(kind(&shop.redis.commit(&batch).unwrap_err()), "away");
    let _: () = shop.ask(&["REPLICAOF", "NO", "ONE"]);
    let _: () = shop.ask(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    assert_eq!(kind(&shop.redis.commit(&batch).unwrap_err()), "busy");
    let _: () = shop.ask(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    let _: () = shop.ask(&["ACL", "SETUSER", "default", "-fcall"]);
    assert_eq!(kind(&shop.redis.commit(&batch).unwrap_err()), "refused");
    let _: () = shop.ask(&["ACL", "SETUSER", "default", "+@all"]);
    let _: () = shop.ask(&["SET", "{kilat:t}:s", "of somebody else"]);
    let foreign = [buy(2, "t", "a", "1")];
    assert_eq!(kind(&shop.redis.commit(&foreign).unwrap_err()), "refused");
    assert!(is_sold(&shop.redis.commit(&batch).unwrap().outcomes[0]));
    shop.server.kill();
    assert_eq!(kind(&shop.redis.commit(&batch).unwrap_err()), "lost");
}

#[test]
fn a_server_kept_busy_by_another_script_is_asked_again() {
    let mut shop = open(5);
    let _: () = shop.ask(&["CONFIG", "SET", "busy-reply-threshold", "1"]);
    let mut endless = redis::cmd("EVAL");
    endless.arg("while true do end").arg(0);
    shop.admin.send_packed_command(&endless.get_packed_command()).unwrap();
    let batch = [buy(1, "s", "a", "1")];
    let fault = loop {
        match shop.redis.commit(&batch) {
            // The endless script has not begun yet, or not gone on for long enough.
            Ok(_) => {}
            Err(fault) => break fault,
        }
    };
    assert_eq!(kind(&fault), "busy", "{fault}");
    let mut killer = redis::Client::open(shop.server.url()).unwrap().get_connection().unwrap();
    redis::cmd("SCRIPT").arg("KILL").exec(&mut killer).unwrap();
    // The endless script's own answer: it is over.
    let _ = shop.admin.recv_response();
    assert!(matches!(shop.redis.commit(&batch).unwrap().outcomes[0], Outcome::Order { .. }));
}

#[test]
fn what_a_lost_connection_sent_is_over_before_the_next_one_is_asked() {
    let mut shop = open(5);
    let mut options = RedisOptions::new(&shop.server.url(), "test", true).unwrap();
    options.script = Script::with_set_clock();
    let mut next = Redis::open(&options, Some(shop.redis.name())).unwrap();
    assert_eq!(kind(&shop.redis.commit(&[buy(1, "s", "a", "1")]).unwrap_err()), "lost");
    assert!(is_sold(&next.commit(&[buy(2, "s", "a", "1")]).unwrap().outcomes[0]));
}

#[test]
fn one_process_at_a_time_moves_facts() {
    let mut shop = open(5);
    let mut options = RedisOptions::new(&shop.server.url(), "test", true).unwrap();
    options.script = Script::with_set_clock();
    let mut other = Redis::open(&options, None).unwrap();
    assert!(shop.redis.hold_lease().unwrap() && shop.redis.hold_lease().unwrap());
    assert!(!other.hold_lease().unwrap());
    // What the lease says is only who works: an old holder's word takes nothing back.
    assert_eq!(shop.redis.facts(10).unwrap().len(), 1);
    other.commit(&[buy(1, "s", "a", "1")]).unwrap();
    assert_eq!(other.facts(10).unwrap().len(), 2);
    other.moved().unwrap();
    shop.redis.moved().unwrap();
    assert_eq!(other.facts(10).unwrap(), []);
    let _: () = shop.ask(&["DEL", "{kilat}:lease"]);
    assert!(other.hold_lease().unwrap() && !shop.redis.hold_lease().unwrap());
    // Only who has it can give it up.
    shop.redis.release_lease().unwrap();
    assert!(!shop.redis.hold_lease().unwrap());
    other.release_lease().unwrap();
    assert!(shop.redis.hold_lease().unwrap());
}

/// Names so long that the log needs more than one chunk, more orders than one call lists, and more
/// arguments than Lua's stack holds.
#[test]
fn a_large_sale_is_whole() {
    const ORDERS: usize = 8_192;
    let mut shop = open(u64::MAX >> 30);
    let mut names: Vec<String> = (0..ORDERS).map(|n| format!("{n:01024}")).collect();
    names[4_000..6_000].fill("one who buys often".to_owned());
    let keys: Vec<String> = (0..ORDERS).map(|n| format!("{n:0255}")).collect();
    let commands: Vec<Command<'_>> = (0..ORDERS)
        .map(|n| {
            let id = OrderId::from_bits(1 + n as u128);
            Command::PlaceOrder(place(id, "s", &names[n], &keys[n], 1, n % 2 == 0))
        })
        .collect();
    for replayed in [false, true] {
        let decided = shop.redis.commit(&commands).unwrap();
        let told = |outcome: &Outcome| matches!(outcome, Outcome::Order { replayed: was, .. } if *was == replayed);
        assert!(decided.outcomes.iter().all(told));
        assert_eq!(decided.sales[0].counters.sold, ORDERS as u64 / 2);
    }
    assert_eq!(shop.ask::<u64>(&["EXISTS", "{kilat:s}:l:1"]), 1);
    let mut ask = |customer: Option<&str>, after| {
        let customer = customer.map(str::to_owned);
        let page = Page { sale: "s".into(), customer, after, limit: 10_000 };
        let orders = shop.redis.orders(&page).unwrap().unwrap();
        orders.iter().map(|order| order.order.id.to_bits()).collect::<Vec<_>>()
    };
    assert!(ask(None, 0).into_iter().eq(1..=ORDERS as u128));
    assert!(ask(None, 8_000).into_iter().eq(8_000..=ORDERS as u128));
    assert!(ask(Some("one who buys often"), 0).into_iter().eq(4_001..=6_000));
    assert!(ask(Some("one who buys often"), 5_999).into_iter().eq(5_999..=6_000));
    // All of them expire at once.
    shop.set_time(60_000);
    let decided = shop.redis.expire_due().unwrap();
    let counters = decided.sales[0].counters;
    assert_eq!(
        (decided.expired, counters.held, counters.expired),
        (ORDERS / 2, 0, ORDERS as u64 / 2)
    );
    let mut facts = 0;
    loop {
        let found = shop.redis.facts(2_048).unwrap();
        if found.is_empty() {
            break;
        }
        for fact in found {
            facts += 1;
            assert_eq!(fact.sequence, facts);
        }
        shop.redis.moved().unwrap();
    }
    assert_eq!(facts, 1 + (ORDERS + ORDERS / 2) as u64);
}

#[test]
fn texts_that_no_ledger_takes_are_refused() {
    let mut shop = open(5);
    let long = "x".repeat(5_000);
    let change = kilat_ledger::SaleChange::default();
    let named = kilat_ledger::SaleTerms { title: long.clone(), ..terms("t", 1) };
    let refused = [
        (buy(1, "s", &long, "1"), Refusal::TooLong),
        (buy(1, "s", "a", &long), Refusal::TooLong),
        (Command::ChangeSale { sale: "s", key: &long, change: &change }, Refusal::TooLong),
        (Command::ChangeSale { sale: "t", key: &long, change: &change }, Refusal::SaleNotFound),
        (Command::CreateSale { terms: &named }, Refusal::TooLong),
        (Command::CreateSale { terms: &terms("s", 6) }, Refusal::SaleExists),
        (buy(1, "t", "a", "1"), Refusal::SaleNotFound),
    ];
    let commands: Vec<Command<'_>> = refused.iter().map(|(command, _)| *command).collect();
    let told = shop.redis.commit(&commands).unwrap();
    let expected: Vec<_> = refused.iter().map(|(_, why)| Outcome::Refused(*why)).collect();
    assert_eq!(told.outcomes, expected);
    // Nothing was numbered in vain.
    assert_eq!(shop.ask::<u64>(&["HLEN", "{kilat}:sales"]), 1);
}
