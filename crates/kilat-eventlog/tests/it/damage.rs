//! Flipped bits in the log's files: opening halts, or recovers exactly. (FAULTS 7 for the log.)

use kilat_eventlog::Origin;
use kilat_journal::simulation::{CrashingStorage, Random};

use crate::model::{Event, Model};
use crate::rig::{Rig, seed};

/// Bits flipped in an ordinary run; a soak sets KILAT_FLIPS.
const FLIPS: u64 = 1_500;

#[test]
fn a_flipped_bit_in_the_log_halts_or_changes_nothing() {
    let mut random = Random::new(seed());
    let rig = Rig::new(1);
    let (mut live, mut model) = (rig.open(), Model::default());
    for _ in 0..20 {
        let some: Vec<Event> = (0..10).map(|_| Event::random(&mut random, 3, 500)).collect();
        live.publish(&some);
        model.publish(Origin::Published, live.now, &some);
    }
    drop(live);
    let image = rig.log.image();
    let names: Vec<&String> = image.keys().collect();
    let given = std::env::var("KILAT_FLIPS").ok().and_then(|text| text.parse().ok());
    let (mut halted, mut recovered) = (0, 0);
    for _ in 0..given.unwrap_or(FLIPS) {
        let name = names[random.below(names.len() as u64) as usize];
        let at = random.below(image[name].len() as u64) as usize;
        let (log, index) = (CrashingStorage::from_image(&image), CrashingStorage::new(1));
        log.damage(name, at, 1 << random.below(8));
        let damaged = Rig { log, index, ..rig.clone() };
        let before = damaged.log.image();
        match damaged.try_open() {
            Err(error) => {
                assert!(error.to_string().contains(".seg"), "{error} names no segment");
                assert!(damaged.log.is_image(&before), "{name} {at}: damage was changed");
                halted += 1;
            }
            Ok(live) => {
                live.check(&model);
                recovered += 1;
            }
        }
    }
    println!("{halted} halted, {recovered} recovered");
    assert!(halted > 0);
}
