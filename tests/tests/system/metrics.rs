//! Figures for Prometheus, read by a parser of others' making.

use openmetrics_parser::openmetrics::parse_openmetrics;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use vidstream_tests::clips;
use vidstream_tests::judges::curl::{curl, get};
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

/// Samples by their names and labels, as text; and the families' names.
struct Page {
    text: String,
}

impl Page {
    fn of(address: &str) -> Self {
        let answer = get(&format!("{address}/metrics"));
        assert_eq!(answer.status, 200);
        assert!(answer.header("content-type").starts_with("application/openmetrics-text"), "{answer:?}");
        let text = answer.text().to_owned();
        parse_openmetrics(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        Self { text }
    }

    /// The value of a sample; labels in the order of the page.
    fn value(&self, sample: &str) -> Option<f64> {
        self.text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok())
    }

    /// Names of samples.
    fn names(&self) -> BTreeSet<&str> {
        let samples = self.text.lines().filter(|line| !line.starts_with('#'));
        samples.filter_map(|line| line.split(['{', ' ']).next()).collect()
    }
}

/// Where the mesh listener of `server` is, which it has.
fn behind(server: &Server) -> String {
    let log = server.log();
    let line = log.lines().find(|line| line.contains("mesh listener")).expect("it says where");
    let address = line.split("address=").nth(1).expect("the address").split_whitespace().next().expect("a word");
    format!("http://{address}")
}

const VIEWER: &str = "7f9c24e8-3b12-4fef-91e0-56a2d5a1b0c3";

#[test]
fn what_is_done_is_counted() {
    let server = Server::start();
    let clip = clips::clip("last.mp4");
    #[expect(clippy::cast_precision_loss, reason = "a clip is small")]
    let size = std::fs::metadata(&clip).expect("a file").len() as f64;
    let video = Person::of(&server).upload(&clip, "--wait=all");
    let place = format!("{}/videos/{}", server.address, id(&video));
    assert_eq!(get(&format!("{place}/source")).status, 200);
    assert_eq!(curl(&["-H", "Range: bytes=0-999", &format!("{place}/source")]).status, 206);
    assert_eq!(get(&format!("{place}/nothing.there")).status, 404);
    let viewed = format!(r#"{{"videoId":"{}","viewerId":"{VIEWER}"}}"#, id(&video));
    vidstream_tests::judges::grpcurl::grpcurl(
        &server.address,
        &["-d", &viewed, "vidstream.v1.GatewayService/ReportWatched"],
    )
    .expect("taken");

    let page = Page::of(&server.address);
    let upload = r#"service="vidstream.v1.UploadService",method="CreateUpload""#;
    let take = r#"service="vidstream.v1.CatalogService",method="TakeJob""#;
    let source = r#"route="/videos/{id}/source""#;
    for (sample, value) in [
        (format!("vidstream_rpc_requests_total{{{upload},code=\"OK\"}}"), 1.0),
        (format!("vidstream_rpc_duration_seconds_count{{{upload}}}"), 1.0),
        (format!("vidstream_rpc_in_flight{{{upload}}}"), 0.0),
        (format!("vidstream_http_requests_total{{{source},method=\"GET\",status=\"200\"}}"), 1.0),
        (format!("vidstream_http_requests_total{{{source},method=\"GET\",status=\"206\"}}"), 1.0),
        (r#"vidstream_http_requests_total{route="other",method="GET",status="404"}"#.into(), 1.0),
        (format!("vidstream_http_sent_bytes_total{{{source}}}"), size + 1000.0),
        (r#"vidstream_jobs_ended_total{class="light",outcome="done"}"#.into(), 2.0),
        (r#"vidstream_jobs_ended_total{class="pictures",outcome="done"}"#.into(), 1.0),
        (r#"vidstream_jobs_waiting{class="light"}"#.into(), 0.0),
        (r#"vidstream_jobs_running{class="pictures"}"#.into(), 0.0),
        (r#"vidstream_queue_age_seconds{class="light"}"#.into(), 0.0),
        ("vidstream_uploads_open".into(), 0.0),
        ("vidstream_views_total".into(), 0.0),
    ] {
        assert_eq!(page.value(&sample), Some(value), "{sample} in {}", page.text);
    }
    assert!(
        page.value(&format!("vidstream_rpc_requests_total{{{take},code=\"OK\"}}")).is_some_and(|taken| taken >= 3.0)
    );
    let received = format!("vidstream_rpc_received_bytes_total{{{}}}", upload.replace("CreateUpload", "StreamPieces"));
    assert!(page.value(&received).is_some_and(|received| received >= size), "{received} in {}", page.text);
    for process in ["process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"] {
        assert!(page.value(process).is_some_and(|value| value >= 0.0), "{process} in {}", page.text);
    }
    assert!(page.text.contains(&format!("vidstream_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"))));
    // Nothing that there may be any number of.
    assert!(!page.text.contains(id(&video)), "{}", page.text);

    // What is left open shows.
    let many: Vec<_> = (0..50).map(|n| format!("{place}/{n}")).collect();
    for address in &many {
        get(address);
    }
    let again = Page::of(&server.address);
    let routes = |page: &Page| page.text.lines().filter(|line| line.starts_with("vidstream_http_in_flight")).count();
    assert_eq!(routes(&page), routes(&again), "addresses that nobody has make no labels");
}

#[test]
fn where_there_is_a_mesh_listener_the_page_is_there_alone() {
    let server = Server::with(&["--mesh-listen", "127.0.0.1:0"]);
    assert!(Page::of(&behind(&server)).value("vidstream_uploads_open").is_some());
    let public = get(&format!("{}/metrics", server.address));
    assert!(!public.text().contains("vidstream_uploads_open"), "{public:?}");
}

/// Names of figures in the queries of the dashboard.
fn asked(dashboard: &serde_json::Value, into: &mut BTreeMap<String, String>) {
    match dashboard {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str() {
                    Some(query) if name == "expr" || name == "query" => {
                        let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                        let names = words.filter(|word| ["vidstream_", "process_"].iter().any(|p| word.starts_with(p)));
                        into.extend(names.map(|name| (name.to_owned(), query.to_owned())));
                    }
                    _ => asked(value, into),
                }
            }
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| asked(value, into)),
        _ => {}
    }
}

#[test]
fn the_dashboard_asks_for_what_there_is() {
    let server = Server::start();
    let video = Person::of(&server).upload(&clips::clip("last.mp4"), "--wait=all");
    assert_eq!(get(&format!("{}/videos/{}/master.m3u8", server.address, id(&video))).status, 200);
    let page = Page::of(&server.address);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/grafana/vidstream.json");
    let dashboard = std::fs::read_to_string(path).expect("the dashboard");
    let mut queries = BTreeMap::new();
    asked(&serde_json::from_str(&dashboard).expect("JSON"), &mut queries);
    assert!(queries.len() >= 15, "{queries:#?}");
    let there = page.names();
    for (name, query) in queries {
        assert!(there.contains(&*name), "{name} of `{query}` is not in {there:#?}");
    }
}
