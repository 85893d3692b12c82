//! The part of a profile that says what a reply means.

use super::super::json::Kind;
use super::super::judge::is_transient;
use super::super::pointer::{Pointer, PointerFault};
use super::super::rule::{Case, Condition, Literal, Rule};
use super::super::same::Same;
use super::super::source::{Entry, Named, Section, Source};
use super::super::template::{Template, TemplateFault};
use super::{fold, texts};
use crate::ClientError;
use crate::check::Outcome;
use std::fmt::Display;
use std::ops::RangeInclusive;
use toml::de::DeValue;

/// Statuses of a final reply.
const STATUSES: RangeInclusive<i64> = 200..=599;
const RULE: [&str; 8] =
    ["status", "body", "where", "outcome", "same", "message", "notable", "retry"];

/// Reads all `[[rule]]`.
pub(super) fn read(top: &Section<'_>, source: &Source<'_>) -> Result<Vec<Rule>, ClientError> {
    let entry = top.need("rule", "[[rule]]")?;
    if entry.value().is_table() {
        return Err(entry.mistake("profile.one_rule", &[]));
    }
    let mut rules: Vec<(Rule, usize)> = Vec::new();
    for entry in entry.list()? {
        let section = entry.section("[[rule]]", &RULE)?;
        let rule = rule(&section)?;
        if let Some((_, at)) = rules.iter().find(|(earlier, _)| earlier.covers(&rule)) {
            return Err(section.mistake("profile.unreachable", &[("line", &source.line(*at))]));
        }
        rules.push((rule, section.at()));
    }
    let decides = |rule: &Rule| rule.outcome != Outcome::Unknown;
    match rules.iter().any(|(rule, _)| decides(rule)) {
        true => Ok(rules.into_iter().map(|(rule, _)| rule).collect()),
        false => Err(entry.mistake("profile.undecided", &[])),
    }
}

fn rule(section: &Section<'_>) -> Result<Rule, ClientError> {
    let outcome = outcome(&section.need("outcome", "outcome = \"found\"")?)?;
    let status = section.need("status", "status = 200")?;
    let statuses = statuses(&status)?;
    let again = statuses.iter().find(|status| is_transient(**status));
    if let (Some(again), true) = (again, outcome != Outcome::Unknown) {
        let values: &[(&str, &dyn Display)] = &[("status", again), ("outcome", &outcome.name())];
        return Err(status.mistake("profile.status_transient", values));
    }
    let retry = section.get("retry");
    if let (Some(entry), true) = (&retry, outcome != Outcome::Unknown) {
        return Err(entry.mistake("profile.retry", &[]));
    }
    let message = match outcome {
        Outcome::Unknown => section.get("message"),
        _ => Some(section.need("message", "message = \"{id}: {name}\"")?),
    };
    Ok(Rule {
        statuses,
        bodies: bodies(section)?,
        cases: section.get("where").map_or(Ok(Vec::new()), |entry| cases(&entry))?,
        outcome,
        same: section.get("same").map(|entry| same(&entry)).transpose()?,
        notable: section.get("notable").map_or(Ok(false), |entry| entry.flag())?,
        retry: retry.map(|entry| entry.flag()).transpose()?,
        message: message.map(|entry| texts(&entry, template)).transpose()?,
    })
}

/// A pointer, or a table that says more.
fn same(entry: &Entry<'_>) -> Result<Same, ClientError> {
    let at = |entry: &Entry<'_>| {
        pointer(entry.text()?, |byte, key, values| entry.mistake_at(byte, key, values))
    };
    if entry.value().is_str() {
        return Ok(Same { pointer: at(entry)?, is_within: false, fold: None });
    }
    let section = entry.section("same", &["is", "within", "fold"])?;
    let (place, is_within) = match (section.get("is"), section.get("within")) {
        (Some(place), None) => (place, false),
        (None, Some(place)) => (place, true),
        _ => return Err(entry.mistake("profile.same", &[])),
    };
    let fold = section.get("fold").map(|entry| fold(&entry)).transpose()?;
    Ok(Same { pointer: at(&place)?, is_within, fold })
}

fn outcome(entry: &Entry<'_>) -> Result<Outcome, ClientError> {
    Outcome::from_name(entry.text()?).ok_or_else(|| entry.mistake("profile.outcome", &[]))
}

/// One status or several.
pub(super) fn statuses(entry: &Entry<'_>) -> Result<Vec<u16>, ClientError> {
    // The range is that of a u16.
    let status = |entry: &Entry<'_>| entry.whole(STATUSES).map(|n| u16::try_from(n).unwrap_or(0));
    entry.one_or_more()?.iter().map(status).collect()
}

fn bodies(section: &Section<'_>) -> Result<Vec<Kind>, ClientError> {
    let Some(entry) = section.get("body") else { return Ok(vec![Kind::Object]) };
    let kind = |entry: &Entry<'_>| match entry.text()? {
        "object" => Ok(Kind::Object),
        "array" => Ok(Kind::Array),
        "scalar" => Ok(Kind::Scalar),
        "empty" => Ok(Kind::Empty),
        _ => Err(entry.mistake("profile.body_kind", &[])),
    };
    entry.one_or_more()?.iter().map(kind).collect()
}

/// One table, or a list of tables of which one must hold.
fn cases(entry: &Entry<'_>) -> Result<Vec<Case>, ClientError> {
    let case = |entry: &Entry<'_>| {
        let named = entry.named()?;
        if named.is_empty() {
            return Err(entry.mistake("profile.empty_list", &[]));
        }
        let condition = |named: &Named<'_>| {
            let mistake = |byte: usize, key: &str, values: &[(&str, &dyn Display)]| {
                named.mistake(byte, key, values)
            };
            Ok((pointer(named.name, mistake)?, condition(&named.value)?))
        };
        Ok(Case { conditions: named.iter().map(condition).collect::<Result<_, _>>()? })
    };
    entry.one_or_more()?.iter().map(case).collect()
}

fn condition(entry: &Entry<'_>) -> Result<Condition, ClientError> {
    if !entry.value().is_table() {
        return Ok(Condition::Is { literals: literals(entry)?, optional: false });
    }
    let section = entry.section("where", &["is", "exists", "optional"])?;
    let optional = section.get("optional").map_or(Ok(false), |entry| entry.flag())?;
    match (section.get("exists"), section.get("is")) {
        (Some(exists), None) if !optional => Ok(Condition::Exists(exists.flag()?)),
        (None, Some(is)) => Ok(Condition::Is { literals: literals(&is)?, optional }),
        _ => Err(entry.mistake("profile.condition", &[])),
    }
}

fn literals(entry: &Entry<'_>) -> Result<Vec<Literal>, ClientError> {
    entry.one_or_more()?.iter().map(literal).collect()
}

fn literal(entry: &Entry<'_>) -> Result<Literal, ClientError> {
    match entry.value() {
        DeValue::String(text) => Ok(Literal::Text(text.to_string())),
        DeValue::Boolean(flag) => Ok(Literal::Bool(*flag)),
        DeValue::Integer(_) => entry.whole(i64::MIN..=i64::MAX).map(Literal::Whole),
        DeValue::Float(number) => match number.as_str().replace('_', "").parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Literal::Real(number)),
            _ => Err(entry.mistake("profile.literal", &[])),
        },
        _ => Err(entry.mistake("profile.literal", &[])),
    }
}

/// A JSON pointer; `mistake` places what is wrong with it.
pub(super) fn pointer(
    text: &str,
    mistake: impl Fn(usize, &str, &[(&str, &dyn Display)]) -> ClientError,
) -> Result<Pointer, ClientError> {
    Pointer::parse(text).map_err(|fault| match fault {
        PointerFault::NoSlash => {
            mistake(0, "profile.pointer_slash", &[("pointer", &text.escape_debug())])
        }
        PointerFault::Tilde(at) => mistake(at, "profile.pointer_tilde", &[]),
    })
}

fn template(entry: &Entry<'_>, text: &str) -> Result<Template, ClientError> {
    Template::parse(text).map_err(|(at, fault)| {
        let (key, found, at) = match fault {
            TemplateFault::Open => ("profile.template.open", String::new(), at),
            TemplateFault::Closed => ("profile.template.closed", String::new(), at),
            TemplateFault::Nameless => ("profile.template.nameless", String::new(), at),
            TemplateFault::Unknown(name) => {
                ("profile.template.unknown", name.escape_debug().to_string(), at)
            }
            TemplateFault::Pointer(PointerFault::Tilde(more)) => {
                ("profile.pointer_tilde", String::new(), at + 1 + more)
            }
            TemplateFault::Pointer(PointerFault::NoSlash) => {
                ("profile.template.nameless", String::new(), at)
            }
        };
        entry.mistake_at(at, key, &[("found", &found)])
    })
}
