//! What the caller asks of an attack, and the plan that is made of it once it has been checked.

use crate::http::{Token, parse_base, random_bits};
use crate::{ClientError, Lang};
use kilat_api::order::QUANTITY_MAX;
use kilat_api::text::{REHEARSAL_PREFIX, is_sale_id};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Most buyers of one attack.
pub const BUYERS_MAX: u32 = 100_000_000;
/// Most orders of one attack: what an order is numbered with has 32 bits.
pub const ORDERS_MAX: u64 = u32::MAX as u64 - 1;
/// Most connections of one attack; a port number has 16 bits.
pub const CONNECTIONS_MAX: u32 = 60_000;
/// Highest rate of an open loop, per second.
pub const RATE_MAX: f64 = 10_000_000.0;
/// Longest request time-out, patience or duration.
pub const WAIT_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Connections when none are asked for, unless there are fewer buyers.
pub const CONNECTIONS_DEFAULT: u32 = 500;

/// What to attack and how. [`Default`] is the seed's attack: 500 buyers at
/// once on a rehearsal sale of 100 units.
#[derive(Clone, Debug)]
pub struct AttackOptions {
    /// Base address of the server, plain `http`.
    pub url: String,
    /// The sale to storm; `None` makes a rehearsal sale of its own.
    pub sale: Option<String>,
    /// Closes `sale` in the end, which must be a rehearsal: somebody made it for this attack.
    pub close: bool,
    /// Units of the rehearsal sale.
    pub supply: u64,
    /// Most units for one customer in the rehearsal sale; `None` for no limit.
    pub per_customer: Option<u32>,
    /// Buyers, each a customer of its own.
    pub buyers: u32,
    /// Orders in all, dealt to the buyers in turn. `None`: one for each buyer,
    /// or no limit when there is a `duration`.
    pub orders: Option<u64>,
    /// Units of each order.
    pub quantity: u32,
    /// Connections; `None` for one a buyer, at most [`CONNECTIONS_DEFAULT`].
    pub connections: Option<u32>,
    /// New orders per second whether or not earlier ones were answered (open
    /// loop); `None`: a new order as soon as a connection is free (closed loop).
    pub rate: Option<f64>,
    /// No new orders after this time.
    pub duration: Option<Duration>,
    /// Longest wait for one reply before the same key is sent again.
    pub timeout: Duration,
    /// Longest that one order is tried before it is counted as unknown; also
    /// how long the proof waits for a server that is down.
    pub patience: Duration,
    /// Fraction of acknowledged orders whose key is sent once more on purpose.
    pub replay: f64,
    /// Fraction of orders that hold first and confirm afterwards.
    pub hold: f64,
    /// Makes the rehearsal sale, and lists the orders for the proof.
    pub admin_token: Option<Token>,
    /// Sent with every order, for servers that ask for it.
    pub api_token: Option<Token>,
    /// Decides which orders are replayed or held and the jitter of retries;
    /// `None` for a random one. Names and keys differ on every run regardless.
    pub seed: Option<u64>,
    /// Language of progress and errors.
    pub lang: Lang,
    /// Set it to stop early: orders in flight are finished, then the proof runs.
    pub cancel: Arc<AtomicBool>,
}

impl Default for AttackOptions {
    fn default() -> Self {
        AttackOptions {
            url: "http://127.0.0.1:8080".to_owned(),
            sale: None,
            close: false,
            supply: 100,
            per_customer: Some(1),
            buyers: 500,
            orders: None,
            quantity: 1,
            connections: None,
            rate: None,
            duration: None,
            timeout: Duration::from_secs(5),
            patience: Duration::from_secs(60),
            replay: 0.05,
            hold: 0.0,
            admin_token: None,
            api_token: None,
            seed: None,
            lang: Lang::Indonesian,
            cancel: Arc::default(),
        }
    }
}

/// A checked attack: the numbers that the generator and the proof work from.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Base address without a slash at its end.
    pub url: String,
    pub sale: String,
    /// The attack makes the sale itself, and nobody else knows it.
    pub is_rehearsal: bool,
    /// The sale is nobody's any more in the end.
    pub closes: bool,
    /// Marks this run's customers and keys, so that runs never meet.
    pub run: String,
    pub seed: u64,
    pub buyers: u32,
    /// Digits of a buyer's number: the same for all, so that requests have one length.
    pub buyer_digits: usize,
    pub orders: Option<u64>,
    pub quantity: u32,
    pub connections: u32,
    pub rate: Option<f64>,
    pub duration: Option<Duration>,
    pub timeout: Duration,
    pub patience: Duration,
    pub replay: f64,
    pub hold: f64,
}

impl Plan {
    /// # Errors
    /// [`ClientError::Usage`] naming the option at fault.
    pub(crate) fn new(options: &AttackOptions) -> Result<Plan, ClientError> {
        check(options)?;
        let run = format!("{:08x}", random_bits() as u32);
        let default_orders = options.duration.is_none().then(|| u64::from(options.buyers));
        Ok(Plan {
            url: options.url.trim_end_matches('/').to_owned(),
            sale: options.sale.clone().unwrap_or_else(|| format!("{REHEARSAL_PREFIX}{run}")),
            is_rehearsal: options.sale.is_none(),
            closes: options.sale.is_none() || options.close,
            seed: options.seed.unwrap_or_else(random_bits),
            run,
            buyers: options.buyers,
            buyer_digits: options.buyers.to_string().len().max(4),
            orders: options.orders.or(default_orders),
            quantity: options.quantity,
            connections: options
                .connections
                .unwrap_or_else(|| options.buyers.min(CONNECTIONS_DEFAULT)),
            rate: options.rate,
            duration: options.duration,
            timeout: options.timeout,
            patience: options.patience,
            replay: options.replay,
            hold: options.hold,
        })
    }

    /// The buyer, counted from 1, of an order.
    pub(crate) fn buyer_of(&self, order: u32) -> u32 {
        order % self.buyers + 1
    }

    /// The buyer's name in progress lines.
    pub(crate) fn buyer_name(&self, buyer: u32) -> String {
        format!("buyer-{buyer:0digits$}", digits = self.buyer_digits)
    }

    /// The customer's id on the wire.
    pub(crate) fn customer(&self, buyer: u32) -> String {
        format!("{}-{}", self.buyer_name(buyer), self.run)
    }

    /// The buyer whose id this is, when it is one of this run's.
    pub(crate) fn buyer_named(&self, customer: &str) -> Option<u32> {
        let digits =
            customer.strip_prefix("buyer-")?.strip_suffix(self.run.as_str())?.strip_suffix('-')?;
        let buyer = digits.parse().ok()?;
        (self.customer(buyer) == customer && (1..=self.buyers).contains(&buyer)).then_some(buyer)
    }

    /// The idempotency key of an order.
    pub(crate) fn key(&self, order: u32) -> String {
        format!("{}-{order:010}", self.run)
    }

    /// Whether an order holds first.
    pub(crate) fn holds(&self, order: u32) -> bool {
        chosen(self.seed ^ 0x484f_4c44, order, self.hold)
    }

    /// Whether an order's key is sent once more after its acknowledgement.
    pub(crate) fn replays(&self, order: u32) -> bool {
        chosen(self.seed ^ 0x5245_504c, order, self.replay)
    }
}

/// Whether the seed picks `order`, for a `fraction` of all orders.
fn chosen(seed: u64, order: u32, fraction: f64) -> bool {
    fraction > 0.0 && (mix(seed ^ u64::from(order)) as f64) < fraction * u64::MAX as f64
}

/// SplitMix64's finisher over one step (Steele, Lea and Flood, 2014).
pub(crate) fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn check(options: &AttackOptions) -> Result<(), ClientError> {
    let lang = options.lang;
    let base = parse_base(&options.url, lang)?;
    if base.scheme_str() != Some("http") {
        return Err(ClientError::Usage(lang.say("error.https", &[("url", &options.url)])));
    }
    if let Some(sale) = options.sale.as_ref().filter(|sale| !is_sale_id(sale)) {
        return Err(ClientError::Usage(lang.say("error.sale_id", &[("sale", sale)])));
    }
    let real = options.sale.as_ref().filter(|sale| !sale.starts_with(REHEARSAL_PREFIX));
    if let Some(sale) = real.filter(|_| options.close) {
        return Err(ClientError::Usage(lang.say("error.close_real", &[("sale", sale)])));
    }
    for token in [&options.admin_token, &options.api_token].into_iter().flatten() {
        if !token.is_sound() {
            return Err(ClientError::Usage(lang.say("error.token", &[])));
        }
    }
    check_ranges(options)
}

fn check_ranges(options: &AttackOptions) -> Result<(), ClientError> {
    let wait = 0.001..=WAIT_MAX.as_secs_f64();
    let buyers_max = f64::from(BUYERS_MAX);
    let ranges = [
        ("buyers", f64::from(options.buyers), 1.0..=buyers_max),
        ("supply", options.supply as f64, 0.0..=1e12),
        ("orders", options.orders.unwrap_or(1) as f64, 1.0..=ORDERS_MAX as f64),
        ("quantity", f64::from(options.quantity), 1.0..=f64::from(QUANTITY_MAX)),
        (
            "connections",
            f64::from(options.connections.unwrap_or(1)),
            1.0..=f64::from(CONNECTIONS_MAX),
        ),
        ("rate", options.rate.unwrap_or(1.0), 0.001..=RATE_MAX),
        ("per-customer", f64::from(options.per_customer.unwrap_or(1)), 1.0..=f64::from(u32::MAX)),
        ("duration", options.duration.map_or(1.0, |d| d.as_secs_f64()), wait.clone()),
        ("timeout", options.timeout.as_secs_f64(), wait.clone()),
        ("patience", options.patience.as_secs_f64(), wait),
        ("replay", options.replay, 0.0..=1.0),
        ("hold", options.hold, 0.0..=1.0),
    ];
    for (name, value, range) in ranges {
        if !range.contains(&value) {
            return Err(ClientError::Usage(options.lang.say(
                "error.range",
                &[
                    ("option", &name),
                    ("from", range.start()),
                    ("to", range.end()),
                    ("value", &value),
                ],
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(change: impl FnOnce(&mut AttackOptions), names: &str) {
        let mut options = AttackOptions { lang: Lang::English, ..AttackOptions::default() };
        change(&mut options);
        match Plan::new(&options) {
            Err(ClientError::Usage(sentence)) => assert!(sentence.contains(names), "{sentence}"),
            other => panic!("{names}: {other:?}"),
        }
    }

    #[test]
    fn each_option_has_its_range() {
        check_refused(|o| o.buyers = 0, "--buyers");
        check_refused(|o| o.orders = Some(0), "--orders");
        check_refused(|o| o.orders = Some(ORDERS_MAX + 1), "--orders");
        check_refused(|o| o.quantity = 0, "--quantity");
        check_refused(|o| o.connections = Some(70_000), "--connections");
        check_refused(|o| o.rate = Some(0.0), "--rate");
        check_refused(|o| o.rate = Some(f64::NAN), "--rate");
        check_refused(|o| o.replay = 1.5, "--replay");
        check_refused(|o| o.hold = -0.1, "--hold");
        check_refused(|o| o.timeout = Duration::ZERO, "--timeout");
        check_refused(|o| o.patience = WAIT_MAX * 2, "--patience");
        check_refused(|o| o.per_customer = Some(0), "--per-customer");
        check_refused(|o| o.sale = Some("Not A Sale".to_owned()), "Not A Sale");
        check_refused(|o| o.url = "https://shop.example".to_owned(), "https");
        check_refused(|o| o.url = "nowhere".to_owned(), "nowhere");
        check_refused(|o| o.admin_token = Some(Token::from("a\nb")), "token");
    }

    #[test]
    fn the_default_is_the_seeds_attack() {
        let plan = Plan::new(&AttackOptions::default()).unwrap();
        assert_eq!((plan.buyers, plan.orders, plan.connections), (500, Some(500), 500));
        assert!(plan.is_rehearsal && is_sale_id(&plan.sale));
    }

    #[test]
    fn a_duration_alone_lifts_the_limit_of_orders() {
        let duration = Some(Duration::from_secs(1));
        let plan = Plan::new(&AttackOptions { duration, ..AttackOptions::default() }).unwrap();
        assert_eq!(plan.orders, None);
    }

    #[test]
    fn customers_are_told_from_strangers() {
        let plan =
            Plan::new(&AttackOptions { buyers: 12_345, ..AttackOptions::default() }).unwrap();
        assert_eq!(plan.buyer_named(&plan.customer(12_345)), Some(12_345));
        for stranger in
            ["buyer-0001-00000000", "x", &plan.customer(12_346), &format!("buyer-1-{}", plan.run)]
        {
            assert_eq!(plan.buyer_named(stranger), None, "{stranger}");
        }
    }

    #[test]
    fn the_seed_picks_about_the_fraction() {
        let options = AttackOptions { seed: Some(7), replay: 0.05, ..AttackOptions::default() };
        let plan = Plan::new(&options).unwrap();
        let picked = (0..10_000).filter(|&order| plan.replays(order)).count();
        assert!((400..600).contains(&picked), "{picked}");
        assert!(!(0..1000).any(|order| plan.holds(order)));
    }
}
