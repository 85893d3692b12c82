//! What is not counted but read when Prometheus asks: queues, sales, events, connections.
//!
//! Everything here is bounded: a series a sale for the newest sales only.

use super::exposition::Exposition;
use crate::seats::Seats;
use crate::state::App;
use kilat_engine::Sale;

/// Most sales with series of their own: the newest. The audit of each sale has the same figures.
const SALES_SHOWN_MAX: usize = 100;

/// Writes what `app` has to tell now.
pub(super) fn render(app: &App, out: &mut Exposition) {
    queues(app, out);
    doors(app, out);
    events(app, out);
    let mut sales = app.handle.board().sales();
    out.single("kilat_sales", "gauge", "Sales, closed ones included", sales.len());
    sales.sort_unstable_by_key(|sale| std::cmp::Reverse(sale.number));
    sales.truncate(SALES_SHOWN_MAX);
    units(&sales, out);
}

fn queues(app: &App, out: &mut Exposition) {
    let name = "kilat_queue_depth";
    out.single(name, "gauge", "Commands that wait for a batch", app.handle.queue_depth());
    let name = "kilat_event_queue_depth";
    out.single(name, "gauge", "Events that wait for a group", app.events.queue_depth());
}

/// Places among connections and streams.
fn doors(app: &App, out: &mut Exposition) {
    let most = app.limits.streams_max;
    let open = most.saturating_sub(app.streams.available_permits());
    put_doors(&app.seats, (open, most), out);
}

fn put_doors(connections: &Seats, (open, most): (usize, usize), out: &mut Exposition) {
    out.single("kilat_connections", "gauge", "Open connections", connections.taken());
    out.single("kilat_connections_max", "gauge", "Most open connections", connections.most());
    out.single("kilat_streams", "gauge", "Open event streams", open);
    out.single("kilat_streams_max", "gauge", "Most open event streams", most);
}

/// Places of a gateway.
pub(crate) struct Places<'a> {
    pub(crate) connections: &'a Seats,
    pub(crate) streams: &'a Seats,
    /// Requests that are with replicas.
    pub(crate) in_flight: &'a Seats,
}

/// Writes what a gateway has to tell now.
pub(super) fn render_gateway(places: &Places<'_>, out: &mut Exposition) {
    let Places { connections, streams, in_flight } = places;
    put_doors(connections, (streams.taken(), streams.most()), out);
    let name = "kilat_gateway_in_flight";
    out.single(name, "gauge", "Requests that are with replicas", in_flight.taken());
    let name = "kilat_gateway_in_flight_max";
    out.single(name, "gauge", "Most requests that are with replicas", in_flight.most());
}

fn events(app: &App, out: &mut Exposition) {
    let counters = app.events.counters();
    let name = "kilat_event_log_events";
    out.family(name, "gauge", "Events in the log, by where they came from");
    out.sample(name, &[("origin", "published")], counters.unique);
    out.sample(name, &[("origin", "projected")], counters.projected);
    if let Some(topics) = app.events.topics_here() {
        out.single("kilat_event_log_topics", "gauge", "Topics in the event log", topics);
    }
}

fn units(sales: &[Sale], out: &mut Exposition) {
    let name = "kilat_sale_supply_units";
    out.family(name, "gauge", "Units that a sale ever had; the newest sales only");
    for Sale { terms, counters, .. } in sales {
        out.sample(name, &[("sale", &terms.id)], counters.supply);
    }
    let name = "kilat_sale_units";
    out.family(name, "gauge", "Units of a sale by what became of them; the newest sales only");
    for Sale { terms, counters, .. } in sales {
        for (state, units) in
            [("available", counters.available), ("held", counters.held), ("sold", counters.sold)]
        {
            out.sample(name, &[("sale", &terms.id), ("state", state)], units);
        }
    }
}
