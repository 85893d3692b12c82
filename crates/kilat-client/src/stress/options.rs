//! What the caller asks, and the checked plan made of it.

use super::deck::Deck;
use crate::events::{BATCH_EVENTS_MAX, CONNECTIONS_MAX, check_range};
use crate::http::{Access, random_bits};
use crate::publish::is_open_topic;
use crate::{ClientError, Lang};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Most deliveries of one run.
pub const DELIVERIES_MAX: u64 = 1_000_000_000;
/// Longest patience.
const PATIENCE_MAX: Duration = Duration::from_secs(86_400);
/// Most of the deliveries that can be duplicates, in percent.
const DUPLICATES_MAX: f64 = 99.9;

/// How many events, how they are sent, and to whom.
#[derive(Clone, Debug)]
pub struct StressOptions {
    /// Where the server is, the publishing token, and the longest that one request may take.
    pub access: Access,
    /// Deliveries, duplicates included, 1 to [`DELIVERIES_MAX`].
    pub events: u64,
    /// Part of the deliveries that repeat an event, in percent, 0 to 99.9.
    pub duplicates: f64,
    /// A duplicate comes within this many deliveries of its original; `None`: anywhere in the run.
    pub window: Option<u64>,
    /// Events of a batch.
    pub batch: u32,
    /// Connections.
    pub connections: u32,
    /// The topic; `None` for one of the run's own.
    pub topic: Option<String>,
    /// Decides order, duplicates and payloads; `None` for a random one.
    pub seed: Option<u64>,
    /// Longest that one batch is tried, and that the verification waits for a server that is down.
    pub patience: Duration,
    /// Ask for counts in place of a result for each event: faster, and with
    /// less memory. Offsets in replies are then not checked.
    pub minimal: bool,
    /// Language of progress and errors.
    pub lang: Lang,
    /// Set it to stop early: what was delivered until then is verified.
    pub cancel: Arc<AtomicBool>,
}

impl StressOptions {
    /// The seed's run, 5,000 deliveries of which 20 % are duplicates, for the server at `access`.
    #[must_use]
    pub fn new(access: Access, lang: Lang) -> StressOptions {
        StressOptions {
            access,
            events: 5_000,
            duplicates: 20.0,
            window: None,
            batch: 100,
            connections: 4,
            topic: None,
            seed: None,
            patience: Duration::from_secs(60),
            minimal: false,
            lang,
            cancel: Arc::default(),
        }
    }
}

/// A checked run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub url: String,
    pub topic: String,
    /// Marks this run's events, so that runs never meet.
    pub run: String,
    pub seed: u64,
    pub deck: Deck,
    pub duplicates: f64,
    pub batch: u64,
    pub connections: u32,
    pub patience: Duration,
    pub minimal: bool,
}

impl Plan {
    /// # Errors
    /// [`ClientError::Usage`] naming the option at fault.
    pub(crate) fn new(options: &StressOptions) -> Result<Plan, ClientError> {
        check(options)?;
        let run = format!("{:08x}", random_bits() as u32);
        let seed = options.seed.unwrap_or_else(random_bits);
        let window = options.window.unwrap_or(options.events);
        Ok(Plan {
            url: options.access.url.trim_end_matches('/').to_owned(),
            topic: options.topic.clone().unwrap_or_else(|| format!("stress.{run}")),
            run,
            seed,
            deck: Deck::new(options.events, window, options.duplicates, seed),
            duplicates: options.duplicates,
            batch: u64::from(options.batch),
            connections: options.connections,
            patience: options.patience,
            minimal: options.minimal,
        })
    }

    /// Batches of the run.
    pub(crate) fn batches(&self) -> u64 {
        self.deck.deliveries().div_ceil(self.batch)
    }

    /// The deliveries of a batch.
    pub(crate) fn deliveries_of(&self, batch: u64) -> std::ops::Range<u64> {
        let start = batch * self.batch;
        start..(start + self.batch).min(self.deck.deliveries())
    }
}

fn check(options: &StressOptions) -> Result<(), ClientError> {
    let lang = options.lang;
    let check = |name, value, from, to| check_range(name, value, from, to, lang);
    check("events", options.events as f64, 1.0, DELIVERIES_MAX as f64)?;
    check("duplicates", options.duplicates, 0.0, DUPLICATES_MAX)?;
    check("window", options.window.unwrap_or(1) as f64, 1.0, DELIVERIES_MAX as f64)?;
    check("batch", f64::from(options.batch), 1.0, f64::from(BATCH_EVENTS_MAX))?;
    check("connections", f64::from(options.connections), 1.0, f64::from(CONNECTIONS_MAX))?;
    check("patience", options.patience.as_secs_f64(), 0.0, PATIENCE_MAX.as_secs_f64())?;
    match &options.topic {
        Some(topic) if !is_open_topic(topic) => {
            Err(ClientError::Usage(lang.say("stress.topic", &[("topic", topic)])))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Token;

    fn options() -> StressOptions {
        let access = Access {
            url: "http://127.0.0.1:1/".to_owned(),
            token: None::<Token>,
            timeout: Duration::from_secs(1),
        };
        StressOptions::new(access, Lang::English)
    }

    #[track_caller]
    fn check_refused(change: impl FnOnce(&mut StressOptions), names: &str) {
        let mut options = options();
        change(&mut options);
        match Plan::new(&options) {
            Err(ClientError::Usage(sentence)) => assert!(sentence.contains(names), "{sentence}"),
            other => panic!("{names}: {other:?}"),
        }
    }

    #[test]
    fn each_option_has_its_range() {
        check_refused(|o| o.events = 0, "--events");
        check_refused(|o| o.events = DELIVERIES_MAX + 1, "--events");
        check_refused(|o| o.duplicates = -1.0, "--duplicates");
        check_refused(|o| o.duplicates = 100.0, "--duplicates");
        check_refused(|o| o.duplicates = f64::NAN, "--duplicates");
        check_refused(|o| o.window = Some(0), "--window");
        check_refused(|o| o.batch = 10_001, "--batch");
        check_refused(|o| o.connections = 0, "--connections");
        check_refused(|o| o.patience = PATIENCE_MAX * 2, "--patience");
        check_refused(|o| o.topic = Some("sale.x".to_owned()), "sale.x");
        check_refused(|o| o.topic = Some("a b".to_owned()), "a b");
    }

    #[test]
    fn the_default_is_the_seeds_run() {
        let plan = Plan::new(&options()).unwrap();
        assert_eq!((plan.deck.deliveries(), plan.deck.events()), (5_000, 4_000));
        assert!(plan.topic.starts_with("stress.") && plan.topic.ends_with(&plan.run));
        assert_eq!(plan.batches(), 50);
        let last = Plan { batch: 300, ..plan };
        assert_eq!((last.batches(), last.deliveries_of(16)), (17, 4_800..5_000));
    }
}
