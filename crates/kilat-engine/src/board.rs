//! What readers may see without the queue: the latest durable state of each sale.
//!
//! Pages and streams read here, so that they never touch the batcher. The
//! committer's release publishes at most one state a sale and batch.

use crate::Sale;
use crate::freshness::Freshness;
use crate::watchers::Watchers;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Instant;
use tokio::sync::watch;

/// The latest durable state of every sale.
#[derive(Default)]
pub struct Board {
    sales: RwLock<BTreeMap<String, watch::Sender<Sale>>>,
    watchers: Watchers<Sale>,
    /// The ledger is elsewhere.
    is_copy: bool,
    /// The ledger elsewhere does not tell its states at the moment.
    is_cut_off: AtomicBool,
    /// How old they are, when the ledger is elsewhere.
    freshness: Option<Mutex<Freshness>>,
}

impl Board {
    /// The board of a replica, which shows what it was told and nothing at first.
    pub(crate) fn copy() -> Board {
        Board {
            is_copy: true,
            is_cut_off: AtomicBool::new(true),
            freshness: Some(Mutex::new(Freshness::new())),
            ..Board::default()
        }
    }

    /// Whether the ledger is elsewhere, so that the states here may be behind it.
    pub(crate) fn is_copy(&self) -> bool {
        self.is_copy
    }

    /// Whether new states arrive; if not, those shown may be of some time ago. States that waited
    /// to be read, because this process stood still, are not new. Ask this before a state is read:
    /// of one that was read before it says nothing.
    #[must_use]
    pub fn is_live(&self) -> bool {
        let is_fresh = |freshness: &Mutex<Freshness>| {
            freshness.lock().unwrap_or_else(PoisonError::into_inner).is_live(Instant::now())
        };
        !self.is_cut_off.load(Ordering::Acquire) && self.freshness.as_ref().is_none_or(is_fresh)
    }

    /// The ledger elsewhere was connected to, or told its time.
    pub(crate) fn hear(&self, tick_ms: u64, at: Instant, is_first: bool) {
        let Some(freshness) = &self.freshness else { return };
        let mut freshness = freshness.lock().unwrap_or_else(PoisonError::into_inner);
        if is_first { freshness.connect(tick_ms, at) } else { freshness.hear(tick_ms, at) }
    }

    pub(crate) fn set_live(&self, live: bool) {
        self.is_cut_off.store(!live, Ordering::Release);
    }

    /// Tells `watcher` every state there is, and each new one until it returns `false`. Around
    /// this call it may be told a newer state before an older one.
    pub(crate) fn watch(&self, watcher: impl Fn(&Sale) -> bool + Send + Sync + Clone + 'static) {
        self.watchers.add(Box::new(watcher.clone()));
        self.sales().iter().for_each(|sale| {
            watcher(sale);
        });
    }

    /// Follows a sale; a slow follower sees the latest state, not each one.
    #[must_use]
    pub fn follow(&self, sale: &str) -> Option<watch::Receiver<Sale>> {
        let sales = self.sales.read().unwrap_or_else(PoisonError::into_inner);
        sales.get(sale).map(watch::Sender::subscribe)
    }

    /// A sale's latest durable state.
    #[must_use]
    pub fn sale(&self, sale: &str) -> Option<Sale> {
        let sales = self.sales.read().unwrap_or_else(PoisonError::into_inner);
        sales.get(sale).map(|state| state.borrow().clone())
    }

    /// Every sale's latest durable state, in the order of ids.
    #[must_use]
    pub fn sales(&self) -> Vec<Sale> {
        let sales = self.sales.read().unwrap_or_else(PoisonError::into_inner);
        sales.values().map(|state| state.borrow().clone()).collect()
    }

    /// How many sales there are; it never falls.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sales.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Shows a state that is durable.
    pub(crate) fn publish(&self, view: &Sale) {
        self.show(view.clone());
        self.watchers.tell(view);
    }

    fn show(&self, view: Sale) {
        if let Some(state) =
            self.sales.read().unwrap_or_else(PoisonError::into_inner).get(&view.terms.id)
        {
            state.send_replace(view);
            return;
        }
        let mut sales = self.sales.write().unwrap_or_else(PoisonError::into_inner);
        sales.insert(view.terms.id.clone(), watch::Sender::new(view));
    }
}
