//! Metrics, rules, dashboards and the guide: nothing is asked for that is not there.

use super::prometheus::Prometheus;
use super::{content, document, folder, list, read, text};
use crate::http;
use crate::process::stores::Place;
use crate::program::{Server, address_in, kilat, run, stderr, stdout, wait_for};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for what was measured to have been scraped twice.
const PATIENCE: Duration = Duration::from_secs(20);

fn promtool(arguments: &[&str]) -> String {
    content(Command::new("promtool").current_dir(folder().join("prometheus")).args(arguments))
}

#[test]
fn promtool_is_content_with_configuration_and_rules() {
    let said = promtool(&["check", "config", "prometheus.yml"]);
    assert!(said.contains("1 rule files found"), "{said}");
    promtool(&["test", "rules", "tests/kilat.yml"]);
    let rules = document("prometheus/rules/kilat.yml");
    let rules = list(&rules["groups"]).iter().flat_map(|group| list(&group["rules"]));
    let alerts: BTreeSet<&str> = rules.map(|rule| text(&rule["alert"])).collect();
    let tests = document("prometheus/tests/kilat.yml");
    let asked: Vec<&Value> =
        list(&tests["tests"]).iter().flat_map(|test| list(&test["alert_rule_test"])).collect();
    for rings in [true, false] {
        let with = asked.iter().filter(|one| list(&one["exp_alerts"]).is_empty() != rings);
        let tested: BTreeSet<&str> = with.map(|one| text(&one["alertname"])).collect();
        assert_eq!(tested, alerts, "each alert has a test in which it rings, and one in which not");
    }
}

/// Shown only by a server with its ledger, or its event log too, in a store.
pub(crate) const STORE_METRICS: [&str; 7] = [
    "kilat_store_connected",
    "kilat_store_reconnects_total",
    "kilat_store_commit_seconds",
    "kilat_store_publish_seconds",
    "kilat_relay_lease",
    "kilat_relay_halted",
    "kilat_relay_facts_total",
];

/// The dashboard of those.
const STORE_DASHBOARD: &str = "stores.json";

/// Whether a metric, or what a histogram makes of it, is one of those.
fn is_of_a_store(metric: &str) -> bool {
    STORE_METRICS.iter().any(|name| metric.starts_with(name))
}

/// A whole system that has served everything that is measured: a core, replicas and a gateway.
struct Busy {
    /// Where each process shows its figures.
    shown_at: Vec<String>,
    gateway: Server,
    /// The core, then the replicas.
    behind: Vec<Server>,
    data: tempfile::TempDir,
}

impl Busy {
    fn start() -> Busy {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let core = format!("core://{}", data.join("core.sock").display());
        let mut behind = vec![core_at("127.0.0.1:0", &data)];
        for lookups in ["--lookup-listen=127.0.0.1:0", "--lookup-listen=none"] {
            let of_replica =
                ["serve", "--listen=127.0.0.1:0", "--ledger", &core, "--events", &core];
            behind.push(Server::run(kilat(of_replica).arg(lookups)));
        }
        let mut shown_at: Vec<String> = behind.iter().map(|server| server.url.clone()).collect();
        let of_gateway = ["gateway", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"];
        let mut command = kilat(of_gateway);
        for replica in &behind[1..] {
            command.args(["--replica", &replica.url]);
        }
        let mut gateway = Server::run(&mut command);
        shown_at
            .push(address_in(&gateway.next_line()).unwrap().trim_end_matches("/readyz").to_owned());
        wait_for("the gateway", || {
            Some(gateway.get("/readyz")).filter(|reply| reply.status == 200)
        });
        Busy { shown_at, gateway, behind, data: folder }
    }

    /// `kill -9`; the others stay as they are.
    fn kill(&mut self, index: usize) {
        self.behind[index].process().signal(Signal::KILL);
        self.behind[index].process().wait();
    }

    /// Starts the core again, where it was.
    fn restart_core(&mut self) {
        let address = self.behind[0].url.trim_start_matches("http://").to_owned();
        self.behind[0] = core_at(&address, &self.data.path().join("data"));
    }

    fn storm(&self) {
        storm(&self.gateway.url);
    }

    /// What each process shows.
    fn metrics(&self) -> Vec<String> {
        (0..self.shown_at.len()).map(|index| self.metrics_of(index)).collect()
    }

    fn metrics_of(&self, index: usize) -> String {
        http::get(&self.shown_at[index], "/metrics").unwrap().text().to_owned()
    }

    fn targets(&self) -> Vec<&str> {
        self.shown_at.iter().map(|url| url.trim_start_matches("http://")).collect()
    }
}

/// A stampede, holds, and events of which some are duplicates.
fn storm(url: &str) {
    let attack = ["attack", "--url", url, "--quiet", "--json", "--hold=0.2"];
    let stress = ["stress", "--url", url, "--quiet", "--events=2000", "--batch=50"];
    for command in [&attack[..], &stress] {
        let output = run(command.iter().copied());
        assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    }
}

/// A core that replicas can come to.
fn core_at(admin: &str, data: &Path) -> Server {
    let mut core =
        Server::run(&mut kilat(["core", "--admin", admin, "--data", data.to_str().unwrap()]));
    assert!(core.next_line().contains("core://"));
    core
}

/// The expressions of a dashboard with the titles of their panels; what readers choose stands
/// for all there is.
fn expressions(dashboard: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for panel in list(&dashboard["panels"]) {
        for target in list(&panel["targets"]) {
            let expression = text(&target["expr"]).replace("$instance", ".*");
            assert!(!expression.contains('$'), "{expression}");
            assert_eq!(target["datasource"]["uid"], "prometheus", "{expression}");
            found.push((text(&panel["title"]).to_owned(), expression));
        }
    }
    assert!(!found.is_empty());
    found
}

/// Every dashboard, by the name of its file.
fn dashboards() -> BTreeMap<String, Value> {
    let files = std::fs::read_dir(folder().join("grafana/dashboards")).unwrap();
    let parsed = files.map(|file| {
        let name = file.unwrap().file_name().into_string().unwrap();
        let dashboard = read(&format!("grafana/dashboards/{name}"));
        (name, serde_json::from_str(&dashboard).unwrap())
    });
    parsed.collect()
}

/// A figure among what an expression gave: a quantile of nothing is none.
fn has_figure(result: &[Value]) -> bool {
    let figure = |sample: &Value| sample["value"][1].as_str()?.parse::<f64>().ok();
    result.iter().filter_map(figure).any(f64::is_finite)
}

#[test]
fn every_panel_shows_something_and_every_alert_asks_for_what_there_is() {
    let busy = Busy::start();
    let prometheus = Prometheus::start(&busy.targets());
    let mut dashboards = dashboards();
    dashboards.remove(STORE_DASHBOARD).unwrap();
    every_panel_shows_something(&dashboards, &busy.gateway.url, &prometheus);
    every_alert_can_be_asked(&prometheus, |metric| !is_of_a_store(metric));
}

/// The same of a server with all that it keeps in PostgreSQL.
#[test]
fn panels_and_alerts_about_a_store_ask_for_what_there_is() {
    let place = Place::alone();
    let server = place.serve("one");
    let prometheus = Prometheus::start(&[server.url.trim_start_matches("http://")]);
    let mut dashboards = dashboards();
    dashboards.retain(|name, _| name == STORE_DASHBOARD);
    every_panel_shows_something(&dashboards, &server.url, &prometheus);
    every_alert_can_be_asked(&prometheus, is_of_a_store);
}

fn every_panel_shows_something(
    dashboards: &BTreeMap<String, Value>,
    url: &str,
    prometheus: &Prometheus,
) {
    let asked = dashboards.iter().flat_map(|(file, dashboard)| {
        let expressions = expressions(dashboard).into_iter();
        expressions.map(move |(panel, expression)| (format!("{file}: {panel}"), expression))
    });
    let mut waiting: Vec<_> = asked.collect();
    let since = Instant::now();
    while !waiting.is_empty() && since.elapsed() < PATIENCE {
        // Again and again, so that every rate sees a rise between two scrapes of each process.
        storm(url);
        waiting.retain(|(panel, expression)| {
            let result = prometheus.query(expression);
            !has_figure(&result.unwrap_or_else(|error| panic!("{panel}: {error}")))
        });
    }
    assert!(waiting.is_empty(), "panels without data: {waiting:#?}");
}

/// Of the metrics that are exported here.
fn every_alert_can_be_asked(prometheus: &Prometheus, is_here: impl Fn(&str) -> bool) {
    let names = prometheus.get("/api/v1/label/__name__/values");
    let names: BTreeSet<&str> = list(&names).iter().map(text).collect();
    let rules = wait_for("the rules to be evaluated", || {
        let groups = prometheus.get("/api/v1/rules")["groups"].clone();
        let rules: Vec<Value> =
            list(&groups).iter().flat_map(|group| list(&group["rules"])).cloned().collect();
        rules.iter().all(|rule| rule["health"] != "unknown").then_some(rules)
    });
    assert!(!rules.is_empty());
    for rule in &rules {
        assert_eq!(rule["health"], "ok", "{rule}");
        for metric in metrics_in(text(&rule["query"])).into_iter().filter(|name| is_here(name)) {
            assert!(names.contains(metric), "{metric} does not exist: {rule}");
        }
        let is_critical = rule["labels"]["severity"] == "critical";
        assert!(!is_critical || rule["state"] != "firing", "it rings without need: {rule}");
    }
}

/// A core and a replica are killed: whom it concerns says so, the alerts ring, and they fall
/// silent when it is mended.
#[test]
fn what_dies_is_seen_and_what_comes_back_too() {
    let mut busy = Busy::start();
    let prometheus = Prometheus::start(&busy.targets());
    busy.storm();
    let shows = |expression: &str| {
        wait_for(expression, || {
            let result = prometheus.query(expression).unwrap();
            (!result.is_empty()).then_some(())
        });
    };
    shows("sum(up{job=\"kilat\"}) == 4");
    busy.kill(2);
    shows("kilat_gateway_replica_up == 0");
    busy.kill(0);
    shows("kilat_replica_connected == 0");
    for alert in ["KilatDown", "KilatReplicaCutOff", "KilatReplicaNotReady"] {
        shows(&format!("ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}}"));
    }
    busy.restart_core();
    shows("kilat_replica_reconnects_total > 0");
    shows("ALERTS{alertname=\"KilatRestarted\",alertstate=\"firing\"}");
    shows("absent(ALERTS{alertname=\"KilatReplicaCutOff\"})");
}

/// The metrics that an expression names: an alert on one that does not exist never rings.
fn metrics_in(expression: &str) -> Vec<&str> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let prefixes = ["kilat_", "flash_sale_", "process_"];
    let metrics = words.filter(|word| prefixes.iter().any(|prefix| word.starts_with(prefix)));
    let metrics: Vec<&str> = metrics.collect();
    assert!(!metrics.is_empty() || expression.contains("up{"), "{expression}");
    metrics
}

/// Type and labels of every metric, by name, as `/metrics` has them.
fn exported(exposition: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut metrics = BTreeMap::new();
    for line in exposition.lines().filter(|line| !line.is_empty()) {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            let (name, kind) = declared.split_once(' ').unwrap();
            metrics.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new()));
        } else if !line.starts_with('#') {
            let (sample, _) = line.rsplit_once(' ').unwrap();
            let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
            let (_, seen) = of_sample(&mut metrics, name);
            seen.extend(label_names(labels.trim_end_matches('}')));
        }
    }
    metrics
}

fn of_sample<'a, T>(metrics: &'a mut BTreeMap<String, T>, name: &str) -> &'a mut T {
    let whole = ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|part| name.strip_suffix(part).filter(|whole| metrics.contains_key(*whole)));
    metrics.get_mut(whole.unwrap_or(name)).unwrap_or_else(|| panic!("{name} has no type"))
}

/// Names before `="`; the label that makes buckets is no label of the metric.
fn label_names(labels: &str) -> BTreeSet<String> {
    let mut parts: Vec<&str> = labels.split("=\"").collect();
    // Behind the last one is a value.
    parts.pop();
    let name = |part: &str| part.rsplit(['"', ',']).next().unwrap_or(part).to_owned();
    parts.into_iter().map(name).filter(|name| name != "le").collect()
}

/// Rows of the guide's tables: what stands in backticks in the first column, and the second.
fn rows(guide: &str) -> impl Iterator<Item = (&str, &str)> {
    let rows = guide.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    rows.map(|(first, rest)| (first, rest.split('|').nth(1).unwrap().trim()))
}

fn guide() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/monitoring.md");
    std::fs::read_to_string(path).unwrap()
}

fn is_alert(name: &str) -> bool {
    name.starts_with(char::is_uppercase)
}

/// Type and labels of every metric that the guide describes: `` `name{label,label}` | type ``.
fn described(guide: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let metric = |(metric, kind): (&str, &str)| {
        let (name, labels) = metric.split_once('{').unwrap_or((metric, ""));
        let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty());
        (name.to_owned(), (kind.to_owned(), labels.map(str::to_owned).collect()))
    };
    rows(guide).filter(|(name, _)| !is_alert(name)).map(metric).collect()
}

/// What only one of both has.
fn difference<K: Ord + Clone, V: PartialEq + Clone>(
    ours: &BTreeMap<K, V>,
    theirs: &BTreeMap<K, V>,
) -> Vec<(K, V)> {
    let missing = ours.iter().filter(|(key, value)| theirs.get(key) != Some(value));
    missing.map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[test]
fn the_guide_says_what_to_do_about_every_alert() {
    let guide = guide();
    let described: BTreeMap<&str, &str> = rows(&guide).filter(|(name, _)| is_alert(name)).collect();
    let rules = document("prometheus/rules/kilat.yml");
    let rules = list(&rules["groups"]).iter().flat_map(|group| list(&group["rules"]));
    let alert = |rule: &'_ Value| {
        (text(&rule["alert"]).to_owned(), text(&rule["labels"]["severity"]).to_owned())
    };
    let alerts: BTreeMap<String, String> = rules.map(alert).collect();
    let described = described.into_iter().map(|(name, severity)| (name.into(), severity.into()));
    assert_eq!(described.collect::<BTreeMap<String, String>>(), alerts);
}

#[test]
fn the_guide_describes_every_metric_that_is_exported_and_no_other() {
    let busy = Busy::start();
    busy.storm();
    let mut all = BTreeMap::new();
    for exposition in busy.metrics() {
        lint(&exposition);
        for (name, (kind, labels)) in exported(&exposition) {
            let known = all.entry(name).or_insert_with(|| (kind, BTreeSet::new()));
            known.1.extend(labels);
        }
    }
    let mut described = described(&guide());
    // Of a ledger in a store, which this system has not; its own tests look at those.
    described.retain(|name, _| !STORE_METRICS.contains(&name.as_str()));
    assert_eq!(difference(&all, &described), [], "exported and not described so");
    assert_eq!(difference(&described, &all), [], "described and not exported so");
}

/// promtool finds nothing to mend in names, types and help.
fn lint(exposition: &str) {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = command.spawn().unwrap();
    promtool.stdin.take().unwrap().write_all(exposition.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
}

#[test]
fn the_seeds_query_is_on_the_first_dashboard() {
    let seed = "sum(rate(flash_sale_requests_total[1m])) by (status)";
    let dashboard = &dashboards()["flash-sale.json"];
    assert!(expressions(dashboard).iter().any(|(_, expression)| expression == seed));
}

#[test]
fn grafana_finds_what_is_provisioned() {
    let sources = document("grafana/provisioning/datasources/prometheus.yml");
    assert_eq!(sources["datasources"][0]["uid"], "prometheus");
    assert_eq!(sources["datasources"][0]["url"], "http://prometheus:9090");
    let providers = document("grafana/provisioning/dashboards/kilat.yml");
    let path = text(&providers["providers"][0]["options"]["path"]);
    let mut uids = BTreeSet::new();
    for file in ["compose/single.yaml", "compose/compose.yaml"] {
        let mounts = document(file)["services"]["grafana"]["volumes"].to_string();
        assert!(mounts.contains(&format!("../grafana/dashboards:{path}:ro")), "{file}: {mounts}");
    }
    for (file, dashboard) in dashboards() {
        assert!(uids.insert(text(&dashboard["uid"]).to_owned()), "{file}");
        let mut ids = list(&dashboard["panels"]).iter().map(|panel| panel["id"].as_u64());
        let mut seen = BTreeSet::new();
        assert!(ids.all(|id| seen.insert(id.unwrap())), "{file}");
    }
}
