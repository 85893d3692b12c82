//! Pages: by topic or all, bounded by number and bytes, only of what is durable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kilat_eventlog::Page;

use crate::model::{Event, Model};
use crate::rig::{GENERATION_EVENTS, Live, Rig};
use kilat_eventlog::Origin;

/// A log with events of three topics in frames of different sizes, in runs and in memory.
fn filled() -> (Rig, Live, Model) {
    let rig = Rig::new(1);
    let (mut live, mut model) = (rig.open(), Model::default());
    let mut number = 0;
    for size in (1..40).cycle() {
        let events: Vec<Event> = (number..number + size)
            .map(|n| Event::new(&format!("t-{}", n % 5 % 3), &format!("{n}"), &format!("body {n}")))
            .collect();
        live.publish(&events);
        model.publish(Origin::Published, live.now, &events);
        number += size;
        if number > 7 * GENERATION_EVENTS {
            return (rig, live, model);
        }
    }
    unreachable!("it goes round for ever")
}

fn offsets(page: &Page) -> Vec<u64> {
    page.events.iter().map(|event| event.offset).collect()
}

#[test]
fn every_page_from_everywhere_is_what_the_model_says() {
    let (_, live, model) = filled();
    for topic in [None, Some("t-0"), Some("t-1"), Some("t-2"), Some("unknown")] {
        let all = model.offsets(topic);
        for after in
            [None, Some(0), Some(1), Some(63), Some(64), Some(200), Some(446), Some(u64::MAX)]
        {
            let expected: Vec<u64> =
                all.iter().copied().filter(|o| after.is_none_or(|after| *o > after)).collect();
            for limit in [1, 2, 10, 1_000_000] {
                let page = live.reader.read(topic, after, limit, usize::MAX).expect("a page");
                let count = limit.min(expected.len());
                assert_eq!(offsets(&page), expected[..count], "{topic:?} {after:?} {limit}");
                let next = (count < expected.len()).then(|| expected[count - 1]);
                assert_eq!(page.next, next, "{topic:?} {after:?} {limit}");
            }
        }
    }
    live.check(&model);
}

#[test]
fn a_page_is_bounded_by_bytes_and_never_empty_while_there_is_more() {
    let (_, live, model) = filled();
    for topic in [None, Some("t-1")] {
        for bytes_max in [0, 1, 50, 200, 5_000] {
            let (mut read, mut after) = (Vec::new(), None);
            loop {
                let page = live.reader.read(topic, after, 1_000, bytes_max).expect("a page");
                let bytes: usize = page.events.iter().map(|event| event.id.len()).sum();
                assert!(page.events.len() == 1 || bytes <= bytes_max, "too many bytes");
                assert!(bytes_max > 200 || page.events.len() < 10, "the bound is not kept");
                read.extend(offsets(&page));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(read, model.offsets(topic), "{topic:?} {bytes_max}");
        }
    }
}

#[test]
fn an_empty_log_has_empty_pages() {
    let live = Rig::new(1).open();
    for topic in [None, Some("t")] {
        for after in [None, Some(0), Some(u64::MAX)] {
            let page = live.reader.read(topic, after, 10, 1_000).expect("a page");
            assert_eq!(page, Page { events: Vec::new(), next: None });
        }
    }
}

#[test]
fn a_long_stretch_of_duplicates_does_not_hide_what_is_behind_it() {
    let rig = Rig::new(1);
    let (mut live, mut model) = (rig.open(), Model::default());
    let first = [Event::new("t", "first", "b")];
    for _ in 0..300 {
        live.publish(&first);
        model.publish(Origin::Published, live.now, &first);
    }
    let last = [Event::new("t", "last", "b")];
    live.publish(&last);
    model.publish(Origin::Published, live.now, &last);
    // The first was received when it was stored, not when it came again.
    live.check(&model);
}

#[test]
fn readers_go_on_while_events_are_stored_sealed_and_merged() {
    let rig = Rig::new(1);
    let mut live = rig.open();
    let reader = live.reader.clone();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let reading = std::thread::spawn(move || {
        let mut pages = 0_u64;
        while !stopped.load(Ordering::Relaxed) {
            let end = reader.end();
            for topic in [None, Some("t-0")] {
                let (mut count, mut after) = (0_u64, None);
                loop {
                    let page = reader.read(topic, after, 100, usize::MAX).expect("a page");
                    for event in &page.events {
                        let number: u64 = event.id.parse().expect("a number");
                        assert_eq!(event.offset, number, "another event than was stored");
                        count += 1;
                    }
                    after = page.next;
                    if after.is_none() {
                        break;
                    }
                }
                let least = if topic.is_none() { end } else { end.div_ceil(3) };
                assert!(count >= least, "{count} of {least} durable events of {topic:?} were seen");
                pages += 1;
            }
        }
        pages
    });
    for start in (0..40 * GENERATION_EVENTS).step_by(16) {
        let events: Vec<Event> = (start..start + 16)
            .map(|n| Event::new(&format!("t-{}", n % 3), &n.to_string(), "body"))
            .collect();
        live.publish(&events);
    }
    stop.store(true, Ordering::Relaxed);
    assert!(reading.join().expect("no panic") > 2);
}
