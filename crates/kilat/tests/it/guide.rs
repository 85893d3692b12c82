//! `docs/demo.md` as a user follows it: its commands are run, and what they say is compared
//! with what the guide shows.

use crate::program::Running;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const GUIDE: &str = include_str!("../../../../docs/demo.md");
/// What stands in the guide for whatever differs from run to run.
const ANYTHING: char = '…';

/// A command or several, and what the guide says one sees.
pub(crate) struct Step {
    pub(crate) commands: &'static str,
    shown: Option<&'static str>,
}

/// The steps of the section with this title, in order.
pub(crate) fn section(title: &str) -> Vec<Step> {
    let heading = format!("## {title}");
    let sections = GUIDE.split("\n\n").skip_while(|part| *part != heading).skip(1);
    let parts = sections.take_while(|part| !part.starts_with("## "));
    let mut steps: Vec<Step> = Vec::new();
    let text = parts.collect::<Vec<_>>().join("\n\n");
    let text: &'static str = text.leak();
    for block in text.split("```").skip(1).step_by(2) {
        let (language, block) = block.split_once('\n').unwrap();
        match (language, steps.last_mut()) {
            ("sh", _) => steps.push(Step { commands: block, shown: None }),
            ("text", Some(Step { shown: shown @ None, .. })) => *shown = Some(block),
            other => panic!("{title}: {:?} before any command", other.0),
        }
    }
    assert!(!steps.is_empty(), "{title}");
    steps
}

impl Step {
    /// Whether it is only this command.
    pub(crate) fn is(&self, command: &str) -> bool {
        self.commands.trim() == command
    }

    /// Panics unless the guide shows this, in this order.
    pub(crate) fn must_show(&self, said: &str) {
        if let Some(missing) = self.shown.and_then(|shown| first_missing(shown, said)) {
            let commands = self.commands;
            panic!("the guide promises {missing:?} after\n{commands}which said:\n{said}");
        }
    }
}

/// The first part of what is shown that was not said behind the ones before it.
fn first_missing<'a>(shown: &'a str, said: &str) -> Option<&'a str> {
    let mut rest = said;
    for line in shown.lines() {
        for part in line.split(ANYTHING).map(str::trim).filter(|part| !part.is_empty()) {
            let Some((_, behind)) = rest.split_once(part) else { return Some(part) };
            rest = behind;
        }
    }
    None
}

/// A shell that goes through the guide: a folder that is entered stays entered.
pub(crate) struct Reader {
    folder: PathBuf,
    environment: Vec<(String, String)>,
    /// What stands in the guide, and what it is here.
    here: Vec<(String, String)>,
}

impl Reader {
    pub(crate) fn new(folder: &Path) -> Reader {
        Reader { folder: folder.to_owned(), environment: Vec::new(), here: Vec::new() }
            .with("KILAT_LANG", "en")
    }

    /// Sets a variable of the environment.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Reader {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Reads `here` wherever the guide says `there`.
    pub(crate) fn reading(mut self, there: &str, here: &str) -> Reader {
        self.here.push((there.to_owned(), here.to_owned()));
        self
    }

    /// Runs the commands of a step, which must succeed; what they said on both outputs.
    pub(crate) fn follow(&mut self, step: &Step) -> String {
        let entered = tempfile::NamedTempFile::new().unwrap();
        let commands = &step.commands;
        let script = format!("set -eu\nexec 2>&1\n{commands}\npwd > {}", entered.path().display());
        let mut command = self.command(&script);
        println!("{commands}");
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        println!("{said}");
        assert!(output.status.success(), "{commands}{}:\n{said}", output.status);
        step.must_show(&self.there(&said));
        self.folder = PathBuf::from(std::fs::read_to_string(entered.path()).unwrap().trim());
        said
    }

    /// Starts a command that goes on, with its output in `log`.
    pub(crate) fn start(&self, step: &Step, log: std::fs::File) -> Running {
        Running::start(self.command(&format!("exec {}", step.commands)).stdout(log))
    }

    /// As the guide would show it.
    pub(crate) fn there(&self, said: &str) -> String {
        self.here.iter().fold(said.to_owned(), |said, (there, here)| said.replace(here, there))
    }

    fn command(&self, script: &str) -> Command {
        let translate = |text: String, (there, here): &(String, String)| text.replace(there, here);
        let script = self.here.iter().fold(script.to_owned(), translate);
        let mut command = Command::new("sh");
        let own = std::env::vars().filter(|(name, _)| name.starts_with("KILAT_"));
        for (name, _) in own {
            command.env_remove(name);
        }
        let environment = self.environment.iter().map(|(name, value)| (name, value));
        command.args(["-c", &script]).envs(environment).current_dir(&self.folder);
        command.stdin(Stdio::null());
        command
    }
}
