//! A benchmark's parts: which are asked for, what they need, and how a run of them is reported.
//! Must never judge a run by whether a target is reached: it only says so.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::Options;
use super::figure::{self, Figure};
use super::machine::Machine;
use super::scene::Scene;
use crate::setup::{self, Need};

/// What can be asked for alone.
pub(super) struct Part {
    /// The names that its figures carry; the first is its own.
    pub(super) ids: &'static [&'static str],
    pub(super) role: Role,
    pub(super) needs: &'static [Need],
    pub(super) run: fn(&Scene) -> Result<Vec<Figure>>,
}

/// What it means when a part can't be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The run has failed.
    Target,
    /// The table says why. Only what can't be had is excused, not what does not work.
    Peer,
}

/// A peer that can't be had on this machine: one sentence that says why.
#[derive(Debug)]
pub(super) struct Unavailable(pub(super) String);

/// What did not run, and why.
struct Failure {
    id: &'static str,
    why: String,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Unavailable {}

impl Part {
    fn id(&self) -> &'static str {
        self.ids.first().copied().unwrap_or_default()
    }

    fn figures(&self, scene: &Scene) -> Result<Vec<Figure>> {
        let missing: Vec<String> =
            self.needs.iter().filter(|need| !need.is_present()).map(Need::advice).collect();
        let found = if missing.is_empty() {
            (self.run)(scene)
        } else {
            Err(unavailable(missing.join("; ")))
        };
        found.or_else(|error| self.excuse(error))
    }

    fn excuse(&self, error: anyhow::Error) -> Result<Vec<Figure>> {
        match error.downcast_ref::<Unavailable>() {
            Some(Unavailable(why)) if self.role == Role::Peer => {
                Ok(vec![not_measured(self.id(), self.id(), why)])
            }
            _ => Err(error),
        }
    }
}

/// The error of a peer that can't be had.
pub(super) fn unavailable(why: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Unavailable(why.into()))
}

/// Stands in the table where a peer's figure would be.
pub(super) fn not_measured(id: &'static str, what: &str, why: &str) -> Figure {
    Figure::new(id, what, "", Vec::new()).noted(format!("not measured: {why}"))
}

/// Runs the parts that are asked for, prints their figures, and writes them where it is asked to.
///
/// `Ok(false)` when a part failed; never because of a figure.
pub(super) fn run(parts: &'static [Part], options: &Options) -> Result<bool> {
    let parts = select(parts, &options.only)?;
    let scene = Scene::new(options)?;
    setup::provide(&needs(&parts));
    let machine = Machine::examine(scene.root())?;
    println!("{}", machine.line());
    let mut figures = Vec::new();
    let mut failures = Vec::new();
    for part in parts {
        println!("   {} …", part.id());
        match part.figures(&scene) {
            Ok(found) => figures.extend(found),
            Err(error) => failures.push(Failure { id: part.id(), why: format!("{error:#}") }),
        }
    }
    print_result(&figures, &failures, scene.is_smoke());
    if let Some(file) = &options.json {
        write(file, &to_json(&machine, &figures, &failures, scene.is_smoke()))?;
    }
    Ok(failures.is_empty())
}

fn print_result(figures: &[Figure], failures: &[Failure], is_smoke: bool) {
    print!("\n{}", figure::table(figures, is_smoke));
    if is_smoke {
        println!("smoke size: these figures mean nothing");
    }
    for Failure { id, why } in failures {
        println!("{id} failed: {why}");
    }
}

fn to_json(machine: &Machine, figures: &[Figure], failures: &[Failure], is_smoke: bool) -> Value {
    let failed: Vec<_> =
        failures.iter().map(|failure| json!({ "id": failure.id, "why": failure.why })).collect();
    json!({
        "smoke": is_smoke,
        "machine": machine.to_json(),
        "figures": figure::to_json(figures, is_smoke),
        "failures": failed,
    })
}

fn write(file: &Path, result: &Value) -> Result<()> {
    fs::write(file, format!("{result:#}\n"))
        .with_context(|| format!("cannot write {}", file.display()))
}

/// Parts in the order asked for, none twice; all of them when none is named.
fn select(parts: &'static [Part], only: &[String]) -> Result<Vec<&'static Part>> {
    let mut selected: Vec<&'static Part> = Vec::new();
    for id in only {
        let part = find(parts, id)?;
        if !selected.iter().any(|earlier| earlier.id() == part.id()) {
            selected.push(part);
        }
    }
    Ok(if only.is_empty() { parts.iter().collect() } else { selected })
}

fn find(parts: &'static [Part], id: &str) -> Result<&'static Part> {
    let has = |part: &&Part| part.ids.iter().any(|known| known.eq_ignore_ascii_case(id));
    match parts.iter().find(has) {
        Some(part) => Ok(part),
        None => {
            let known: Vec<&str> = parts.iter().flat_map(|part| part.ids).copied().collect();
            bail!("this benchmark has no part `{id}`; there are {}", known.join(", "))
        }
    }
}

fn needs(parts: &[&'static Part]) -> Vec<&'static Need> {
    let mut needs: Vec<&'static Need> = Vec::new();
    for need in parts.iter().flat_map(|part| part.needs) {
        if !needs.contains(&need) {
            needs.push(need);
        }
    }
    needs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: &Scene) -> Result<Vec<Figure>> {
        Ok(Vec::new())
    }

    static SAMPLES: [Part; 2] = [
        Part { ids: &["T1", "T1b"], role: Role::Target, needs: &[], run: nothing },
        Part { ids: &["redis"], role: Role::Peer, needs: &[], run: nothing },
    ];

    #[test]
    fn parts_are_selected_by_their_ids() {
        let ids = |only: &[&str]| -> Result<Vec<&str>> {
            let only: Vec<String> = only.iter().map(|&id| id.to_owned()).collect();
            Ok(select(&SAMPLES, &only)?.iter().map(|part| part.id()).collect())
        };
        assert_eq!(ids(&["Redis", "t1"]).unwrap(), ["redis", "T1"]);
        assert_eq!(ids(&["T1b", "T1"]).unwrap(), ["T1"]);
        assert_eq!(ids(&[]).unwrap(), ["T1", "redis"]);
        let error = ids(&["T99"]).unwrap_err().to_string();
        assert!(error.contains("T99") && error.contains("T1b"), "{error}");
    }

    #[test]
    fn only_a_peer_that_cannot_be_had_is_excused() {
        let [target, peer] = &SAMPLES;
        let excused = |part: &Part, error| part.excuse(error).is_ok();
        assert!(excused(peer, unavailable("no package").context("while installing")));
        assert!(!excused(peer, anyhow::anyhow!("it lost events")));
        assert!(!excused(target, unavailable("no package")));
        let figures = peer.excuse(unavailable("no package")).unwrap();
        assert!(figure::table(&figures, false).contains("not measured: no package"));
    }
}
