//! What a reply must look like to mean something: statuses, values, and the outcome.

use super::json::{Document, Kind, Seen};
use super::pointer::Pointer;
use super::same::Same;
use super::template::Template;
use crate::Lang;
use crate::check::Outcome;

/// A text in both languages.
#[derive(Clone, Debug)]
pub(super) struct Texts<T> {
    pub(super) indonesian: T,
    pub(super) english: T,
}

impl<T> Texts<T> {
    pub(super) fn of(&self, lang: Lang) -> &T {
        match lang {
            Lang::Indonesian => &self.indonesian,
            Lang::English => &self.english,
        }
    }
}

/// One rule; the first that matches decides.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) statuses: Vec<u16>,
    pub(super) bodies: Vec<Kind>,
    /// One of these must hold; none at all means that any reply will do.
    pub(super) cases: Vec<Case>,
    pub(super) outcome: Outcome,
    /// Where the reply repeats the id; it decides only about that one.
    pub(super) same: Option<Same>,
    pub(super) notable: bool,
    /// Whether asking again may help; by the status unless given.
    pub(super) retry: Option<bool>,
    /// `None` for the sentence about a reply that no rule speaks of.
    pub(super) message: Option<Texts<Template>>,
}

/// All of these must hold.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) conditions: Vec<(Pointer, Condition)>,
}

/// What a value must be.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    /// It is there and not null, or it is not.
    Exists(bool),
    /// It is one of these, or missing when that is allowed.
    Is { literals: Vec<Literal>, optional: bool },
}

/// A value to compare with.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Text(String),
    Whole(i64),
    Real(f64),
    Bool(bool),
}

impl Rule {
    /// Whether the rule speaks of such a reply.
    pub(super) fn matches(&self, status: u16, document: &Document<'_>) -> bool {
        self.statuses.contains(&status)
            && self.bodies.contains(&document.kind())
            && (self.cases.is_empty() || self.cases.iter().any(|case| case.holds(document)))
    }

    /// Whether `other`, which comes later, can never be reached because of this one.
    pub(super) fn covers(&self, other: &Rule) -> bool {
        self.cases.is_empty()
            && other.statuses.iter().all(|status| self.statuses.contains(status))
            && other.bodies.iter().all(|body| self.bodies.contains(body))
    }
}

impl Case {
    fn holds(&self, document: &Document<'_>) -> bool {
        self.conditions.iter().all(|(pointer, condition)| condition.holds(document, pointer))
    }
}

impl Condition {
    fn holds(&self, document: &Document<'_>, pointer: &Pointer) -> bool {
        let seen = document.find(pointer).and_then(|json| json.see());
        match (self, seen) {
            (Condition::Exists(wanted), None | Some(Seen::Null)) => !wanted,
            (Condition::Exists(wanted), Some(_)) => *wanted,
            (Condition::Is { optional, .. }, None | Some(Seen::Null)) => *optional,
            (Condition::Is { literals, .. }, Some(seen)) => {
                literals.iter().any(|literal| literal.is(&seen))
            }
        }
    }
}

impl Literal {
    fn is(&self, seen: &Seen<'_>) -> bool {
        match (self, seen) {
            (Literal::Text(wanted), Seen::Text(text)) => wanted == text,
            (Literal::Bool(wanted), Seen::Bool(flag)) => wanted == flag,
            (Literal::Whole(wanted), Seen::Number(text)) => match text.parse::<i64>() {
                Ok(number) => number == *wanted,
                // `0.0` and `-0` are 0 too.
                Err(_) => text.parse() == Ok(*wanted as f64),
            },
            (Literal::Real(wanted), Seen::Number(text)) => text.parse() == Ok(*wanted),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(condition: &Condition, body: &str, holds: bool) {
        let document = Document::read(body.as_bytes()).unwrap();
        let pointer = Pointer::parse("/a").unwrap();
        assert_eq!(condition.holds(&document, &pointer), holds, "{condition:?} {body}");
    }

    fn is(literal: Literal) -> Condition {
        Condition::Is { literals: vec![Literal::Text("or".to_owned()), literal], optional: false }
    }

    #[test]
    fn conditions_hold_for_values_and_not_for_their_likes() {
        for (condition, yes, no) in [
            (
                is(Literal::Whole(0)),
                &["0", "-0", "0.0", "0e9"][..],
                &["1", "\"0\"", "null", "false", "[0]"][..],
            ),
            (is(Literal::Whole(i64::MAX)), &["9223372036854775807"], &["9223372036854775806"]),
            (is(Literal::Real(0.5)), &["0.5", "5e-1"], &["0.50001", "1e999"]),
            (is(Literal::Bool(false)), &["false"], &["true", "0", "null"]),
            (
                is(Literal::Text("é".to_owned())),
                &["\"é\"", "\"\\u00e9\"", "\"or\""],
                &["\"É\"", "{}"],
            ),
            (Condition::Exists(true), &["0", "\"\"", "{}", "false"], &["null"]),
            (Condition::Exists(false), &["null"], &["0", "\"\""]),
        ] {
            yes.iter().for_each(|value| check(&condition, &format!("{{\"a\":{value}}}"), true));
            no.iter().for_each(|value| check(&condition, &format!("{{\"a\":{value}}}"), false));
        }
        check(&is(Literal::Whole(0)), "{}", false);
        check(&Condition::Exists(false), "{}", true);
        check(&Condition::Exists(true), "{}", false);
        let optional = Condition::Is { literals: vec![Literal::Whole(404)], optional: true };
        check(&optional, "{}", true);
        check(&optional, "{\"a\":404}", true);
        check(&optional, "{\"a\":400}", false);
    }
}
