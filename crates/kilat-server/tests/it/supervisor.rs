//! Processes that are kept running: real ones, each a line of shell.

use kilat_server::supervisor::{
    ControlError, LogLine, Order, Panel, Patience, Ready, Reply, Spec, State, Status, Supervisor,
    ask, listen,
};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Longest wait for something that must come.
const SOON: Duration = Duration::from_secs(30);

/// A folder, the log of all processes, and a socket that takes connections: whoever waits for
/// it is ready at once.
struct World {
    folder: TempDir,
    log: Arc<Mutex<Vec<String>>>,
    _socket: UnixListener,
}

impl World {
    fn new() -> World {
        let folder = TempDir::new().unwrap();
        let socket = UnixListener::bind(folder.path().join("ready")).unwrap();
        World { folder, log: Arc::default(), _socket: socket }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn spec(&self, name: &str, script: &str) -> Spec {
        Spec {
            name: name.to_owned(),
            program: "/bin/sh".into(),
            arguments: ["-c", script].map(Into::into).into(),
            environment: vec![("FOLDER".into(), self.folder.path().into())],
            ready: Ready::Socket(self.path("ready")),
            address: format!("at {name}"),
            after: Vec::new(),
        }
    }

    fn start(&self, specs: Vec<Spec>) -> Supervisor {
        self.start_with(specs, Patience::default())
    }

    fn start_with(&self, specs: Vec<Spec>, patience: Patience) -> Supervisor {
        let log = Arc::clone(&self.log);
        let line: LogLine =
            Arc::new(move |name, line| log.lock().unwrap().push(format!("{name}: {line}")));
        Supervisor::start(specs, patience, &line)
    }

    fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

/// Waits until the process at `index` is as `wanted` says.
async fn until(panel: &Panel, index: usize, wanted: impl Fn(&Status) -> bool) -> Status {
    let seen = async {
        loop {
            let status = panel.status().swap_remove(index);
            if wanted(&status) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let status = tokio::time::timeout(SOON, seen).await;
    status.unwrap_or_else(|_| panic!("it stays {:?}", panel.status()))
}

fn runs(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[tokio::test]
async fn what_is_killed_comes_back_and_all_end_when_asked() {
    let world = World::new();
    let supervisor = world.start(vec![world.spec("web-1", "echo hello >&2; exec sleep 1000")]);
    let panel = supervisor.panel();
    panel.all_ready().await;
    let first = until(&panel, 0, |status| status.state == State::Ready).await;
    assert_eq!((first.address.as_str(), first.restarts), ("at web-1", 0));

    assert!(panel.kill("web-1"));
    let second = until(&panel, 0, |s| s.restarts == 1 && s.state == State::Ready).await;
    assert_ne!(first.pid, second.pid);
    assert_eq!(second.why.as_deref(), Some("killed"));
    assert!(!panel.kill("web-9"), "nobody is called so");

    supervisor.stop().await;
    assert_eq!(panel.status()[0].state, State::Stopped);
    assert!(!runs(first.pid.unwrap()) && !runs(second.pid.unwrap()));
    assert_eq!(world.log(), ["web-1: hello", "web-1: hello"]);
}

#[tokio::test]
async fn one_that_cannot_run_is_named_with_its_last_words_and_does_not_spin() {
    let world = World::new();
    let script = "echo start >> $FOLDER/starts; echo 'port 80 is in use' >&2; exit 2";
    let mut failing = world.spec("web-1", script);
    failing.ready = Ready::Socket(world.path("never"));
    let mut missing = world.spec("core", "");
    missing.program = "/does/not/exist".into();
    let supervisor = world.start(vec![failing, missing]);
    let panel = supervisor.panel();
    let failed = until(&panel, 0, |status| status.restarts == 3).await;
    assert_eq!(failed.why.as_deref(), Some("ended with exit code 2: port 80 is in use"));
    let missing = until(&panel, 1, |status| status.why.is_some()).await;
    assert!(missing.why.unwrap().contains("can't be started"));
    supervisor.stop().await;
    // Three waits in a row lasted 0.1, 0.2 and 0.4 s; a spin would start it hundreds of times.
    let starts = std::fs::read_to_string(world.path("starts")).unwrap().lines().count();
    assert!((3..=5).contains(&starts), "{starts}");
}

#[tokio::test]
async fn each_starts_when_those_before_it_are_ready_and_ends_before_them() {
    let world = World::new();
    let script = |name: &str| {
        format!(
            "echo {name} >> $FOLDER/order; trap 'echo {name} ends >> $FOLDER/order; exit' TERM; \
             while :; do sleep 0.01; done"
        )
    };
    let mut core = world.spec("core", &script("core"));
    core.ready = Ready::Socket(world.path("core.sock"));
    let mut web = world.spec("web-1", &script("web"));
    web.after = vec!["core".to_owned()];
    let supervisor = world.start(vec![core, web]);
    let panel = supervisor.panel();
    until(&panel, 0, |status| status.state == State::Starting).await;
    assert_eq!(panel.status()[1].state, State::Waiting);
    let _socket = UnixListener::bind(world.path("core.sock")).unwrap();
    until(&panel, 1, |status| status.state == State::Ready).await;
    let order = || std::fs::read_to_string(world.path("order")).unwrap_or_default();
    while order().lines().count() < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    supervisor.stop().await;
    assert_eq!(order().lines().collect::<Vec<_>>(), ["core", "web", "web ends", "core ends"]);
}

#[tokio::test]
async fn one_that_ignores_the_wish_to_end_is_killed() {
    let world = World::new();
    let patience = Patience { stop: Duration::from_millis(50), ..Patience::default() };
    let deaf = world.spec("deaf", "trap '' TERM; while :; do sleep 0.01; done");
    let supervisor = world.start_with(vec![deaf], patience);
    let panel = supervisor.panel();
    let pid = until(&panel, 0, |status| status.state == State::Ready).await.pid.unwrap();
    supervisor.stop().await;
    assert!(!runs(pid));
}

/// How `GET /readyz` is answered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Well,
    Unready,
    Silent,
}

async fn answer(listener: TcpListener, mood: watch::Receiver<Mood>) {
    let mut kept = Vec::new();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mood = *mood.borrow();
        if mood == Mood::Silent {
            kept.push(stream);
            continue;
        }
        let mut request = [0; 1024];
        let read = stream.read(&mut request).await.unwrap();
        assert!(request[..read].starts_with(b"GET /readyz HTTP/1.1\r\n"));
        let (status, body) = match mood {
            Mood::Well => ("200 OK", ""),
            _ => ("503 Busy", r#"{"title":"Full","detail":"no space is left, free some"}"#),
        };
        let reply = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(reply.as_bytes()).await.unwrap();
    }
}

/// A process, and how it answers; nobody is patient with its silence.
async fn moody(world: &World) -> (Supervisor, watch::Sender<Mood>, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut web = world.spec("web-1", "exec sleep 1000");
    web.ready = Ready::Http(listener.local_addr().unwrap());
    let (tell, mood) = watch::channel(Mood::Well);
    let server = tokio::spawn(answer(listener, mood));
    let patience = Patience { silence: Duration::from_millis(200), ..Patience::default() };
    (world.start_with(vec![web], patience), tell, server)
}

#[tokio::test]
async fn one_that_falls_silent_is_seen_and_started_again() {
    let world = World::new();
    let (supervisor, mood, server) = moody(&world).await;
    let panel = supervisor.panel();
    until(&panel, 0, |status| status.state == State::Ready).await;
    mood.send_replace(Mood::Silent);
    until(&panel, 0, |status| status.state == State::Silent).await;
    let killed = until(&panel, 0, |status| status.restarts == 1).await;
    assert!(killed.why.unwrap().contains("no answer"));
    mood.send_replace(Mood::Well);
    until(&panel, 0, |status| status.state == State::Ready).await;
    supervisor.stop().await;
    server.abort();
}

/// A full disk or a core that is away is not mended by ending who tells of it.
#[tokio::test]
async fn one_that_says_why_it_is_not_ready_is_shown_and_left_running() {
    let world = World::new();
    let (supervisor, mood, server) = moody(&world).await;
    let panel = supervisor.panel();
    let first = until(&panel, 0, |status| status.state == State::Ready).await;
    mood.send_replace(Mood::Unready);
    let unready = until(&panel, 0, |status| status.state == State::Unready).await;
    assert_eq!(unready.why.as_deref(), Some("no space is left, free some"));
    // For longer than silence would be borne.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    mood.send_replace(Mood::Well);
    let ready = until(&panel, 0, |status| status.state == State::Ready).await;
    assert_eq!((ready.pid, ready.restarts, ready.why), (first.pid, 0, None));
    supervisor.stop().await;
    server.abort();
}

#[tokio::test]
async fn another_process_asks_and_orders_by_the_socket() {
    let world = World::new();
    let socket = world.path("control");
    let asked = ask(&socket, &Order::Status).await;
    assert!(matches!(asked, Err(ControlError::NotRunning)));

    let supervisor = world.start(vec![world.spec("web-1", "exec sleep 1000")]);
    let panel = supervisor.panel();
    panel.all_ready().await;
    let control = listen(&socket, panel.clone()).unwrap();
    let Reply::Status(told) = ask(&socket, &Order::Status).await.unwrap() else { panic!() };
    assert_eq!(told, panel.status());
    for (name, expected) in [("web-1", true), ("web-2", false)] {
        let reply = ask(&socket, &Order::Kill(name.to_owned())).await.unwrap();
        assert_eq!(reply, Reply::Killed(expected), "{name}");
    }
    until(&panel, 0, |status| status.restarts == 1).await;

    // Whoever says nonsense is sent away, and the next one is answered.
    let mut stranger = tokio::net::UnixStream::connect(&socket).await.unwrap();
    stranger.write_all(b"what?\n").await.unwrap();
    assert_eq!(stranger.read(&mut [0; 64]).await.unwrap(), 0);
    assert!(ask(&socket, &Order::Status).await.is_ok());
    control.abort();
    // A socket that a dead process left is taken over.
    listen(&socket, panel).unwrap().abort();
    supervisor.stop().await;
}
