//! An OpenTelemetry collector: takes spans over OTLP, or misbehaves.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{Span as Sent, span::SpanKind};
use prost::Message;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// How it behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manners {
    /// Takes everything.
    Good,
    /// Takes connections and says nothing.
    Silent,
    /// Says what is no HTTP.
    Garbage,
    /// Says that it can't.
    Broken,
    /// Says that it took everything, in words that can't be read.
    Babbling,
}

/// A span that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    /// `service.name` of whoever sent it.
    pub(crate) service: String,
    /// `service.instance.id` of whoever sent it.
    pub(crate) instance: String,
    pub(crate) name: String,
    pub(crate) kind: SpanKind,
    pub(crate) trace_id: String,
    pub(crate) span_id: String,
    /// Empty for none.
    pub(crate) parent: String,
    pub(crate) began: u64,
    pub(crate) ended: u64,
    pub(crate) attributes: BTreeMap<String, String>,
}

/// It listens until the test ends.
pub(crate) struct Collector {
    pub(crate) url: String,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    pub(crate) fn start(manners: Manners) -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let spans = Arc::<Mutex<Vec<Span>>>::default();
        let taken = Arc::clone(&spans);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, taken) = (client.unwrap(), Arc::clone(&taken));
                // A client that leaves is no fault.
                std::thread::spawn(move || serve(client, manners, &taken));
            }
        });
        Collector { url, spans }
    }

    /// An address at which nobody listens.
    pub(crate) fn nobody() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }
}

fn serve(client: TcpStream, manners: Manners, taken: &Mutex<Vec<Span>>) -> Option<()> {
    let mut client = BufReader::new(client);
    loop {
        let body = read_request(&mut client)?;
        let (status, said): (&str, &[u8]) = match manners {
            Manners::Silent => continue,
            Manners::Garbage => {
                return client.get_mut().write_all(b"\x16\x03\x01 noise\r\n\r\n").ok();
            }
            Manners::Broken => ("500 Internal Server Error", b""),
            Manners::Babbling => ("200 OK", b"\xff\xff\xff\xff"),
            Manners::Good => {
                let request = ExportTraceServiceRequest::decode(&body[..]).unwrap();
                taken.lock().unwrap().extend(read_spans(request));
                ("200 OK", b"")
            }
        };
        let length = said.len();
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n");
        client.get_mut().write_all(&[head.as_bytes(), said].concat()).ok()?;
    }
}

/// The body of a request, which must be one for traces.
fn read_request(client: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let (mut length, mut line) = (0, String::new());
    client.read_line(&mut line).ok().filter(|read| *read > 0)?;
    assert_eq!(line, "POST /v1/traces HTTP/1.1\r\n");
    while line != "\r\n" {
        line.clear();
        client.read_line(&mut line).ok()?;
        if let Some((name, value)) = line.split_once(':') {
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap(),
                "content-type" => assert_eq!(value.trim(), "application/x-protobuf"),
                _ => {}
            }
        }
    }
    let mut body = vec![0; length];
    client.read_exact(&mut body).ok()?;
    Some(body)
}

fn read_spans(request: ExportTraceServiceRequest) -> Vec<Span> {
    let mut spans = Vec::new();
    for sender in request.resource_spans {
        let about = read_attributes(&sender.resource.unwrap().attributes);
        let sent = sender.scope_spans.into_iter().flat_map(|scope| scope.spans);
        spans.extend(sent.map(|span| read_span(&about, &span)));
    }
    spans
}

fn read_span(about: &BTreeMap<String, String>, span: &Sent) -> Span {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Span {
        service: about["service.name"].clone(),
        instance: about["service.instance.id"].clone(),
        name: span.name.clone(),
        kind: SpanKind::try_from(span.kind).unwrap(),
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        began: span.start_time_unix_nano,
        ended: span.end_time_unix_nano,
        attributes: read_attributes(&span.attributes),
    }
}

fn read_attributes(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Option<AnyValue>| match value.as_ref().and_then(|any| any.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("{other:?}"),
    };
    attributes.iter().map(|one| (one.key.clone(), text(&one.value))).collect()
}
