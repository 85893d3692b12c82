//! A ledger with a clock in seconds and short commands.

use kilat_ledger::{
    Batch, Command, Counters, Fingerprinter, Frozen, Ledger, Order, OrderId, OrderStatus, Outcome,
    PartName, PlaceOrder, Refusal, SaleChange, SaleTerms, Time,
};

pub(crate) const FINGERPRINTER: Fingerprinter = Fingerprinter::new(*b"a key for tests!");
/// The sale of [`Shop::with`].
pub(crate) const SALE: &str = "sale";

pub(crate) const fn seconds(seconds: i64) -> Time {
    Time::from_millis(seconds * 1_000)
}

/// A sale of 10 units, open, without limit, with holds of 10 seconds.
pub(crate) fn terms() -> SaleTerms {
    SaleTerms {
        id: SALE.to_owned(),
        title: "Title".to_owned(),
        sku: "SKU".to_owned(),
        price_amount: "1.00".to_owned(),
        price_currency: "IDR".to_owned(),
        supply: 10,
        hold_seconds: 10,
        ..SaleTerms::default()
    }
}

pub(crate) struct Shop {
    pub(crate) ledger: Ledger,
    /// Of the next command, in seconds.
    pub(crate) now: i64,
    /// Every batch with a fact, as a journal would hold them.
    pub(crate) journal: Vec<Vec<u8>>,
    next_id: u128,
}

impl Shop {
    pub(crate) fn new() -> Self {
        Self { ledger: Ledger::new(FINGERPRINTER), now: 0, journal: Vec::new(), next_id: 1 }
    }

    pub(crate) fn with(terms: &SaleTerms) -> Self {
        let mut shop = Self::new();
        assert_eq!(shop.create(terms), Outcome::SaleCreated);
        shop
    }

    pub(crate) fn run(&mut self, command: &Command<'_>) -> Outcome {
        let mut batch = Batch::new();
        let now = seconds(self.now);
        self.ledger.expire_due(now, usize::MAX, &mut batch);
        let before = batch.facts();
        let outcome = self.ledger.execute(now, command, &mut batch);
        if matches!(outcome, Outcome::Refused(_)) {
            assert_eq!(batch.facts(), before, "a refusal left a fact");
        }
        if !batch.is_empty() {
            self.journal.push(batch.bytes().to_vec());
        }
        self.check_balance();
        outcome
    }

    pub(crate) fn expire(&mut self, limit: usize) -> usize {
        let mut batch = Batch::new();
        let expired = self.ledger.expire_due(seconds(self.now), limit, &mut batch);
        if !batch.is_empty() {
            self.journal.push(batch.bytes().to_vec());
        }
        expired
    }

    pub(crate) fn create(&mut self, terms: &SaleTerms) -> Outcome {
        self.run(&Command::CreateSale { terms })
    }

    pub(crate) fn change(&mut self, key: &str, change: &SaleChange) -> Outcome {
        self.run(&Command::ChangeSale { sale: SALE, key, change })
    }

    pub(crate) fn place(
        &mut self,
        customer: &str,
        key: &str,
        quantity: u32,
        hold: bool,
    ) -> Outcome {
        self.place_in(SALE, customer, key, quantity, hold)
    }

    pub(crate) fn place_in(
        &mut self,
        sale: &str,
        customer: &str,
        key: &str,
        quantity: u32,
        hold: bool,
    ) -> Outcome {
        let id = OrderId::from_bits(self.next_id);
        self.next_id += 1;
        let place = PlaceOrder::new(&FINGERPRINTER, id, sale, customer, key, quantity, hold);
        self.run(&Command::PlaceOrder(place))
    }

    pub(crate) fn buy(&mut self, customer: &str, key: &str, quantity: u32) -> Outcome {
        self.place(customer, key, quantity, false)
    }

    /// A hold that must be granted.
    pub(crate) fn hold(&mut self, customer: &str, key: &str, quantity: u32) -> OrderId {
        order(self.place(customer, key, quantity, true)).id
    }

    pub(crate) fn confirm(&mut self, order: OrderId) -> Outcome {
        self.run(&Command::ConfirmOrder { sale: SALE, order, by: None })
    }

    pub(crate) fn cancel(&mut self, order: OrderId) -> Outcome {
        self.run(&Command::CancelOrder { sale: SALE, order, by: None })
    }

    pub(crate) fn counters(&self) -> Counters {
        self.ledger.audit(SALE).unwrap()
    }

    /// available, held, sold.
    pub(crate) fn units(&self) -> [u64; 3] {
        let counters = self.counters();
        [counters.available, counters.held, counters.sold]
    }

    fn check_balance(&self) {
        for sale in self.ledger.sales() {
            let units = sale.counters;
            assert_eq!(
                units.available + units.held + units.sold,
                units.supply,
                "units don't balance"
            );
        }
    }
}

pub(crate) const fn refused(refusal: Refusal) -> Outcome {
    Outcome::Refused(refusal)
}

/// The order of an outcome that must be one.
pub(crate) fn order(outcome: Outcome) -> Order {
    match outcome {
        Outcome::Order { order, .. } => order,
        other => panic!("not an order: {other:?}"),
    }
}

/// The status of an order, and whether it was a replay.
pub(crate) fn status(outcome: Outcome) -> (OrderStatus, bool) {
    match outcome {
        Outcome::Order { order, replayed } => (order.status, replayed),
        other => panic!("not an order: {other:?}"),
    }
}

/// All parts of a snapshot.
pub(crate) fn encode(frozen: &Frozen) -> Vec<(PartName, Vec<u8>)> {
    let mut parts = Vec::new();
    for part in frozen.parts() {
        let mut bytes = Vec::new();
        assert!(frozen.encode(&part, &mut bytes));
        parts.push((part.name, bytes));
    }
    parts
}

pub(crate) fn thaw(parts: &[(PartName, Vec<u8>)]) -> Result<Ledger, kilat_ledger::Corrupt> {
    let parts = parts.iter().map(|(name, bytes)| (*name, bytes.as_slice()));
    Ledger::thaw(FINGERPRINTER, parts)
}
