//! Live sales as rows of the stock's data set.
//!
//! Figures are the engine's durable ones; the index from SKUs to sales is made
//! again when there are more sales than it knows. A sale's SKU never changes,
//! and no sale is ever removed. Knows nothing of HTTP.

use super::profile::Profile;
use super::text::{self, Value};
use bytes::Bytes;
use kilat_engine::{Board, Handle, Sale, SaleState, Time};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Where a live sale's units are kept.
const WAREHOUSE: &str = "Kilat";

/// The sales of one engine, by SKU.
pub(super) struct LiveStock {
    board: Arc<Board>,
    index: RwLock<Index>,
}

#[derive(Default)]
struct Index {
    sales: usize,
    /// Ids of sales, by folded SKU.
    by_sku: HashMap<String, Vec<String>>,
}

impl LiveStock {
    pub(super) fn new(handle: &Handle) -> LiveStock {
        LiveStock { board: Arc::clone(handle.board()), index: RwLock::default() }
    }

    /// The reply for a folded SKU of a sale that is not closed.
    ///
    /// Of several such sales one that sells now answers, then one that is sold
    /// out, paused, or yet to open; of equals the first by id.
    pub(super) fn find(&self, sku: &str, now: Time) -> Option<Bytes> {
        let sales = self.ids(sku)?.into_iter().filter_map(|id| self.board.sale(&id));
        let live = sales.filter_map(|sale| Some((rank(sale.state(now))?, sale)));
        live.min_by_key(|(rank, _)| *rank).map(|(_, sale)| row(sku, sale))
    }

    /// Whether the figures are today's.
    pub(super) fn is_live(&self) -> bool {
        self.board.is_live()
    }

    fn ids(&self, sku: &str) -> Option<Vec<String>> {
        let sales = self.board.count();
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        if index.sales == sales {
            return index.by_sku.get(sku).cloned();
        }
        drop(index);
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        // Of all who waited for the lock one makes it.
        if index.sales != sales {
            *index = Index::of(&self.board.sales());
        }
        index.by_sku.get(sku).cloned()
    }
}

impl Index {
    fn of(sales: &[Sale]) -> Index {
        let mut by_sku: HashMap<String, Vec<String>> = HashMap::new();
        for sale in sales {
            let sku = Profile::Stock.fold(sale.terms.sku.clone());
            by_sku.entry(sku).or_default().push(sale.terms.id.clone());
        }
        Index { sales: sales.len(), by_sku }
    }
}

/// Lower answers first; `None` is over.
const fn rank(state: SaleState) -> Option<u8> {
    match state {
        SaleState::Open => Some(0),
        SaleState::SoldOut => Some(1),
        SaleState::Paused => Some(2),
        SaleState::Scheduled => Some(3),
        SaleState::Closed => None,
    }
}

fn row(sku: &str, sale: Sale) -> Bytes {
    let fields = [
        ("name", &Value::Text(sale.terms.title)),
        ("sku", &Value::Text(sku.to_owned())),
        ("stock", &Value::Whole(sale.counters.available)),
        ("warehouse", &Value::Text(WAREHOUSE.to_owned())),
    ];
    Bytes::from(text::object(&fields))
}
