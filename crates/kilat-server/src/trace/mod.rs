//! Traces: where a request stands in one, whether its way is recorded, and who hears of it.
//!
//! ```text
//! traceparent ─▶ Tracer::enter ─▶ Entered ─ not sampled: ids for the log and the next hop, no more
//!                                    └─ sampled: Active ─▶ Tracer::end ─▶ bounded queue ─▶ exporter
//! ```
//!
//! Ids are those of W3C Trace Context, spans follow OpenTelemetry's semantic conventions for HTTP.
//! A tracer that is off looks at no clock and takes no memory. One that is on never makes a request
//! wait: a full queue loses spans, and counts them.
//!
//! Must never know where spans go: an exporter is handed in.

mod context;
mod delivery;
mod sampler;
mod stages;

pub(crate) use context::Parent;
pub(crate) use delivery::describe;
pub use sampler::Sampler;
pub(crate) use stages::STORE;

use crate::ids::random_bits;
use delivery::{Counted, Delivery};
use hyper::header::HeaderName;
use hyper::{HeaderMap, Method};
use kilat_engine::{Placed, TraceContext, TracedCallback};
use opentelemetry::trace::{SpanContext, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, SpanId, TraceId};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter, SpanLinks};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Header that says where a request stands in a trace.
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

tokio::task_local! {
    /// The request that this task serves, if its way is recorded.
    static CURRENT: TraceContext;
}

/// Decides which requests are traced, and takes what is known of them. Clones share the same; the
/// default is off.
#[derive(Clone, Debug, Default)]
pub struct Tracer(Option<Arc<Recorder>>);

#[derive(Debug)]
struct Recorder {
    delivery: Delivery,
    sampler: Sampler,
    scope: InstrumentationScope,
}

/// What a request is from now on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entered {
    /// Its place in a trace, for the log and for whoever is asked next.
    pub(crate) context: Option<Parent>,
    /// Its span, if its way is recorded.
    pub(crate) span: Option<Active>,
}

/// A span that has begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Active {
    trace_id: u128,
    span_id: u64,
    /// 0 for none.
    parent: u64,
    parent_is_remote: bool,
    began: SystemTime,
}

/// What a span was, now that it is over.
pub(crate) struct Ended {
    pub(crate) name: Cow<'static, str>,
    pub(crate) kind: SpanKind,
    pub(crate) attributes: Vec<KeyValue>,
    /// It came to nothing, by its own fault.
    pub(crate) failed: bool,
}

impl Tracer {
    /// One that is on. Starts a thread which hands spans to `exporter`, whose calls should end in
    /// good time.
    #[must_use]
    pub fn new(
        exporter: impl SpanExporter + 'static,
        resource: &Resource,
        sampler: Sampler,
    ) -> Tracer {
        let scope = InstrumentationScope::builder("kilat").with_version(env!("CARGO_PKG_VERSION"));
        let delivery = Delivery::start(Counted::new(exporter), resource);
        Tracer(Some(Arc::new(Recorder { delivery, sampler, scope: scope.build() })))
    }

    /// Delivers what is recorded, within `wait`; afterwards nothing is recorded any more. Blocks.
    pub fn stop(&self, wait: Duration) {
        if let Some(recorder) = &self.0 {
            recorder.delivery.stop(wait);
        }
    }

    /// What a core tells of traced groups to, if this is on.
    #[must_use]
    pub fn of_core(&self) -> Option<TracedCallback> {
        self.0.as_ref()?;
        let tracer = self.clone();
        Some(Arc::new(move |placed: &Placed| stages::core(&tracer, placed)))
    }

    pub(crate) const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Begins the span of a request that came with `parent`, if its way is recorded.
    pub(crate) fn enter(&self, parent: Option<Parent>) -> Entered {
        let Some(recorder) = &self.0 else {
            return Entered { context: parent, span: None };
        };
        let trace_id = parent.map_or_else(new_trace_id, |parent| parent.trace_id);
        let sampled = recorder.sampler.takes(trace_id, parent.map(|parent| parent.sampled));
        if !sampled {
            let span_id = parent.map_or_else(new_span_id, |parent| parent.span_id);
            return Entered { context: Some(Parent { trace_id, span_id, sampled }), span: None };
        }
        let span = Active {
            trace_id,
            span_id: new_span_id(),
            parent: parent.map_or(0, |parent| parent.span_id),
            parent_is_remote: true,
            began: SystemTime::now(),
        };
        Entered { context: Some(span.as_parent()), span: Some(span) }
    }

    /// Records a span that ends now.
    pub(crate) fn end(&self, span: &Active, ended: Ended) {
        self.record(span, SystemTime::now(), ended);
    }

    /// Records the span of a request over HTTP that is answered now. `route` is the path as the
    /// table of routes has it.
    pub(crate) fn end_request(
        &self,
        span: &Active,
        method: &Method,
        path: String,
        route: Option<&str>,
        request_id: &str,
        status: u16,
    ) {
        let mut attributes = http(method, path, Some(status));
        attributes.push(KeyValue::new("kilat.request_id", request_id.to_owned()));
        let name = match route {
            Some(route) => {
                attributes.push(KeyValue::new("http.route", route.to_owned()));
                format!("{method} {route}").into()
            }
            None => method.to_string().into(),
        };
        self.end(span, Ended { name, kind: SpanKind::Server, attributes, failed: status >= 500 });
    }

    fn record(&self, span: &Active, end: SystemTime, ended: Ended) {
        let Some(recorder) = &self.0 else {
            return;
        };
        let context = SpanContext::new(
            TraceId::from_bytes(span.trace_id.to_be_bytes()),
            SpanId::from_bytes(span.span_id.to_be_bytes()),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        );
        recorder.delivery.take(SpanData {
            span_context: context,
            parent_span_id: SpanId::from_bytes(span.parent.to_be_bytes()),
            parent_span_is_remote: span.parent_is_remote,
            span_kind: ended.kind,
            name: ended.name,
            start_time: span.began,
            end_time: end,
            attributes: ended.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: if ended.failed { Status::error("") } else { Status::Unset },
            instrumentation_scope: recorder.scope.clone(),
        });
    }
}

impl Active {
    /// A span of this process within this one, beginning now.
    pub(crate) fn child(&self) -> Active {
        Active::within(self.context(), SystemTime::now(), false)
    }

    fn within(parent: TraceContext, began: SystemTime, parent_is_remote: bool) -> Active {
        let TraceContext { trace_id, span_id: parent } = parent;
        Active { trace_id, span_id: new_span_id(), parent, parent_is_remote, began }
    }

    /// What the next one asked is told.
    pub(crate) const fn as_parent(&self) -> Parent {
        Parent { trace_id: self.trace_id, span_id: self.span_id, sampled: true }
    }

    /// What the engine is told.
    pub(crate) const fn context(&self) -> TraceContext {
        TraceContext { trace_id: self.trace_id, span_id: self.span_id }
    }
}

/// Runs `work` as what this request asks for.
pub(crate) async fn within<T>(span: Option<&Active>, work: impl Future<Output = T>) -> T {
    match span {
        Some(span) => CURRENT.scope(span.context(), work).await,
        None => work.await,
    }
}

/// The request that this task serves, if its way is recorded.
pub(crate) fn current() -> Option<TraceContext> {
    CURRENT.try_with(|context| *context).ok()
}

/// The place in a trace that a request says it comes from, if it says so once and well.
pub(crate) fn parent(headers: &HeaderMap) -> Option<Parent> {
    let mut parents = headers.get_all(TRACEPARENT).iter();
    let (first, second) = (parents.next()?, parents.next());
    Parent::read(first.as_bytes()).filter(|_| second.is_none())
}

/// What is said of every request over HTTP.
pub(crate) fn http(method: &Method, path: String, status: Option<u16>) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(8);
    attributes.push(match *method {
        Method::GET => KeyValue::new("http.request.method", "GET"),
        Method::POST => KeyValue::new("http.request.method", "POST"),
        ref other => KeyValue::new("http.request.method", other.as_str().to_owned()),
    });
    attributes.push(KeyValue::new("url.path", path));
    if let Some(status) = status {
        attributes.push(KeyValue::new("http.response.status_code", i64::from(status)));
        if status >= 500 {
            attributes.push(KeyValue::new("error.type", status.to_string()));
        }
    }
    attributes
}

/// Never 0, which stands for none.
fn new_trace_id() -> u128 {
    random_bits().max(1)
}

#[expect(clippy::cast_possible_truncation, reason = "any 64 of the random bits will do")]
fn new_span_id() -> u64 {
    (random_bits() as u64).max(1)
}
