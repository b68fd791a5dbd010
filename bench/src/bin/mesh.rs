//! What real backends and processes of their own cost: the whole path of a film, the time between jobs, and views.

use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tonic::transport::Channel;
use uuid::Uuid;
use vidstream_bench::client::Client;
use vidstream_bench::collector::Collector;
use vidstream_bench::mesh::{Backends, Platform};
use vidstream_bench::{media, table};
use vidstream_proto::pb;
use vidstream_proto::pb::VideoState;
use vidstream_proto::pb::gateway_service_client::GatewayServiceClient;

/// Films that wait for their pictures at the same time.
const WAITING: usize = 40;
/// Viewers that report, and how many at the same time.
const VIEWERS: usize = 8_000;
const AT_ONCE: usize = 64;

#[tokio::main]
async fn main() {
    let backends = Backends::start().await;
    whole_path(&backends).await;
    next_job(&backends).await;
    views(&backends).await;
}

fn start(apart: bool, backends: &Backends, more: &[&str]) -> Platform {
    if apart { Platform::apart(backends, more) } else { Platform::embedded(more) }
}

/// The steps from the first byte to the last picture.
async fn whole_path(backends: &Backends) {
    let film = media::film(10);
    let steps = ["first byte → last acknowledged", "→ ready", "→ first segment", "→ storyboard and poster"];
    let mut took = [[vec![], vec![], vec![], vec![]], [vec![], vec![], vec![], vec![]]];
    let mut cpu = [vec![], vec![]];
    let platforms = [start(false, backends, &[]), start(true, backends, &[])];
    for _ in 0..table::ROUNDS {
        for (which, platform) in platforms.iter().enumerate() {
            let before = platform.cpu();
            for (step, wall) in path(platform, &film).await.into_iter().enumerate() {
                took[which][step].push(wall);
            }
            cpu[which].push(platform.cpu().saturating_sub(before));
        }
    }
    platforms.into_iter().for_each(Platform::stop);
    table::head(
        &format!("The whole path of 10 minutes ({}), embedded and apart", table::megabytes(media::size(&film))),
        &["step", "one process, on files", "three processes on MongoDB, S3, RabbitMQ, Redis", "apart / embedded"],
    );
    let [embedded, apart] = took;
    for ((step, here), there) in steps.iter().zip(&embedded).zip(&apart) {
        row(step, table::median(here), table::median(there));
    }
    row("CPU of our processes", table::median(&cpu[0]), table::median(&cpu[1]));
}

fn row(what: &str, embedded: Duration, apart: Duration) {
    table::row(&[what.to_owned(), table::time(embedded), table::time(apart), table::ratio(apart, embedded)]);
}

async fn path(platform: &Platform, film: &std::path::Path) -> [Duration; 4] {
    let mut client = Client::of(platform.address()).await;
    let begun = Instant::now();
    let (upload, acknowledged) = client.send(film).await;
    let sent = acknowledged - begun;
    client.complete(&upload).await;
    client.wait(&upload.video_id, |video| video.state() == VideoState::Ready).await;
    let ready = acknowledged.elapsed();
    assert!(client.first_segment(&upload.video_id) > 0);
    let segment = acknowledged.elapsed();
    client.wait(&upload.video_id, |video| !pending(video)).await;
    let pictures = acknowledged.elapsed();
    client.purge(&upload.video_id).await;
    [sent, ready, segment.saturating_sub(ready), pictures.saturating_sub(segment)]
}

fn pending(video: &pb::Video) -> bool {
    use vidstream_proto::pb::PartState::{Running, Waiting};
    [&video.storyboard, &video.poster].into_iter().flatten().any(|part| matches!(part.state(), Waiting | Running))
}

/// From the end of a job of pictures, its result stored, to the begin of the next, while others wait.
async fn next_job(backends: &Backends) {
    table::head("Job completed → next job begun, while jobs wait", &["where", "jobs", "p50", "p99", "jobs a second"]);
    let clip = vidstream_tests::clips::clip("last.mp4");
    for (apart, name) in [(false, "one process, `local:`"), (true, "three processes, RabbitMQ")] {
        let (collector, otlp) = Collector::start().await;
        let platform = start(apart, backends, &["--otlp", &otlp]);
        let mut client = Client::of(platform.address()).await;
        let mut videos = Vec::new();
        for _ in 0..WAITING {
            let (upload, _) = client.send(&clip).await;
            client.complete(&upload).await;
            videos.push(upload.video_id);
        }
        for video in &videos {
            client.wait(video, |video| video.state() == VideoState::Ready && !pending(video)).await;
        }
        // Spans that were not sent yet are sent.
        platform.stop();
        let jobs: Vec<_> = collector.take().into_iter().filter(|span| is_of_pictures(&span.name)).collect();
        // The next one that begins after it: another may run beside them all the time.
        let next = |ended| jobs.iter().map(|job| job.begun).find(|begun| *begun >= ended);
        let mut gaps: Vec<_> = jobs.iter().filter_map(|job| Some(next(job.ended)?.saturating_sub(job.ended))).collect();
        let (first, last) = (jobs.first().expect("jobs").begun, jobs.last().expect("jobs").ended);
        gaps.sort_unstable();
        let at = |part: usize| gaps[(gaps.len() * part / 100).min(gaps.len() - 1)];
        let micros = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
        let rate = f64::from(u32::try_from(jobs.len()).expect("few")) / last.saturating_sub(first).as_secs_f64();
        let cells = [name.into(), jobs.len().to_string(), micros(at(50)), micros(at(99)), format!("{rate:.1}")];
        table::row::<String>(&cells);
    }
}

fn is_of_pictures(name: &str) -> bool {
    matches!(name, "job storyboard" | "job poster")
}

/// Reports of viewers who all watch the same film, taken in by one gateway.
async fn views(backends: &Backends) {
    table::head(
        "Views: reports taken a second, and counted in the end",
        &["where", "reports", "a second", "CPU a report", "counted", "after"],
    );
    for (apart, name) in [(false, "one process, on files"), (true, "three processes on real backends")] {
        let platform = start(apart, backends, &[]);
        let mut client = Client::of(platform.address()).await;
        let (upload, _) = client.send(&vidstream_tests::clips::clip("last.mp4")).await;
        client.complete(&upload).await;
        client.wait(&upload.video_id, |video| video.state() == VideoState::Ready && !pending(video)).await;
        let viewers: Vec<String> = (0..VIEWERS).map(|_| Uuid::new_v4().to_string()).collect();
        let address = platform.address().to_owned();
        let gateway = GatewayServiceClient::connect(address).await.expect("it answers");
        let (before, began) = (platform.cpu(), Instant::now());
        report(&gateway, &upload.video_id, &viewers, false).await;
        report(&gateway, &upload.video_id, &viewers, true).await;
        let (took, cost) = (began.elapsed(), platform.cpu().saturating_sub(before));
        let reports = u32::try_from(2 * VIEWERS).expect("few");
        let reported = Instant::now();
        let counted = counted(&mut client, &upload.video_id).await;
        table::row(&[
            name.to_owned(),
            reports.to_string(),
            format!("{:.0}", f64::from(reports) / took.as_secs_f64()),
            format!("{:.0} µs", cost.as_secs_f64() * 1e6 / f64::from(reports)),
            format!("{counted} of {VIEWERS}"),
            table::time(reported.elapsed()),
        ]);
        platform.stop();
    }
}

async fn report(gateway: &GatewayServiceClient<Channel>, video: &str, viewers: &[String], watched: bool) {
    let mut tasks = JoinSet::new();
    for some in viewers.chunks(viewers.len().div_ceil(AT_ONCE)) {
        let (mut gateway, video, some) = (gateway.clone(), video.to_owned(), some.to_vec());
        tasks.spawn(async move {
            for viewer_id in some {
                let whole = pb::WatchedInterval { start: Some(seconds(0)), end: Some(seconds(2)) };
                let intervals = if watched { vec![whole] } else { vec![] };
                let request = pb::ReportWatchedRequest { video_id: video.clone(), viewer_id, intervals };
                gateway.report_watched(request).await.expect("taken");
            }
        });
    }
    tasks.join_all().await;
}

fn seconds(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}

/// What the video has in the end: all of them, or what it stays at for a minute.
async fn counted(client: &mut Client, video: &str) -> u64 {
    let (mut views, mut since) = (0, Instant::now());
    while views < VIEWERS as u64 && since.elapsed() < Duration::from_mins(1) {
        let now = client.video(video).await.views;
        if now > views {
            (views, since) = (now, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    views
}
