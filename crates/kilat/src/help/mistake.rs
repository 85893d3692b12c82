//! What is said when the command line can't be understood, and how help is put out.

use super::{in_language, with_phrases};
use crate::lang::{Lang, say};
use crate::output;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};
use std::error::Error as _;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

/// Exit code when the command line is wrong.
const USAGE: u8 = 2;
/// Most commands that are named as those that have an option.
const NAMED_MAX: usize = 4;

/// Shows help on stdout, or what is wrong on stderr.
pub(super) fn show(mut error: Error, command: &Command, lang: Lang) -> ExitCode {
    let elsewhere = elsewhere(&error, command, lang);
    if elsewhere.is_some() {
        // What is only similar was not meant then.
        error.remove(ContextKind::SuggestedArg);
    }
    if lang == Lang::English {
        if let Some(tip) = elsewhere {
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
        }
        match out_of_range(&error, lang) {
            Some((said, plainly)) => tell(&rendered(&error).replace(&said, &plainly)),
            // Where nobody reads, the exit code still says it.
            None => drop(error.print()),
        }
        return code(&error);
    }
    let text = rendered(&error);
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            return output::print(&translated(&text)).unwrap_or_else(|failure| failure.report());
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => tell(&translated(&text)),
        _ => {
            let what = explain(&error, lang).unwrap_or(text);
            let tip = elsewhere.map(|tip| format!("\n\n  {tip}")).unwrap_or_default();
            let usage = error.get(ContextKind::Usage).map(text_of);
            let usage = usage.map(|usage| translated(&format!("\n\n{usage}"))).unwrap_or_default();
            tell(&format!("kilat: {what}{tip}{usage}\n\n{}\n", say!(lang, "usage.more")));
        }
    }
    code(&error)
}

fn rendered(error: &Error) -> String {
    let in_colour = match error.use_stderr() {
        true => std::io::stderr().is_terminal(),
        false => std::io::stdout().is_terminal(),
    };
    let rendered = error.render();
    if in_colour { rendered.ansi().to_string() } else { rendered.to_string() }
}

/// What clap says of a number out of its range, and how people write that.
fn out_of_range(error: &Error, lang: Lang) -> Option<(String, String)> {
    let said = error.source()?.to_string();
    let (value, range) = said.split_once(" is not in ")?;
    let (from, to) = range.split_once("..=")?;
    let bound = |bound: &str| Some(lang.number(bound.parse().ok()?));
    let (from, to) = (bound(from)?, bound(to)?);
    let plainly = say!(lang, "usage.range", value = value, from = from, to = to);
    Some((said, plainly))
}

fn code(error: &Error) -> ExitCode {
    if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}

/// Where nobody reads, the exit code still says it.
fn tell(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Help with what clap itself says, and what values mean, in Indonesian.
fn translated(help: &str) -> String {
    with_phrases(in_one_piece(help), &["words", "values"])
}

/// A line may have been broken within the words before possible values; then it breaks before them.
fn in_one_piece(help: &str) -> String {
    const BEFORE: &str = "[possible";
    let mut parts = help.split(BEFORE);
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (gap, rest) = part.split_at(part.len() - part.trim_start().len());
        match rest.strip_prefix("values: ") {
            Some(values) if gap.contains('\n') => {
                whole.truncate(whole.trim_end().len());
                whole.extend([gap, BEFORE, " values: ", values]);
            }
            _ => whole.extend([BEFORE, part]),
        }
    }
    whole
}

/// One sentence, if this kind of mistake has one.
fn explain(error: &Error, lang: Lang) -> Option<String> {
    let part = |kind| error.get(kind).map(text_of);
    let argument = || part(ContextKind::InvalidArg).unwrap_or_default();
    let value = || part(ContextKind::InvalidValue).unwrap_or_default();
    Some(match error.kind() {
        ErrorKind::InvalidValue if value().is_empty() => {
            say!(lang, "usage.no_value", argument = argument())
        }
        ErrorKind::InvalidValue => {
            let known = part(ContextKind::ValidValue).unwrap_or_default();
            say!(lang, "usage.value", argument = argument(), value = value(), known = known)
        }
        ErrorKind::ValueValidation => {
            let why = error.source().map(ToString::to_string).unwrap_or_default();
            let why = match out_of_range(error, lang) {
                Some((_, plainly)) => plainly,
                None => in_language(&why, lang),
            };
            say!(lang, "usage.bad_value", argument = argument(), value = value(), why = why)
        }
        ErrorKind::UnknownArgument => {
            let near = part(ContextKind::SuggestedArg)
                .map(|near| format!("; {}", say!(lang, "usage.near", near = near)));
            let near = near.unwrap_or_default();
            say!(lang, "usage.unknown", argument = argument(), near = near)
        }
        ErrorKind::InvalidSubcommand => {
            let asked = part(ContextKind::InvalidSubcommand).unwrap_or_default();
            let near = part(ContextKind::SuggestedSubcommand)
                .map(|near| format!("; {}", say!(lang, "usage.near", near = near)));
            say!(lang, "usage.command", asked = asked, near = near.unwrap_or_default())
        }
        ErrorKind::MissingRequiredArgument => {
            say!(lang, "usage.missing", argument = argument())
        }
        ErrorKind::MissingSubcommand => say!(lang, "usage.no_command"),
        ErrorKind::ArgumentConflict => {
            let other = part(ContextKind::PriorArg).unwrap_or_default();
            if other == argument() {
                say!(lang, "usage.twice", argument = argument())
            } else {
                say!(lang, "usage.conflict", argument = argument(), other = other)
            }
        }
        ErrorKind::NoEquals => say!(lang, "usage.no_equals", argument = argument()),
        ErrorKind::TooManyValues => {
            say!(lang, "usage.too_many", argument = argument(), value = value())
        }
        ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            say!(lang, "usage.no_value", argument = argument())
        }
        ErrorKind::InvalidUtf8 => say!(lang, "usage.not_utf8"),
        _ => return None,
    })
}

fn text_of(value: &ContextValue) -> String {
    match value {
        ContextValue::Strings(all) => all.join(", "),
        other => other.to_string(),
    }
}

/// Which other commands have the option that this one has not.
fn elsewhere(error: &Error, command: &Command, lang: Lang) -> Option<String> {
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let typed = text_of(error.get(ContextKind::InvalidArg)?);
    let option = typed.split(['=', ' ']).next()?.strip_prefix("--")?;
    let mut having = Vec::new();
    commands_with(option, command, "kilat", &mut having);
    having.truncate(NAMED_MAX);
    let commands = having.join(", ");
    let name = format!("--{option}");
    (!having.is_empty()).then(|| say!(lang, "usage.elsewhere", option = name, commands = commands))
}

fn commands_with(option: &str, command: &Command, path: &str, found: &mut Vec<String>) {
    let mut arguments = command.get_arguments().filter(|argument| !argument.is_hide_set());
    if path != "kilat" && arguments.any(|argument| argument.get_long() == Some(option)) {
        found.push(path.to_owned());
        // Those below have it from this one.
        return;
    }
    for below in command.get_subcommands() {
        commands_with(option, below, &format!("{path} {}", below.get_name()), found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_a_line_was_broken_within_are_translated_too() {
        for (help, expected) in [
            ("--a  Text [possible values: x, y]", "--a  Text [pilihan: x, y]"),
            (
                "--a  Text [possible\n     values: x, y]\n--b",
                "--a  Text\n     [pilihan: x, y]\n--b",
            ),
            ("what is possible [possible", "what is possible [possible"),
        ] {
            assert_eq!(translated(help), expected);
        }
    }
}
