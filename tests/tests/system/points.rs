//! kill -9 at named points of upload, index, storyboard, encode, normalisation and deletion: each once, then the promises are looked at.

use crate::deletion::files;
use crate::upload::{Client, chunk};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::{Duration, Instant};
use tonic::Status;
use tonic::transport::Channel;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::RequestId;
use vidstream_proto::pb;
use vidstream_proto::pb::gateway_service_client::GatewayServiceClient;
use vidstream_tests::clips;
use vidstream_tests::judges::{curl, ffmpeg};
use vidstream_tests::server::Server;

/// Each with the passing at which it kills, where it is not the first.
const UPLOAD: [&str; 13] = [
    "create.remembered",
    "create.half",
    "object.begun:2",
    "object.written:2",
    "object.named:2",
    "upload.stored:2",
    "record.begun",
    "record.begun:3",
    "record.done:2",
    "upload.recorded:2",
    "complete.verified",
    "source.written",
    "source.written:3",
];
const INDEX: [&str; 4] = ["job.queued", "index.made", "index.stored", "job.done"];
const STORYBOARD: [&str; 3] = ["storyboard.begun", "storyboard.made", "storyboard.stored"];
const ENCODE: [&str; 3] = ["encode.begun", "encode.made", "encode.stored"];
const NORMALISE: [&str; 2] = ["normalise.made", "normalise.stored"];
const DELETION: [&str; 6] =
    ["purge.begun", "delete.first", "objects.discarded", "delete.second", "bury.videos", "bury.pages"];

const FLAGS: [&str; 2] = ["--write-deadline", "0s"];
/// Small, so that a clip is many extents.
const CHUNK: usize = 256 << 10;
/// More than any step takes.
const PATIENCE: Duration = Duration::from_mins(2);

/// A server that will be killed at a point, or was, and goes on.
struct Doomed {
    point: &'static str,
    server: Option<Server>,
    killed: bool,
}

type Videos = GatewayServiceClient<Channel>;

impl Doomed {
    fn start(point: &'static str) -> Self {
        let variable = format!("{}={point}", vidstream_points::VARIABLE);
        let server = Some(Server::within(&["env", &variable], &FLAGS));
        Self { point, server, killed: false }
    }

    fn server(&mut self) -> &mut Server {
        self.server.as_mut().expect("one runs")
    }

    /// The answer to a call, which is made again if the server is killed in its midst.
    async fn ask<T>(&mut self, mut call: impl AsyncFnMut(Client, Videos) -> Result<T, Status>) -> Result<T, Problem> {
        loop {
            let address = self.server().address.clone();
            let answer = match Channel::from_shared(address).expect("an address").connect().await {
                Ok(channel) => call(Client::new(channel.clone()), Videos::new(channel)).await,
                Err(error) => Err(Status::unavailable(error.to_string())),
            };
            match answer {
                Ok(answer) => return Ok(answer),
                // What the server itself answers has details.
                Err(status) if !status.details().is_empty() => return Err(status.into()),
                Err(status) => self.revive(&status),
            }
        }
    }

    /// Makes sure that it was the kill, and starts the server anew.
    fn revive(&mut self, why: &dyn std::fmt::Debug) {
        let point = self.point;
        assert!(!self.killed, "{point}: it fails though it was not killed again: {why:?}");
        let ended = self.server().wait(PATIENCE).unwrap_or_else(|| panic!("{point}: it lives and fails: {why:?}"));
        assert_eq!(ended.signal(), Some(9), "{point}: {ended}");
        self.killed = true;
        self.server = self.server.take().map(|server| server.kill_and_restart(&FLAGS));
    }

    /// Asks again and again until `call` gives something.
    async fn until<T>(
        &mut self,
        what: &str,
        mut call: impl AsyncFnMut(Client, Videos) -> Option<Result<T, Status>>,
    ) -> T {
        let begun = Instant::now();
        loop {
            let answer = self.ask(async |client, videos| call(client, videos).await.transpose()).await;
            if let Some(answer) = answer.unwrap_or_else(|problem| panic!("{}: {what}: {problem}", self.point)) {
                return answer;
            }
            assert!(begun.elapsed() < PATIENCE, "{}: never {what}", self.point);
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
}

fn contains(ranges: &[pb::ByteRange], range: &pb::ByteRange) -> bool {
    ranges.iter().any(|known| known.start <= range.start && range.end <= known.end)
}

/// An upload through all its steps.
async fn upload(doomed: &mut Doomed, data: &[u8]) -> pb::Upload {
    let point = doomed.point;
    let request = pb::CreateUploadRequest {
        request_id: RequestId::generate().to_string(),
        file_name: "clip.mp4".into(),
        size: data.len() as u64,
        ..Default::default()
    };
    let create = async |mut client: Client, _| client.create_upload(request.clone()).await;
    let created = doomed.ask(create).await.expect("created").into_inner().upload.expect("an upload");
    let mut acknowledged: Vec<pb::ByteRange> = Vec::new();
    for (number, part) in data.chunks(CHUNK).enumerate() {
        let (killed, put) = (doomed.killed, chunk(&created, number * CHUNK, part));
        let durable = doomed.ask(async |mut client, _| client.put_chunk(put.clone()).await).await;
        let durable = durable.unwrap_or_else(|problem| panic!("{point}: {problem}")).into_inner().durable;
        for range in &acknowledged {
            assert!(contains(&durable, range), "{point}: {range:?} is lost; killed before: {killed}");
        }
        acknowledged = durable;
    }
    let blake3 = blake3::hash(data).as_bytes().to_vec();
    let request_id = RequestId::generate().to_string();
    let complete = pb::CompleteUploadRequest { request_id, upload_id: created.id.clone(), blake3 };
    let completed = doomed.ask(async |mut client, _| client.complete_upload(complete.clone()).await).await;
    completed.unwrap_or_else(|problem| panic!("{point}: {problem}"));
    created
}

/// Waits for all parts, then looks at them from outside.
async fn ready(doomed: &mut Doomed, upload: &pb::Upload, data: &[u8]) {
    let get = pb::GetVideoRequest { video_id: upload.video_id.clone() };
    let parts = async |_, mut videos: Videos| match videos.get_video(get.clone()).await {
        Ok(found) => {
            let video = found.into_inner().video.expect("a video");
            let parts = [&video.source_rendition, &video.storyboard, &video.poster];
            let is = |part: &Option<pb::Part>, state| part.as_ref().is_some_and(|part| part.state() == state);
            // Most files have nothing that would have to be encoded.
            let encoded =
                [pb::PartState::Ready, pb::PartState::NotOffered].iter().any(|state| is(&video.encoded, *state));
            (encoded && parts.iter().all(|part| is(part, pb::PartState::Ready))).then_some(Ok(()))
        }
        Err(status) => Some(Err(status)),
    };
    doomed.until("ready", parts).await;
    let point = doomed.point;
    // The last of them may have been what kills.
    let _ = doomed.ask(async |_, mut videos| videos.get_video(get.clone()).await).await;
    let address = format!("{}/videos/{}", doomed.server().address, upload.video_id);
    for name in ["source", "master.m3u8", "storyboard.vtt", "poster.jpg"] {
        let answer = curl::get(&format!("{address}/{name}"));
        assert_eq!(answer.status, 200, "{point}: {name}");
        if name == "master.m3u8" {
            assert_eq!(ffmpeg::complaints(&format!("{address}/{name}")), "", "{point}");
        }
        if name == "source" {
            assert_eq!(blake3::hash(&answer.body), blake3::hash(data), "{point}");
        }
    }
}

/// Removes the video for good, and everything of it.
async fn removed(doomed: &mut Doomed, upload: &pb::Upload) {
    let remove = pb::RemoveVideoRequest {
        request_id: RequestId::generate().to_string(),
        video_id: upload.video_id.clone(),
        purge_after: Some(vidstream_proto::time::proto_duration(Duration::ZERO)),
        ..Default::default()
    };
    match doomed.ask(async |_, mut videos| videos.remove_video(remove.clone()).await).await {
        Ok(_) => {}
        // It was done before the kill.
        Err(problem) => assert_eq!(problem.reason, Reason::NotFound, "{}: {problem}", doomed.point),
    }
    let rows = [upload.video_id.clone(), upload.id.clone()];
    let gone = async |mut client: Client, mut videos: Videos| {
        let video = videos.get_video(pb::GetVideoRequest { video_id: rows[0].clone() }).await.map(|_| ());
        let source = client.get_upload(pb::GetUploadRequest { upload_id: rows[1].clone() }).await.map(|_| ());
        for answer in [video, source] {
            match answer {
                // The row itself, not only that it is on its way out.
                Err(status) if status.message().starts_with("there is no ") => {}
                Err(status) if status.details().is_empty() => return Some(Err(status)),
                _ => return None,
            }
        }
        Some(Ok(()))
    };
    doomed.until("its rows are gone", &gone).await;
    if !doomed.killed {
        // The last points come after all that can be seen.
        doomed.revive(&"everything was done and nothing killed: is this server built with its fail points? `cargo build --workspace --all-targets`");
        doomed.until("its rows are gone", &gone).await;
    }
    let objects = doomed.server().data().join("objects/sources");
    let begun = Instant::now();
    while files(&objects) > 0 {
        assert!(begun.elapsed() < PATIENCE, "{}: {} objects are left", doomed.point, files(&objects));
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

async fn killed_at(points: &[&'static str]) {
    killed_with(points, &clips::clip("first.mp4")).await;
}

async fn killed_with(points: &[&'static str], file: &Path) {
    let data = std::fs::read(file).expect("readable");
    assert!(data.len() > 3 * CHUNK, "{} bytes: too few extents", data.len());
    for point in points {
        let mut doomed = Doomed::start(point);
        let created = upload(&mut doomed, &data).await;
        ready(&mut doomed, &created, &data).await;
        removed(&mut doomed, &created).await;
        assert!(doomed.killed, "{point}");
    }
}

#[tokio::test]
async fn in_uploads() {
    killed_at(&UPLOAD).await;
}

#[tokio::test]
async fn in_indexes() {
    killed_at(&INDEX).await;
}

#[tokio::test]
async fn in_storyboards() {
    killed_at(&STORYBOARD).await;
}

/// Twelve seconds of pictures that do not compress well.
fn large(name: &str, coding: &str) -> std::path::PathBuf {
    let picture = "testsrc2=size=320x180:rate=25:duration=12,noise=alls=40:allf=t";
    clips::made(name, &format!("-f lavfi -i {picture} {coding}"))
}

#[tokio::test]
async fn in_encodes() {
    let coding = "-c:v libx265 -preset ultrafast -x265-params log-level=none:open-gop=0 -b:v 2M -tag:v hvc1";
    killed_with(&ENCODE, &large("large-hevc.mp4", coding)).await;
}

#[tokio::test]
async fn in_normalisations() {
    killed_with(&NORMALISE, &large("large-noise.ts", "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -b:v 2M")).await;
}

#[tokio::test]
async fn in_deletions() {
    killed_at(&DELETION).await;
}
