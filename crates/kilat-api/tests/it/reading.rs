//! How a test reads a body, and what came out.

use kilat_api::event::{Binary, Buffers, Event, Form, OnInvalid, Read, read, read_binary};
use kilat_api::problem::Problem;

/// An event as it was passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) index: usize,
    pub(crate) topic: String,
    pub(crate) event_id: String,
    pub(crate) body: String,
    pub(crate) canonical: String,
}

impl From<&Event<'_>> for Taken {
    fn from(event: &Event<'_>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Taken {
            index: event.index,
            topic: event.topic.to_owned(),
            event_id: event.event_id.to_owned(),
            body: text(event.body),
            canonical: text(event.canonical),
        }
    }
}

impl Taken {
    /// The stored members, as values.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&format!("{{{}}}", self.body)).unwrap()
    }
}

pub(crate) type Result = std::result::Result<(Read, Vec<Taken>), Problem>;

pub(crate) fn read_as(bytes: impl AsRef<[u8]>, form: Form, on_invalid: OnInvalid) -> Result {
    let (mut buffers, mut taken) = (Buffers::default(), Vec::new());
    let read = read(bytes.as_ref(), form, on_invalid, &mut buffers, &mut |event| {
        taken.push(Taken::from(event));
    })?;
    Ok((read, taken))
}

pub(crate) fn read_request(request: &Binary<'_>) -> Result {
    let (mut buffers, mut taken) = (Buffers::default(), Vec::new());
    let read = read_binary(request, OnInvalid::Refuse, &mut buffers, &mut |event| {
        taken.push(Taken::from(event));
    })?;
    Ok((read, taken))
}

/// The events of a body that is good as a whole.
pub(crate) fn good(bytes: impl AsRef<[u8]>, form: Form) -> Vec<Taken> {
    let shown = String::from_utf8_lossy(bytes.as_ref()).into_owned();
    match read_as(bytes, form, OnInvalid::Refuse) {
        Ok((read, taken)) => {
            assert_eq!((read.events, read.skipped.len()), (taken.len(), 0), "{shown}");
            taken
        }
        Err(problem) => panic!("{shown}: {problem:?}"),
    }
}

/// Why a body is refused.
pub(crate) fn refused(bytes: impl AsRef<[u8]>, form: Form) -> Problem {
    let shown: String = String::from_utf8_lossy(bytes.as_ref()).chars().take(200).collect();
    read_as(bytes, form, OnInvalid::Refuse).expect_err(&shown)
}

/// An event with one member written in another way; `None` leaves it out.
pub(crate) fn event_with(field: &str, value: Option<&str>) -> String {
    let members = [
        ("topic", r#""orders""#),
        ("event_id", r#""1""#),
        ("timestamp", r#""2026-01-31T08:00:00Z""#),
        ("source", r#""shop""#),
        ("payload", "{}"),
    ];
    let written = members.iter().filter_map(|(name, usual)| {
        let value = if *name == field { value } else { Some(*usual) };
        value.map(|value| format!("\"{name}\":{value}"))
    });
    format!("{{{}}}", written.collect::<Vec<_>>().join(","))
}

/// An event with this payload.
pub(crate) fn with_payload(payload: &str) -> String {
    event_with("payload", Some(payload))
}
