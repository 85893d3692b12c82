//! Reading the events of a body, in each of its forms; the body is read once.

use super::reading::{Buffers, Event, OnInvalid, Read, Reading, Stop, utf8};
use super::scan::Scanner;
use super::{EVENTS_MAX, cloud, native};
use crate::problem::Problem;

/// How a body holds its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One event, or an array of 1 to [`EVENTS_MAX`].
    Json,
    /// One event a line; blank lines don't count (`application/x-ndjson`).
    Lines,
    /// One CloudEvent in the JSON format (`application/cloudevents+json`).
    CloudEvent,
    /// An array of 0 to [`EVENTS_MAX`] of them (`application/cloudevents-batch+json`).
    CloudBatch,
}

/// Reads the events of `bytes` and passes each valid one to `take`, in order.
///
/// `take` may have been called when the result is an error; then what it was given must be
/// thrown away.
///
/// # Errors
/// [`Malformed`] with line and column when the body is not JSON; [`TopicReserved`] when an event
/// names a topic of the sale's; [`Invalid`] when events are not valid and not to be skipped, or
/// when there are none or too many.
///
/// [`Malformed`]: crate::problem::Code::Malformed
/// [`TopicReserved`]: crate::problem::Code::TopicReserved
/// [`Invalid`]: crate::problem::Code::Invalid
pub fn read(
    bytes: &[u8],
    form: Form,
    on_invalid: OnInvalid,
    buffers: &mut Buffers,
    take: &mut dyn FnMut(&Event<'_>),
) -> Result<Read, Problem> {
    let text = utf8(bytes)?;
    let mut reading = Reading::new(on_invalid, buffers, take);
    let result = match form {
        Form::Json | Form::CloudEvent | Form::CloudBatch => reading.json(text, form),
        Form::Lines => reading.lines(text),
    };
    result.map_err(|stop| stop.explain(text))?;
    reading.finish(form == Form::CloudBatch)
}

impl Reading<'_> {
    fn json(&mut self, text: &str, form: Form) -> Result<(), Stop> {
        let mut scanner = Scanner::new(text, 0);
        let is_list = match form {
            Form::CloudEvent => false,
            Form::CloudBatch => true,
            Form::Json | Form::Lines => scanner.peek() == Some(b'['),
        };
        let cloud = matches!(form, Form::CloudEvent | Form::CloudBatch);
        if is_list && scanner.peek() == Some(b'[') {
            scanner.array(|scanner| self.element(scanner, cloud))?;
        } else if is_list {
            self.skip(&mut scanner, "")?;
            scanner.end()?;
            return Err(Stop::NoList);
        } else {
            self.element(&mut scanner, cloud)?;
        }
        Ok(scanner.end()?)
    }

    fn lines(&mut self, text: &str) -> Result<(), Stop> {
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let end = start + line.len();
            let mut scanner = Scanner::new(&text[..end], start);
            if scanner.peek().is_some() {
                self.element(&mut scanner, false)?;
                scanner.end()?;
            }
            start = end;
        }
        Ok(())
    }

    /// Reads one event and passes it on.
    fn element(&mut self, scanner: &mut Scanner<'_>, cloud: bool) -> Result<(), Stop> {
        if self.faults.index == EVENTS_MAX {
            return Err(Stop::TooMany);
        }
        let faults = self.faults.total;
        if scanner.peek() == Some(b'{') {
            let start = scanner.at();
            if cloud {
                self.cloud_event(scanner, start)?;
            } else if let Some(draft) = native::read(self, scanner)? {
                self.pass_on(&draft, scanner.since(start).len());
            }
        } else {
            self.skip(scanner, "")?;
            self.faults.push("", "an event must be an object");
        }
        self.close(faults);
        Ok(())
    }

    fn cloud_event(&mut self, scanner: &mut Scanner<'_>, start: usize) -> Result<(), Stop> {
        let attributes = cloud::structured(self, scanner)?;
        let bytes = scanner.since(start).len();
        cloud::pass_on(self, &attributes, bytes);
        Ok(())
    }
}
