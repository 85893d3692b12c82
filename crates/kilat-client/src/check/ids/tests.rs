//! Ids from everywhere, well written and not.

use super::*;

fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

/// All that a stream gives, and what ended it.
fn drain(inputs: Vec<IdInput>) -> (Vec<String>, Option<ClientError>, u64) {
    let directory = tempfile::tempdir().unwrap();
    let mut ids = Ids::start(inputs, Seen::new(directory.path()), Lang::English).unwrap();
    let (mut texts, mut error) = (Vec::new(), None);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        while let Some(next) = ids.next().await {
            match next {
                Ok((index, id)) => {
                    assert_eq!(index, texts.len() as u64);
                    texts.push(id.as_str().to_owned());
                }
                Err(e) => error = Some(e),
            }
        }
    });
    (texts, error, ids.skipped())
}

#[test]
fn listed_ids_come_once_and_in_their_order() {
    let inputs = vec![
        IdInput::Listed(vec![id("b"), id("a"), id("b")]),
        IdInput::Listed(vec![id("c"), id("a"), id("B")]),
    ];
    let (texts, error, skipped) = drain(inputs);
    assert_eq!((texts.join(" ").as_str(), error, skipped), ("b a c B", None, 2));
}
