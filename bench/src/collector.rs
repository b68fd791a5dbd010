//! A collector of spans, which says when things were done.

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// Something that was done, by the clock of this machine.
#[derive(Clone, Debug)]
pub struct Span {
    /// What.
    pub name: String,
    /// From when, since 1970.
    pub begun: Duration,
    /// Until when.
    pub ended: Duration,
}

/// Keeps what it is sent.
#[derive(Clone, Default)]
pub struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let all = request.into_inner().resource_spans.into_iter().flat_map(|of| of.scope_spans);
        let spans = all.flat_map(|of| of.spans).map(|span| Span {
            name: span.name,
            begun: Duration::from_nanos(span.start_time_unix_nano),
            ended: Duration::from_nanos(span.end_time_unix_nano),
        });
        self.spans.lock().expect("no panic").extend(spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// It, and `--otlp` for it.
    pub async fn start() -> (Self, String) {
        let collector = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let service = TraceServiceServer::new(collector.clone());
        let incoming = TcpListenerStream::new(listener);
        tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
        (collector, address)
    }

    /// What came, in the order of its begin.
    pub fn take(&self) -> Vec<Span> {
        let mut spans = std::mem::take(&mut *self.spans.lock().expect("no panic"));
        spans.sort_by_key(|span| span.begun);
        spans
    }
}
