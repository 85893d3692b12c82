//! nginx with the site of `deploy/`, in front of real servers.

use super::{content, free_port, read};
use crate::http::{self, Connection};
use crate::program::{Running, Server, kilat, sale, serve, wait_for};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// Everything that the site expects around it; what nginx writes stays in its folder.
const AROUND: &str = "daemon off; master_process off; pid nginx.pid; error_log error.log info;\n\
    events { worker_connections 512; }\n\
    http {\n\
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n\
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
    include kilat.conf;\n\
    }\n";

struct Nginx {
    url: String,
    folder: TempDir,
    _process: Running,
}

impl Nginx {
    fn start(servers: &[&Server]) -> Nginx {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let list = servers.iter().map(|server| {
            let address = server.url.trim_start_matches("http://");
            format!("server {address} max_fails=1 fail_timeout=2s;\n")
        });
        write_site(folder.path(), port, &list.collect::<String>());
        let nginx = || {
            let mut command = Command::new("nginx");
            command.arg("-p").arg(folder.path()).args(["-e", "error.log", "-c", "nginx.conf"]);
            command
        };
        content(nginx().arg("-t"));
        let process = Running::start(&mut nginx());
        let url = format!("http://127.0.0.1:{port}");
        wait_for("nginx", || http::get(&url, "/livez").ok().filter(|reply| reply.status == 200));
        Nginx { url, folder, _process: process }
    }

    fn node(&self) -> String {
        let reply = http::get(&self.url, "/livez").unwrap();
        assert_eq!(reply.status, 200);
        reply.header("x-kilat-node").unwrap().to_owned()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("access.log")).unwrap()
    }
}

fn write_site(folder: &Path, port: u16, upstream: &str) {
    let site = read("nginx/kilat.conf");
    assert!(site.contains("listen 80;") && site.contains("/var/log/nginx/access.log"));
    let site = site
        .replace("listen 80;", &format!("listen 127.0.0.1:{port};"))
        .replace("/var/log/nginx/access.log", "access.log");
    let files = [("nginx.conf", AROUND), ("kilat.conf", &site), ("kilat-upstream.conf", upstream)];
    for (name, text) in files {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

/// Servers of their own, which nginx can't tell from replicas of one.
fn servers(folder: &TempDir, names: &[&str]) -> Vec<Server> {
    let start = |name: &&str| {
        let data = folder.path().join(name);
        Server::run(kilat(serve(&data)).args(["--listen=127.0.0.1:0", "--node", name]))
    };
    names.iter().map(start).collect()
}

#[test]
fn replicas_take_turns_and_one_that_dies_is_not_missed() {
    let folder = tempfile::tempdir().unwrap();
    let mut servers = servers(&folder, &["a", "b", "c"]);
    let nginx = Nginx::start(&servers.iter().collect::<Vec<_>>());
    servers.iter().for_each(|server| server.make_sale("s", 100_000, 60));
    let nodes: BTreeSet<String> = (0..30).map(|_| nginx.node()).collect();
    assert_eq!(nodes, BTreeSet::from(["a", "b", "c"].map(str::to_owned)));
    servers.remove(1).kill();
    for number in 0..60 {
        let key = format!("k{number}");
        let headers = [("content-type", "application/json"), ("idempotency-key", key.as_str())];
        let body = r#"{"customer":"budi","quantity":1}"#;
        let reply = http::call(&nginx.url, "POST", "/v1/sales/s/orders", &headers, body).unwrap();
        assert_eq!(reply.status, 201, "{number}: {reply:?}");
    }
    let nodes: BTreeSet<String> = (0..30).map(|_| nginx.node()).collect();
    assert_eq!(nodes, BTreeSet::from(["a", "c"].map(str::to_owned)));
}

#[test]
fn what_kilat_must_know_of_a_caller_is_passed_on() {
    let folder = tempfile::tempdir().unwrap();
    let servers = servers(&folder, &["a"]);
    let nginx = Nginx::start(&[&servers[0]]);
    let id_of = |sent: &str| {
        let headers = [("x-request-id", sent)];
        let reply = http::call(&nginx.url, "GET", "/readyz", &headers, "").unwrap();
        reply.header("x-request-id").unwrap().to_owned()
    };
    assert_eq!(id_of("trace-1"), "trace-1");
    let made = id_of("no id of ours");
    assert!(made.len() == 32 && made != "no id of ours", "{made}");
    let log = wait_for("the log", || Some(nginx.log()).filter(|log| log.contains(&made)));
    let line = log.lines().find(|line| line.contains("trace-1")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!((&line["node"], &line["status"]), (&"a".into(), &200.into()), "{line}");
    // The buy page takes a form only from its own site: Host must be what the browser asked.
    servers[0].make_sale("s", 5, 60);
    let page = http::get(&nginx.url, "/s/s").unwrap();
    let (cookie, _) = page.header("set-cookie").unwrap().split_once(';').unwrap();
    let (_, key) = page.text().split_once("name=\"key\" value=\"").unwrap();
    let (key, _) = key.split_once('"').unwrap();
    let buy = |origin: &str| {
        let form = "application/x-www-form-urlencoded";
        let headers = [("content-type", form), ("origin", origin), ("cookie", cookie)];
        let body = format!("sale=s&key={key}");
        http::call(&nginx.url, "POST", "/buy", &headers, &body).unwrap().status
    };
    assert_eq!((buy("http://localhost"), buy("http://elsewhere")), (303, 403));
}

#[test]
fn figures_stay_inside_and_limits_are_those_of_kilat() {
    let folder = tempfile::tempdir().unwrap();
    let servers = servers(&folder, &["a"]);
    let nginx = Nginx::start(&[&servers[0]]);
    assert_eq!(servers[0].get("/metrics").status, 200);
    assert_eq!(http::get(&nginx.url, "/metrics").unwrap().status, 404);
    let publish = |bytes: usize| {
        let mut connection = Connection::open(&nginx.url).unwrap();
        let headers = [("content-type", "application/json")];
        connection.call("POST", "/publish", &headers, &" ".repeat(bytes)).map(|reply| reply.status)
    };
    let most = kilat_server::limits::PUBLISH_BODY_BYTES_MAX;
    assert_eq!(publish(most).unwrap(), 400, "Kilat was asked");
    // nginx answers before it has read what it will not take.
    assert!(publish(most + 1).map_or(true, |status| status == 413));
}

#[test]
fn events_are_passed_on_as_they_come() {
    let folder = tempfile::tempdir().unwrap();
    let servers = servers(&folder, &["a"]);
    let nginx = Nginx::start(&[&servers[0]]);
    let made = servers[0].admin("POST", "/v1/sales", "make", &sale("s", 10, 60));
    assert_eq!(made.status, 201);
    let address = nginx.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(b"GET /v1/sales/s/stream HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map(|line| line.expect("it comes at once"));
    let mut available = || lines.find(|line| line.contains("\"available\":")).unwrap();
    assert!(available().contains("\"available\":10"));
    for left in (0..3).map(|sold| 9 - sold) {
        let key = format!("k{left}");
        let reply = servers[0].order("s", &key, r#"{"customer":"budi","quantity":1}"#);
        assert_eq!(reply.status, 201);
        let event = available();
        assert!(event.contains(&format!("\"available\":{left}")), "{left}: {event}");
    }
}
