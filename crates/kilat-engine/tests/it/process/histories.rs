//! Random histories against the pure ledger: whatever several processes ask of a store in turn,
//! it comes to what the ledger of `kilat-ledger` says at the same instants.
//!
//! The store's clock is set by the test, also back.

use super::world::{Random, World};
use crate::node::Way as _;
use kilat_engine::{
    Change, Handle, OrderId, OrderRef, OrderText, Orders, Outcome, Page, SaleChange, SaleSwitch,
    SaleTerms, Time,
};
use kilat_ledger::{Batch, Command, FactKind, Facts, Fingerprinter, Ledger};
use serde_json::Value;

const CUSTOMERS: [&str; 3] = ["a", "b", "ab\u{20ac}"];
const SALES: u64 = 3;
const ROUNDS: u64 = 8;
const STEPS: u64 = 60;
const START_MS: i64 = 1_700_000_000_000;

#[tokio::test]
async fn a_store_comes_to_what_the_pure_ledger_says() {
    let mut history = History::start();
    for round in 0..ROUNDS {
        history.round(round).await;
    }
    println!("{} orders", history.orders);
    assert!(history.orders > 40, "the histories do too little");
}

struct History {
    world: World,
    random: Random,
    now: i64,
    /// The latest that the clock has shown.
    latest: i64,
    /// Sales made so far, of all rounds.
    made: u32,
    orders: usize,
    sales: Vec<Oracle>,
}

/// What the pure ledger makes of one sale.
struct Oracle {
    id: String,
    number: Option<u32>,
    ledger: Ledger,
    facts: Batch,
}

impl Oracle {
    fn new(id: String) -> Oracle {
        let ledger = Ledger::new(Fingerprinter::new([7; 16]));
        Oracle { id, number: None, ledger, facts: Batch::new() }
    }

    /// Each hold at its own end: a store may have expired it at any time since, and what it decides
    /// later is never before that.
    fn expire(&mut self, at: Time) {
        while let Some(due) = self.ledger.next_expiry().filter(|due| *due <= at) {
            self.ledger.expire_due(due, usize::MAX, &mut self.facts);
        }
    }

    /// The outcome of a command that is a batch of its own.
    fn alone(&mut self, at: Time, command: &Command<'_>) -> Outcome {
        self.expire(at);
        self.execute(at, command)
    }

    /// The outcome of a command of a batch, with the sale's number in the store.
    fn execute(&mut self, at: Time, command: &Command<'_>) -> Outcome {
        match self.ledger.execute(at, command, &mut self.facts) {
            Outcome::Order { mut order, replayed } => {
                order.sale = self.number.unwrap();
                Outcome::Order { order, replayed }
            }
            other => other,
        }
    }
}

impl History {
    fn start() -> History {
        let world = World::start(2);
        world.cluster.sql(
            "CREATE TABLE public.clock (ms bigint); \
             CREATE OR REPLACE FUNCTION kilat.clock_ms() RETURNS bigint LANGUAGE sql VOLATILE \
             AS 'SELECT ms FROM public.clock'; \
             INSERT INTO public.clock VALUES (0)",
        );
        let (random, sales) = (Random::seeded(), Vec::new());
        History { world, random, now: START_MS, latest: START_MS, made: 0, orders: 0, sales }
    }

    async fn round(&mut self, round: u64) {
        self.set_clock();
        self.sales = (0..SALES).map(|n| Oracle::new(format!("r{round}-s{n}"))).collect();
        self.create(0, SaleTerms { supply: 8, hold_seconds: 5, ..SaleTerms::default() }).await;
        for sale in 1..self.sales.len() {
            let terms = self.terms();
            self.create(sale, terms).await;
        }
        for _ in 0..STEPS {
            self.step().await;
            self.compare_sale().await;
        }
        for sale in 0..self.sales.len() {
            self.compare_orders(sale).await;
            self.compare_facts(sale).await;
        }
    }

    async fn step(&mut self) {
        let sale = self.any_sale();
        match self.random.below(28) {
            0..4 => {
                self.now += i64::try_from(self.random.below(9)).unwrap() * 1_000 - 3_000;
                self.set_clock();
            }
            4 => {
                let terms = self.terms();
                self.create(sale, terms).await;
            }
            5..7 => self.change(sale).await,
            7..20 => self.place().await,
            _ => self.settle(sale).await,
        }
    }

    fn handle(&mut self) -> Handle {
        let replica = usize::try_from(self.random.below(2)).unwrap();
        self.world.replicas[replica].handle().clone()
    }

    fn any_sale(&mut self) -> usize {
        usize::try_from(self.random.below(SALES)).unwrap()
    }

    fn set_clock(&mut self) {
        self.latest = self.latest.max(self.now);
        self.world.cluster.sql(&format!("UPDATE public.clock SET ms = {}", self.now));
    }

    async fn create(&mut self, sale: usize, terms: SaleTerms) {
        let terms = SaleTerms { id: self.sales[sale].id.clone(), ..terms };
        let change = Change::CreateSale { terms: Box::new(terms.clone()) };
        let (outcome, at) = self.handle().change(change).await.unwrap();
        let oracle = &mut self.sales[sale];
        assert_eq!(outcome, oracle.alone(at, &Command::CreateSale { terms: &terms }));
        if outcome == Outcome::SaleCreated {
            oracle.number = Some(self.made);
            self.made += 1;
        }
    }

    async fn change(&mut self, sale: usize) {
        let switches = [SaleSwitch::Open, SaleSwitch::Open, SaleSwitch::Paused, SaleSwitch::Closed];
        let random = &mut self.random;
        let switch_max = if random.one_in(8) { 4 } else { 3 };
        let made = SaleChange {
            add_supply: if random.one_in(10) { random.next() } else { random.below(5) },
            state: random.one_in(2).then(|| switches[random.below(switch_max) as usize]),
            opens_at: random.one_in(5).then(|| instant(random)),
            closes_at: random.one_in(5).then(|| instant(random)),
        };
        let key = if random.one_in(20) { "k".repeat(300) } else { random.below(6).to_string() };
        let id = self.sales[sale].id.clone();
        let change = Change::ChangeSale { sale: id.clone(), key: key.clone(), change: made };
        let (outcome, at) = self.handle().change(change).await.unwrap();
        let command = Command::ChangeSale { sale: &id, key: &key, change: &made };
        assert_eq!(outcome, self.sales[sale].alone(at, &command), "{made:?}");
    }

    /// A group of orders, in one sale or in several.
    async fn place(&mut self) {
        let handle = self.handle();
        let (mut orders, mut owners) = (Orders::default(), Vec::new());
        for _ in 0..=self.random.below(6) {
            let sale = self.any_sale();
            let random = &mut self.random;
            let key = if random.one_in(30) { "k".repeat(300) } else { random.below(5).to_string() };
            let customer = CUSTOMERS[random.below(3) as usize];
            let text = OrderText { sale: &self.sales[sale].id, customer, key: &key };
            let id = order_id(&self.sales[sale].id, random);
            let (quantity, hold) = (random.below(4) as u32, random.one_in(2));
            orders.push(handle.hasher(), id, &text, quantity, hold);
            owners.push(sale);
        }
        let placed = handle.place_all(orders).await.unwrap();
        // What is due expires once a batch, before its first command.
        owners.iter().for_each(|sale| self.sales[*sale].expire(placed.at));
        for ((asked, sale), outcome) in placed.orders.iter().zip(owners).zip(placed.outcomes()) {
            let oracle = &mut self.sales[sale];
            let fingerprinter = Fingerprinter::new([7; 16]);
            let prints = fingerprinter.prints(asked.sale, asked.customer, asked.key);
            let asked = kilat_ledger::PlaceOrder::with_prints(
                prints,
                asked.id,
                asked.sale,
                asked.customer,
                asked.key,
                asked.quantity,
                asked.hold,
            );
            let expected = oracle.execute(placed.at, &Command::PlaceOrder(asked));
            assert_eq!(*outcome, expected, "{asked:?}");
            self.orders += usize::from(matches!(outcome, Outcome::Order { replayed: false, .. }));
        }
    }

    async fn settle(&mut self, sale: usize) {
        let random = &mut self.random;
        let order = order_id(&self.sales[sale].id, random);
        let by = random.one_in(3).then(|| CUSTOMERS[random.below(3) as usize]);
        let confirm = random.one_in(2);
        let id = self.sales[sale].id.clone();
        let named = OrderRef { sale: id.clone(), order, by: by.map(str::to_owned) };
        let change = if confirm { Change::ConfirmOrder(named) } else { Change::CancelOrder(named) };
        let (outcome, at) = self.handle().change(change).await.unwrap();
        let command = match confirm {
            true => Command::ConfirmOrder { sale: &id, order, by },
            false => Command::CancelOrder { sale: &id, order, by },
        };
        assert_eq!(outcome, self.sales[sale].alone(at, &command), "{command:?}");
    }

    /// A sale as any process reads it, and as the ledger has it. While the clock is behind, a
    /// read may show a hold that is over; whoever commands anything finds that it is.
    async fn compare_sale(&mut self) {
        if self.now < self.latest {
            return;
        }
        let sale = self.any_sale();
        let found = self.handle().sale(&self.sales[sale].id).await.unwrap();
        let oracle = &mut self.sales[sale];
        oracle.expire(Time::from_millis(self.now));
        let expected = oracle.ledger.sale(&oracle.id);
        let told = found.as_ref().map(|s| (&s.terms, s.counters, s.sequence, s.switch));
        let known = expected.map(|s| (s.terms, s.counters, s.sequence, s.switch));
        assert_eq!(told, known);
        let told = found.as_ref().map(|s| (s.opens_at, s.closes_at, s.number));
        let known = expected.map(|s| (s.opens_at, s.closes_at, oracle.number.unwrap()));
        assert_eq!(told, known);
    }

    async fn compare_orders(&mut self, sale: usize) {
        self.now = self.now.max(self.latest);
        self.set_clock();
        let id = self.sales[sale].id.clone();
        for customer in [None, Some(CUSTOMERS[0]), Some(CUSTOMERS[2]), Some("nobody")] {
            let (mut after, mut told) = (0, Vec::new());
            loop {
                let customer = customer.map(str::to_owned);
                let page = Page { sale: id.clone(), customer, after, limit: 3 };
                let Some(found) = self.handle().orders(page).await.unwrap() else { return };
                let Some(last) = found.last() else { break };
                after = last.order.sequence;
                told.extend(found);
            }
            let oracle = &mut self.sales[sale];
            oracle.expire(Time::from_millis(self.now));
            let expected = match customer {
                Some(customer) => oracle.ledger.orders_of(&id, customer, 0, 1_000).unwrap(),
                None => oracle.ledger.orders(&id, 0, 1_000).unwrap(),
            };
            let told: Vec<_> =
                told.iter().map(|o| (o.order.id, o.order.status, &*o.customer)).collect();
            let expected: Vec<_> = expected.iter().map(|(o, who)| (o.id, o.status, *who)).collect();
            assert_eq!(told, expected);
        }
    }

    /// The facts that came to the event log are the ledger's, in the same order.
    async fn compare_facts(&mut self, sale: usize) {
        let oracle = &self.sales[sale];
        let expected: Vec<_> = Facts::decode(oracle.facts.bytes())
            .unwrap()
            .map(|fact| fact.unwrap())
            .map(|fact| (format!("{}/{}", oracle.id, fact.sequence), named(&fact.kind)))
            .collect();
        let found = self.world.facts(&oracle.id, expected.len() as u64).await;
        let told: Vec<_> = found
            .iter()
            .map(|event| {
                let body = String::from_utf8(event.body.clone().unwrap()).unwrap();
                let body: Value = serde_json::from_str(&format!("{{{body}}}")).unwrap();
                let text = |name: &str| body["payload"][name].as_str().unwrap_or("").to_owned();
                (event.id.to_string(), (text("type"), text("order")))
            })
            .collect();
        assert_eq!(told, expected);
    }

    fn terms(&mut self) -> SaleTerms {
        let random = &mut self.random;
        SaleTerms {
            supply: if random.one_in(20) { random.next() } else { random.below(12) },
            per_customer: random.one_in(2).then(|| random.below(5) as u32),
            opens_at: if random.one_in(5) { instant(random) } else { None },
            closes_at: if random.one_in(5) { instant(random) } else { None },
            hold_seconds: random.below(8) as u32,
            ..SaleTerms::default()
        }
    }
}

/// One of forty that are the sale's own: the pure ledgers do not know of each other.
fn order_id(sale: &str, random: &mut Random) -> OrderId {
    let own = sale.bytes().fold(0, |sum, byte| sum << 8 | u128::from(byte));
    OrderId::from_bits(own << 8 | u128::from(random.below(40)))
}

fn instant(random: &mut Random) -> Option<Time> {
    let later = i64::try_from(random.below(600)).unwrap() * 1_000;
    (!random.one_in(4)).then(|| Time::from_millis(START_MS + later))
}

fn named(kind: &FactKind<'_>) -> (String, String) {
    let (name, order) = match kind {
        FactKind::SaleCreated { .. } => ("sale_created", None),
        FactKind::SaleChanged { .. } => ("sale_changed", None),
        FactKind::OrderPlaced { id, .. } => ("order_placed", Some(id)),
        FactKind::OrderConfirmed { id } => ("order_confirmed", Some(id)),
        FactKind::OrderCancelled { id } => ("order_cancelled", Some(id)),
        FactKind::OrderExpired { id } => ("order_expired", Some(id)),
    };
    (name.to_owned(), order.map(ToString::to_string).unwrap_or_default())
}
