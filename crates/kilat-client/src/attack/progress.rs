//! What people see while it runs, on stderr: a bar, plain lines, or nothing.

use super::options::Plan;
use super::reply::Reply;
use super::request::Step;
use super::tally::{Setback, printable};
use super::witness::{Job, Witness};
use crate::Lang;
use crate::http::BACKOFF_MAX_MS;
use crate::view::View;
use kilat_api::problem::Code;
use std::time::Duration;

/// Acknowledged orders that scroll by; later ones are only counted.
const SCROLL_ACKNOWLEDGED_MAX: u32 = 30;
/// Other answers that scroll by.
const SCROLL_OTHERS_MAX: u32 = 10;

/// Where progress goes.
pub struct Output {
    lang: Lang,
    view: View,
    scroll_acknowledged: u32,
    scroll_others: u32,
    updated: Duration,
    requests_before: u64,
    outage: Outage,
}

/// Whether the server seems to be away, so that each outage is told once.
#[derive(Default)]
struct Outage {
    refused_before: u64,
    replies_before: u64,
    is_told: bool,
}

/// What the event loop knows beside the counts.
pub(crate) struct Scene {
    pub elapsed: Duration,
    pub in_flight: usize,
    pub taken: u64,
}

impl Output {
    /// Progress on stderr: a bar on a terminal, plain lines elsewhere.
    #[must_use]
    pub fn stderr(lang: Lang) -> Self {
        Self::new(lang, View::stderr())
    }

    /// No progress at all.
    #[must_use]
    pub fn quiet(lang: Lang) -> Self {
        Self::new(lang, View::quiet())
    }

    fn new(lang: Lang, view: View) -> Self {
        Output {
            lang,
            view,
            scroll_acknowledged: SCROLL_ACKNOWLEDGED_MAX,
            scroll_others: SCROLL_OTHERS_MAX,
            updated: Duration::ZERO,
            requests_before: 0,
            outage: Outage::default(),
        }
    }

    pub(crate) fn lang(&self) -> Lang {
        self.lang
    }

    /// A line that stays.
    pub(crate) fn line(&self, text: &str) {
        self.view.line(text);
    }

    /// A line made of the text named `key`.
    pub(crate) fn say(&self, key: &str, values: &[(&str, &dyn std::fmt::Display)]) {
        if self.view.every().is_some() {
            self.line(&self.lang.say(key, values));
        }
    }

    /// One answer, while there are few enough of them to read.
    pub(crate) fn purchase(
        &mut self,
        plan: &Plan,
        job: &Job,
        reply: &Reply<'_>,
        witness: &Witness,
    ) {
        if self.view.every().is_none() || job.step != Step::Order {
            return;
        }
        let left = match job.ack {
            Some(_) => &mut self.scroll_acknowledged,
            None => &mut self.scroll_others,
        };
        if *left == 0 {
            return;
        }
        *left -= 1;
        let buyer = plan.buyer_name(plan.buyer_of(job.order));
        let (status, node) = (reply.status, printable(reply.node));
        let outcome = match job.ack.and_then(|ack| witness.acks.get(ack)) {
            Some(ack) => format!("{} {:.8}…", ack.status.as_str(), format!("{:032x}", ack.id)),
            None => super::reply::pick_code(&reply.body).map_or("", Code::as_str).to_owned(),
        };
        self.line(&format!("[{buyer}] {status} {outcome} node {node}"));
        if self.scroll_acknowledged + self.scroll_others == 0 {
            self.say("progress.scroll_end", &[]);
        }
    }

    /// Brings the counts up to date, at most a few times a second.
    pub(crate) fn tick(&mut self, plan: &Plan, witness: &Witness, scene: &Scene) {
        let since = scene.elapsed.saturating_sub(self.updated);
        if self.view.every().is_none_or(|every| since < every) {
            return;
        }
        self.updated = scene.elapsed;
        self.tell_outage(witness);
        let text = self.counts(witness, scene, since);
        self.requests_before = witness.tally.replies;
        self.view.update(text, part(plan, scene));
    }

    fn counts(&self, witness: &Witness, scene: &Scene, since: Duration) -> String {
        let tally = &witness.tally;
        let rate = (tally.replies - self.requests_before) as f64 / since.as_secs_f64();
        let number = |n: u64| self.lang.number(n);
        self.lang.say(
            "progress.counts",
            &[
                ("acknowledged", &number(tally.acknowledged)),
                ("sold_out", &number(tally.refusals(Code::SoldOut))),
                ("refused", &number(tally.refused - tally.refusals(Code::SoldOut))),
                ("retries", &number(tally.retries)),
                ("in_flight", &number(scene.in_flight as u64)),
                ("rate", &number(rate as u64)),
            ],
        )
    }

    /// Says once that the server is away, and once that it is back.
    fn tell_outage(&mut self, witness: &Witness) {
        let refused =
            witness.tally.count_of(Setback::Refused) + witness.tally.count_of(Setback::Reset);
        let is_failing = refused > self.outage.refused_before;
        let is_answering = witness.tally.replies > self.outage.replies_before;
        let is_away = is_failing && !is_answering;
        if is_away && !self.outage.is_told {
            self.say("progress.away", &[("ms", &BACKOFF_MAX_MS)]);
            self.outage.is_told = true;
        } else if is_answering && self.outage.is_told {
            self.say("progress.back", &[]);
            self.outage.is_told = false;
        }
        self.outage.refused_before = refused;
        self.outage.replies_before = witness.tally.replies;
    }

    /// The stampede is over: takes the bar away.
    pub(crate) fn finish(&self) {
        self.view.finish();
    }
}

/// Orders out of all orders, or time out of all time.
fn part(plan: &Plan, scene: &Scene) -> Option<(u64, u64)> {
    match (plan.orders, plan.duration) {
        (Some(orders), _) => Some((scene.taken.saturating_sub(scene.in_flight as u64), orders)),
        (None, Some(duration)) => {
            Some((scene.elapsed.as_millis() as u64, duration.as_millis() as u64))
        }
        (None, None) => None,
    }
}
