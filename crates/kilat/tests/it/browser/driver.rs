//! A browser, spoken to in the W3C WebDriver protocol: JSON over HTTP.

use crate::http;
use crate::program::{Running, wait_for};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{ChildStdout, Command, Stdio};
use tempfile::TempDir;

/// Under which name the protocol returns an element (W3C WebDriver, 12.2).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Nothing but the test's own pages, and no traffic that the test didn't ask for.
const FLAGS: [&str; 8] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// A browser with its own profile; it ends with its driver.
pub(super) struct Browser {
    url: String,
    session: String,
    _driver: Running,
    _stdout: BufReader<ChildStdout>,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser, with JavaScript or without.
    pub(super) fn start(javascript: bool) -> Browser {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = Running::start(&mut command);
        let mut stdout = driver.take_stdout();
        let url = format!("http://127.0.0.1:{}", port(&mut stdout));
        let profile = tempfile::tempdir().unwrap();
        let own = format!("--user-data-dir={}", profile.path().display());
        let arguments: Vec<&str> = FLAGS.into_iter().chain([own.as_str()]).collect();
        // 2 forbids what a site may run.
        let scripts = if javascript { 1 } else { 2 };
        let settings = json!({"profile.managed_default_content_settings.javascript": scripts});
        let options = json!({"args": arguments, "prefs": settings});
        let logs = json!({"browser": "ALL", "performance": "ALL"});
        let wanted = json!({
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": logs,
        });
        let body = json!({"capabilities": {"alwaysMatch": wanted}});
        let session = ask(&url, "POST", "/session", &body);
        Browser {
            url,
            session: session["sessionId"].as_str().unwrap().to_owned(),
            _driver: driver,
            _stdout: stdout,
            _profile: profile,
        }
    }

    pub(super) fn open(&self, url: &str) {
        self.post("url", &json!({"url": url}));
    }

    pub(super) fn reload(&self) {
        self.post("refresh", &json!({}));
    }

    pub(super) fn back(&self) {
        self.post("back", &json!({}));
    }

    /// Opens a tab and turns to it; the name of the tab left.
    pub(super) fn open_tab(&self) -> String {
        let left = self.ask("GET", "window", &Value::Null);
        let new = self.ask("POST", "window/new", &json!({"type": "tab"}));
        self.turn_to(new["handle"].as_str().unwrap());
        left.as_str().unwrap().to_owned()
    }

    pub(super) fn turn_to(&self, tab: &str) {
        self.post("window", &json!({"handle": tab}));
    }

    /// What a script of the test's own returns; it may return a promise.
    pub(super) fn script(&self, script: &str) -> Value {
        self.ask("POST", "execute/sync", &json!({"script": script, "args": []}))
    }

    /// Two presses on one place as fast as a finger can.
    pub(super) fn double_click(&self, css: &str) {
        let origin = json!({ELEMENT: self.find(css)});
        let press = [
            json!({"type": "pointerDown", "button": 0}),
            json!({"type": "pointerUp", "button": 0}),
        ];
        let there = json!({"type": "pointerMove", "origin": origin, "x": 0, "y": 0, "duration": 0});
        let moves: Vec<Value> = std::iter::once(there).chain(press.clone()).chain(press).collect();
        let finger = json!({"type": "pointer", "id": "finger", "actions": moves});
        self.post("actions", &json!({"actions": [finger]}));
    }

    /// Whether a reader sees the element; one that is not there isn't seen.
    pub(super) fn is_shown(&self, css: &str) -> bool {
        let by = json!({"using": "css selector", "value": css});
        let found = self.ask("POST", "elements", &by);
        let shown = |element: &Value| {
            let element = element[ELEMENT].as_str().unwrap();
            let path = format!("/session/{}/element/{element}/displayed", self.session);
            try_ask(&self.url, "GET", &path, &Value::Null) == Some(Value::Bool(true))
        };
        found.as_array().unwrap().iter().any(shown)
    }

    /// Waits until a reader sees the element, or sees it no more.
    pub(super) fn wait_until_shown(&self, css: &str, shown: bool) {
        wait_for(css, || (self.is_shown(css) == shown).then_some(()));
    }

    /// Shows the page in a window of this size in CSS pixels, or as high as the page is if that is
    /// more, to somebody who wishes this colour scheme and no motion.
    pub(super) fn show_as(&self, width: u32, height: u32, scheme: &str) {
        let features = json!([
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        self.command("Emulation.setEmulatedMedia", &json!({"features": features}));
        // A page that grows while it is looked at would get one, and be narrower by it.
        self.command("Emulation.setScrollbarsHidden", &json!({"hidden": true}));
        let resize = |height: u64| {
            let metrics =
                json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
            self.command("Emulation.setDeviceMetricsOverride", &metrics);
            self.script("return document.documentElement.scrollHeight").as_u64().unwrap()
        };
        let needed = resize(height.into());
        resize(needed.max(height.into()));
    }

    /// What is shown, as WebP of this quality, from 0 to 100.
    pub(super) fn picture(&self, quality: u32) -> Vec<u8> {
        // What is about to be painted is painted first.
        self.script(
            "return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))",
        );
        let taken =
            self.command("Page.captureScreenshot", &json!({"format": "webp", "quality": quality}));
        BASE64_STANDARD.decode(taken["data"].as_str().unwrap()).unwrap()
    }

    /// A part of what is shown, three quarters as large, as WebP of this quality: left, top, width
    /// and height in CSS pixels.
    pub(super) fn part(&self, [x, y, width, height]: [u32; 4], quality: u32) -> Vec<u8> {
        let clip = json!({"x": x, "y": y, "width": width, "height": height, "scale": 0.75});
        let wanted = json!({"format": "webp", "quality": quality, "clip": clip});
        let taken = self.command("Page.captureScreenshot", &wanted);
        BASE64_STANDARD.decode(taken["data"].as_str().unwrap()).unwrap()
    }

    /// A command of Chromium's own protocol.
    pub(super) fn command(&self, command: &str, parameters: &Value) -> Value {
        self.ask("POST", "goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    pub(super) fn address(&self) -> String {
        let value = self.ask("GET", "url", &Value::Null);
        value.as_str().unwrap().to_owned()
    }

    /// What a reader sees of the element; waits until it is there. One that the page replaces
    /// meanwhile is looked for again.
    pub(super) fn text(&self, css: &str) -> String {
        let text = self.on(css, "GET", "text", &Value::Null);
        text.as_str().unwrap().to_owned()
    }

    pub(super) fn click(&self, css: &str) {
        self.on(css, "POST", "click", &json!({}));
    }

    /// Types into a field in place of what stands there.
    pub(super) fn fill(&self, css: &str, text: &str) {
        self.on(css, "POST", "clear", &json!({}));
        self.on(css, "POST", "value", &json!({"text": text}));
    }

    /// A cookie that the page was sent, as it is sent back.
    pub(super) fn cookie(&self, name: &str) -> String {
        let cookie = self.ask("GET", &format!("cookie/{name}"), &Value::Null);
        format!("{name}={}", cookie["value"].as_str().unwrap())
    }

    /// What the console has said since the last call.
    pub(super) fn console(&self) -> Vec<String> {
        self.log("browser")
    }

    /// What was asked of the network since the last call, by address.
    pub(super) fn requests(&self) -> Vec<String> {
        let messages = self.log("performance").into_iter().map(|message| {
            let message: Value = serde_json::from_str(&message).unwrap();
            message["message"].clone()
        });
        messages
            .filter(|message| message["method"] == "Network.requestWillBeSent")
            .map(|message| message["params"]["request"]["url"].as_str().unwrap().to_owned())
            .collect()
    }

    fn log(&self, kind: &str) -> Vec<String> {
        let entries = self.ask("POST", "se/log", &json!({"type": kind}));
        let message = |entry: &Value| entry["message"].as_str().unwrap().to_owned();
        entries.as_array().unwrap().iter().map(message).collect()
    }

    /// Waits until the element reads so.
    pub(super) fn wait_for_text(&self, css: &str, text: &str) {
        wait_for(&format!("{css} to read {text}"), || (self.text(css) == text).then_some(()));
    }

    /// Waits until the element's text is as wanted.
    pub(super) fn wait_for(&self, css: &str, wanted: impl Fn(&str) -> bool) {
        wait_for(css, || wanted(&self.text(css)).then_some(()));
    }

    /// Does something with an element; with the next one if its page goes meanwhile.
    fn on(&self, css: &str, method: &str, what: &str, body: &Value) -> Value {
        wait_for(css, || {
            let path = format!("/session/{}/element/{}/{what}", self.session, self.find(css));
            try_ask(&self.url, method, &path, body)
        })
    }

    fn find(&self, css: &str) -> String {
        let by = json!({"using": "css selector", "value": css});
        let found = wait_for(css, || {
            let found = self.ask("POST", "elements", &by);
            found.as_array().unwrap().first().cloned()
        });
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    fn post(&self, command: &str, body: &Value) {
        self.ask("POST", command, body);
    }

    fn ask(&self, method: &str, command: &str, body: &Value) -> Value {
        let path = format!("/session/{}/{command}", self.session);
        ask(&self.url, method, &path, body)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ending the session ends the browser; the driver itself is killed after that.
        let path = format!("/session/{}", self.session);
        let _ = http::call(&self.url, "DELETE", &path, &[], "");
    }
}

fn ask(url: &str, method: &str, path: &str, body: &Value) -> Value {
    try_ask(url, method, path, body).unwrap_or_else(|| panic!("{method} {path}: it is gone"))
}

/// `None` when the element that is meant has gone with its page.
fn try_ask(url: &str, method: &str, path: &str, body: &Value) -> Option<Value> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let headers = [("content-type", "application/json; charset=utf-8")];
    let reply = http::call(url, method, path, &headers, &body).unwrap();
    let value = reply.json()["value"].clone();
    let why = value["message"].as_str().unwrap_or_default();
    // The driver's second way to say it, when the page goes in the middle of an answer.
    if value["error"] == "stale element reference" || why.contains("unhandled inspector error") {
        return None;
    }
    assert_eq!(reply.status, 200, "{method} {path}: {}", reply.text());
    Some(value)
}

fn port(stdout: &mut impl BufRead) -> u16 {
    let mut said = String::new();
    while stdout.read_line(&mut said).unwrap() > 0 {
        let after = said.rsplit_once("successfully on port ");
        let port = after.and_then(|(_, rest)| rest.trim().trim_end_matches('.').parse().ok());
        if let Some(port) = port {
            return port;
        }
    }
    panic!("chromedriver did not start: {said}");
}
