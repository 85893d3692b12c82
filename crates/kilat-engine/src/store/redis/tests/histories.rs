//! Random histories: every outcome, every state and every fact is the pure ledger's. A failure
//! prints its smallest history; `PROPTEST_CASES` runs more of them.

use super::{Shop, place};
use crate::query::Page;
use crate::store::{LedgerStore as _, StoredFact};
use kilat_ledger::{
    Batch, Command, Facts, Fingerprinter, Ledger, Order, OrderId, Outcome, SaleChange, SaleSwitch,
    SaleTerms, Time,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof};
use proptest::test_runner::TestRunner;

pub(super) const FINGERPRINTER: Fingerprinter = Fingerprinter::new(*b"a key for tests!");
pub(super) const SALES: [&str; 3] = ["s0", "s1", "s2"];
pub(super) const CUSTOMERS: [&str; 3] = ["a", "b", "ab"];
const KEYS: [&str; 4] = ["", "1", "b1", "2"];
/// Histories of one run, unless `PROPTEST_CASES` says otherwise.
pub(super) const CASES: u32 = 200;

/// One command. Small numbers choose from the lists above, so that commands meet.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    Create(SaleTerms),
    Change(usize, usize, SaleChange),
    /// Sale, customer, key, quantity, hold, id.
    Place(usize, usize, usize, u32, bool, u128),
    /// Sale, id, by, confirm (or cancel).
    Settle(usize, u128, Option<usize>, bool),
}

/// Milliseconds to wait, sometimes back, and then a batch.
pub(super) type Step = (i64, Vec<Ask>);

pub(super) fn history() -> impl Strategy<Value = Vec<Step>> {
    let first =
        SaleTerms { id: SALES[0].to_owned(), supply: 8, hold_seconds: 5, ..SaleTerms::default() };
    vec((-3_000..6_000_i64, vec(ask(), 0..12)), 0..16).prop_map(move |mut steps| {
        steps.insert(0, (0, vec![Ask::Create(first.clone())]));
        steps
    })
}

fn ask() -> impl Strategy<Value = Ask> {
    prop_oneof![
        1 => sale_terms().prop_map(Ask::Create),
        2 => (0..3_usize, 0..6_usize, sale_change()).prop_map(|(s, k, c)| Ask::Change(s, k, c)),
        12 => (0..3_usize, 0..3_usize, 0..4_usize, 0..4_u32, any::<bool>(), 0..60_u128)
            .prop_map(|(s, c, k, q, h, id)| Ask::Place(s, c, k, q, h, id)),
        8 => (0..3_usize, 0..60_u128, option::of(0..3_usize), any::<bool>())
            .prop_map(|(s, id, by, confirm)| Ask::Settle(s, id, by, confirm)),
    ]
}

/// Also times that no number in Lua holds exactly.
fn time() -> impl Strategy<Value = Time> {
    prop_oneof![
        9 => 0..60_000_i64,
        1 => any::<i64>(),
        1 => i64::MAX - 2..=i64::MAX,
        1 => i64::MIN..i64::MIN + 2,
    ]
    .prop_map(Time::from_millis)
}

fn sale_terms() -> impl Strategy<Value = SaleTerms> {
    (
        0..3_usize,
        prop_oneof![9 => 0..12_u64, 1 => any::<u64>()],
        option::of(0..5_u32),
        option::weighted(0.2, time()),
        option::weighted(0.2, time()),
        prop_oneof![9 => 0..8_u32, 1 => any::<u32>()],
    )
        .prop_map(|(sale, supply, per_customer, opens_at, closes_at, hold_seconds)| {
            SaleTerms {
                id: SALES[sale].to_owned(),
                supply,
                per_customer,
                opens_at,
                closes_at,
                hold_seconds,
                ..SaleTerms::default()
            }
        })
}

fn sale_change() -> impl Strategy<Value = SaleChange> {
    let state = prop_oneof![
        6 => Just(SaleSwitch::Open),
        3 => Just(SaleSwitch::Paused),
        1 => Just(SaleSwitch::Closed),
    ];
    let schedule = || option::weighted(0.2, option::of(time()));
    let add_supply = prop_oneof![9 => 0..5_u64, 1 => any::<u64>()];
    (add_supply, option::of(state), schedule(), schedule()).prop_map(
        |(add_supply, state, opens_at, closes_at)| SaleChange {
            add_supply,
            state,
            opens_at,
            closes_at,
        },
    )
}

/// A ledger for each sale: in Redis no two sales have anything in common but the list of them.
struct Oracle {
    ledgers: [Ledger; 3],
    facts: [Batch; 3],
}

struct Run<'a> {
    shop: &'a mut Shop,
    oracle: Oracle,
    now: i64,
}

impl Run<'_> {
    fn step(&mut self, (wait, asked): &Step) {
        self.now = (self.now + wait).max(0);
        self.shop.set_time(self.now);
        let commands: Vec<Command<'_>> = asked.iter().map(command).collect();
        let decided = self.shop.redis.commit(&commands).unwrap();
        // Sales of one batch share an instant: none that one of them has seen is before it.
        let touched = |sale: &usize| asked.iter().any(|ask| sale_of(ask) == *sale);
        let touched: Vec<usize> = (0..SALES.len()).filter(touched).collect();
        let clock = |sale: &usize| self.oracle.ledgers[*sale].clamp(Time::from_millis(self.now));
        let now = touched.iter().map(clock).fold(Time::from_millis(self.now), Time::max);
        assert_eq!(decided.at, now);
        for sale in touched {
            self.oracle.ledgers[sale].expire_due(now, usize::MAX, &mut self.oracle.facts[sale]);
        }
        for ((ask, command), told) in asked.iter().zip(&commands).zip(&decided.outcomes) {
            let sale = sale_of(ask);
            let expected =
                self.oracle.ledgers[sale].execute(now, command, &mut self.oracle.facts[sale]);
            assert_eq!(without_number(*told), without_number(expected), "{ask:?} at {now:?}");
        }
        for sale in &decided.sales {
            self.compare_sale(sale);
        }
    }

    fn compare_sale(&self, found: &crate::Sale) {
        let sale = SALES.iter().position(|id| *id == found.terms.id).unwrap();
        let view = self.oracle.ledgers[sale].sale(SALES[sale]).unwrap();
        let expected = crate::Sale { number: found.number, ..crate::Sale::from(view) };
        assert_eq!(*found, expected);
    }

    /// Everything that can be read.
    fn compare_all(&mut self) {
        let sales = self.shop.redis.sales().unwrap();
        let made = self.oracle.ledgers.iter().filter(|ledger| ledger.sales().len() > 0).count();
        assert_eq!(sales.len(), made);
        for sale in &sales {
            self.compare_sale(sale);
        }
        for (sale, id) in SALES.iter().enumerate() {
            let ledger = &self.oracle.ledgers[sale];
            let now = ledger.clamp(Time::from_millis(self.now));
            for (customer, after, limit) in
                [(None, 0, 100), (None, 5, 3), (Some("a"), 0, 100), (Some("b"), 7, 2)]
            {
                let page = Page {
                    sale: (*id).to_owned(),
                    customer: customer.map(str::to_owned),
                    after,
                    limit,
                };
                let found = self.shop.redis.orders(&page).unwrap();
                let expected = match customer {
                    Some(customer) => ledger.orders_of(id, customer, after, limit),
                    None => ledger.orders(id, after, limit),
                };
                let found = found.map(|orders| {
                    orders
                        .into_iter()
                        .map(|o| (Order { sale: 0, ..o.order }, o.customer))
                        .collect::<Vec<_>>()
                });
                let expected = expected.map(|orders| {
                    orders.into_iter().map(|(o, name)| (o.at(now), name.to_owned())).collect()
                });
                assert_eq!(found, expected, "{page:?}");
            }
            for order in (0..60).map(OrderId::from_bits) {
                let found = self.shop.redis.order(id, order).unwrap();
                let found = found.map(|o| (Order { sale: 0, ..o.order }, o.customer));
                let expected = ledger.order(id, order);
                assert_eq!(found, expected.map(|(o, name)| (o.at(now), name.to_owned())));
            }
        }
    }

    /// The outbox holds the facts of each sale, all of them, in order, and no others; and they
    /// give a new ledger the same state.
    fn compare_facts(&mut self) {
        let mut found: [Vec<StoredFact>; 3] = Default::default();
        loop {
            let facts = self.shop.redis.facts(7).unwrap();
            if facts.is_empty() {
                break;
            }
            // Handed out again until they are said to be moved.
            assert!(facts.len() <= 7);
            for fact in facts {
                found[SALES.iter().position(|id| *id == fact.sale).unwrap()].push(fact);
            }
            self.shop.redis.moved().unwrap();
        }
        for (sale, found) in found.iter().enumerate() {
            let mut batch = Batch::new();
            for fact in found {
                batch.push(&kilat_ledger::Fact { sale: 0, ..fact.fact() });
            }
            let print = |batch: &Batch| {
                let facts = Facts::decode(batch.bytes()).unwrap();
                facts.map(|fact| format!("{:?}", fact.unwrap())).collect::<Vec<_>>()
            };
            assert_eq!(print(&batch), print(&self.oracle.facts[sale]));
            Ledger::new(FINGERPRINTER).replay(batch.bytes()).unwrap();
        }
    }
}

pub(super) fn sale_of(ask: &Ask) -> usize {
    match ask {
        Ask::Create(terms) => SALES.iter().position(|id| *id == terms.id).unwrap(),
        Ask::Change(sale, ..) | Ask::Place(sale, ..) | Ask::Settle(sale, ..) => *sale,
    }
}

pub(super) fn command(ask: &Ask) -> Command<'_> {
    match ask {
        Ask::Create(terms) => Command::CreateSale { terms },
        Ask::Change(sale, key, change) => Command::ChangeSale {
            sale: SALES[*sale],
            key: ["1", "2", "3", "4", "5", "6"][*key],
            change,
        },
        Ask::Place(sale, customer, key, quantity, hold, id) => Command::PlaceOrder(place(
            OrderId::from_bits(*id),
            SALES[*sale],
            CUSTOMERS[*customer],
            KEYS[*key],
            *quantity,
            *hold,
        )),
        Ask::Settle(sale, id, by, confirm) => {
            let (sale, order) = (SALES[*sale], OrderId::from_bits(*id));
            let by = by.map(|by| CUSTOMERS[by]);
            match confirm {
                true => Command::ConfirmOrder { sale, order, by },
                false => Command::CancelOrder { sale, order, by },
            }
        }
    }
}

/// Each oracle counts its sales from 0.
fn without_number(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Order { order, replayed } => {
            Outcome::Order { order: Order { sale: 0, ..order }, replayed }
        }
        other => other,
    }
}

fn check(as_scripts: bool) {
    let mut shop = Shop::open(&[], as_scripts);
    let config = ProptestConfig {
        max_shrink_iters: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { config.cases } else { CASES };
    let mut runner = TestRunner::new(ProptestConfig { cases, ..config });
    let shop = std::cell::RefCell::new(&mut shop);
    let ran = runner.run(&history(), |steps| {
        let shop = &mut **shop.borrow_mut();
        let _: () = shop.ask(&["FLUSHALL"]);
        shop.redis.sales = super::super::Sales::default();
        shop.redis.empty_at.clear();
        let oracle = Oracle {
            ledgers: [(); 3].map(|()| Ledger::new(FINGERPRINTER)),
            facts: [(); 3].map(|()| Batch::new()),
        };
        let mut run = Run { shop, oracle, now: 0 };
        steps.iter().for_each(|step| run.step(step));
        run.compare_all();
        run.compare_facts();
        Ok(())
    });
    ran.unwrap();
}

#[test]
fn every_outcome_is_the_ledgers() {
    check(false);
}

#[test]
fn scripts_decide_as_functions_do() {
    check(true);
}
