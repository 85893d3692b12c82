//! TLS and HTTP/2, against servers made of the libraries that serve them.

use super::*;
use crate::ClientError;
use crate::check::exchange::{HEAD_BYTES_MAX, Http2};
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

/// An authority that only those trust who are told to.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    fn file(&self, directory: &tempfile::TempDir) -> PathBuf {
        let path = directory.path().join("ca.pem");
        std::fs::write(&path, &self.pem).unwrap();
        path
    }

    /// What a server of this name needs.
    fn acceptor(&self, name: &str, protocols: &[&str]) -> TlsAcceptor {
        self.acceptor_by(&CertificateParams::new(vec![name.to_owned()]).unwrap(), protocols)
    }

    fn acceptor_by(&self, params: &CertificateParams, protocols: &[&str]) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A server on a thread of its own, until the test process ends.
struct Modern {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// Replies wait for permits of this.
    gate: Arc<Semaphore>,
}

impl Modern {
    /// Answers with the version of HTTP, at most `streams_max` requests at once a connection.
    fn start(tls: Option<TlsAcceptor>, is_http2: bool, streams_max: u32) -> Modern {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, gate) =
            (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(1 << 20)));
        let (count, permits) = (Arc::clone(&connections), Arc::clone(&gate));
        std::thread::spawn(move || {
            run(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    count.fetch_add(1, SeqCst);
                    tokio::spawn(serve(
                        stream,
                        tls.clone(),
                        is_http2,
                        streams_max,
                        permits.clone(),
                    ));
                }
            });
        });
        Modern { address, connections, gate }
    }

    fn uri(&self, scheme: &str, host: &str, path: &str) -> String {
        format!("{scheme}://{host}:{}{path}", self.address.port())
    }
}

async fn serve(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    is_http2: bool,
    streams_max: u32,
    gate: Arc<Semaphore>,
) {
    match tls {
        None => speak(stream, is_http2, streams_max, gate).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                speak(stream, is_http2, streams_max, gate).await;
            }
        }
    }
}

async fn speak<S>(stream: S, is_http2: bool, streams_max: u32, gate: Arc<Semaphore>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let service =
        service_fn(move |request: hyper::Request<Incoming>| answer(request, gate.clone()));
    let io = TokioIo::new(stream);
    if is_http2 {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.max_concurrent_streams(streams_max);
        let _ = builder.serve_connection(io, service).await;
    } else {
        let _ = http1::Builder::new().serve_connection(io, service).await;
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    gate: Arc<Semaphore>,
) -> Result<hyper::Response<Said>, Infallible> {
    let _permit = gate.acquire().await;
    let agent = request.headers().get("user-agent").and_then(|agent| agent.to_str().ok());
    let is_named = request.uri().authority().is_some_and(|name| name.as_str().contains('@'));
    assert!(!is_named, "{}", request.uri());
    let said = format!("{:?} {} {}", request.version(), request.uri().path(), agent.unwrap_or(""));
    let length = request.uri().query().and_then(|query| query.parse().ok());
    let body = length.map_or(Bytes::from(said), |length: usize| Bytes::from(vec![b'x'; length]));
    let tells_length = request.uri().path() != "/untold";
    let trailers = wide(request.uri().path(), "/trailers/");
    let said = Said { body: Full::new(body), tells_length, trailers: Some(trailers) };
    let mut response = hyper::Response::new(said);
    response.headers_mut().extend(wide(request.uri().path(), "/head/"));
    Ok(response)
}

/// A field of as many bytes as the path says behind its beginning, as HTTP/2 counts them.
fn wide(path: &str, beginning: &str) -> HeaderMap {
    let bytes = path.strip_prefix(beginning).map(|bytes| bytes.parse::<usize>().unwrap());
    let field = |bytes| ("x-wide".parse().unwrap(), "x".repeat(bytes - 38).parse().unwrap());
    bytes.map(field).into_iter().collect()
}

/// A body that may not tell how long it is.
struct Said {
    body: Full<Bytes>,
    tells_length: bool,
    trailers: Option<HeaderMap>,
}

impl Body for Said {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        let trailers = self.trailers.take_if(|fields| data.is_none() && !fields.is_empty());
        Poll::Ready(data.or(trailers.map(|fields| Ok(Frame::trailers(fields)))))
    }

    fn size_hint(&self) -> SizeHint {
        if self.tells_length { self.body.size_hint() } else { SizeHint::default() }
    }
}

const AGENT: &str = concat!("kilat/", env!("CARGO_PKG_VERSION"));

fn trusting(authority: &Authority, directory: &tempfile::TempDir) -> ExchangeOptions {
    ExchangeOptions { ca: Some(authority.file(directory)), ..options() }
}

#[test]
fn a_server_of_a_named_authority_is_trusted_and_chooses_the_version() {
    let (authority, directory) = (Authority::new(), tempfile::tempdir().unwrap());
    for (host, protocols, version) in [
        ("localhost", &["h2", "http/1.1"][..], "HTTP/2.0"),
        ("localhost", &["http/1.1"][..], "HTTP/1.1"),
        ("localhost", &[][..], "HTTP/1.1"),
        ("127.0.0.1", &["h2"][..], "HTTP/2.0"),
    ] {
        let tls = authority.acceptor(host, protocols);
        let server = Modern::start(Some(tls), version == "HTTP/2.0", 100);
        let told = ask(&trusting(&authority, &directory), &server.uri("https", host, "/a"));
        assert_eq!(told, Ok((200, format!("{version} /a {AGENT}"))), "{host} {protocols:?}");
    }
}

#[test]
fn servers_that_prove_nothing_are_not_trusted() {
    let (authority, directory) = (Authority::new(), tempfile::tempdir().unwrap());
    let tls = authority.acceptor("localhost", &[]);
    let server = Modern::start(Some(tls), false, 100);
    let unknown = ask(&options(), &server.uri("https", "localhost", "/")).unwrap_err();
    assert_eq!(unknown, Setback::UnknownAuthority);
    assert!(unknown.text(Lang::English).contains("--ca"));

    let trusting = trusting(&authority, &directory);
    let other_name = ask(&trusting, &server.uri("https", "127.0.0.1", "/")).unwrap_err();
    let [names, host] = ["localhost", "127.0.0.1"].map(str::to_owned);
    assert_eq!(other_name, Setback::OtherName { names, host });

    let namesake = Modern::start(Some(Authority::new().acceptor("localhost", &[])), false, 100);
    let forged = ask(&trusting, &namesake.uri("https", "localhost", "/")).unwrap_err();
    assert_eq!(forged, Setback::UnknownAuthority);

    let plain = Modern::start(None, false, 100);
    let no_tls = ask(&trusting, &plain.uri("https", "localhost", "/")).unwrap_err();
    assert!(matches!(no_tls, Setback::NoTls | Setback::Closed), "{no_tls:?}");
}

/// The user reads from when until when, and whom the certificate is for.
#[test]
fn a_certificate_that_is_not_for_now_or_here_is_told_as_that() {
    let (authority, directory) = (Authority::new(), tempfile::tempdir().unwrap());
    let trusting = trusting(&authority, &directory);
    let day = rcgen::date_time_ymd;
    for (from, until, names, expected) in [
        (2020, 2026, "localhost", Setback::Expired("2026-01-01".to_owned())),
        (4000, 4001, "localhost", Setback::NotYetValid("4000-01-01".to_owned())),
        (2020, 4000, "*.a.test b.test 10.0.0.1", other_name("*.a.test, b.test, 10.0.0.1")),
        (2020, 4000, "a.test b.test c.test d.test", other_name("a.test, b.test, c.test, …")),
        (2020, 4000, "", other_name("")),
    ] {
        let names: Vec<String> = names.split_whitespace().map(str::to_owned).collect();
        let mut params = CertificateParams::new(names).unwrap();
        (params.not_before, params.not_after) = (day(from, 1, 1), day(until, 1, 1));
        let server = Modern::start(Some(authority.acceptor_by(&params, &[])), false, 100);
        assert_eq!(ask(&trusting, &server.uri("https", "localhost", "/")), Err(expected));
    }
}

fn other_name(names: &str) -> Setback {
    Setback::OtherName { names: names.to_owned(), host: "localhost".to_owned() }
}

/// Whoever answers whatever comes in the words of HTTP/1 speaks neither TLS nor HTTP/2.
#[test]
fn a_server_of_another_protocol_is_told_from_a_broken_one() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            client.read_exact(&mut [0; 16]).unwrap();
            client.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").unwrap();
            // Nothing is unread when it is closed: a reset would take the reply with it.
            client.shutdown(std::net::Shutdown::Write).unwrap();
            let _ = client.read_to_end(&mut Vec::new());
        }
    });
    let knowing = ExchangeOptions { http2: Http2::PriorKnowledge, ..options() };
    for (options, scheme, expected) in
        [(options(), "https", Setback::NoTls), (knowing, "http", Setback::NoHttp2)]
    {
        assert_eq!(ask(&options, &format!("{scheme}://127.0.0.1:{port}/")), Err(expected));
    }
}

#[test]
fn a_file_of_authorities_must_hold_some() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    for content in [
        None,
        Some(""),
        Some("hello"),
        Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ] {
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let error = Exchange::new(
            &ExchangeOptions { ca: Some(path.clone()), ..options() },
            Lang::Indonesian,
        )
        .err()
        .unwrap();
        assert!(matches!(error, ClientError::Usage(_)), "{content:?}");
        assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
    }
    // What never ends is not read to its end.
    let endless = ExchangeOptions { ca: Some("/dev/zero".into()), ..options() };
    let error = Exchange::new(&endless, Lang::Indonesian).err().unwrap();
    assert!(error.to_string().contains("16777216"), "{error}");
}

#[test]
fn http2_without_tls_is_spoken_by_those_who_know() {
    let server = Modern::start(None, true, 100);
    let knowing = ExchangeOptions { http2: Http2::PriorKnowledge, ..options() };
    let told = ask(&knowing, &server.uri("http", "127.0.0.1", "/a"));
    assert_eq!(told, Ok((200, format!("HTTP/2.0 /a {AGENT}"))));
    let named = ask(&knowing, &server.uri("http", "user:secret@127.0.0.1", "/a"));
    assert_eq!(named, Ok((200, format!("HTTP/2.0 /a {AGENT}"))));
    for path in ["/", "/untold"] {
        let wide = ask(&knowing, &server.uri("http", "127.0.0.1", &format!("{path}?262144")));
        assert_eq!(wide.unwrap().1.len(), 262_144, "{path}");
        let wider = ask(&knowing, &server.uri("http", "127.0.0.1", &format!("{path}?262145")));
        assert_eq!(wider, Err(Setback::TooLarge(262_144)), "{path}");
    }
    let old = Modern::start(None, false, 100);
    let told = ask(&knowing, &old.uri("http", "127.0.0.1", "/a"));
    assert!(matches!(told, Err(Setback::NoHttp2 | Setback::Closed)), "{told:?}");
}

/// As long as over HTTP/1, and told as there; trailers count with it.
#[test]
fn a_head_over_http2_has_a_limit() {
    let server = Modern::start(None, true, 100);
    let knowing = ExchangeOptions { http2: Http2::PriorKnowledge, ..options() };
    let too_large = Err(Setback::HeadTooLarge(HEAD_BYTES_MAX));
    for (bytes, expected) in [
        (HEAD_BYTES_MAX - 1_024, &Ok(200)),
        (HEAD_BYTES_MAX + 1, &too_large),
        (3 * HEAD_BYTES_MAX, &too_large),
    ] {
        for place in ["head", "trailers"] {
            let uri = server.uri("http", "127.0.0.1", &format!("/{place}/{bytes}"));
            let told = ask(&knowing, &uri).map(|(status, _)| status);
            assert_eq!(told, *expected, "{place} {bytes}");
        }
    }
}

/// Sends so many at once, each of which must get its answer; connections that it took.
fn burst(server: &Modern, options: &ExchangeOptions, uri: &str, count: usize, held: bool) -> usize {
    run(async {
        let exchange = exchange(options);
        let held = if held { server.gate.forget_permits(1 << 20) } else { 0 };
        let mut set = tokio::task::JoinSet::new();
        for _ in 0..count {
            let (exchange, request) = (exchange.clone(), get(uri));
            set.spawn(async move { exchange.send(&request).await.map(|reply| reply.status) });
        }
        if held > 0 {
            // All are on their way before the first is answered.
            while exchange.shared.in_flight.available_permits() + count > options.connections_max {
                tokio::task::yield_now().await;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
            server.gate.add_permits(held);
        }
        while let Some(status) = set.join_next().await {
            assert_eq!(status.unwrap(), Ok(200));
        }
        server.connections.load(SeqCst)
    })
}

#[test]
fn many_requests_share_one_http2_connection() {
    let (authority, directory) = (Authority::new(), tempfile::tempdir().unwrap());
    let tls = authority.acceptor("localhost", &["h2"]);
    let server = Modern::start(Some(tls), true, 200);
    let uri = server.uri("https", "localhost", "/");
    assert_eq!(burst(&server, &trusting(&authority, &directory), &uri, 80, false), 1);
}

/// Those that wait for room leave the connection to those that have it.
#[test]
fn many_large_replies_share_one_http2_connection() {
    for path in ["/", "/untold"] {
        let server = Modern::start(None, true, 1_000);
        let knowing = ExchangeOptions { http2: Http2::PriorKnowledge, ..options() };
        let uri = server.uri("http", "127.0.0.1", &format!("{path}?250000"));
        assert_eq!(burst(&server, &knowing, &uri, 240, true), 1, "{path}");
    }
}

/// A server that allows 10 requests at once a connection gets more connections, not a queue.
#[test]
fn a_full_http2_connection_is_joined_by_another() {
    let server = Modern::start(None, true, 10);
    let knowing = ExchangeOptions { http2: Http2::PriorKnowledge, ..options() };
    let uri = server.uri("http", "127.0.0.1", "/");
    run(async {
        let exchange = exchange(&knowing);
        // The first reply brings the server's settings.
        exchange.send(&get(&uri)).await.unwrap();
    });
    let connections = burst(&server, &knowing, &uri, 200, true) - 1;
    assert!((2..=21).contains(&connections), "{connections}");
}

#[test]
fn an_http2_connection_that_went_away_costs_no_reply() {
    let server = Modern::start(None, true, 100);
    let knowing = ExchangeOptions { http2: Http2::PriorKnowledge, connections_max: 1, ..options() };
    let other = Modern::start(None, true, 100);
    run(async {
        let exchange = exchange(&knowing);
        for server in [&server, &other, &server, &other] {
            let reply = exchange.send(&get(&server.uri("http", "127.0.0.1", "/a"))).await;
            assert_eq!(reply.map(told), Ok((200, format!("HTTP/2.0 /a {AGENT}"))));
        }
    });
}
