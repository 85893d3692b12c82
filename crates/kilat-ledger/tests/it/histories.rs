//! Random histories against the model. A failure prints its smallest history; `PROPTEST_CASES`
//! runs more of them.

use kilat_ledger::{
    Batch, Command, Ledger, OrderId, OrderStatus, Outcome, PlaceOrder, SaleChange, SaleSwitch,
    SaleTerms, Time,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

use crate::model::{Answer, Model, ModelOrder};
use crate::shop::{FINGERPRINTER, encode, seconds, thaw};

const SALES: [&str; 3] = ["s0", "s1", "s2"];
const CUSTOMERS: [&str; 3] = ["a", "b", "ab"];
const KEYS: [&str; 4] = ["", "1", "b1", "2"];

/// One step of a history. Small numbers choose from the lists above, so that steps meet.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Seconds; sometimes back.
    Wait(i64),
    Expire(usize),
    Create(SaleTerms),
    Change(usize, usize, SaleChange),
    /// Sale, customer, key, quantity, hold, id.
    Place(usize, usize, usize, u32, bool, u128),
    /// Sale, id, by, confirm (or cancel).
    Settle(usize, u128, Option<usize>, bool),
}

pub(crate) fn history() -> impl Strategy<Value = Vec<Step>> {
    let first =
        SaleTerms { id: SALES[0].to_owned(), supply: 8, hold_seconds: 5, ..SaleTerms::default() };
    vec(step(), 0..120).prop_map(move |mut steps| {
        steps.insert(0, Step::Create(first.clone()));
        steps
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (-3..6_i64).prop_map(Step::Wait),
        2 => (0..3_usize).prop_map(Step::Expire),
        1 => sale_terms().prop_map(Step::Create),
        2 => (0..3_usize, 0..6_usize, sale_change()).prop_map(|(s, k, c)| Step::Change(s, k, c)),
        12 => (0..3_usize, 0..3_usize, 0..4_usize, 0..4_u32, any::<bool>(), 0..60_u128)
            .prop_map(|(s, c, k, q, h, id)| Step::Place(s, c, k, q, h, id)),
        8 => (0..3_usize, 0..60_u128, option::of(0..3_usize), any::<bool>())
            .prop_map(|(s, id, by, confirm)| Step::Settle(s, id, by, confirm)),
    ]
}

fn time() -> impl Strategy<Value = Time> {
    (0..60_i64).prop_map(seconds)
}

fn sale_terms() -> impl Strategy<Value = SaleTerms> {
    let limit = option::of(0..5_u32);
    (
        0..3_usize,
        0..12_u64,
        limit,
        option::weighted(0.2, time()),
        option::weighted(0.2, time()),
        0..8_u32,
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

/// Runs a history on the ledger, and on the model if one is given, and compares every outcome.
pub(crate) struct Run {
    pub(crate) ledger: Ledger,
    pub(crate) journal: Vec<Vec<u8>>,
    model: Model,
    now: i64,
}

impl Run {
    pub(crate) fn new() -> Self {
        Self {
            ledger: Ledger::new(FINGERPRINTER),
            journal: Vec::new(),
            model: Model::new(),
            now: 0,
        }
    }

    pub(crate) fn steps(&mut self, steps: &[Step]) {
        for step in steps {
            self.step(step);
        }
    }

    pub(crate) fn step(&mut self, step: &Step) {
        let mut batch = Batch::new();
        let now = seconds(self.now);
        match step {
            Step::Wait(seconds) => self.now += seconds,
            Step::Expire(limit) => {
                let expired = self.ledger.expire_due(now, *limit, &mut batch);
                assert_eq!(expired, self.model.expire(now.as_millis(), *limit));
            }
            _ => {
                let answer = self.ask_model(step);
                let outcome = self.ask_ledger(step, &mut batch);
                assert_eq!(as_answer(outcome), answer, "{step:?} at {now:?}");
            }
        }
        if !batch.is_empty() {
            self.journal.push(batch.bytes().to_vec());
        }
        self.compare();
    }

    fn ask_ledger(&mut self, step: &Step, batch: &mut Batch) -> Outcome {
        let place;
        let command = match step {
            Step::Create(terms) => Command::CreateSale { terms },
            Step::Change(sale, key, change) => Command::ChangeSale {
                sale: SALES[*sale],
                key: ["1", "2", "3", "4", "5", "6"][*key],
                change,
            },
            Step::Place(sale, customer, key, quantity, hold, id) => {
                let (sale, customer, key) = (SALES[*sale], CUSTOMERS[*customer], KEYS[*key]);
                let id = OrderId::from_bits(*id);
                place = PlaceOrder::new(&FINGERPRINTER, id, sale, customer, key, *quantity, *hold);
                self.ledger.warm(std::iter::once(&place));
                Command::PlaceOrder(place)
            }
            Step::Settle(sale, id, by, confirm) => {
                let (sale, order) = (SALES[*sale], OrderId::from_bits(*id));
                let by = by.map(|by| CUSTOMERS[by]);
                match confirm {
                    true => Command::ConfirmOrder { sale, order, by },
                    false => Command::CancelOrder { sale, order, by },
                }
            }
            Step::Wait(_) | Step::Expire(_) => unreachable!("no command"),
        };
        let reserved = batch.bytes().len() + kilat_ledger::fact_bytes_max(&command);
        let outcome = self.ledger.execute(seconds(self.now), &command, batch);
        assert!(batch.bytes().len() <= reserved, "more bytes than reserved");
        outcome
    }

    fn ask_model(&mut self, step: &Step) -> Answer {
        let now = self.now * 1_000;
        match step {
            Step::Create(terms) => self.model.create(now, terms),
            Step::Change(sale, key, change) => {
                let key = (key + 1).to_string();
                self.model.change(now, SALES[*sale], &key, change)
            }
            Step::Place(sale, customer, key, quantity, hold, id) => {
                let order = ModelOrder {
                    id: *id,
                    sale: SALES[*sale].to_owned(),
                    customer: CUSTOMERS[*customer].to_owned(),
                    key: KEYS[*key].to_owned(),
                    quantity: *quantity,
                    hold: *hold,
                    status: OrderStatus::Held,
                    expires_at: 0,
                    sequence: 0,
                };
                self.model.place(now, order)
            }
            Step::Settle(sale, id, by, confirm) => {
                let to = match confirm {
                    true => OrderStatus::Confirmed,
                    false => OrderStatus::Cancelled,
                };
                let by = by.map(|by| CUSTOMERS[by]);
                self.model.settle(now, SALES[*sale], *id, by, to)
            }
            Step::Wait(_) | Step::Expire(_) => unreachable!("no command"),
        }
    }

    fn compare(&self) {
        assert_eq!(self.ledger.sales().len(), self.model.sales.len());
        for view in self.ledger.sales() {
            let sale = &self.model.sales[&view.terms.id];
            let units = view.counters;
            let stored = [units.available, units.held, units.sold, units.cancelled, units.expired];
            assert_eq!(stored, self.model.units(&view.terms.id));
            assert_eq!((units.supply, view.sequence), (sale.supply, sale.sequence));
        }
    }

    /// Everything that can be read, compared with the model's lists.
    pub(crate) fn compare_orders(&self) {
        for sale in self.model.sales.keys() {
            let of_sale = |order: &&ModelOrder| order.sale == *sale;
            let expected: Vec<_> = self.model.orders.iter().filter(of_sale).collect();
            let found = self.ledger.orders(sale, 0, 1_000).unwrap();
            check_orders(&found, &expected);
            for customer in CUSTOMERS {
                let mut expected = expected.clone();
                expected.retain(|order| order.customer == customer);
                let found = self.ledger.orders_of(sale, customer, 0, 1_000).unwrap();
                check_orders(&found, &expected);
            }
        }
        let held = |order: &&ModelOrder| order.status == OrderStatus::Held;
        let ends = self.model.orders.iter().filter(held).map(|order| order.expires_at);
        let next = self.ledger.next_expiry().map(Time::as_millis);
        assert_eq!(next, ends.min());
    }
}

fn check_orders(found: &[(kilat_ledger::Order, &str)], expected: &[&ModelOrder]) {
    let found = found.iter().map(|(order, customer)| {
        (order.id.to_bits(), *customer, order.quantity, order.hold, order.status, order.sequence)
    });
    let expected = expected.iter().map(|order| {
        (
            order.id,
            order.customer.as_str(),
            order.quantity,
            order.hold,
            order.status,
            order.sequence,
        )
    });
    assert!(found.eq(expected), "the orders differ");
}

fn as_answer(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Order { order, replayed } => Answer::Order(
            order.id.to_bits(),
            order.status,
            order.sequence,
            order.expires_at.map(Time::as_millis),
            replayed,
        ),
        other => Answer::Other(other),
    }
}

proptest! {
    #[test]
    fn every_outcome_is_the_models(steps in history()) {
        let mut run = Run::new();
        run.steps(&steps);
        run.compare_orders();
    }

    #[test]
    fn replay_gives_the_same_state(steps in history()) {
        let mut run = Run::new();
        run.steps(&steps);
        let mut replayed = Ledger::new(FINGERPRINTER);
        for batch in &run.journal {
            replayed.replay(batch).unwrap();
        }
        assert_eq!(encode(&replayed.freeze()), encode(&run.ledger.freeze()));
        assert_eq!(replayed.freeze().parts(), run.ledger.freeze().parts());
        run.ledger = replayed;
        run.compare_orders();
    }

    #[test]
    fn thaw_gives_the_same_state_and_goes_on(steps in history(), more in history()) {
        let mut run = Run::new();
        run.steps(&steps);
        let parts = encode(&run.ledger.freeze());
        run.ledger = thaw(&parts).unwrap();
        assert_eq!(encode(&run.ledger.freeze()), parts);
        run.compare_orders();
        run.steps(&more);
        run.compare_orders();
    }

    #[test]
    fn a_frozen_ledger_stays_as_it_was(steps in history(), more in history()) {
        let mut run = Run::new();
        run.steps(&steps);
        let frozen = run.ledger.freeze();
        let parts = encode(&frozen);
        run.steps(&more);
        assert_eq!(encode(&frozen), parts);
        run.ledger = thaw(&parts).unwrap();
        assert_eq!(run.ledger.freeze().facts(), frozen.facts());
    }
}
