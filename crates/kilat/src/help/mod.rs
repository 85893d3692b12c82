//! The command line in the reader's language: help, and what is wrong with what was typed.
//!
//! English is what the arguments' own documentation says; Indonesian is in `id.toml` beside this
//! file. Nothing here knows what a command does.

mod mistake;

use crate::cli::Cli;
use crate::lang::{self, Lang};
use clap::{Arg, Command, CommandFactory, FromArgMatches};
use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::OnceLock;
use toml::Table;

/// The Indonesian texts.
const INDONESIAN: &str = include_str!("id.toml");

/// What was asked for, or the exit code once help or a mistake was shown.
pub(crate) fn parse() -> Result<Cli, ExitCode> {
    let typed: Vec<OsString> = std::env::args_os().collect();
    let lang = lang::before_parsing(&typed);
    let mut command = command(lang);
    let parsed = command.try_get_matches_from_mut(typed).and_then(|matches| {
        Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    });
    parsed.map_err(|error| mistake::show(error, &command, lang))
}

/// The commands and their arguments, described in `lang`.
pub(crate) fn command(lang: Lang) -> Command {
    match lang {
        Lang::English => Cli::command(),
        Lang::Indonesian => translated(Cli::command(), texts(), &["kilat"]),
    }
}

/// A text that can't be read is found by a test; then help is in English.
fn texts() -> &'static Table {
    static TEXTS: OnceLock<Table> = OnceLock::new();
    TEXTS.get_or_init(|| INDONESIAN.parse().unwrap_or_default())
}

fn translated(mut command: Command, texts: &'static Table, path: &[&str]) -> Command {
    if let Some(about) = text_of(texts, path, "about") {
        command = command.about(without_full_stop(about));
        if let Some(more) = text_of(texts, path, "more") {
            command = command.long_about(format!("{about}\n\n{more}"));
        }
    }
    command = command.mut_args(|argument| translated_argument(argument, texts, path));
    let below: Vec<String> = command.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    for name in below {
        let mut path: Vec<&str> = path.iter().copied().filter(|name| *name != "kilat").collect();
        path.push(&name);
        command = command.mut_subcommand(&name, |below| translated(below, texts, &path));
    }
    command
}

fn translated_argument(argument: Arg, texts: &'static Table, path: &[&str]) -> Arg {
    let id = argument.get_id().to_string();
    let heading = argument.get_help_heading();
    let heading = heading.and_then(|known| texts.get("headings")?.get(known)?.as_str());
    let argument = match text_of(texts, path, &id).or_else(|| text_of(texts, &["shared"], &id)) {
        Some(text) => argument.help(without_full_stop(text)),
        None => argument,
    };
    match heading {
        Some(heading) => argument.help_heading(heading),
        None => argument,
    }
}

/// What a library or another process says, in `lang`: known phrases are replaced, the rest stays.
pub(crate) fn in_language(said: &str, lang: Lang) -> String {
    match lang {
        Lang::English => said.to_owned(),
        Lang::Indonesian => with_phrases(said.to_owned(), &["said"]),
    }
}

/// Text with the phrases of these tables in Indonesian.
fn with_phrases(text: String, tables: &[&str]) -> String {
    let tables = tables.iter().filter_map(|name| texts().get(*name)?.as_table());
    let mut pairs: Vec<(&str, &str)> =
        tables.flatten().filter_map(|(from, to)| Some((from.as_str(), to.as_str()?))).collect();
    // One may hold another.
    pairs.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
    pairs.into_iter().fold(text, |text, (from, to)| text.replace(from, to))
}

/// As the English ones, which lose it when they become help.
fn without_full_stop(text: &str) -> String {
    text.strip_suffix('.').unwrap_or(text).to_owned()
}

fn text_of<'a>(texts: &'a Table, path: &[&str], key: &str) -> Option<&'a str> {
    let mut table = texts;
    for name in path {
        table = table.get(*name)?.as_table()?;
    }
    table.get(key)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Every command and every argument that help shows, as the path of its text.
    fn shown(command: &Command, path: &[&str], found: &mut Vec<(Vec<String>, String)>) {
        let place: Vec<String> = path.iter().map(|name| (*name).to_owned()).collect();
        assert!(command.get_about().is_some(), "{place:?} says nothing in English");
        found.push((place.clone(), "about".to_owned()));
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            assert!(argument.get_help().is_some(), "{place:?} {} in English", argument.get_id());
            found.push((place.clone(), argument.get_id().to_string()));
        }
        for below in command.get_subcommands() {
            let path: Vec<&str> = path.iter().copied().filter(|name| *name != "kilat").collect();
            shown(below, &[&path[..], &[below.get_name()]].concat(), found);
        }
    }

    fn keys(table: &Table, path: &str, found: &mut BTreeSet<String>) {
        for (name, value) in table {
            let path = format!("{path}.{name}");
            match value.as_table() {
                Some(below) => keys(below, &path, found),
                None => drop(found.insert(path)),
            }
        }
    }

    #[test]
    fn every_command_and_argument_has_a_text_in_both_languages_and_none_is_left_over() {
        let texts: Table = INDONESIAN.parse().unwrap();
        let mut all = Vec::new();
        shown(&Cli::command(), &["kilat"], &mut all);
        assert!(all.len() > 150, "{}", all.len());
        let mut unused = BTreeSet::new();
        keys(&texts, "", &mut unused);
        let mut missing = Vec::new();
        for (path, key) in &all {
            let place: Vec<&str> = path.iter().map(String::as_str).collect();
            let own = text_of(&texts, &place, key).map(|_| format!(".{}.{key}", path.join(".")));
            let shared = text_of(&texts, &["shared"], key).map(|_| format!(".shared.{key}"));
            match own.or(shared) {
                Some(key) => drop(unused.remove(&key)),
                None => missing.push(format!("{} {key}", path.join(" "))),
            }
        }
        unused.retain(|key| {
            let of_clap = [".headings.", ".words.", ".values.", ".said.", ".kilat.more"];
            !of_clap.iter().any(|known| key.starts_with(known))
        });
        assert_eq!((missing, unused), (vec![], BTreeSet::new()));
    }

    #[test]
    fn what_others_say_is_known_in_part_or_in_whole() {
        for (said, expected) in [
            ("killed", "dimatikan paksa"),
            ("killed: no answer for 10 s", "dimatikan paksa: tidak ada jawaban, dalam 10 s"),
            ("ended with exit code 1", "berakhir dengan kode keluar 1"),
            ("99 is not in 1..=16", "99 di luar 1..=16"),
            ("something new", "something new"),
        ] {
            assert_eq!(in_language(said, Lang::Indonesian), expected);
            assert_eq!(in_language(said, Lang::English), said);
        }
    }

    #[test]
    fn the_translated_command_line_is_sound() {
        command(Lang::Indonesian).debug_assert();
    }
}
