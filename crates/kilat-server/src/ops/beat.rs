//! What this process tells the console: a name once a second, and its figures while somebody looks.

use super::console::message::{Answer, Beat, Question, Stock};
use super::console::{EVERY, STOCK_SALES_MAX};
use super::figures::Figures;
use super::link::ConsoleLink;
use crate::metrics::Metrics;
use crate::state::App;
use kilat_engine::{Board, Handle, Sale};

/// Beats until the server ends.
pub(crate) async fn run(app: App, link: ConsoleLink) {
    let mut stopping = app.stopping.subscribe();
    let mut watched = false;
    loop {
        let beat = of_server(&app, watched);
        // A console that can't be reached hears the next one.
        watched = matches!(
            link.ask(Question::Beat(Box::new(beat))).await,
            Ok(Answer::Heard { watched: true })
        );
        // As often as while somebody looks: the first figures of a page are of now.
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stopping.wait_for(|stopping| *stopping) => break,
        }
    }
    let _ = link.ask(Question::Beat(Box::new(of_server(&app, false)))).await;
}

fn of_server(app: &App, watched: bool) -> Beat {
    let board = app.handle.board();
    Beat {
        node: app.node.to_string(),
        leaving: app.is_leaving(),
        live: board.is_live(),
        figures: watched.then(|| Figures::read(&app.metrics.render(app))),
        stock: if watched { stock(board) } else { Vec::new() },
    }
}

/// The newest sales that are not over, then the newest that are.
fn stock(board: &Board) -> Vec<Stock> {
    let mut sales = board.sales();
    let is_closed = |sale: &Sale| matches!(sale.switch, kilat_engine::SaleSwitch::Closed);
    sales.sort_by_key(|sale| (is_closed(sale), std::cmp::Reverse(sale.number)));
    sales.truncate(STOCK_SALES_MAX);
    sales
        .into_iter()
        .map(|sale| Stock {
            sale: sale.terms.id,
            sequence: sale.sequence,
            available: sale.counters.available,
            held: sale.counters.held,
            sold: sale.counters.sold,
        })
        .collect()
}

/// Beats of a process without a server.
pub(super) struct Pulse {
    node: String,
    handle: Handle,
}

impl Pulse {
    pub(super) fn of_core(node: String, handle: Handle) -> Pulse {
        Pulse { node, handle }
    }

    pub(super) fn beat(&self, watched: bool) -> Beat {
        let figures = || {
            let mut figures = Figures::read(&Metrics::install().ok()?.render_process());
            figures.queue = self.handle.queue_depth() as u64;
            Some(figures)
        };
        Beat {
            node: self.node.clone(),
            leaving: false,
            live: true,
            figures: watched.then(figures).flatten(),
            stock: if watched { stock(self.handle.board()) } else { Vec::new() },
        }
    }
}
