//! T6: publishing by 1,000 and one by one, each reply after the sync.

use anyhow::{Result, ensure};

use super::aggregator::{self, Aggregator};
use super::driver::{Amount, Shot};
use super::load::Template;
use super::race::{BATCH, CONNECTIONS};
use crate::bench::figure::{Figure, Target};
use crate::bench::kilat::{self, Place};
use crate::bench::nginx;
use crate::bench::scene::{Scene, alternate};
use crate::bench::server::Server;
use crate::bench::wrk::{self, Load};

/// What the two cores, shared by server and generator, should store.
const BATCHED_MIN_PER_SECOND: f64 = 500_000.0;
/// Of nginx's constant to the same requests.
const SINGLE_RATIO_MIN: f64 = 0.85;
/// Time of publishing before anything is measured.
const WARM_UP_SECONDS: u64 = 1;

/// T6.
pub(super) fn publications(scene: &Scene) -> Result<Vec<Figure>> {
    let mut figures = batched(scene)?;
    figures.extend(single(scene)?);
    Ok(figures)
}

fn batched(scene: &Scene) -> Result<Vec<Figure>> {
    let folder = scene.folder("t6")?;
    let kilat = std::cell::RefCell::new(Aggregator::kilat(scene, folder.path())?);
    let amount = Amount::of_seconds(BATCH, scene.shot_seconds());
    if !scene.is_smoke() {
        let warm_up = Amount::of_seconds(BATCH, WARM_UP_SECONDS);
        kilat.borrow_mut().publish(warm_up, CONNECTIONS)?;
    }
    let rounds = alternate(
        scene.rounds(),
        || kilat.borrow_mut().cpu_us(|kilat| kilat.publish(amount, CONNECTIONS)),
        || kilat.borrow_mut().cpu_us(|kilat| kilat.publish_minimal(amount, CONNECTIONS)),
    )?;
    kilat.borrow().check()?;
    let (full, minimal): (Vec<_>, Vec<_>) = rounds.into_iter().unzip();
    let per_second =
        |shots: &[(Shot, f64)]| shots.iter().map(|(shot, _)| shot.per_second()).collect();
    let size = format!("{} bytes an event", Template::new().text().len());
    Ok(vec![
        Figure::new("T6", "events by 1,000, a result for each", "/s", per_second(&full))
            .aims(Target::AtLeast(BATCHED_MIN_PER_SECOND))
            .noted(format!("{CONNECTIONS} connections, all cores shared, {size}")),
        Figure::new("T6", "events by 1,000, `return=minimal`", "/s", per_second(&minimal)),
        Figure::new(
            "T6",
            "processor time an event, by 1,000",
            "µs",
            full.iter().map(|(_, cpu_us)| *cpu_us).collect(),
        ),
        Figure::new(
            "T6",
            "a publication of 1,000, request to reply",
            "ms",
            full.iter().filter_map(|(shot, _)| shot.batch_ms).collect(),
        ),
    ])
}

fn single(scene: &Scene) -> Result<Vec<Figure>> {
    let (ours, theirs) = (scene.folder("t6-kilat")?, scene.folder("t6-nginx")?);
    let kilat = kilat::serve(scene, Place { folder: ours.path(), core: None })?;
    let nginx = nginx::constant(theirs.path(), None)?;
    let (mut publisher, mut ceiling) = (Publisher::new(&kilat), Publisher::new(&nginx));
    let seconds = scene.shot_seconds();
    if !scene.is_smoke() {
        publisher.shoot(WARM_UP_SECONDS)?;
        ceiling.shoot(WARM_UP_SECONDS)?;
    }
    let rounds = alternate(scene.rounds(), || publisher.shoot(seconds), || ceiling.shoot(seconds))?;
    let received = aggregator::received(&kilat)?;
    ensure!(
        (publisher.acknowledged..=publisher.next).contains(&received),
        "{} events were acknowledged, the server says that it received {received}",
        publisher.acknowledged
    );
    let samples = |of: fn(&(wrk::Shot, wrk::Shot)) -> f64| rounds.iter().map(of).collect();
    let note = format!("{} connections, wrk, all cores shared", wrk::CONNECTIONS);
    Ok(vec![
        Figure::new(
            "T6",
            "events one by one, Kilat ÷ nginx's constant",
            "×",
            samples(|(ours, theirs)| ours.per_second() / theirs.per_second()),
        )
        .aims(Target::AtLeast(SINGLE_RATIO_MIN))
        .noted(note),
        Figure::new("T6", "events one by one, Kilat", "/s", samples(|(ours, _)| ours.per_second())),
        Figure::new("T6", "constants, nginx", "/s", samples(|(_, theirs)| theirs.per_second())),
        Figure::new(
            "T6",
            "processor time an event, one by one",
            "µs",
            samples(|(ours, _)| ours.cpu_us()),
        ),
    ])
}

/// Publishes one event a request, and goes on where it stopped.
struct Publisher<'a> {
    server: &'a Server,
    /// More than any event that was sent: those under way when the time was over count too.
    next: u64,
    acknowledged: u64,
}

impl<'a> Publisher<'a> {
    fn new(server: &'a Server) -> Self {
        Self { server, next: 0, acknowledged: 0 }
    }

    fn shoot(&mut self, seconds: u64) -> Result<wrk::Shot> {
        let arguments = vec![self.next.to_string()];
        let load = Load { script: "publish.lua", arguments, seconds, core: None };
        let shot = wrk::shoot(self.server, &load)?;
        ensure!(shot.status_errors == 0, "{} events were refused", shot.status_errors);
        self.next += shot.requests + wrk::CONNECTIONS as u64;
        self.acknowledged += shot.requests;
        Ok(shot)
    }
}
