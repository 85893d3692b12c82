//! Requests that hold several ids.

use super::*;

/// A profile whose requests hold up to `size` ids.
fn batched(size: usize) -> Profile {
    let text = format!(
        "url = \"http://h/s?ids={{ids}}\"\n[batch]\nsize = {size}\nitems = \"/items\"\nkey = \"/id\"\n\
         missing = \"not_found\"\n\
         [[rule]]\nstatus = 200\nwhere = {{ \"/n\" = {{ exists = true }} }}\n\
         outcome = \"found\"\nmessage = \"{{n}}\"\n"
    );
    let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    std::fs::write(file.path(), text).unwrap();
    Profile::open(file.path(), &|_| None, Lang::English).unwrap()
}

fn rig(count: usize, size: usize) -> Rig {
    Rig { profile: batched(size), ..Rig::new(count) }
}

fn ids(request: &Request) -> Vec<String> {
    let query = request.uri.query().unwrap().strip_prefix("ids=").unwrap();
    query.split(',').map(str::to_owned).collect()
}

/// Items for those of `ids` that `n` has a number for; null for those that it has not.
fn items(ids: &[String], n: impl Fn(&str) -> Option<usize>) -> Carried {
    let items: Vec<String> = ids
        .iter()
        .filter_map(|id| n(id).map(|n| format!("{{\"id\":\"{id}\",\"n\":{n}}}")))
        .collect();
    reply(200, &[], &format!("{{\"items\":[{}]}}", items.join(",")))
}

#[tokio::test(start_paused = true)]
async fn ids_go_together_and_end_one_by_one() {
    let rig = rig(1_005, 10);
    let sizes = RefCell::new(Vec::new());
    let run = rig
        .run(async |request: &Request| {
            let ids = ids(request);
            sizes.borrow_mut().push(ids.len());
            tokio::time::sleep(ms(100)).await;
            items(&ids, |id| (!id.ends_with('3')).then_some(1))
        })
        .await;
    assert_eq!(run.counts(), (904, 101, 0));
    let sizes = sizes.into_inner();
    assert_eq!((sizes.len(), sizes.iter().sum::<usize>()), (101, 1_005));
    assert!(run.findings.iter().all(|finding| finding.attempts == 1));
    assert_eq!(run.end.totals.requests, 101);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_fails_is_repeated_for_its_ids() {
    let rig = rig(100, 10);
    let number = Cell::new(0_u64);
    let run = rig
        .run(async |request: &Request| {
            number.set(number.get() + 1);
            if number.get().is_multiple_of(3) {
                return if number.get().is_multiple_of(2) { status(500) } else { come_again(1) };
            }
            items(&ids(request), |_| Some(1))
        })
        .await;
    assert_eq!(run.counts(), (100, 0, 0));
    assert!(run.findings.iter().any(|finding| finding.attempts == 2));
    assert_eq!(run.end.totals.requests, number.get());
}

#[tokio::test(start_paused = true)]
async fn ids_that_failed_in_one_request_are_repeated_in_one() {
    for trouble in [|| status(500), || come_again(1), unreachable as fn() -> Carried] {
        let rig = rig(100, 10);
        let seen = RefCell::new(HashSet::new());
        let run = rig
            .run(async |request: &Request| {
                let ids = ids(request);
                let is_first = seen.borrow_mut().insert(ids[0].clone());
                tokio::time::sleep(ms(20)).await;
                if is_first && ids[0].len() == 3 { trouble() } else { items(&ids, |_| Some(1)) }
            })
            .await;
        assert_eq!(run.counts(), (100, 0, 0));
        assert_eq!((run.end.totals.requests, run.end.totals.retries), (19, 9));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_dies_and_returns_costs_no_id_of_a_request() {
    let rig = rig(5_000, 10).concurrency(64);
    let began = Instant::now();
    let run = rig
        .run(async |request: &Request| {
            tokio::time::sleep(ms(200)).await;
            if (ms(500)..s(5)).contains(&began.elapsed()) {
                unreachable()
            } else {
                items(&ids(request), |_| Some(1))
            }
        })
        .await;
    assert_eq!(run.counts(), (5_000, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_id_that_spoils_a_request_ends_alone() {
    let mut rig = rig(5, 10);
    rig.ids.extend(["a,b".to_owned(), "x".repeat(3_000)]);
    let run = rig.run(async |request: &Request| items(&ids(request), |_| Some(1))).await;
    assert_eq!(run.counts(), (5, 0, 2));
    assert_eq!((run.finding("a,b").attempts, run.end.totals.requests), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn ids_too_long_for_one_request_go_in_several() {
    let mut rig = rig(0, 50);
    rig.ids = (0..50).map(|n| format!("{n}{}", "x".repeat(1_500))).collect();
    let run = rig.run(async |request: &Request| items(&ids(request), |_| Some(1))).await;
    assert_eq!(run.counts(), (50, 0, 0));
    assert!((2..50).contains(&run.end.totals.requests), "{}", run.end.totals.requests);
}

#[tokio::test(start_paused = true)]
async fn a_slow_source_does_not_hold_a_request_until_it_is_full() {
    let rig = rig(0, 10);
    let given = Cell::new(0);
    let next = async || {
        given.set(given.get() + 1);
        match given.get() {
            1..=3 => Some(rig.id(given.get() - 1, &format!("n{}", given.get()))),
            4 => {
                // The loop may drop this and ask again.
                given.set(3);
                tokio::time::sleep_until(Instant::now() + s(60)).await;
                given.set(4);
                None
            }
            _ => None,
        }
    };
    let (asked_at, began) = (RefCell::new(Vec::new()), Instant::now());
    let api = async |request: &Request| {
        asked_at.borrow_mut().push((began.elapsed(), ids(request).len()));
        if asked_at.borrow().len() == 1 {
            rig.stop.press();
        }
        items(&ids(request), |_| Some(1))
    };
    run(&rig.plan(), next, api, async |_| Ok(())).await;
    assert_eq!(asked_at.into_inner(), [(ms(10), 3)]);
}
