//! What a reply says of the ids that were asked.
//!
//! Found and not found come from a rule that matched, and from nothing else: a page, a reply
//! that can't be read, or one that no rule speaks of leaves an id unknown.

use super::batch::{Batch, Item, Items};
use super::json::{Document, Kind, Unreadable};
use super::rule::Rule;
use super::same::About;
use super::template::{self, Subject};
use super::{Id, Profile};
use crate::Lang;
use crate::check::Outcome;
use crate::check::call::Reply;
use serde_json::value::RawValue;

/// What one reply says of one id.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    /// How the id ends, unless asking again helps.
    pub(crate) outcome: Outcome,
    /// One sentence; it may quote the API, so it may hold any character.
    pub(crate) message: String,
    /// The JSON object that decided, on one line of at most 4 KiB.
    pub(crate) row: Option<Box<RawValue>>,
    /// Whether people should see it.
    pub(crate) notable: bool,
    /// Whether asking again may help.
    pub(crate) retry: bool,
}

impl Verdict {
    fn unknown(message: String, retry: bool) -> Verdict {
        Verdict { outcome: Outcome::Unknown, message, row: None, notable: false, retry }
    }
}

impl Profile {
    /// One verdict for each id of the request, in their order.
    pub(crate) fn judge(&self, ids: &[Id], reply: &Reply, lang: Lang) -> Vec<Verdict> {
        let case = Case { profile: self, reply, lang };
        match &self.inner.batch {
            Some(batch) => case.judge_batch(batch, ids),
            None => ids.iter().map(|id| case.judge_one(id)).collect(),
        }
    }
}

/// Whether a server that answers so may answer differently in a moment.
pub(super) fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 425 | 429) || status >= 500
}

struct Case<'a> {
    profile: &'a Profile,
    reply: &'a Reply,
    lang: Lang,
}

impl Case<'_> {
    fn judge_one(&self, id: &Id) -> Verdict {
        if !self.profile.inner.rules.iter().any(|rule| rule.statuses.contains(&self.reply.status)) {
            return self.unforeseen();
        }
        match Document::read(&self.reply.body) {
            Ok(document) => self.judge_document(id, &document),
            Err(why) => self.unreadable(why),
        }
    }

    fn judge_batch(&self, batch: &Batch, ids: &[Id]) -> Vec<Verdict> {
        let all = |verdict: Verdict| vec![verdict; ids.len()];
        if !batch.statuses.contains(&self.reply.status) {
            return all(self.unforeseen());
        }
        let document = match Document::read(&self.reply.body) {
            Ok(document) => document,
            Err(why) => return all(self.unreadable(why)),
        };
        if document.is_doubled() {
            return all(self.unreadable(Unreadable::Doubled));
        }
        let inner = &*self.profile.inner;
        let kinds: Vec<Kind> = inner.rules.iter().flat_map(|rule| &rule.bodies).copied().collect();
        let Some(items) = Items::of(batch, &document, inner.fold, ids, &kinds) else {
            let message = self.say("profile.said.items", &[]);
            return all(Verdict::unknown(message, true));
        };
        let judge = |id: &Id| match items.find(id.as_str()) {
            Item::One(item) => self.judge_document(id, &item),
            Item::Missing => self.missing(batch, id),
            Item::Several => self.several(),
        };
        ids.iter().map(judge).collect()
    }

    fn judge_document(&self, id: &Id, document: &Document<'_>) -> Verdict {
        let row = match document.row() {
            Ok(row) => row,
            Err(why) => return self.unreadable(why),
        };
        // What is one line and at most 4 KiB stays so; anything but an object is not a row.
        let row = row.filter(|_| document.kind() == Kind::Object);
        let row = row.and_then(|text| RawValue::from_string(text).ok());
        let status = self.reply.status;
        let rules = &self.profile.inner.rules;
        let Some(rule) = rules.iter().find(|rule| rule.matches(status, document)) else {
            return Verdict { row, ..self.unmatched(document) };
        };
        if let Some(verdict) = self.misplaced(id, document, rule) {
            return Verdict { row, ..verdict };
        }
        let message = match &rule.message {
            Some(message) => message.of(self.lang).render(&Subject {
                id: id.as_str(),
                status,
                document: Some(document),
                body: &self.reply.body,
            }),
            None => self.say("profile.said.status", &[]),
        };
        let retry = rule.outcome == Outcome::Unknown && rule.retry.unwrap_or(is_transient(status));
        Verdict { outcome: rule.outcome, message, row, notable: rule.notable, retry }
    }

    /// The reply is about another id, or does not say about which.
    fn misplaced(&self, id: &Id, document: &Document<'_>, rule: &Rule) -> Option<Verdict> {
        let same = rule.same.as_ref()?;
        let inner = &*self.profile.inner;
        match same.about(id.as_str(), document, inner.fold, |id| inner.bare(id)) {
            About::Asked => None,
            About::Another => Some(Verdict::unknown(self.say("profile.said.other_id", &[]), true)),
            About::Untold => Some(Verdict::unknown(self.say("profile.said.no_id", &[]), false)),
        }
    }

    /// No rule matched a reply that could be read.
    fn unmatched(&self, document: &Document<'_>) -> Verdict {
        let status = self.reply.status;
        let rules = self.profile.inner.rules.iter().filter(|rule| rule.statuses.contains(&status));
        if rules.clone().any(|rule| rule.bodies.contains(&document.kind())) {
            return self.unforeseen();
        }
        let key = match document.kind() {
            Kind::Empty => "profile.said.empty",
            _ => "profile.said.kind",
        };
        Verdict::unknown(self.say(key, &[]), true)
    }

    /// No rule speaks of such a reply.
    fn unforeseen(&self) -> Verdict {
        Verdict::unknown(self.say("profile.said.status", &[]), is_transient(self.reply.status))
    }

    /// A status that a rule speaks of, with a body that can't be read: what stands between
    /// the API and us may step aside.
    fn unreadable(&self, why: Unreadable) -> Verdict {
        let key = match why {
            Unreadable::NotUtf8 => "profile.said.not_utf8",
            Unreadable::Page => "profile.said.page",
            Unreadable::NotJson => "profile.said.not_json",
            Unreadable::TooDeep => "profile.said.too_deep",
            Unreadable::Doubled => "profile.said.doubled",
        };
        // A page under a refusal is mostly how that server says no: it will say it again.
        let is_refusal = why == Unreadable::Page && self.reply.status >= 400;
        Verdict::unknown(self.say(key, &[]), !is_refusal || is_transient(self.reply.status))
    }

    /// A batch reply with several items for this id.
    fn several(&self) -> Verdict {
        Verdict::unknown(self.say("profile.said.doubled", &[]), false)
    }

    /// A batch reply without an item for this id.
    fn missing(&self, batch: &Batch, id: &Id) -> Verdict {
        let label = self.profile.label(self.lang);
        let values: &[(&str, &dyn std::fmt::Display)] = &[("label", &label), ("id", &id.as_str())];
        match batch.missing {
            Outcome::NotFound => {
                let message = self.lang.say("profile.said.missing_not_found", values);
                Verdict { outcome: Outcome::NotFound, ..Verdict::unknown(message, false) }
            }
            Outcome::Found | Outcome::Unknown => {
                Verdict::unknown(self.lang.say("profile.said.missing", values), true)
            }
        }
    }

    fn say(&self, key: &str, more: &[(&str, &dyn std::fmt::Display)]) -> String {
        let excerpt = template::excerpt(&self.reply.body);
        let mut values: Vec<(&str, &dyn std::fmt::Display)> =
            vec![("status", &self.reply.status), ("excerpt", &excerpt)];
        values.extend_from_slice(more);
        self.lang.say(key, &values)
    }
}
