//! Looks at a mesh from outside: gateways, the catalog's jobs, logs, the S3 server's files, processes.

use crate::checker::{self, Found, Job, Part, Video};
use crate::clients::{Client, fetch};
use crate::history::History;
use crate::mesh::{GARBAGE_MARGIN, Mesh, WRITE_DEADLINE};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tonic::transport::Channel;
use vidstream_proto::pb;
use vidstream_proto::pb::catalog_service_client::CatalogServiceClient;
use vidstream_tests::vidctl::Person;

/// More than what is under way at the end takes: a sweep, a batch of views, a purge.
const SETTLE: Duration = Duration::from_mins(1);

/// Jobs that the catalog lists at once, at the most.
const PAGE: u32 = 500;

/// Compares what clients were promised with what is there. What was under way a moment ago is given time to end.
pub async fn compare(mesh: &Mesh, client: &Client) {
    tokio::time::sleep(WRITE_DEADLINE + GARBAGE_MARGIN + Duration::from_secs(1)).await;
    garbage(mesh, &[]).await;
    let begun = Instant::now();
    loop {
        let promised = client.book.open().clone();
        let found = look(mesh, client, &promised).await;
        let lies = checker::lies(&promised, &found);
        if lies.is_empty() {
            return;
        }
        assert!(begun.elapsed() < SETTLE, "{lies:#?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn look(mesh: &Mesh, client: &Client, promised: &History) -> Found {
    let mut found = Found { orphans: mesh.orphans().await, ..Found::default() };
    let mut catalog = CatalogServiceClient::connect(mesh.catalog()).await.expect("a catalog answers");
    let mut unfinished = BTreeSet::new();
    for sent in promised.sent.values() {
        let key = Some(pb::get_source_request::Key::VideoId(sent.video.clone()));
        let source = catalog.get_source(pb::GetSourceRequest { key }).await.ok();
        let source = source.and_then(|answer| answer.into_inner().source).map(|source| source.id);
        found.sources.extend(source.clone());
        if promised.removed.contains_key(&sent.video) {
            for address in mesh.gateways.all() {
                let answer = fetch(format!("{address}/videos/{}/master.m3u8", sent.video)).await;
                found.removed.push((sent.video.clone(), answer.map_or(0, |(status, _)| status)));
            }
            found.kept.insert(sent.video.clone(), client.video(&sent.video, 0).await.is_some());
        } else if sent.completed {
            if let Some(video) = client.video(&sent.video, 0).await {
                found.videos.insert(sent.video.clone(), told(mesh, video).await);
            }
        } else {
            unfinished.extend(source);
            found.durable.insert(sent.upload.clone(), client.durable(&sent.upload, 0).await);
        }
    }
    // Of sources that nobody knows any more, what a page holds; of all others, all.
    let mut jobs = listed(&mut catalog, "").await;
    for source in &found.sources {
        let its = listed(&mut catalog, source).await;
        assert!(its.len() < PAGE as usize, "source {source} has more jobs than a page");
        jobs.retain(|job| job.source_id != *source);
        jobs.extend(its);
    }
    // Who reads a file whose bytes do not come waits.
    let ended = jobs.into_iter().filter(|job| !unfinished.contains(&job.source_id));
    found.jobs = ended
        .map(|job| Job { state: word(job.state().as_str_name()), fence: job.fence, reason: job.reason, id: job.id })
        .collect();
    found.accepted = accepted(&mesh.logs());
    found.objects = mesh.objects();
    found.garbage = garbage(mesh, &["--dry-run"]).await;
    found
}

/// A page of jobs, the newest: of a source, or of all.
async fn listed(catalog: &mut CatalogServiceClient<Channel>, source: &str) -> Vec<pb::Job> {
    let request = pb::ListJobsRequest { source_id: source.to_owned(), limit: PAGE, ..Default::default() };
    catalog.list_jobs(request).await.expect("it lists them").into_inner().jobs
}

/// `READY` of `VIDEO_STATE_READY`.
fn word(name: &str) -> String {
    name.rsplit('_').next().unwrap_or_default().to_owned()
}

async fn told(mesh: &Mesh, video: pb::Video) -> Video {
    let mut bytes = Vec::new();
    for address in mesh.gateways.all() {
        let answer = fetch(format!("{address}/videos/{}/source", video.id)).await;
        bytes.push(answer.map_or(blake3::hash(b"no answer"), |(_, body)| blake3::hash(&body)));
    }
    let parts = [&video.source_rendition, &video.storyboard, &video.poster].into_iter().flatten();
    Video {
        state: word(video.state().as_str_name()),
        parts: parts
            .map(|part| Part { state: word(part.state().as_str_name()), reason: part.reason.clone() })
            .collect(),
        failure: video.failure,
        title: video.title,
        revision: video.revision,
        views: video.views,
        bytes,
    }
}

/// Job and fence of each result that was accepted, by what workers logged.
fn accepted(log: &str) -> BTreeSet<(String, u64)> {
    let lines = log.lines().filter(|line| line.contains("finished a job"));
    let value = |line: &str, name: &str| {
        let (_, rest) = line.split_once(name)?;
        rest.split_whitespace().next().map(ToOwned::to_owned)
    };
    let result = |line| Some((value(line, " job=")?, value(line, " fence=")?.parse().ok()?));
    lines.map(|line| result(line).expect(line)).collect()
}

/// Removes garbage, or only says what it is.
async fn garbage(mesh: &Mesh, how: &[&'static str]) -> Vec<String> {
    let (address, arguments) = (mesh.gateways.all().remove(0), [&["admin", "gc"], how].concat());
    let events = tokio::task::spawn_blocking(move || Person::at(&address).json(&arguments));
    let events = events.await.expect("vidctl runs");
    events.iter().filter_map(|event| event["found"]["name"].as_str()).map(ToOwned::to_owned).collect()
}

#[test]
fn results_are_read_from_the_log() {
    let log = "2026-01-01T00:00:00Z  INFO vidstream_transcoder::worker: finished a job job=s:poster:source:1 fence=2\n\
               2026-01-01T00:00:00Z  INFO vidstream_transcoder::worker: took a job job=s:ingest:index:1 fence=3\n";
    assert_eq!(accepted(log), [("s:poster:source:1".to_owned(), 2)].into());
}
