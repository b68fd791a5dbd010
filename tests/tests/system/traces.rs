//! One upload is one trace, as a collector of others' making sees it.

use crate::distributed::Backends;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};
use vidstream_proto::pb;
use vidstream_proto::pb::gateway_service_client::GatewayServiceClient;
use vidstream_tests::clips;
use vidstream_tests::judges::curl::{curl, get};
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::Person;

/// A collector that keeps what it is sent.
#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Span {
    trace: Vec<u8>,
    id: Vec<u8>,
    parent: Vec<u8>,
    service: String,
    name: String,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for of in request.into_inner().resource_spans {
            let attributes = of.resource.expect("who sends says who it is").attributes;
            let service = attributes.iter().find(|attribute| attribute.key == "service.name").expect("a name");
            let Some(Value::StringValue(service)) = service.value.clone().and_then(|value| value.value) else {
                return Err(Status::invalid_argument("a name is a text"));
            };
            let spans = of.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.spans.lock().expect("no panic").extend(spans.map(|span| Span {
                trace: span.trace_id,
                id: span.span_id,
                parent: span.parent_span_id,
                service: service.clone(),
                name: span.name,
            }));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// It, and where it listens.
    fn start(runtime: &Runtime) -> (Self, String) {
        let collector = Self::default();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let service = TraceServiceServer::new(collector.clone());
        let served = tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener));
        runtime.spawn(served);
        (collector, address)
    }

    fn spans(&self) -> Vec<Span> {
        self.spans.lock().expect("no panic").clone()
    }
}

#[test]
fn one_upload_is_one_trace() {
    let runtime = Runtime::new().expect("a runtime");
    let (collector, address) = Collector::start(&runtime);
    let server = Server::with(&["--otlp", &address]);
    let video = Person::of(&server).upload(&clips::clip("last.mp4"), "--wait=all");
    assert_eq!(video["state"], "VIDEO_STATE_READY");
    assert!(server.stop().success(), "and what it had not sent yet, it sends");
    is_one_trace(&collector.spans());
}

#[test]
fn one_upload_is_one_trace_through_all_processes() {
    let runtime = Runtime::new().expect("a runtime");
    let (collector, address) = Collector::start(&runtime);
    let backends = Backends::start(&runtime);
    let mesh = |role: &str, flags: &[&str]| {
        let own = ["--roles", role, "--mesh-listen", "127.0.0.1:0", "--otlp", &address];
        backends.starting(&[&own[..], flags].concat()).ready()
    };
    let peer = |server: &Server| server.address.strip_prefix("http://").expect("an address").to_owned();
    let catalog = mesh("catalog", &[]);
    let transcoder = mesh("transcoder", &["--to-catalog", &peer(&catalog)]);
    let others = ["--to-catalog", &peer(&catalog), "--to-transcoder", &peer(&transcoder)];
    let gateway = mesh("gateway", &[&["--listen", "127.0.0.1:0"][..], &others[..]].concat());
    let video = Person::of(&gateway).upload(&clips::clip("last.mp4"), "--wait=all");
    assert_eq!(video["state"], "VIDEO_STATE_READY");
    for server in [gateway, transcoder, catalog] {
        assert!(server.stop().success());
    }
    is_one_trace(&collector.spans());
}

/// There is one trace of an upload, and all that follows from it, whoever did it, is in it.
fn is_one_trace(spans: &[Span]) {
    let create = "vidstream.v1.UploadService/CreateUpload";
    let first = spans.iter().find(|span| span.name == create).expect("an upload begins with it");
    assert!(first.parent.is_empty(), "{first:?}");
    let of_upload: Vec<&Span> = spans.iter().filter(|span| span.trace == first.trace).collect();
    let names: BTreeSet<(&str, &str)> = of_upload.iter().map(|span| (&*span.service, &*span.name)).collect();
    for expected in [
        ("gateway", create),
        ("catalog", "vidstream.v1.CatalogService/CreateSource"),
        ("catalog", "ring light"),
        ("gateway", "take pieces"),
        ("catalog", "vidstream.v1.CatalogService/RecordExtents"),
        ("gateway", "complete an upload"),
        ("catalog", "vidstream.v1.CatalogService/CompleteSource"),
        ("catalog", "ring pictures"),
        ("transcoder", "job ingest"),
        ("transcoder", "job storyboard"),
        ("transcoder", "job poster"),
        ("catalog", "vidstream.v1.CatalogService/FinishJob"),
    ] {
        assert!(names.contains(&expected), "{expected:?} in {names:#?}");
    }
    // Whatever is below something, that is there; and there is one at the top.
    let ids: BTreeMap<&[u8], &Span> = of_upload.iter().map(|span| (&*span.id, *span)).collect();
    assert_eq!(ids.len(), of_upload.len(), "ids are not used twice");
    for span in &of_upload {
        assert!(span.id == first.id || ids.contains_key(&*span.parent), "{span:?} is below nothing");
    }
}

#[test]
fn whoever_calls_has_a_trace_and_can_quote_it() {
    let server = Server::within(&["env", "RUST_LOG=debug"], &["--log-format", "json"]);
    let nothing = format!("{}/videos/01890000-0000-7000-8000-000000000000/source", server.address);
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let context = format!("traceparent: 00-{trace}-00f067aa0ba902b7-01");
    let answer = curl(&["-H", &context, &nothing]);
    assert_eq!((answer.status, answer.header("trace-id")), (404, trace));
    // Another video: that there is none of the first the gateway may know by now.
    let answer = get(&nothing.replace("000000000000", "000000000001"));
    let made = answer.header("trace-id").to_owned();
    assert!(made.len() == 32 && made.bytes().all(|digit| digit.is_ascii_hexdigit()), "{answer:?}");
    assert_eq!(get(&format!("{}/readyz", server.address)).header("trace-id"), "", "only errors are quoted");
    let runtime = Runtime::new().expect("a runtime");
    let refused = runtime.block_on(async {
        let mut client = GatewayServiceClient::connect(server.address.clone()).await.expect("it answers");
        client.get_video(pb::GetVideoRequest { video_id: "nonsense".into() }).await.expect_err("no id")
    });
    assert_eq!(refused.metadata().get("trace-id").map(|id| id.as_encoded_bytes().len()), Some(32), "{refused:?}");

    // The log has both, once for the gateway that was asked and once for the catalog that it asked.
    let log = server.log();
    let lines: Vec<serde_json::Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    for id in [trace, &made] {
        let asked = |what: &str| {
            lines.iter().any(|line| {
                line["trace_id"] == id
                    && line["fields"]["request"].as_str().is_some_and(|request| request.contains(what))
            })
        };
        assert!(asked("/videos/{id}/source") && asked("CatalogService/GetEntry"), "{id} in {log}");
    }
}
