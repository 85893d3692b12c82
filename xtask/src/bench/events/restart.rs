//! T8: how long a server with many events takes from its start until it is ready, after a kill
//! and after a clean stop.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result};

use super::aggregator::Aggregator;
use super::driver::Amount;
use super::large::{self, Filled};
use super::load;
use super::race::{BATCH, CONNECTIONS};
use crate::bench::figure::{self, Figure, Target};
use crate::bench::kilat::{self, Place};
use crate::bench::scene::{Scene, alternate};
use crate::bench::server::Server;

/// What comes between two restarts, so that each finds something that the one before did not.
const BETWEEN: Amount = Amount { batch: BATCH, seconds: 60, batches: 20 };
const SECONDS_MAX: f64 = 1.0;

/// A data directory whose server is stopped and started again.
struct Log<'a> {
    scene: &'a Scene,
    folder: &'a Path,
    /// `None` only between a stop and the next start.
    aggregator: Option<Aggregator<'a>>,
}

/// T8.
pub(super) fn restarts(scene: &Scene) -> Result<Vec<Figure>> {
    let folder = scene.folder("t8-events")?;
    let Filled { aggregator, ids, .. } = large::fill(scene, folder.path())?;
    let mut log = Log { scene, folder: folder.path(), aggregator: Some(aggregator) };
    let log_cell = std::cell::RefCell::new(&mut log);
    let rounds = alternate(
        scene.rounds(),
        || log_cell.borrow_mut().restart(Server::kill),
        || log_cell.borrow_mut().restart(Server::stop),
    )?;
    let sent = log.aggregator.as_ref().map_or(0, Aggregator::sent);
    let at_end = figure::with_thousands(load::new_among(sent) as f64);
    let (killed, stopped) = rounds.into_iter().unzip();
    let at = format!("{} ids", figure::with_thousands(ids as f64));
    let figure = |what: &str, samples| {
        Figure::new("T8", format!("start to ready after {what}, {at}"), "s", samples)
            .aims(Target::AtMost(SECONDS_MAX))
    };
    Ok(vec![
        figure("kill -9", killed).noted(format!("{at_end} at the end")),
        figure("a clean stop", stopped),
    ])
}

impl Log<'_> {
    /// Publishes a little, ends the server that way, gives the seconds from start to ready, and
    /// holds the counters against all that was ever sent.
    fn restart(&mut self, end: fn(Server) -> Result<()>) -> Result<f64> {
        let mut aggregator = self.aggregator.take().context("a restart failed before")?;
        aggregator.publish(BETWEEN, CONNECTIONS)?;
        let place = Place { folder: self.folder, core: None };
        let mut seconds = 0.0;
        let aggregator = aggregator.restart(end, || {
            let started = Instant::now();
            let server = kilat::serve(self.scene, place)?;
            seconds = started.elapsed().as_secs_f64();
            Ok(server)
        })?;
        aggregator.check()?;
        self.aggregator = Some(aggregator);
        Ok(seconds)
    }
}
