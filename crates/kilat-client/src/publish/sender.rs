//! One sender: takes batches in order, delivers each, and finds the event that
//! spoils one.

use super::batch::{Batch, Mark};
use super::board::{Board, Finding, Stop};
use super::hopper::Hopper;
use crate::events::courier::{Courier, Undelivered};
use crate::events::receipt::{Detail, EventResult, EventStatus, Published, contradiction};
use crate::http::CallError;
use crate::{ClientError, Lang};
use kilat_api::problem::Problem;
use std::ops::Range;

pub(crate) struct Sender<'a> {
    pub courier: Courier<'a>,
    pub hopper: &'a Hopper,
    pub board: &'a Board,
    pub names: &'a [String],
    pub url: &'a str,
    pub lang: Lang,
    pub body: Vec<u8>,
}

/// Why a batch ended before its end.
enum Halted {
    /// Everything before this event is acknowledged; it is not valid.
    At(usize),
    /// Everything before this event is acknowledged; the rest could not be delivered.
    Failed(usize),
}

impl Sender<'_> {
    /// Delivers batches until there are none, or one can't be delivered.
    pub(crate) fn run(&mut self) {
        while let Some(batch) = self.hopper.take() {
            let number = batch.number;
            let (marks, is_whole): (Vec<Mark>, bool) = match self.send(&batch, 0..batch.len()) {
                Ok(()) => (batch.into_marks(), true),
                Err(Halted::At(event)) => {
                    self.hopper.shut();
                    (batch.marks_before(event), false)
                }
                Err(Halted::Failed(event)) => {
                    self.hopper.shut();
                    self.board.halt.set();
                    (batch.marks_before(event), false)
                }
            };
            self.hopper.mark_off(number, marks, is_whole);
        }
    }

    fn send(&mut self, batch: &Batch, range: Range<usize>) -> Result<(), Halted> {
        if range.is_empty() {
            return Ok(());
        }
        batch.body(&range, &mut self.body);
        let body = std::mem::take(&mut self.body);
        let delivery = self.courier.deliver(&body);
        self.body = body;
        match delivery.outcome {
            Ok(receipt) => self.acknowledge(batch, range, &receipt),
            Err(Undelivered::Refused(CallError::Refused { status, problem }))
                if matches!(status, 400 | 413 | 422) =>
            {
                self.isolate(batch, range, status, problem.as_deref())
            }
            Err(undelivered) => {
                if !matches!(undelivered, Undelivered::Abandoned(_)) {
                    self.board.stop(self.reason(&undelivered));
                }
                Err(Halted::Failed(range.start))
            }
        }
    }

    fn acknowledge(
        &self,
        batch: &Batch,
        range: Range<usize>,
        receipt: &Published,
    ) -> Result<(), Halted> {
        if let Some(why) = contradiction(receipt, range.len() as u64, Detail::Full) {
            let error = CallError::Unreadable(why).explain(self.url, self.lang);
            self.board.stop(Stop::of_error(&error));
            return Err(Halted::Failed(range.start));
        }
        let results = receipt.results.as_deref().unwrap_or_default();
        let is_clean = receipt.conflicts == 0 && receipt.invalid == 0;
        let mut findings = Vec::new();
        if !is_clean && self.board.wants_findings() {
            for (at, result) in range.zip(results) {
                let told = self.told(result);
                findings.extend(
                    told.and_then(|(fault, message)| self.finding(batch, at, fault, message)),
                );
            }
        }
        self.board.acknowledged(receipt, findings);
        Ok(())
    }

    /// What is to be told about an event that was not stored.
    fn told(&self, result: &EventResult) -> Option<(&'static str, String)> {
        match result.status {
            EventStatus::Stored | EventStatus::Duplicate => None,
            EventStatus::Conflict => {
                let offset = result.offset.unwrap_or_default();
                Some(("conflict", self.lang.say("publish.conflict", &[("offset", &offset)])))
            }
            EventStatus::Invalid => {
                let faults: Vec<String> =
                    result.errors.iter().map(|e| format!("{} {}", e.field, e.message)).collect();
                let why = faults.join("; ");
                Some(("invalid", self.lang.say("publish.refused_line", &[("why", &why)])))
            }
        }
    }

    /// The batch was refused as a whole: sends what stands before the event
    /// that the server names, or halves it until that one is found.
    fn isolate(
        &mut self,
        batch: &Batch,
        range: Range<usize>,
        status: u16,
        problem: Option<&Problem>,
    ) -> Result<(), Halted> {
        let (start, end) = (range.start, range.end);
        if range.len() == 1 {
            return self.refuse(batch, start, status, problem);
        }
        let named = problem.and_then(first_index).map(|index| start + index);
        match named.filter(|at| status != 413 && (start..end).contains(at)) {
            Some(at) => {
                self.send(batch, start..at)?;
                self.send(batch, at..at + 1)?;
                self.send(batch, at + 1..end)
            }
            None => {
                let middle = start + range.len() / 2;
                self.send(batch, start..middle)?;
                self.send(batch, middle..end)
            }
        }
    }

    fn refuse(
        &self,
        batch: &Batch,
        at: usize,
        status: u16,
        problem: Option<&Problem>,
    ) -> Result<(), Halted> {
        let error = CallError::Refused { status, problem: problem.cloned().map(Box::new) };
        let message = error.explain(self.url, self.lang).to_string();
        let goes_on = self
            .finding(batch, at, "invalid", message)
            .is_none_or(|finding| self.board.refused(finding));
        if goes_on { Ok(()) } else { Err(Halted::At(at)) }
    }

    fn finding(
        &self,
        batch: &Batch,
        at: usize,
        fault: &'static str,
        message: String,
    ) -> Option<Finding> {
        let origin = batch.origin(at)?;
        let file = self.names.get(origin.input as usize).cloned().unwrap_or_default();
        Some(Finding { file, line: origin.line, column: None, fault, message })
    }

    fn reason(&self, undelivered: &Undelivered) -> Stop {
        let (Undelivered::Refused(error)
        | Undelivered::GaveUp(error)
        | Undelivered::Abandoned(error)) = undelivered;
        let error = match error {
            CallError::Refused { status: 401 | 403, problem }
                if is_about_the_token(problem.as_deref()) =>
            {
                ClientError::Usage(self.lang.say("publish.token", &[]))
            }
            error => error.explain(self.url, self.lang),
        };
        let stop = Stop::of_error(&error);
        match undelivered {
            Undelivered::GaveUp(_) => {
                let message = self.lang.say("publish.gave_up", &[("why", &stop.message)]);
                Stop { message, ..stop }
            }
            _ => stop,
        }
    }
}

/// Whether a 401 or 403 speaks of the caller, not of the events.
fn is_about_the_token(problem: Option<&Problem>) -> bool {
    problem.is_none_or(|problem| matches!(problem.code.as_str(), "unauthorized" | "forbidden"))
}

/// The place of the first event at fault.
fn first_index(problem: &Problem) -> Option<usize> {
    problem.errors.iter().filter_map(|fault| fault.index).min()
}
