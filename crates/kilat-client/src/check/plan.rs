//! What was asked, as things that can be used. Whatever can't work is refused here, before
//! anything is sent or written.

use super::audit::{Format, RunFacts, SeedWords, unknown_ids};
use super::exchange::{Exchange, ExchangeOptions, Http2, connections_allowed};
use super::ids::{IdForm, IdInput};
use super::options::{CheckOptions, InputForm, LogFormat};
use super::pace::{CONCURRENCY_MAX, PaceOptions};
use super::profile::Profile;
use super::{ID_BYTES_MAX, Id};
use crate::events::check_range;
use crate::{ClientError, Lang};
use std::collections::HashSet;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// Stands for stdin where an id or a file is named; no other file is called so.
const STDIN: &str = "-";
/// Most retries that can be asked for.
const RETRIES_MAX: u32 = 1_000;
/// With fewer connections a check is slow, and its user is told why.
const FEW_CONNECTIONS: u32 = 64;
/// By how many bytes a reply may be longer for each id beyond the first.
const FURTHER_ID_BYTES: usize = 8 << 10;

/// A check that can start.
pub(super) struct Plan {
    pub(super) profile: Profile,
    /// How the API is asked.
    pub(super) pace: PaceOptions,
    pub(super) exchange: Exchange,
    pub(super) inputs: Vec<IdInput>,
    pub(super) log: PathBuf,
    pub(super) format: Format,
    /// Language of messages in the log.
    pub(super) log_lang: Lang,
    /// Stdin can't be read again to go on.
    pub(super) reads_stdin: bool,
}

impl Plan {
    /// # Errors
    /// [`ClientError::Usage`] with what to change.
    pub(super) fn new(options: &CheckOptions) -> Result<Plan, ClientError> {
        let lang = options.lang;
        check_ranges(options)?;
        refuse_no_files(options)?;
        let profile = profile(options)?;
        let inputs = inputs(options, &profile)?;
        let log = log(options, &profile);
        refuse_one_file_for_both(options, &log)?;
        let pace = pace(options)?;
        Ok(Plan {
            exchange: exchange(options, &profile, &pace)?,
            pace,
            reads_stdin: inputs.iter().any(is_stdin),
            inputs,
            log,
            format: format(options, &profile)?,
            log_lang: match options.format {
                LogFormat::Json => lang,
                LogFormat::Seed => Lang::Indonesian,
            },
            profile,
        })
    }
}

impl Plan {
    /// How many connections the system allows, when that is so few that a check becomes slow.
    pub(super) fn few_connections(&self) -> Option<u32> {
        let is_few = self.pace.concurrency.is_none() && self.pace.places < FEW_CONNECTIONS;
        is_few.then_some(self.pace.places)
    }
}

fn check_ranges(options: &CheckOptions) -> Result<(), ClientError> {
    let lang = options.lang;
    let concurrency = options.pace.concurrency.unwrap_or(1);
    check_range("concurrency", concurrency.into(), 1.0, CONCURRENCY_MAX.into(), lang)?;
    check_range("retries", options.pace.retries.into(), 0.0, RETRIES_MAX.into(), lang)
}

fn profile(options: &CheckOptions) -> Result<Profile, ClientError> {
    let (name, lang) = (&options.profile, options.lang);
    let mut profile = if is_file(name) {
        Profile::open(Path::new(name), &*options.secret, lang)?
    } else {
        Profile::builtin(name).ok_or_else(|| unknown_profile(name, lang))?
    };
    if let Some(url) = &options.url {
        profile = profile.at(url, lang)?;
    }
    if let Some(path) = &options.bootstrap {
        profile = profile.with_bootstrap(path, lang)?;
    }
    if profile.needs_bootstrap() {
        return Err(usage("check.input.bootstrap", &[("profile", &profile.name())], lang));
    }
    Ok(profile)
}

/// Whether a profile's name is that of a file.
fn is_file(name: &str) -> bool {
    name.contains('/') || name.ends_with(".toml")
}

/// There is no built-in profile of that name: which there are.
#[must_use]
pub fn unknown_profile(name: &str, lang: Lang) -> ClientError {
    let known: Vec<&str> = Profile::names().collect();
    let values: [(&str, &dyn Display); 2] = [("profile", &name), ("known", &known.join(", "))];
    let is_own = is_file(name);
    let key = if is_own { "check.input.own_profile" } else { "check.input.unknown_profile" };
    usage(key, &values, lang)
}

fn inputs(options: &CheckOptions, profile: &Profile) -> Result<Vec<IdInput>, ClientError> {
    let lang = options.lang;
    let mut inputs = Vec::new();
    let mut listed = Vec::new();
    for (at, text) in options.ids.iter().enumerate() {
        match text.as_str() {
            STDIN => inputs.push(IdInput::Stdin { form: form(options, None)? }),
            text => listed.push(Id::new(text.trim()).ok_or_else(|| {
                let most = lang.number(ID_BYTES_MAX as u64);
                usage("check.input.empty_id", &[("place", &(at + 1)), ("most", &most)], lang)
            })?),
        }
    }
    if !listed.is_empty() {
        inputs.insert(0, IdInput::Listed(listed));
    }
    for path in &options.files {
        inputs.push(if path.as_os_str() == STDIN {
            IdInput::Stdin { form: form(options, None)? }
        } else {
            IdInput::File { path: path.clone(), form: form(options, Some(path))? }
        });
    }
    if inputs.iter().filter(|input| is_stdin(input)).count() > 1 {
        return Err(usage("check.input.stdin_twice", &[], lang));
    }
    if let Some(log) = &options.unknown_from {
        inputs.push(IdInput::Listed(unknown_ids(log, &facts(profile, lang))?));
    }
    let is_read = |input: &IdInput| !matches!(input, IdInput::Listed(_));
    let says_how = options.column.is_some() || options.field.is_some() || options.form.is_some();
    if says_how && !inputs.iter().any(is_read) {
        return Err(usage("check.input.nothing_to_read", &[], lang));
    }
    if inputs.is_empty() {
        if profile.own_ids().is_empty() {
            return Err(usage("check.input.no_ids", &[("profile", &profile.name())], lang));
        }
        inputs.push(IdInput::Listed(profile.own_ids().to_vec()));
    }
    Ok(inputs)
}

/// What a run with this profile begins with.
pub(super) fn facts(profile: &Profile, lang: Lang) -> RunFacts {
    RunFacts {
        profile: profile.name().to_owned(),
        url: profile.url().to_owned(),
        lang,
        total: None,
    }
}

/// What was said, else what the ending says, else what the other options are for.
fn form(options: &CheckOptions, path: Option<&PathBuf>) -> Result<IdForm, ClientError> {
    let ending = path.and_then(|path| path.extension()).and_then(|ending| ending.to_str());
    let by_ending = match ending.map(str::to_ascii_lowercase).as_deref() {
        Some("csv" | "tsv") => Some(InputForm::Csv),
        Some("jsonl" | "ndjson") => Some(InputForm::JsonLines),
        _ if options.column.is_some() => Some(InputForm::Csv),
        _ if options.field.is_some() => Some(InputForm::JsonLines),
        _ => None,
    };
    match options.form.or(by_ending) {
        None => Ok(IdForm::Guessed),
        Some(InputForm::Text) => Ok(IdForm::Text),
        Some(InputForm::JsonLines) => Ok(IdForm::JsonLines { field: options.field.clone() }),
        Some(InputForm::Csv) => {
            let column = options.column.clone().ok_or_else(|| {
                let file =
                    path.map_or_else(|| "stdin".to_owned(), |path| path.display().to_string());
                usage("check.input.no_column", &[("file", &file)], options.lang)
            })?;
            Ok(IdForm::Csv { column })
        }
    }
}

fn is_stdin(input: &IdInput) -> bool {
    matches!(input, IdInput::Stdin { .. })
}

/// Different ids, if that is known without reading anything.
pub(super) fn total(inputs: &[IdInput]) -> Option<u64> {
    let mut distinct = HashSet::new();
    for input in inputs {
        match input {
            IdInput::Listed(ids) => distinct.extend(ids),
            _ => return None,
        }
    }
    Some(distinct.len() as u64)
}

/// What the user asked for, with no more calls at once than the system has connections for:
/// those beyond would wait for one within their own time.
fn pace(options: &CheckOptions) -> Result<PaceOptions, ClientError> {
    let wanted = options.pace.most() as usize;
    let allowed = connections_allowed(wanted);
    if allowed < wanted && options.pace.concurrency.is_some() {
        let values: [(&str, &dyn Display); 2] = [("allowed", &allowed), ("wanted", &wanted)];
        return Err(usage("check.input.few_files", &values, options.lang));
    }
    Ok(PaceOptions { places: u32::try_from(allowed).unwrap_or(u32::MAX), ..options.pace.clone() })
}

fn exchange(
    options: &CheckOptions,
    profile: &Profile,
    pace: &PaceOptions,
) -> Result<Exchange, ClientError> {
    let usual = ExchangeOptions::default();
    let further_ids = profile.batch_size().saturating_sub(1);
    let carried = ExchangeOptions {
        timeout: options.pace.timeout,
        body_bytes_max: usual.body_bytes_max + further_ids * FURTHER_ID_BYTES,
        http2: if options.http2 { Http2::PriorKnowledge } else { Http2::Auto },
        ca: options.ca.clone(),
        connections_max: pace.most() as usize,
        allow_private: options.allow_private,
    };
    Exchange::new(&carried, options.lang)
}

fn log(options: &CheckOptions, profile: &Profile) -> PathBuf {
    let name = || match (options.format, profile.seed()) {
        (LogFormat::Seed, Some(seed)) => seed.log_file.clone(),
        _ => format!("kilat-check-{}.jsonl", profile.name()),
    };
    options.log.clone().unwrap_or_else(|| name().into())
}

fn format(options: &CheckOptions, profile: &Profile) -> Result<Format, ClientError> {
    if options.format == LogFormat::Json {
        return Ok(Format::Json);
    }
    let texts = profile.seed().ok_or_else(|| {
        usage("check.input.no_seed", &[("profile", &profile.name())], options.lang)
    })?;
    Ok(Format::Seed(SeedWords {
        header: texts.header.clone(),
        all: texts.all.clone(),
        each: texts.each.clone(),
        done: texts.done.clone(),
    }))
}

/// For programs that take `-` for stdout, a file of that name is a surprise.
fn refuse_no_files(options: &CheckOptions) -> Result<(), ClientError> {
    let named = [("log", &options.log), ("html", &options.html)];
    let is_none = |path: &PathBuf| path.as_os_str() == STDIN;
    match named.iter().find(|(_, path)| path.as_ref().is_some_and(is_none)) {
        Some((option, _)) => Err(usage("check.input.no_file", &[("option", option)], options.lang)),
        None => Ok(()),
    }
}

/// A page would take the place of the log.
fn refuse_one_file_for_both(options: &CheckOptions, log: &Path) -> Result<(), ClientError> {
    let place = |path: &Path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok();
        folder.zip(path.file_name().map(ToOwned::to_owned))
    };
    match &options.html {
        Some(html) if place(html).is_some() && place(html) == place(log) => {
            Err(usage("check.input.html_is_log", &[("file", &html.display())], options.lang))
        }
        _ => Ok(()),
    }
}

fn usage(key: &str, values: &[(&str, &dyn Display)], lang: Lang) -> ClientError {
    ClientError::Usage(lang.say(key, values))
}
