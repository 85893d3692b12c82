//! Kilat against a peer, by turns, and the figures that come of it. Must never know how the
//! peer is driven.

use anyhow::Result;

use super::aggregator::Aggregator;
use super::driver::{Amount, Shot};
use crate::bench::figure::Figure;
use crate::bench::scene::{Scene, alternate};

/// Connections that publish by 1,000: more only queue.
pub(super) const CONNECTIONS: usize = 4;
/// Events of one publication, where nothing else is said.
pub(super) const BATCH: u64 = 1_000;

/// What is compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    /// How it takes events.
    pub(super) size: &'static str,
    /// Whether it is durable, and what else a reader must know.
    pub(super) note: &'static str,
}

/// A shot at Kilat and one at the peer.
pub(super) type Round = (Shot, Shot);

/// Kilat takes events by 1,000 over HTTP, each reply after the sync; the peer what `shoot` sends.
pub(super) fn with(
    scene: &Scene,
    peer: Peer,
    shoot: impl FnMut() -> Result<Shot>,
) -> Result<Vec<Figure>> {
    let folder = scene.folder("events-kilat")?;
    let mut kilat = Aggregator::kilat(scene, folder.path())?;
    let amount = Amount::of_seconds(BATCH, scene.shot_seconds());
    let rounds = alternate(scene.rounds(), || kilat.publish(amount, CONNECTIONS), shoot)?;
    kilat.check()?;
    Ok(figures(peer, "by 1,000", &rounds))
}

/// The ratio, and both sides of it.
pub(super) fn figures(peer: Peer, size: &str, rounds: &[Round]) -> Vec<Figure> {
    let samples = |of: fn(&Round) -> f64| rounds.iter().map(of).collect::<Vec<_>>();
    vec![
        Figure::new(
            peer.id,
            format!("events {size}, Kilat ÷ {}", peer.name),
            "×",
            samples(|(ours, theirs)| ours.per_second() / theirs.per_second()),
        ),
        Figure::new(
            peer.id,
            format!("events {size}, Kilat"),
            "/s",
            samples(|(ours, _)| ours.per_second()),
        ),
        Figure::new(
            peer.id,
            format!("events, {}, {}", peer.name, peer.size),
            "/s",
            samples(|(_, theirs)| theirs.per_second()),
        )
        .noted(peer.note),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_taken_round_by_round() {
        let shot = |events| Shot { events, seconds: 1.0, unique: None, batch_ms: None };
        let rounds = [(shot(30), shot(10)), (shot(20), shot(40))];
        let peer = Peer { id: "peer", name: "peer", size: "by 10", note: "" };
        let figures = figures(peer, "by 1,000", &rounds);
        assert!(format!("{:?}", figures[0]).contains("[3.0, 0.5]"), "{:?}", figures[0]);
    }
}
