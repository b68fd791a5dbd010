//! Spans to a collector of OpenTelemetry, over OTLP (gRPC). A crate of its own: what its SDK brings along is compiled for
//! nobody else.
//!
//! Ids are ours, made where requests come in; the SDK gathers spans into batches and sends them, away from those who work.
//! A collector that is away costs spans, never requests: some thousands wait, more are dropped.

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor};
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use vidstream_mesh::trace::{Ended, Export, Kind, Tracer};

/// What a batch may take on its way to the collector.
const SEND_WITHIN: Duration = Duration::from_secs(10);

/// What the last spans may take.
pub const END_WITHIN: Duration = Duration::from_secs(5);

/// Where the collector is: `http://HOST:PORT`, the port of its gRPC (4317).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OtlpUrl(String);

/// Why a text names no collector.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OtlpUrlError {
    /// It has another form.
    #[error("`{0}` is not an address such as http://localhost:4317")]
    NoAddress(String),
    /// It has a scheme that is not spoken here.
    #[error("`{0}` needs TLS, which is not spoken to collectors: let one on this machine pass spans on")]
    NeedsTls(String),
}

impl FromStr for OtlpUrl {
    type Err = OtlpUrlError;

    fn from_str(text: &str) -> Result<Self, OtlpUrlError> {
        let wrong = || OtlpUrlError::NoAddress(text.to_owned());
        let uri: http::Uri = text.parse().map_err(|_| wrong())?;
        match uri.scheme_str() {
            Some("http") if uri.authority().is_some() && uri.query().is_none() && matches!(uri.path(), "" | "/") => {
                Ok(Self(text.trim_end_matches('/').to_owned()))
            }
            Some("https") => Err(OtlpUrlError::NeedsTls(text.to_owned())),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for OtlpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A client for the collector can't be made.
#[derive(Debug, thiserror::Error)]
#[error("spans can't be sent to {url}: {why}")]
pub struct OtlpError {
    url: OtlpUrl,
    why: String,
}

/// Sends spans to a collector. Cheap to clone; clones share everything.
#[derive(Clone, Debug)]
pub struct Collector {
    shared: Arc<Services>,
}

/// What gathers the spans of each service: to a collector they come from different places, also where one process is all.
struct Services {
    url: OtlpUrl,
    instance: String,
    runtime: tokio::runtime::Handle,
    /// None once the end has begun.
    processors: Mutex<Option<HashMap<&'static str, Arc<BatchSpanProcessor>>>>,
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Collector {
    /// Sends to the collector at `url`, within a runtime. `instance` tells this process from others. Nobody is connected to
    /// before there are spans.
    pub fn new(url: OtlpUrl, instance: String) -> Result<Self, OtlpError> {
        let runtime = tokio::runtime::Handle::current();
        let services = Services { url, instance, runtime, processors: Mutex::new(Some(HashMap::new())) };
        // What can't be made would otherwise be found out with the first span.
        services.exporter()?;
        Ok(Self { shared: Arc::new(services) })
    }

    /// What hands spans to it.
    pub fn tracer(&self) -> Tracer {
        Tracer::new(Arc::clone(&self.shared) as Arc<dyn Export>)
    }

    /// Sends what is left of all services, side by side, as far as that takes no longer than [`END_WITHIN`]; spans that end
    /// later are lost.
    pub async fn end(&self) {
        let processors = self.shared.processors().take().unwrap_or_default();
        let ending = processors.into_iter().map(|(service, processor)| {
            tokio::task::spawn_blocking(move || {
                if let Err(error) = processor.shutdown_with_timeout(END_WITHIN) {
                    tracing::warn!(service, %error, "the last spans could not be sent");
                }
            })
        });
        // All have begun before the first is waited for.
        for ended in ending.collect::<Vec<_>>() {
            if let Err(panic) = ended.await {
                tracing::error!(%panic, "sending the last spans ended that must not");
            }
        }
    }
}

impl Services {
    fn processors(&self) -> std::sync::MutexGuard<'_, Option<HashMap<&'static str, Arc<BatchSpanProcessor>>>> {
        self.processors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn exporter(&self) -> Result<SpanExporter, OtlpError> {
        // Its channel lives on the runtime.
        let _entered = self.runtime.enter();
        let made = SpanExporter::builder().with_tonic().with_endpoint(&self.url.0).with_timeout(SEND_WITHIN).build();
        made.map_err(|error| OtlpError { url: self.url.clone(), why: error.to_string() })
    }

    fn processor(&self, service: &'static str) -> Option<Arc<BatchSpanProcessor>> {
        let mut guard = self.processors();
        let processors = guard.as_mut()?;
        if let Some(processor) = processors.get(service) {
            return Some(Arc::clone(processor));
        }
        let exporter = self.exporter().inspect_err(|error| tracing::warn!(%error, "spans are lost")).ok()?;
        let mut processor = BatchSpanProcessor::builder(exporter).build();
        processor.set_resource(&self.resource(service));
        let processor = Arc::new(processor);
        processors.insert(service, Arc::clone(&processor));
        Some(processor)
    }

    fn resource(&self, service: &'static str) -> Resource {
        let about = [
            KeyValue::new("service.namespace", "vidstream"),
            KeyValue::new("service.instance.id", self.instance.clone()),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        ];
        Resource::builder_empty().with_service_name(service).with_attributes(about).build()
    }
}

impl Export for Services {
    fn ended(&self, span: Ended) {
        if let Some(processor) = self.processor(span.service) {
            processor.on_end(data(span));
        }
    }
}

/// A span as the SDK has it.
fn data(span: Ended) -> SpanData {
    let trace_id = TraceId::from_bytes(span.context.trace.to_bytes());
    let span_id = SpanId::from_bytes(span.context.span.to_bytes());
    let flags = if span.context.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    SpanData {
        span_context: SpanContext::new(trace_id, span_id, flags, false, TraceState::NONE),
        parent_span_id: span.parent.map_or(SpanId::INVALID, |parent| SpanId::from_bytes(parent.to_bytes())),
        parent_span_is_remote: span.parent.is_some() && span.kind == Kind::Server,
        span_kind: match span.kind {
            Kind::Server => SpanKind::Server,
            Kind::Internal => SpanKind::Internal,
            Kind::Producer => SpanKind::Producer,
            Kind::Consumer => SpanKind::Consumer,
        },
        name: span.name,
        start_time: span.began,
        end_time: span.ended,
        attributes: span.attributes.into_iter().map(|(name, value)| KeyValue::new(name, value)).collect(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: span.failure.map_or(Status::Unset, Status::error),
        instrumentation_scope: InstrumentationScope::builder("vidstream").build(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Instant, SystemTime};
    use vidstream_mesh::trace::TraceContext;

    fn span(service: &'static str) -> Ended {
        let (context, now) = (TraceContext::begin(true), SystemTime::now());
        Ended {
            service,
            name: "test".into(),
            kind: Kind::Internal,
            context,
            parent: None,
            began: now,
            ended: now,
            attributes: Vec::new(),
            failure: None,
        }
    }

    #[tokio::test]
    async fn all_services_end_together_and_nothing_begins_afterwards() {
        // It accepts, by its backlog, and says nothing.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", silent.local_addr().expect("bound")).parse().expect("an address");
        let collector = Collector::new(url, "test".into()).expect("a collector");
        let services = ["a", "b", "c", "d", "e", "f"];
        for service in services {
            collector.shared.ended(span(service));
        }
        let began = Instant::now();
        collector.end().await;
        // One after the other would take as many times as long.
        assert!(began.elapsed() < END_WITHIN * 4, "{:?}", began.elapsed());
        collector.shared.ended(span("a"));
        assert!(collector.shared.processors().is_none());
    }

    #[test]
    fn collectors_are_named_by_address() {
        let url = |text: &str| text.parse::<OtlpUrl>().map(|url| url.to_string());
        assert_eq!(url("http://localhost:4317").as_deref(), Ok("http://localhost:4317"));
        assert_eq!(url("http://[::1]:4317/").as_deref(), Ok("http://[::1]:4317"));
        for wrong in ["", "localhost:4317", "http://", "http://a/v1/traces", "http://a?x", "grpc://a"] {
            assert_eq!(url(wrong), Err(OtlpUrlError::NoAddress(wrong.into())), "{wrong}");
        }
        assert!(matches!(url("https://a:4317"), Err(OtlpUrlError::NeedsTls(_))));
    }
}
