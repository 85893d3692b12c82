//! Profiles whose ids belong to different servers.

use super::*;
use crate::check::lookups::Why;
use crate::check::pace::Rate;

/// The profile `rdap` with a server for each of these.
fn rdap(endings: &[&str]) -> Profile {
    let services: Vec<String> =
        endings.iter().map(|e| format!("[[\"{e}\"],[\"https://{e}.example/\"]]")).collect();
    let text = format!(
        "{{\"version\":\"1.0\",\"publication\":\"2026-11-21T00:00:00Z\",\"services\":[{}]}}",
        services.join(",")
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let profile = Profile::builtin("rdap").unwrap();
    profile.with_bootstrap(file.path(), Lang::English).unwrap()
}

/// `count` domains, in turn of each ending.
fn rig(count: usize, endings: &[&str]) -> Rig {
    let ids = (0..count).map(|n| format!("n{n}.{}", endings[n % endings.len()])).collect();
    Rig { profile: rdap(endings), ids, ..Rig::new(0) }
}

fn free() -> Carried {
    status(404)
}

fn host(request: &Request) -> &str {
    request.uri.host().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_dead_server_is_given_up_and_the_others_go_on() {
    let rig = rig(3_000, &["aa", "bb", "cc"]);
    let run = rig
        .run(async |request: &Request| {
            tokio::time::sleep(ms(50)).await;
            if host(request) == "bb.example" { unreachable() } else { free() }
        })
        .await;
    assert_eq!((run.counts(), run.end.left), ((0, 2_000, 0), 1_000));
    let Why::Failing { host, .. } = &run.end.why else { panic!("{:?}", run.end.why) };
    assert_eq!(host, "bb.example");
    assert!(run.findings.iter().all(|finding| !finding.id.as_str().ends_with("bb")));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_server_that_is_given_up() {
    let rig = rig(200, &["aa", "bb"]);
    let asked = Cell::new(0);
    let run = rig
        .run(async |request: &Request| {
            tokio::time::sleep(ms(50)).await;
            match host(request) {
                "bb.example" => {
                    asked.set(asked.get() + 1);
                    if asked.get() <= 3 { come_again(200) } else { unreachable() }
                }
                _ => free(),
            }
        })
        .await;
    assert_eq!((run.counts(), run.end.left), ((0, 100, 0), 100));
    assert!(run.took < s(60), "{:?}", run.took);
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_a_stop_also_after_a_server_was_given_up() {
    let rig = rig(30_000, &["aa", "bb"]);
    let api = async |request: &Request| {
        tokio::time::sleep(ms(2_000)).await;
        if host(request) == "bb.example" { unreachable() } else { free() }
    };
    let stop = async {
        tokio::time::sleep(s(40)).await;
        rig.stop.press();
    };
    let (run, ()) = tokio::join!(rig.run(api), stop);
    assert!(rig.gauges.troubled.get() == 1 && run.took < s(45), "{:?}", run.took);
    assert_eq!(run.end.why, Why::Stopped);
}

#[tokio::test(start_paused = true)]
async fn one_server_that_pushes_back_slows_nobody_else() {
    let rig = rig(2_000, &["aa", "bb"]);
    let (began, done) = (Instant::now(), Cell::new((0, Duration::ZERO)));
    let run = rig
        .run(async |request: &Request| {
            tokio::time::sleep(ms(50)).await;
            if host(request) == "bb.example" && began.elapsed() < s(100) {
                return come_again(60);
            }
            if host(request) == "aa.example" {
                done.set((done.get().0 + 1, began.elapsed()));
            }
            free()
        })
        .await;
    assert_eq!(run.counts(), (0, 2_000, 0));
    // All that fit into what may be held beside the ids that wait.
    assert_eq!(done.get().0, 1_000);
    assert!(done.get().1 < s(60), "{:?}", done.get().1);
    assert!(run.took > s(100));
}

#[tokio::test(start_paused = true)]
async fn servers_take_turns_under_a_rate() {
    for endings in [&["aa", "bb"][..], &["aa", "bb", "cc"]] {
        let mut rig = rig(300, endings);
        rig.options.rate = Rate::new(10, s(1));
        let asked = RefCell::new(Vec::new());
        let run = rig
            .run(async |request: &Request| {
                asked.borrow_mut().push(host(request).to_owned());
                tokio::time::sleep(ms(50)).await;
                free()
            })
            .await;
        assert_eq!(run.counts(), (0, 300, 0));
        for ending in endings {
            let early = asked.borrow()[..60].iter().filter(|host| host.starts_with(ending)).count();
            assert!(early.abs_diff(60 / endings.len()) <= 2, "{ending}: {early} of the first 60");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn limits_are_kept_by_server_and_by_all_together() {
    let rig = rig(2_000, &["aa", "bb", "cc"]).concurrency(20);
    let run = rig
        .run(async |_: &Request| {
            tokio::time::sleep(ms(50)).await;
            free()
        })
        .await;
    assert_eq!((run.counts(), run.end.totals.in_flight_most), ((0, 2_000, 0), 20));
}

#[tokio::test(start_paused = true)]
async fn a_domain_without_server_is_unknown_and_unasked() {
    let mut rig = rig(4, &["aa"]);
    rig.ids.push("x.zz".to_owned());
    let run = rig.run(async |_: &Request| free()).await;
    assert_eq!((run.counts(), run.finding("x.zz").attempts), ((0, 4, 1), 0));
}
