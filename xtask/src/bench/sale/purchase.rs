//! T1 and T4: one purchase a request, sold and sold out, against nginx's constant.

use anyhow::{Result, ensure};

use super::attack::{self, Storm};
use crate::bench::crowd::{Crowd, bought};
use crate::bench::figure::{Figure, Spread, Target};
use crate::bench::kilat::{self, Place};
use crate::bench::nginx;
use crate::bench::scene::{Scene, alternate};
use crate::bench::server::{SERVER_CORE, Server};
use crate::bench::wrk::{CONNECTIONS, Shot};

/// Sales that the peers' scripts and configurations know.
const OPEN: &str = "open";
const EMPTY: &str = "empty";

/// Memory may grow by this much while millions are refused: allocators round up.
const FLAT_MIB: f64 = 2.0;
const MIB: f64 = 1024.0 * 1024.0;

/// A shot at each of the two.
type Round = (Shot, Shot);

/// T1 and T1b.
pub(super) fn purchases(scene: &Scene) -> Result<Vec<Figure>> {
    let (ours, theirs) = (scene.folder("t1-kilat")?, scene.folder("t1-nginx")?);
    let place = Place { folder: ours.path(), core: Some(SERVER_CORE) };
    let server = kilat::serve(scene, place)?;
    let nginx = nginx::constant(theirs.path(), Some(SERVER_CORE))?;
    kilat::create_sale(&server, OPEN, kilat::HUGE_SUPPLY)?;
    let mut crowd = Crowd::new(scene.shot_seconds());
    if !scene.is_smoke() {
        let mut warm_up = Crowd::early();
        bought(warm_up.shoot(&server, OPEN)?)?;
        warm_up.shoot(&nginx, OPEN)?;
    }
    let sold_before = kilat::sold(&server, OPEN)?;
    let rounds = race(scene, &mut crowd, (&server, &nginx), OPEN, bought)?;
    let acknowledged = rounds.iter().map(|(shot, _)| shot.requests).sum();
    let sold = kilat::sold(&server, OPEN)? - sold_before;
    ensure!(
        (acknowledged..=crowd.orders_max()).contains(&sold),
        "{acknowledged} purchases were acknowledged and {sold} units were sold"
    );
    let mut figures = throughput("T1", "purchase", &rounds, Target::AtLeast(0.90));
    figures.extend(processor_time(&rounds));
    let full = Spread::of(&samples(&rounds, |(ours, _)| ours.per_second()));
    figures.push(half_load(scene, &server, full.map_or(0.0, |spread| spread.median))?);
    Ok(figures)
}

/// T4.
pub(super) fn refusals(scene: &Scene) -> Result<Vec<Figure>> {
    let (ours, theirs) = (scene.folder("t4-kilat")?, scene.folder("t4-nginx")?);
    let place = Place { folder: ours.path(), core: Some(SERVER_CORE) };
    let server = kilat::serve(scene, place)?;
    let nginx = nginx::constant(theirs.path(), Some(SERVER_CORE))?;
    kilat::create_sale(&server, EMPTY, 0)?;
    // Connections and their buffers are there before memory is compared.
    refused(Crowd::early().shoot(&server, EMPTY)?)?;
    let before = server.memory()?.anonymous;
    let mut crowd = Crowd::new(scene.shot_seconds());
    let rounds = race(scene, &mut crowd, (&server, &nginx), EMPTY, refused)?;
    let growth = (server.memory()?.anonymous - before) / MIB;
    let refusals: u64 = rounds.iter().map(|(shot, _)| shot.requests).sum();
    let mut figures = throughput("T4", "refusal", &rounds, Target::AtLeast(0.95));
    figures.push(
        Figure::new("T4", "growth of anonymous memory", "MiB", vec![growth])
            .aims(Target::AtMost(FLAT_MIB))
            .noted(format!("over {refusals} refusals, from {:.1} MiB", before / MIB)),
    );
    Ok(figures)
}

fn race(
    scene: &Scene,
    crowd: &mut Crowd,
    (ours, theirs): (&Server, &Server),
    sale: &str,
    check: fn(Shot) -> Result<Shot>,
) -> Result<Vec<Round>> {
    // Both need the same generator, which numbers customers on.
    let crowd = std::cell::RefCell::new(crowd);
    alternate(
        scene.rounds(),
        || check(crowd.borrow_mut().shoot(ours, sale)?),
        || crowd.borrow_mut().shoot(theirs, sale),
    )
}

fn refused(shot: Shot) -> Result<Shot> {
    let sold = shot.requests - shot.status_errors.min(shot.requests);
    ensure!(sold == 0, "{sold} of {} requests were not refused", shot.requests);
    Ok(shot)
}

fn throughput(id: &'static str, what: &str, rounds: &[Round], target: Target) -> Vec<Figure> {
    let busy = |of: fn(&Round) -> Shot| {
        let samples = samples(rounds, |round| of(round).busy_percent());
        let median = Spread::of(&samples).map_or(0.0, |spread| spread.median);
        format!("{median:.0} % of the server's core used")
    };
    vec![
        Figure::new(
            id,
            format!("{what}s, Kilat ÷ nginx's constant"),
            "×",
            samples(rounds, |(ours, theirs)| ours.per_second() / theirs.per_second()),
        )
        .aims(target),
        Figure::new(
            id,
            format!("{what}s, Kilat"),
            "/s",
            samples(rounds, |(ours, _)| ours.per_second()),
        )
        .noted(busy(|(ours, _)| *ours)),
        Figure::new(
            id,
            "constants, nginx",
            "/s",
            samples(rounds, |(_, theirs)| theirs.per_second()),
        )
        .noted(busy(|(_, theirs)| *theirs)),
    ]
}

fn processor_time(rounds: &[Round]) -> Vec<Figure> {
    vec![
        Figure::new(
            "T1b",
            "processor time a purchase, Kilat ÷ nginx's constant",
            "×",
            samples(rounds, |(ours, theirs)| ours.cpu_us() / theirs.cpu_us()),
        )
        .aims(Target::AtMost(1.25)),
        Figure::new(
            "T1b",
            "processor time a purchase, Kilat",
            "µs",
            samples(rounds, |(ours, _)| ours.cpu_us()),
        ),
        Figure::new(
            "T1b",
            "processor time a constant, nginx",
            "µs",
            samples(rounds, |(_, theirs)| theirs.cpu_us()),
        ),
    ]
}

fn half_load(scene: &Scene, server: &Server, full_per_second: f64) -> Result<Figure> {
    let rate = (full_per_second / 2.0).max(1.0);
    let mut p99_ms = Vec::new();
    let mut achieved = 0.0;
    for _ in 0..scene.rounds() {
        let storm = Storm::new(scene.shot_seconds(), CONNECTIONS).at_rate(rate);
        let report = attack::storm(scene, server, &storm)?;
        p99_ms.push(report.p99_ms);
        achieved = report.per_second;
    }
    Ok(Figure::new("T1", "p99 at half of that load, `kilat attack`", "ms", p99_ms)
        .aims(Target::AtMost(5.0))
        .noted(format!("asked for {rate:.0}/s, last round got {achieved:.0}/s")))
}

fn samples(rounds: &[Round], of: impl Fn(&Round) -> f64) -> Vec<f64> {
    rounds.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn shot(requests: u64, status_errors: u64) -> Shot {
        Shot {
            requests,
            seconds: 1.0,
            status_errors,
            socket_errors: 0,
            cpu: Duration::from_millis(500),
        }
    }

    #[test]
    fn a_run_that_did_something_else_is_a_failure() {
        assert!(bought(shot(10, 0)).is_ok());
        assert!(bought(shot(10, 1)).is_err());
        assert!(refused(shot(10, 10)).is_ok());
        assert!(refused(shot(10, 9)).is_err());
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let rounds = [(shot(90, 0), shot(100, 0)), (shot(50, 0), shot(40, 0))];
        let ratios = samples(&rounds, |(a, b)| a.per_second() / b.per_second());
        assert_eq!(ratios, [0.9, 1.25]);
    }
}
