//! Stripes of which a failover took something back: half of a transfer, a restock, a change. A replica
//! that stands still is played by keys that are dumped and restored.

use super::of_stripes::{STRIPES, buyers, create, half_a_transfer, start_anew, striped};
use super::{Shop, buy, terms};
use crate::store::LedgerStore as _;
use crate::store::redis::script::Entry;
use crate::store::redis::stripes;
use kilat_ledger::{Command, Outcome, Refusal, SaleChange, SaleSwitch};

/// What a stripe has at this moment, as a replica that stands still would keep it.
fn copy_of(shop: &mut Shop, stripe: u16) -> Vec<(String, Vec<u8>)> {
    let key = String::from_utf8(shop.redis.sales.key("s", stripe)).unwrap();
    let names: Vec<String> = shop.ask(&["KEYS", &format!("{key}:*")]);
    let dump = |name: String| {
        let dumped = redis::cmd("DUMP").arg(&name).query(&mut shop.admin).unwrap();
        (name, dumped)
    };
    names.into_iter().map(dump).collect()
}

/// The replica takes the place of the stripe's primary.
fn fail_over(shop: &mut Shop, stripe: u16, copy: &[(String, Vec<u8>)]) {
    let key = String::from_utf8(shop.redis.sales.key("s", stripe)).unwrap();
    let names: Vec<String> = shop.ask(&["KEYS", &format!("{key}:*")]);
    names.iter().for_each(|name| shop.ask(&["DEL", name]));
    for (name, dumped) in copy {
        let mut restore = redis::cmd("RESTORE");
        restore.arg(name).arg(0).arg(dumped).exec(&mut shop.admin).unwrap();
    }
}

/// Either end of a transfer forgets its half, and everything after it.
#[test]
fn a_transfer_of_which_a_failover_lost_a_half_makes_no_units_and_strands_none() {
    for (lost, home) in [(2, true), (4, true), (2, false), (4, false)] {
        let mut shop = striped();
        create(&mut shop.redis, &terms("s", 40));
        shop.redis.sale("s").unwrap();
        let copy = copy_of(&mut shop, lost);
        let (mut stale, ever) = half_a_transfer(&shop, 2, 4, 6);
        if home {
            assert!(stale.bring_home("s", 2, 4, ever).unwrap());
        }
        fail_over(&mut shop, lost, &copy);
        let mut next = shop.another();
        let sale = next.sale("s").unwrap().unwrap();
        assert!(sale.balanced() && sale.in_transit == 0, "{lost} {home}: {sale:?}");
        // Whoever stood still in the middle goes on.
        let late = stale.bring_home("s", 2, 4, ever).unwrap();
        assert!(!late, "a half from before the failover was accepted");
        assert_eq!(buyers(&mut next, 0..50), 40, "{lost} {home}");
        let sale = next.sale("s").unwrap().unwrap();
        assert!(sale.balanced() && sale.counters.sold == 40, "{lost} {home}: {sale:?}");
    }
}

/// Buyers, transfers and failovers in any order: what is sold twice is what was lost, never more.
#[test]
fn after_any_failovers_the_books_agree_and_all_is_sold() {
    const SUPPLY: u64 = 120;
    let seed = std::env::var("KILAT_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("KILAT_SEED={seed}");
    let mut random = seed | 1;
    let mut draw = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let mut shop = striped();
    for _ in 0..12 {
        let _: () = shop.ask(&["FLUSHALL"]);
        shop.set_time(0);
        start_anew(&mut shop.redis);
        create(&mut shop.redis, &terms("s", SUPPLY));
        let mut redis = shop.another();
        redis.sale("s").unwrap();
        let mut copies: Vec<_> = (1..=STRIPES).map(|stripe| copy_of(&mut shop, stripe)).collect();
        let mut customers = 0_u128;
        for _ in 0..25 {
            let stripe = u16::try_from(1 + draw(u64::from(STRIPES))).unwrap();
            match draw(8) {
                0 => copies[usize::from(stripe) - 1] = copy_of(&mut shop, stripe),
                1 => {
                    fail_over(&mut shop, stripe, &copies[usize::from(stripe) - 1]);
                    redis = shop.another();
                }
                // It dies half way.
                2 => {
                    let to = 1 + stripe % STRIPES;
                    redis.learn_stripes(["s"]).unwrap();
                    redis.meet_once("s").unwrap();
                    redis.in_era("s", Entry::Give, stripe, to, 1 + draw(9)).unwrap();
                }
                _ => {
                    let count = u128::from(1 + draw(12));
                    buyers(&mut redis, customers..customers + count);
                    customers += count;
                }
            }
        }
        redis = shop.another();
        buyers(&mut redis, customers..customers + u128::from(SUPPLY) + 1);
        let sale = redis.sale("s").unwrap().unwrap();
        let expected = (SUPPLY, 0, 0);
        assert_eq!((sale.counters.sold, sale.counters.available, sale.in_transit), expected);
        assert!(sale.balanced());
    }
}

/// A failover takes back the leader's restock, of which units were moved and sold, and its change: nothing
/// shows that the books are short until the restock is made again, with its key or another.
#[test]
fn a_restock_that_a_failover_lost_is_made_again() {
    let restock = SaleChange { add_supply: 40, ..SaleChange::default() };
    let change = |key| Command::ChangeSale { sale: "s", key, change: &restock };
    let changed = [Outcome::SaleChanged { replayed: false }];
    let mut shop = striped();
    create(&mut shop.redis, &terms("s", 8));
    assert_eq!(buyers(&mut shop.redis, 0..8), 8);
    let copy = copy_of(&mut shop, 1);
    assert_eq!(shop.redis.commit(&[change("more")]).unwrap().outcomes, changed);
    // Units of the restock went to all stripes; of those that are not the leader's all are sold.
    let mut bought = 8;
    for n in 100..600_u128 {
        if stripes::of_customer(&format!("c{n}"), STRIPES) != 1 && bought < 8 + 30 {
            bought += buyers(&mut shop.redis, n..n + 1);
        }
    }
    assert_eq!(bought, 38);
    fail_over(&mut shop, 1, &copy);
    let mut next = shop.another();
    let sale = next.sale("s").unwrap().unwrap();
    assert_eq!((sale.counters.supply, sale.balanced()), (8, false), "{sale:?}");
    assert_eq!(buyers(&mut next, 1_000..1_020), 0, "{sale:?}");
    assert_eq!(next.commit(&[change("more")]).unwrap().outcomes, changed);
    let sale = next.sale("s").unwrap().unwrap();
    assert!(sale.balanced() && sale.counters.supply == 48, "{sale:?}");
    assert_eq!(buyers(&mut next, 2_000..2_020), 48 - usize::try_from(sale.counters.sold).unwrap());
    let sale = next.sale("s").unwrap().unwrap();
    assert!(sale.balanced() && sale.counters.sold == 48, "{sale:?}");
}

/// A failover takes back that the sale was paused. What is decided next reaches all stripes all the same.
#[test]
fn a_change_after_one_that_a_failover_lost_reaches_all_stripes() {
    let mut shop = striped();
    create(&mut shop.redis, &terms("s", 40));
    let copy = copy_of(&mut shop, 1);
    for (state, lost) in [(SaleSwitch::Paused, true), (SaleSwitch::Closed, false)] {
        let change = SaleChange { state: Some(state), ..SaleChange::default() };
        let key = if lost { "p" } else { "c" };
        let change = Command::ChangeSale { sale: "s", key, change: &change };
        let told = shop.redis.commit(&[change]).unwrap().outcomes;
        assert_eq!(told, [Outcome::SaleChanged { replayed: false }]);
        if lost {
            fail_over(&mut shop, 1, &copy);
            shop.redis = shop.another();
        }
    }
    let names: Vec<String> = (0..40).map(|n| format!("c{n}")).collect();
    let commands: Vec<Command<'_>> =
        (1..).zip(&names).map(|(id, name)| buy(id, "s", name, "k")).collect();
    let told = shop.redis.commit(&commands).unwrap().outcomes;
    assert!(told.iter().all(|told| *told == Outcome::Refused(Refusal::Closed)), "{told:?}");
}
