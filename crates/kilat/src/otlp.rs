//! Traces over OTLP: where they go, which requests are traced, and who this is.
//!
//! Flags and settings win; beside them the variables that OpenTelemetry defines are read, so that
//! Kilat joins whatever its surroundings have set up. Without an address nothing is traced.

use crate::failure::Failure;
use crate::lang::{Lang, say};
use clap::Args;
use kilat_server::{Sampler, Tracer};
use opentelemetry::{Key, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use serde::Serialize;
use std::env::var;
use std::pin::Pin;
use std::time::Duration;

/// Share of the requests that are traced where nobody says otherwise.
const RATIO: f64 = 0.01;
/// Longest wait for a collector to take some spans.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest reply of a collector that is read, in bytes.
const REPLY_BYTES_MAX: u64 = 64 << 10;
/// Longest wait at the end for the last spans to be delivered.
const FLUSH_WAIT: Duration = Duration::from_secs(3);

/// Where traces go, and which requests are traced.
#[derive(Clone, Debug, Default, Args, Serialize)]
pub(crate) struct TraceArgs {
    /// Send traces to this OpenTelemetry collector, as http://127.0.0.1:4318
    /// [default: OTEL_EXPORTER_OTLP_ENDPOINT, else none].
    #[arg(long, env = "KILAT_OTLP", value_name = "URL")]
    pub(crate) otlp: Option<String>,
    /// Share of the requests to trace, 0 to 1; whoever sends a traceparent decides itself
    /// [default: OTEL_TRACES_SAMPLER, else 0.01].
    #[arg(long, env = "KILAT_TRACE_RATIO", value_name = "SHARE")]
    pub(crate) trace_ratio: Option<f64>,
}

impl TraceArgs {
    /// What is missing here is taken from `file`.
    pub(crate) fn or(self, file: TraceArgs) -> TraceArgs {
        TraceArgs {
            otlp: self.otlp.or(file.otlp),
            trace_ratio: self.trace_ratio.or(file.trace_ratio),
        }
    }

    /// Refuses what can't work.
    ///
    /// # Errors
    /// [`Failure::usage`] that names the setting.
    pub(crate) fn check(&self, lang: Lang) -> Result<(), Failure> {
        if let Some(ratio) = self.trace_ratio
            && !(0.0..=1.0).contains(&ratio)
        {
            return Err(Failure::usage(say!(lang, "settings.trace_ratio", ratio = ratio)));
        }
        match &self.otlp {
            Some(url) if !is_http(url) => {
                let refused = say!(lang, "settings.otlp", url = url.escape_default());
                Err(Failure::usage(refused))
            }
            _ => Ok(()),
        }
    }

    /// Starts tracing, if there is somewhere for traces to go. `service` and `node` say who this
    /// is.
    ///
    /// # Errors
    /// [`Failure::usage`] when the address can't be used.
    pub(crate) fn start(&self, service: &str, node: &str) -> Result<Tracer, Failure> {
        if !self.is_wanted() {
            return Ok(Tracer::default());
        }
        let mut builder = SpanExporter::builder()
            .with_http()
            .with_http_client(Sender::new())
            .with_protocol(Protocol::HttpBinary);
        if let Some(url) = &self.otlp {
            builder = builder.with_endpoint(format!("{}/v1/traces", url.trim_end_matches('/')));
        }
        let exporter = builder
            .build()
            .map_err(|e| Failure::usage(format!("traces can't be sent as asked ({e})")))?;
        let sampler = self.sampler();
        tracing::info!(ratio = sampler.ratio, "traces are sent");
        Ok(Tracer::new(exporter, &resource(service, node), sampler))
    }

    /// Whether traces have somewhere to go, and nobody has switched them off.
    fn is_wanted(&self) -> bool {
        if set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return false;
        }
        if self.otlp.is_some() {
            return true;
        }
        let address = set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
            .or_else(|| set("OTEL_EXPORTER_OTLP_ENDPOINT"));
        let exporter = set("OTEL_TRACES_EXPORTER").unwrap_or_else(|| "otlp".to_owned());
        let protocol = set("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
            .or_else(|| set("OTEL_EXPORTER_OTLP_PROTOCOL"))
            .unwrap_or_else(|| "http/protobuf".to_owned());
        if address.is_none() || exporter != "otlp" {
            return false;
        }
        if protocol != "http/protobuf" {
            tracing::warn!(
                protocol,
                "the environment asks for traces by a protocol that is not spoken here: none are \
                 sent; give the collector's address for http/protobuf with --otlp"
            );
        }
        protocol == "http/protobuf"
    }

    fn sampler(&self) -> Sampler {
        if let Some(ratio) = self.trace_ratio {
            return Sampler { follows_parent: true, ratio };
        }
        let named = set("OTEL_TRACES_SAMPLER");
        named
            .and_then(|name| sampler(&name, set("OTEL_TRACES_SAMPLER_ARG").as_deref()))
            .unwrap_or(Sampler { follows_parent: true, ratio: RATIO })
    }
}

/// The sampler that OpenTelemetry calls so.
fn sampler(name: &str, argument: Option<&str>) -> Option<Sampler> {
    let (follows_parent, kind) = match name.strip_prefix("parentbased_") {
        Some(kind) => (true, kind),
        None => (false, name),
    };
    let ratio = match kind {
        "always_on" => 1.0,
        "always_off" => 0.0,
        "traceidratio" => argument
            .and_then(|share| share.parse().ok())
            .filter(|share| (0.0..=1.0).contains(share))
            .unwrap_or(1.0),
        _ => {
            tracing::warn!(name, "OTEL_TRACES_SAMPLER names no sampler that is known");
            return None;
        }
    };
    Some(Sampler { follows_parent, ratio })
}

/// Delivers the last spans, within [`FLUSH_WAIT`]. Blocks.
pub(crate) fn flush(tracer: &Tracer) {
    tracer.stop(FLUSH_WAIT);
}

/// Who sends the traces: what the environment says of it, and what only this process knows.
fn resource(service: &str, node: &str) -> Resource {
    let surroundings = Resource::builder().build();
    let name = surroundings.get(&Key::from_static_str("service.name"));
    // What the SDK says when nobody has said anything.
    let is_named = name.is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let resource = Resource::builder().with_attributes([
        KeyValue::new("service.instance.id", node.to_owned()),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
    ]);
    let resource = if is_named { resource } else { resource.with_service_name(service.to_owned()) };
    resource.build()
}

fn is_http(url: &str) -> bool {
    let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let is_host = |host: &str| !host.is_empty() && !host.starts_with(['/', ':', '?', '#']);
    // Credentials would show in a list of processes; there are headers for them.
    !url.contains('@') && host.is_some_and(is_host) && ureq::http::Uri::try_from(url).is_ok()
}

/// A variable that is set to something.
fn set(name: &str) -> Option<String> {
    var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// Sends spans over HTTP, on a thread of which nobody waits.
#[derive(Debug)]
struct Sender(ureq::Agent);

impl Sender {
    fn new() -> Sender {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(EXPORT_TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("kilat/", env!("CARGO_PKG_VERSION")))
            .build();
        Sender(config.into())
    }

    fn send(&self, request: &Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut sent = Request::new(&request.body()[..]);
        *sent.method_mut() = request.method().clone();
        *sent.uri_mut() = request.uri().clone();
        *sent.headers_mut() = request.headers().clone();
        let (head, mut body) = self.0.run(sent)?.into_parts();
        let read = body.with_config().limit(REPLY_BYTES_MAX).read_to_vec()?;
        Ok(Response::from_parts(head, read.into()))
    }
}

impl HttpClient for Sender {
    fn send_bytes<'a, 'future>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'future>>
    where
        'a: 'future,
        Self: 'future,
    {
        Box::pin(std::future::ready(self.send(&request)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_of_http() {
        let check = |otlp: &str| {
            TraceArgs { otlp: Some(otlp.into()), ..Default::default() }.check(Lang::English)
        };
        for good in ["http://127.0.0.1:4318", "https://collector.example/otlp/", "http://[::1]:1"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "127.0.0.1:4318",
            "grpc://a:4317",
            "http://",
            "http:///v1",
            "http://a:b@c",
            "http://a b",
        ] {
            let said = check(bad).unwrap_err().to_string();
            assert!(said.contains("http://127.0.0.1:4318"), "{bad}: {said}");
        }
    }

    #[test]
    fn a_share_is_between_none_and_all() {
        for (ratio, is_good) in
            [(0.0, true), (1.0, true), (-0.1, false), (1.1, false), (f64::NAN, false)]
        {
            let args = TraceArgs { trace_ratio: Some(ratio), ..Default::default() };
            assert_eq!(args.check(Lang::English).is_ok(), is_good, "{ratio}");
        }
    }

    #[test]
    fn samplers_are_known_by_the_names_that_opentelemetry_gives_them() {
        for (name, argument, expected) in [
            ("always_on", None, Some((false, 1.0))),
            ("always_off", Some("1"), Some((false, 0.0))),
            ("traceidratio", Some("0.25"), Some((false, 0.25))),
            ("traceidratio", None, Some((false, 1.0))),
            ("traceidratio", Some("7"), Some((false, 1.0))),
            ("parentbased_always_on", None, Some((true, 1.0))),
            ("parentbased_traceidratio", Some("0.5"), Some((true, 0.5))),
            ("jaeger_remote", None, None),
        ] {
            let found = sampler(name, argument);
            assert_eq!(found.map(|s| (s.follows_parent, s.ratio)), expected, "{name} {argument:?}");
        }
    }
}
