//! What readers may see without the queue: the latest durable state of each sale.
//!
//! Pages and streams read here, so that they never touch the batcher. The
//! committer's release publishes at most one state a sale and batch.

use crate::Sale;
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};
use tokio::sync::watch;

/// The latest durable state of every sale.
#[derive(Default)]
pub struct Board {
    sales: RwLock<BTreeMap<String, watch::Sender<Sale>>>,
}

impl Board {
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
    pub(crate) fn publish(&self, view: Sale) {
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
