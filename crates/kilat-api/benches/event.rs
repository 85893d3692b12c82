//! How long it takes to read one published event, its canonical form included.
//!
//! `cargo bench -p kilat-api` prints nanoseconds an event for several kinds of
//! events; as a test it only runs each once.

use kilat_api::event::{Buffers, Form, OnInvalid, read};
use std::hint::black_box;
use std::time::{Duration, Instant};

const EVENTS: usize = 1_000;
const SPENT: Duration = Duration::from_millis(500);

fn main() {
    let smoke = !std::env::args().any(|argument| argument == "--bench");
    for (name, body) in cases() {
        let nanos = measure(body.as_bytes(), if smoke { Duration::ZERO } else { SPENT });
        println!("{name:<12} {:>5} bytes {nanos:>6.0} ns an event", body.len() / EVENTS);
    }
}

/// The quickest of all runs: what else runs on the machine only ever adds.
fn measure(body: &[u8], spend: Duration) -> f64 {
    let (mut buffers, begun, mut best) = (Buffers::default(), Instant::now(), f64::INFINITY);
    loop {
        let since = Instant::now();
        let mut bytes = 0;
        let result = read(body, Form::Json, OnInvalid::Refuse, &mut buffers, &mut |event| {
            bytes += event.body.len() + event.canonical.len();
        });
        assert_eq!(result.map(|read| read.events), Ok(EVENTS));
        black_box(bytes);
        #[expect(clippy::cast_precision_loss, reason = "a count of events")]
        let nanos = since.elapsed().as_secs_f64() * 1e9 / EVENTS as f64;
        best = best.min(nanos);
        if begun.elapsed() >= spend {
            return best;
        }
    }
}

fn cases() -> [(&'static str, String); 5] {
    [
        ("flat", body(r#"{"amount":24999,"customer":"budi","status":"paid"}"#)),
        ("unsorted", body(r#"{"status":"paid","customer":"budi","amount":24999}"#)),
        ("decimals", body(r#"{"a":24999.50,"b":1.0e3,"c":-0.000125}"#)),
        ("escapes", body(r#"{"text":"a \"quoted\" \\ text\nof two lines é ☃"}"#)),
        (
            "nested",
            body(
                r#"{"order":{"id":"0192f0c1","items":[{"sku":"A-1","qty":1},{"sku":"B-2","qty":3}]},"total":[1,2,3,4]}"#,
            ),
        ),
    ]
}

fn body(payload: &str) -> String {
    let event = |number: usize| {
        format!(
            r#"{{"topic":"orders.paid","event_id":"{number:032x}","timestamp":"2026-11-21T08:15:30.{:03}Z","source":"shop-backend-1","payload":{payload}}}"#,
            number % 1_000
        )
    };
    let events: Vec<String> = (0..EVENTS).map(event).collect();
    format!("[{}]", events.join(","))
}
