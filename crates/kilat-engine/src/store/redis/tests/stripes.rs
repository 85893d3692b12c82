//! Sales whose stock is split: the pure ledger as the oracle where one caller asks, exact figures where
//! many do, and what a process left half done at every step of a transfer.

use super::histories::{Ask, CASES, CUSTOMERS, FINGERPRINTER, SALES, command, history, sale_of};
use super::{Shop, buy, place, terms};
use crate::query::Page;
use crate::store::redis::books::{self, Told};
use crate::store::redis::script::Entry;
use crate::store::redis::{Redis, sales::Sales, stripes};
use crate::store::{LedgerStore as _, StoreFault, StoredKind};
use kilat_ledger::{
    Batch, Command, Ledger, Order, OrderId, Outcome, Refusal, SaleChange, SaleSwitch, SaleTerms,
    Time,
};
use proptest::test_runner::{Config, TestRunner};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

pub(super) const STRIPES: u16 = 4;

pub(super) fn striped() -> Shop {
    Shop::of_stripes(STRIPES, &[], false)
}

pub(super) fn create(redis: &mut Redis, terms: &SaleTerms) {
    let made = redis.commit(&[Command::CreateSale { terms }]).unwrap();
    assert_eq!(made.outcomes, [Outcome::SaleCreated]);
}

/// Numbers of sales and sequences are not those of one ledger.
fn comparable(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Order { order, replayed } => Outcome::Order { order: plain(order), replayed },
        other => other,
    }
}

fn plain(order: Order) -> Order {
    Order { sale: 0, sequence: 0, ..order }
}

/// One command after the other, the clock never goes back: then stripes are not to be told from one
/// ledger, but for sequences.
fn check(shop: &mut Shop, steps: &[(i64, Vec<Ask>)]) {
    let mut ledgers = [(); 3].map(|()| Ledger::new(FINGERPRINTER));
    let mut facts = Batch::new();
    let (mut now, mut placed) = (0, 0);
    for (wait, asked) in steps {
        now += wait.abs();
        shop.set_time(now);
        let instant = Time::from_millis(now);
        for ask in asked {
            let mut ask = ask.clone();
            // Two orders with one id would be told apart only in one stripe.
            if let Ask::Place(.., id) = &mut ask {
                *id = placed;
                placed += 1;
            }
            let told = shop.redis.commit(&[command(&ask)]).unwrap();
            let ledger = &mut ledgers[sale_of(&ask)];
            ledger.expire_due(instant, usize::MAX, &mut facts);
            let expected = ledger.execute(instant, &command(&ask), &mut facts);
            assert_eq!(comparable(told.outcomes[0]), comparable(expected), "{ask:?} at {now}");
        }
    }
    for (ledger, sale) in ledgers.iter_mut().zip(SALES) {
        ledger.expire_due(Time::from_millis(now), usize::MAX, &mut facts);
        let found = shop.redis.sale(sale).unwrap();
        let view = ledger.sale(sale);
        assert_eq!(found.as_ref().map(|sale| sale.counters), view.map(|view| view.counters));
        let Some(found) = found else { continue };
        assert!(found.balanced() && found.in_transit == 0, "{found:?}");
        let expected = ledger.sale(sale).unwrap();
        assert_eq!(
            (found.switch, found.opens_at, found.closes_at, &found.terms),
            (expected.switch, expected.opens_at, expected.closes_at, expected.terms)
        );
        compare_orders(&mut shop.redis, ledger, sale, now);
    }
}

fn compare_orders(redis: &mut Redis, ledger: &Ledger, sale: &str, now: i64) {
    let now = Time::from_millis(now);
    for customer in [None, Some(CUSTOMERS[0]), Some(CUSTOMERS[2])] {
        let expected = match customer {
            Some(customer) => ledger.orders_of(sale, customer, 0, 100),
            None => ledger.orders(sale, 0, 100),
        };
        let expected: BTreeMap<OrderId, _> = expected
            .unwrap()
            .into_iter()
            .map(|(order, name)| (order.id, (plain(order.at(now)), name.to_owned())))
            .collect();
        // Pages of three, each after the last sequence of the one before.
        let mut found = BTreeMap::new();
        let mut after = 0;
        loop {
            let page =
                Page { sale: sale.into(), customer: customer.map(str::to_owned), after, limit: 3 };
            let orders = redis.orders(&page).unwrap().unwrap();
            for order in &orders {
                assert!(order.order.sequence > after, "{orders:?}");
                after = order.order.sequence;
                let one = redis.order(sale, order.order.id).unwrap().unwrap();
                assert_eq!(one, *order);
                found.insert(order.order.id, (plain(order.order), order.customer.clone()));
            }
            if orders.len() < 3 {
                break;
            }
        }
        assert_eq!(found, expected, "{customer:?}");
    }
}

/// As if it had just been opened.
pub(super) fn start_anew(redis: &mut Redis) {
    redis.sales = Sales::default();
    redis.empty_at.clear();
    redis.met.clear();
}

#[test]
fn one_caller_cannot_tell_stripes_from_one_ledger() {
    let config = Config::default();
    let given = std::env::var_os("PROPTEST_CASES").is_some();
    let cases = if given { config.cases } else { CASES / 2 };
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 500, ..config };
    let shop = RefCell::new(striped());
    let ran = TestRunner::new(config).run(&history(), |steps| {
        let shop = &mut *shop.borrow_mut();
        let _: () = shop.ask(&["FLUSHALL"]);
        start_anew(&mut shop.redis);
        check(shop, &steps);
        Ok(())
    });
    ran.unwrap();
}

/// Each of several processes asks in batches of its own; some hold and give back. Whoever is told
/// "sold out" is told the truth, and in the end everything is sold.
#[test]
fn many_callers_sell_exactly_what_there_is() {
    const SUPPLY: u64 = 500;
    let mut shop = striped();
    create(&mut shop.redis, &terms("s", SUPPLY));
    let (sold, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for thread in 0..4_u128 {
            let (mut redis, mut witness) = (shop.another(), shop.another());
            let (sold, refused) = (&sold, &refused);
            scope.spawn(move || {
                for batch in 0..30_u128 {
                    let first = (thread * 1_000 + batch * 10) * 1_000;
                    let names: Vec<String> = (0..7).map(|n| format!("c{}", first + n)).collect();
                    let commands: Vec<Command<'_>> =
                        (1..).zip(&names).map(|(n, name)| buy(first + n, "s", name, "k")).collect();
                    let told = settled(&mut redis, &commands);
                    let won =
                        told.iter().filter(|told| matches!(told, Outcome::Order { .. })).count();
                    sold.fetch_add(won as u64, Ordering::Relaxed);
                    if won < told.len() {
                        refused.fetch_add(1, Ordering::Relaxed);
                        let sale = witness.sale("s").unwrap().unwrap();
                        assert_eq!((sale.counters.available, sale.in_transit), (0, 0), "{sale:?}");
                    }
                }
            });
        }
    });
    let sale = shop.redis.sale("s").unwrap().unwrap();
    assert_eq!((sale.counters.sold, sold.into_inner()), (SUPPLY, SUPPLY));
    assert!(sale.balanced() && refused.into_inner() > 0);
}

/// The outcomes of a batch, which is repeated as long as nobody knows them.
pub(super) fn settled(redis: &mut Redis, commands: &[Command<'_>]) -> Vec<Outcome> {
    loop {
        match redis.commit(commands) {
            Ok(decided) => return decided.outcomes,
            Err(StoreFault::Lost(_)) => {}
            Err(fault) => panic!("{fault}"),
        }
    }
}

/// Two units are wanted, and each of two stripes has one.
#[test]
fn an_order_gets_units_from_wherever_they_are() {
    let mut shop = striped();
    create(&mut shop.redis, &terms("s", 7));
    let names: Vec<String> = (0..3).map(|n| format!("c{n}")).collect();
    let order = |id: u128, quantity| {
        Command::PlaceOrder(place(
            OrderId::from_bits(id),
            "s",
            &names[id as usize],
            "k",
            quantity,
            false,
        ))
    };
    let told = |shop: &mut Shop, id, quantity| {
        shop.redis.commit(&[order(id, quantity)]).unwrap().outcomes[0]
    };
    assert!(matches!(told(&mut shop, 0, 5), Outcome::Order { .. }));
    assert_eq!(told(&mut shop, 1, 3), Outcome::Refused(Refusal::SoldOut));
    assert!(matches!(told(&mut shop, 2, 2), Outcome::Order { .. }));
    let sale = shop.redis.sale("s").unwrap().unwrap();
    assert_eq!((sale.counters.sold, sale.counters.available, sale.in_transit), (7, 0, 0));
}

fn keys(redis: &Redis) -> Vec<Vec<u8>> {
    (1..=STRIPES).map(|stripe| redis.sales.key("s", stripe)).collect()
}

/// A connection that knows the sale, and what it was told when one stripe gave units to another.
pub(super) fn half_a_transfer(shop: &Shop, from: u16, to: u16, units: u64) -> (Redis, u64) {
    let mut redis = shop.another();
    redis.sale("s").unwrap();
    let told = redis.in_era("s", Entry::Give, from, to, units).unwrap();
    let Told::Books(books) = told else { panic!("nothing was given") };
    let (ever, given) = books::given(&books).unwrap();
    assert_eq!(given, units);
    (redis, ever)
}

/// As many of these as can buy one unit each.
pub(super) fn buyers(redis: &mut Redis, customers: std::ops::Range<u128>) -> usize {
    let names: Vec<String> = customers.clone().map(|n| format!("c{n}")).collect();
    let commands: Vec<Command<'_>> =
        (customers.start + 1..).zip(&names).map(|(id, name)| buy(id, "s", name, "k")).collect();
    let told = settled(redis, &commands);
    told.iter().filter(|told| matches!(told, Outcome::Order { .. })).count()
}

/// A process dies after each step of a transfer: another one finds the units and sells all.
#[test]
fn units_that_a_dead_process_left_in_transit_are_sold() {
    for steps in 1..=2 {
        let mut shop = striped();
        create(&mut shop.redis, &terms("s", 8));
        let (mut dying, ever) = half_a_transfer(&shop, 2, 4, 2);
        if steps > 1 {
            assert!(dying.bring_home("s", 2, 4, ever).unwrap());
        }
        let mut next = shop.another();
        let sale = next.sale("s").unwrap().unwrap();
        assert!(sale.balanced() && sale.in_transit == 0, "{sale:?}");
        assert_eq!(buyers(&mut next, 0..12), 8, "after {steps} steps");
        // Late words of the dead have no effect.
        let late = dying.in_era("s", Entry::Take, 4, 2, ever).unwrap();
        assert!(matches!(late, Told::OtherEra));
        let sale = next.sale("s").unwrap().unwrap();
        assert!(sale.balanced() && sale.counters.sold == 8 && sale.in_transit == 0, "{sale:?}");
    }
}

/// A process dies in the middle of a transfer while another one sells, which has no reason to meet the
/// stripes again: it finds the units before it tells anybody that the sale is sold out.
#[test]
fn units_in_transit_are_sold_by_a_process_that_is_there_already() {
    let mut shop = striped();
    create(&mut shop.redis, &terms("s", 8));
    half_a_transfer(&shop, 2, 4, 2);
    assert_eq!(buyers(&mut shop.redis, 0..12), 8);
    let sale = shop.redis.sale("s").unwrap().unwrap();
    assert!(sale.balanced() && sale.counters.sold == 8 && sale.in_transit == 0, "{sale:?}");
}

/// Units are in transit and can't arrive for want of memory, which only scripts need for it: the audit
/// counts them there.
#[test]
fn the_audit_counts_what_is_in_transit() {
    let mut shop = Shop::of_stripes(STRIPES, &[], true);
    create(&mut shop.redis, &terms("s", 8));
    shop.redis.in_era("s", Entry::Give, 1, 2, 2).unwrap();
    let _: () = shop.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let sale = shop.redis.sale("s").unwrap().unwrap();
    assert_eq!((sale.counters.available, sale.in_transit), (6, 2));
    assert!(sale.balanced());
    let _: () = shop.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    // Nobody buys; it comes home by itself.
    shop.redis.expire_due().unwrap();
    let sale = shop.redis.sale("s").unwrap().unwrap();
    assert_eq!((sale.counters.available, sale.in_transit), (8, 0));
}

/// Books need no memory to speak of: a process that comes when there is none meets the stripes, brings
/// home what is in transit, and moves what others have.
#[test]
fn books_are_kept_when_memory_has_run_out() {
    let mut shop = striped();
    create(&mut shop.redis, &terms("s", 8));
    shop.redis.in_era("s", Entry::Give, 1, 2, 2).unwrap();
    let _: () = shop.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let mut next = shop.another();
    let sale = next.sale("s").unwrap().unwrap();
    assert_eq!((sale.counters.available, sale.in_transit), (8, 0));
    assert!(sale.balanced() && next.hold_lease().unwrap());
    let mut available = next.stripes_of("s").unwrap().available();
    next.pull("s", 3, 7, &mut available).unwrap();
    assert!(next.stripes_of("s").unwrap().available()[2] >= 7);
    // Selling does need some.
    let told = next.commit(&[buy(1, "s", "c1", "k")]).unwrap_err();
    assert!(matches!(told, StoreFault::Full(_)), "{told}");
}

/// The leader has decided, and the process died before it told the stripes.
#[test]
fn what_the_leader_decided_is_told_by_whoever_looks_next() {
    let mut shop = striped();
    create(&mut shop.redis, &terms("s", 400));
    let leader = [super::super::Group::of("s", 1, STRIPES)];
    let pause =
        SaleChange { state: Some(SaleSwitch::Paused), add_supply: 5, ..SaleChange::default() };
    let change = |key| Command::ChangeSale { sale: "s", key, change: &pause };
    let mut decided = super::super::nothing_decided(1);
    let groups = [leader[0].only(|_| true)];
    let groups = groups.map(|group| super::super::Group { commands: vec![0], ..group });
    shop.redis.decide_all(&groups, &[change("p")], &mut decided).unwrap();
    assert_eq!(decided.outcomes, [Outcome::SaleChanged { replayed: false }]);
    let names: Vec<String> = (0..40).map(|n| format!("c{n}")).collect();
    let commands: Vec<Command<'_>> =
        (1..).zip(&names).map(|(id, name)| buy(id, "s", name, "k")).collect();
    shop.another().expire_due().unwrap();
    let told = shop.another().commit(&commands).unwrap().outcomes;
    assert!(told.iter().all(|told| *told == Outcome::Refused(Refusal::Paused)), "{told:?}");
    let again = shop.redis.commit(&[change("p")]).unwrap();
    assert_eq!(again.outcomes, [Outcome::SaleChanged { replayed: true }]);
    let sale = shop.redis.sale("s").unwrap().unwrap();
    assert!(sale.counters.supply == 405 && sale.balanced(), "{sale:?}");
}

/// A process died after the leader was made; another one sells to customers of all stripes.
#[test]
fn a_sale_whose_stripes_were_not_made_is_sold() {
    let mut shop = striped();
    create(&mut shop.redis, &terms("s", 8));
    for key in &keys(&shop.redis)[1..] {
        let key = String::from_utf8(key.clone()).unwrap();
        let _: () = shop.ask(&["DEL", &format!("{key}:s")]);
        let _: () = shop.ask(&["DEL", &format!("{key}:t")]);
    }
    // As if nothing had been given away.
    let leader = "{kilat:s}:s";
    let _: () = shop.ask(&["HSET", leader, "available", "8", "given", "0"]);
    let _: () = shop.ask(&["DEL", "{kilat:s}:t"]);
    let mut next = shop.another();
    let names: Vec<String> = (0..12).map(|n| format!("c{n}")).collect();
    let commands: Vec<Command<'_>> =
        (1..).zip(&names).map(|(id, name)| buy(id, "s", name, "k")).collect();
    let told = next.commit(&commands).unwrap().outcomes;
    let won = told.iter().filter(|told| matches!(told, Outcome::Order { .. })).count();
    assert_eq!(won, 8, "{told:?}");
}

/// Each fact once, the leader's first, and the sale's creation only once.
#[test]
fn facts_of_all_stripes_are_handed_out_once() {
    let mut shop = striped();
    create(&mut shop.redis, &terms("s", 100));
    let names: Vec<String> = (0..120).map(|n| format!("c{n}")).collect();
    let commands: Vec<Command<'_>> =
        (1..).zip(&names).map(|(id, name)| buy(id, "s", name, "k")).collect();
    shop.redis.commit(&commands).unwrap();
    let mut found = Vec::new();
    loop {
        let facts = shop.redis.facts(13).unwrap();
        assert!(facts.len() <= 13);
        if facts.is_empty() {
            break;
        }
        found.extend(facts);
        shop.redis.moved().unwrap();
    }
    assert!(matches!(found[0].kind, StoredKind::SaleCreated { .. }));
    assert_eq!(found.len(), 101);
    let mut sequences: Vec<u64> = found.iter().map(|fact| fact.sequence).collect();
    sequences.sort_unstable();
    for (before, after) in sequences.iter().zip(&sequences[1..]) {
        assert!(*after == before + 1 || after & 0xff_ffff_ffff == 1, "{before} {after}");
    }
    assert_eq!(crate::sequence::Spelled(sequences[0]).to_string(), "1.1");
    for stripe in stripes::numbers(STRIPES) {
        let of = |sequence: &&u64| crate::sequence::parts(**sequence).0 == u64::from(stripe);
        assert!(sequences.iter().filter(of).count() > 10, "stripe {stripe}");
    }
}

/// A process that was told of no stripes works on a sale of four, and the other way round.
#[test]
fn a_sale_keeps_the_stripes_it_was_made_with() {
    let mut shop = striped();
    create(&mut shop.redis, &terms("s", 8));
    let mut other = shop.another();
    create(&mut other, &terms("t", 8));
    for redis in [&mut shop.redis, &mut other] {
        assert_eq!(redis.sale("s").unwrap().unwrap().counters.available, 8);
        assert_eq!(redis.sale("t").unwrap().unwrap().counters.available, 8);
        assert_eq!((redis.sales.stripes("s"), redis.sales.stripes("t")), (STRIPES, 1));
    }
    // What a failover forgot must not make two sales of one.
    let _: () = shop.ask(&["HDEL", "{kilat}:stripes", "s"]);
    let fault = shop.another().commit(&[buy(1, "s", "a", "1")]).unwrap_err();
    assert!(fault.to_string().contains("KILATSTRIPES"), "{fault}");
}
