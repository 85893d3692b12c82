//! One run: ids, lookups and the log put together, and what came of it.

use super::again::{quote, resume_command, same_command};
use super::audit::{
    Audit, AuditOptions, Counts as Done, Ending, OnDurable, RunFacts, RunId, Sealed, Seen,
    findings_of,
};
use super::estimate::Estimate;
use super::gauges::Gauges;
use super::ids::{IdInput, Ids};
use super::lookups::{self, RunEnd, Why};
use super::options::{CheckOptions, LogFormat, OutputForm};
use super::pace::PaceOptions;
use super::plan::{Plan, facts, total};
use super::show::{
    BAR_EVERY, Board, Change, LISTED_MAX, PAGE_ROWS_MAX, PageFile, Paint, Progress, REPORT_VERSION,
    Report, Resumed, Rows, Scene, Tally, Traffic, listing,
};
use super::stop::{Stop, Urgency};
use crate::ClientError;
use crate::http::random_bits;
use jiff::Timestamp;
use std::io::Write;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Where the built-in profiles ask, and `kilat lookup` answers unless told otherwise.
const PRACTICE_URL: &str = "http://127.0.0.1:5000/";
/// Longest command that is printed to be copied, in bytes; of a longer one only what to add.
const COMMAND_BYTES_MAX: usize = 4_096;

/// One run after the other, on one log.
pub(super) struct Rounds<'a> {
    pub(super) options: &'a CheckOptions,
    pub(super) plan: &'a Plan,
    pub(super) board: Arc<Board>,
    pub(super) runtime: Runtime,
    page: Option<PageFile>,
}

/// What a run left behind when its last record was on disk.
struct Ended {
    started_at: Timestamp,
    elapsed: Duration,
    end: RunEnd,
    sealed: Sealed,
    skipped: u64,
    resumed: Done,
}

/// One run and what it showed.
pub(super) struct Round {
    pub(super) report: Report,
    pub(super) tally: Tally,
    /// What is different from the run before.
    pub(super) changes: Vec<Change>,
}

impl<'a> Rounds<'a> {
    /// # Errors
    /// [`ClientError::Fault`] when the system gives no sockets or `out` takes no header.
    pub(super) fn new(
        options: &'a CheckOptions,
        plan: &'a Plan,
        page: Option<PageFile>,
        out: Box<dyn Write + Send>,
    ) -> Result<Rounds<'a>, ClientError> {
        let fault = |error: std::io::Error| ClientError::Fault(error.to_string());
        let kept_max = if page.is_some() { PAGE_ROWS_MAX } else { LISTED_MAX };
        let rows = match options.output {
            OutputForm::Text => Rows::Text(out),
            OutputForm::Json => Rows::json(out),
            OutputForm::Csv => Rows::csv(out).map_err(fault)?,
        };
        let board = Board::new(kept_max, rows, options.watch.is_some(), options.lang);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Rounds { options, plan, board: Arc::new(board), runtime: runtime.map_err(fault)?, page })
    }

    /// Ends without waiting for what can't be called back: a resolver that answers nobody holds
    /// its thread for minutes.
    pub(super) fn leave(self) {
        self.runtime.shutdown_background();
    }

    /// Checks once and shows what came of it.
    ///
    /// # Errors
    /// As [`super::run`].
    pub(super) fn once(&mut self, progress: &mut Progress) -> Result<Report, ClientError> {
        let inputs = self.plan.inputs.clone();
        let round = self.round(inputs, self.options.overwrite, progress)?;
        self.show(&round, progress);
        self.write_page(&round)?;
        self.check_shown()?;
        Ok(round.report)
    }

    /// One run, of which everything is on disk when it is over; not shown yet.
    ///
    /// # Errors
    /// As [`super::run`].
    pub(super) fn round(
        &self,
        inputs: Vec<IdInput>,
        overwrite: bool,
        progress: &mut Progress,
    ) -> Result<Round, ClientError> {
        let asked_at = Instant::now();
        // A list that a stop cut short is not all there is.
        let is_whole = self.options.stop.urgency() == Urgency::None;
        let total = total(&inputs).filter(|_| is_whole);
        // Opening the log shows that the clock's time can be written down.
        let (mut ids, audit, resumed) = self.open(inputs, total, overwrite, progress)?;
        let estimate = Estimate::new(total, resumed.total());
        let started_at = Timestamp::now();
        let gauges = Gauges::default();
        let began = Instant::now();
        let pace = self.plan.pace.after(began - asked_at);
        let end = self.look_up(&mut ids, &audit, &gauges, &pace, &estimate, progress);
        let sealed = audit.finish(self.ending(&end, began.elapsed()))?;
        let elapsed = began.elapsed();
        let (tally, changes) = self.board.end_round();
        let skipped = ids.skipped();
        let ended = Ended { started_at, elapsed, end, sealed, skipped, resumed };
        Ok(Round { report: self.report(&ended, &tally), tally, changes })
    }

    /// The ids first: what can't be read must not leave a run in the log.
    fn open(
        &self,
        inputs: Vec<IdInput>,
        total: Option<u64>,
        overwrite: bool,
        progress: &Progress,
    ) -> Result<(Ids, Audit, Done), ClientError> {
        let Rounds { options, plan, .. } = self;
        let lang = options.lang;
        let log = AuditOptions {
            path: plan.log.clone(),
            format: plan.format.clone(),
            overwrite,
            resume: options.resume,
            run: RunFacts { total, ..facts(&plan.profile, lang) },
            on_durable: self.on_durable(),
        };
        if !options.resume {
            let ids = self.open_ids(inputs, Seen::in_temp_dir())?;
            let (audit, _) = Audit::open(log)?;
            return Ok((ids, audit, Done::default()));
        }
        self.try_files(&inputs)?;
        let (audit, resumed) = Audit::open(log)?;
        if resumed.root.is_none() {
            progress.line(&lang.say("check.run.new_run", &[]));
        }
        Ok((self.open_ids(inputs, resumed.seen)?, audit, resumed.done))
    }

    /// Begins to read ids. An input that is not open when the check is to end, such as a pipe that
    /// nobody writes to, is no mistake: the run begins, and says why it ended. Files that name no
    /// id, or are wrong before they name one, are a mistake; a pipe may well bring none.
    pub(super) fn open_ids(&self, inputs: Vec<IdInput>, seen: Seen) -> Result<Ids, ClientError> {
        let Rounds { options, plan, runtime, .. } = self;
        let files = only_files(&inputs);
        let mut ids = Ids::start(inputs, seen, options.lang)?;
        let opened = async {
            ids.opened().await?;
            match files {
                Some(files) if ids.is_blank().await? => {
                    Err(ClientError::Usage(options.lang.say("ids.none", &[("files", &files)])))
                }
                _ => Ok(()),
            }
        };
        runtime.block_on(async {
            tokio::select! {
                opened = opened => opened,
                () = options.stop.until(Urgency::Soon) => Ok(()),
                () = passed(plan.pace.deadline) => Ok(()),
            }
        })?;
        Ok(ids)
    }

    /// Whether files can be read at all: the ids can't be opened before the log that says which of
    /// them have ended, and a mistake must not leave a run in it. What is read only once is left
    /// alone.
    fn try_files(&self, inputs: &[IdInput]) -> Result<(), ClientError> {
        let is_file =
            |input: &&IdInput| matches!(input, IdInput::File { path, .. } if !is_read_once(path));
        let files = inputs.iter().filter(is_file).cloned().collect();
        self.open_ids(files, Seen::in_temp_dir()).map(drop)
    }

    /// Shows what is on disk, and ends the run when nobody reads it.
    fn on_durable(&self) -> OnDurable {
        let (board, stop) = (Arc::clone(&self.board), Arc::clone(&self.options.stop));
        Box::new(move |findings| {
            if !board.take(findings) {
                stop.press();
            }
        })
    }

    /// Looks up on this thread; others show how far it is.
    fn look_up(
        &self,
        ids: &mut Ids,
        audit: &Audit,
        gauges: &Gauges,
        pace: &PaceOptions,
        estimate: &Estimate,
        progress: &mut Progress,
    ) -> RunEnd {
        let Rounds { options, plan, board, runtime, .. } = self;
        let asked = lookups::Plan {
            profile: &plan.profile,
            options: pace,
            extras: plan.exchange.extras(),
            gauges,
            stop: &options.stop,
            lang: plan.log_lang,
            wants_steps: audit.wants_steps(),
            seed: random_bits(),
        };
        progress.start();
        let shown = &mut *progress;
        let stop: &Stop = &options.stop;
        let end = std::thread::scope(|scope| {
            let (end, ended) = channel::<()>();
            if shown.has_bar() {
                scope.spawn(|| estimate.count(&plan.inputs));
            }
            scope.spawn(move || {
                while ended.recv_timeout(BAR_EVERY) == Err(RecvTimeoutError::Timeout) {
                    let is_stopping = stop.urgency() > Urgency::None;
                    shown.tick(&Scene { is_stopping, ..scene(board, gauges, estimate.get()) });
                }
            });
            let result = runtime.block_on(lookups::run(
                &asked,
                async || ids.next().await,
                async |request| plan.exchange.send(request).await,
                async |entry| audit.record(entry).await,
            ));
            estimate.end();
            drop(end);
            result
        });
        progress.finish();
        end
    }

    /// How the run ended, for its last record.
    fn ending(&self, end: &RunEnd, elapsed: Duration) -> Ending {
        Ending {
            complete: end.is_complete(),
            reason: self.reason(end).unwrap_or_default(),
            requests: end.totals.requests,
            elapsed,
        }
    }

    fn reason(&self, end: &RunEnd) -> Option<String> {
        let lang = self.options.lang;
        match (&end.why, self.board.failure()) {
            (Why::Stopped, Some(why)) => Some(lang.say("check.run.reader_gone", &[("why", &why)])),
            _ => end.reason(lang),
        }
    }

    fn report(&self, ended: &Ended, tally: &Tally) -> Report {
        let Ended { end, sealed, resumed, .. } = ended;
        let (complete, totals) = (end.is_complete(), end.totals);
        let is_mistaken = matches!(end.why, Why::Input(ClientError::Usage(_)));
        let mut report = Report {
            version: REPORT_VERSION,
            profile: self.plan.profile.name().to_owned(),
            url: self.plan.profile.url().to_owned(),
            run: sealed.run.to_string(),
            started_at: ended.started_at,
            complete,
            cancelled: end.why == Why::Stopped && self.board.failure().is_none(),
            reason: self.reason(end),
            next: (!complete && self.options.watch.is_none()).then(|| self.next(is_mistaken)),
            hint: totals.nobody_answers().then(|| self.hint()),
            ids: 0,
            found: 0,
            not_found: 0,
            unknown: 0,
            notable: 0,
            resumed: Resumed {
                found: resumed.found,
                not_found: resumed.not_found,
                unknown: resumed.unknown,
            },
            skipped: ended.skipped,
            seconds: ended.elapsed.as_secs_f64(),
            floor_seconds: totals.floor().as_secs_f64(),
            traffic: Traffic {
                requests: totals.requests,
                retries: totals.retries,
                hedges: totals.hedges,
                pushbacks: totals.pushbacks,
                in_flight_most: totals.in_flight_most.into(),
            },
            latency_us: None,
            log: self.plan.log.display().to_string(),
            seal: sealed.seal.clone(),
            usage: is_mistaken,
            latency_buckets: Vec::new(),
        };
        report.count(tally);
        if complete {
            report.next = self.again(&report);
        }
        report
    }

    /// How to ask again for what nobody could say.
    fn again(&self, report: &Report) -> Option<String> {
        let Rounds { options, plan, .. } = self;
        let is_asked = options.watch.is_none() && options.format == LogFormat::Json;
        let is_unknown = report.unknown + report.resumed.unknown > 0;
        let log = quote(&plan.log.display().to_string());
        let key = match options.overwrite || options.html.is_some() {
            true => "check.run.next_unknown_anew",
            false => "check.run.next_unknown",
        };
        (is_asked && is_unknown).then(|| options.lang.say(key, &[("log", &log)]))
    }

    /// What to do when nobody was there to be asked.
    fn hint(&self) -> String {
        let url = self.plan.profile.url();
        let key = match url.starts_with(PRACTICE_URL) {
            true => "check.run.nobody_practises",
            false => "check.run.nobody_answers",
        };
        self.options.lang.say(key, &[("server", &origin(url))])
    }

    /// How to go on after a run that did not reach the end.
    fn next(&self, is_mistaken: bool) -> String {
        let lang = self.options.lang;
        // It asks for what is unknown by then.
        if self.options.unknown_from.is_some() {
            let command = same_command(&self.options.command);
            return lang.say("check.run.next", &[("command", &command)]);
        }
        let command = resume_command(&self.options.command);
        let key = match self.options.format {
            LogFormat::Seed => "check.run.next_seed",
            LogFormat::Json if command.len() > COMMAND_BYTES_MAX => "check.run.next_same",
            LogFormat::Json => match (is_mistaken, self.plan.reads_stdin) {
                (true, true) => "check.run.next_mended_stdin",
                (true, false) => "check.run.next_mended",
                (false, true) => "check.run.next_stdin",
                (false, false) => "check.run.next",
            },
        };
        lang.say(key, &[("command", &command)])
    }

    /// The whole result, where it belongs.
    pub(super) fn show(&self, round: &Round, progress: &Progress) {
        let Rounds { options, board, .. } = self;
        let (report, lang) = (&round.report, options.lang);
        let text = report.to_text(lang);
        match options.output {
            OutputForm::Text => {
                let paint = Paint { colour: options.colour };
                board.text(&(listing(&round.tally, paint, lang) + &text));
            }
            OutputForm::Json => {
                board.line(&report.to_json_line());
                let next = [&report.reason, &report.hint, &report.next].into_iter().flatten();
                next.for_each(|line| progress.line(line));
            }
            OutputForm::Csv => progress.line(text.trim_end()),
        }
        if options.format == LogFormat::Seed {
            board.text(&seed_text(report));
        }
    }

    /// Whether everything that was to be shown has been.
    ///
    /// # Errors
    /// [`ClientError::Fault`] when stdout could not take it.
    fn check_shown(&self) -> Result<(), ClientError> {
        let log = self.plan.log.display();
        let lost = |why| {
            let text =
                self.options.lang.say("check.run.not_shown", &[("why", &why), ("log", &log)]);
            Err(ClientError::Fault(text))
        };
        self.board.loss().map_or(Ok(()), lost)
    }

    /// Writes the page, if one is wanted: of this run and of those that it goes on with.
    ///
    /// # Errors
    /// [`ClientError::Usage`] when it can't be written, or the log can't be read back.
    pub(super) fn write_page(&mut self, round: &Round) -> Result<(), ClientError> {
        let Rounds { options, plan, page, .. } = self;
        let (Some(page), lang) = (page, options.lang) else { return Ok(()) };
        let run = RunId::from_text(&round.report.run);
        let Some(run) = run.filter(|_| round.report.resumed.all() > 0) else {
            return page.write(&round.report.to_html(&round.tally, lang), lang);
        };
        let (mut whole, mut report) = (Tally::new(PAGE_ROWS_MAX), round.report.clone());
        findings_of(&plan.log, run, lang, |finding| whole.add(finding))?;
        report.count(&whole);
        page.write(&report.to_html(&whole, lang), lang)
    }
}

/// Scheme, host and port of an address.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + "://".len());
    url[host..].find('/').map_or(url, |end| &url[..host + end])
}

/// Whether what is read of `path` is gone then: a pipe, a device or a socket.
fn is_read_once(path: &Path) -> bool {
    let kind = path.metadata().map(|file| file.file_type());
    kind.is_ok_and(|kind| kind.is_fifo() || kind.is_char_device() || kind.is_socket())
}

/// The names of the inputs when all are files, whose end is near.
fn only_files(inputs: &[IdInput]) -> Option<String> {
    let name = |input: &IdInput| match input {
        IdInput::File { path, .. } if !is_read_once(path) => Some(path.display().to_string()),
        _ => None,
    };
    let names: Vec<String> = inputs.iter().map(name).collect::<Option<_>>()?;
    (!names.is_empty()).then(|| names.join(", "))
}

/// Returns when so much time has passed; never, without an end.
pub(super) async fn passed(span: Option<Duration>) {
    match span {
        Some(span) => tokio::time::sleep(span).await,
        None => std::future::pending().await,
    }
}

fn scene(board: &Board, gauges: &Gauges, all: Option<u64>) -> Scene {
    Scene {
        counts: board.counts(),
        all,
        in_flight: gauges.in_flight.get(),
        limit: gauges.limit.get(),
        waiting: gauges.waiting.get(),
        is_troubled: gauges.troubled.get() > 0,
        ..Scene::default()
    }
}

/// What the seed's client says at the end.
fn seed_text(report: &Report) -> String {
    format!(
        "\nLog aktivitas klien disimpan di: {}\nTotal waktu eksekusi: {:.2} detik.\n",
        report.log, report.seconds
    )
}
