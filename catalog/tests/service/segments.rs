//! Pictures that are encoded in spans: what is recorded counts, and what is missing is made.

use crate::garbage::MINUTE;
use crate::world::{World, outcome, reason};
use vidstream_catalog::Config;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::pb::finish_job_request::Result as Outcome;
use vidstream_proto::pb::{self, FailureKind, JobKind, PartState, VideoState};

/// Ten segments in spans of four.
fn wanting(job: &pb::Job, plan: &str) -> Outcome {
    let Outcome::Index(index) = outcome(JobKind::Ingest) else { unreachable!() };
    let segments = pb::EncodedSegments {
        object: format!("sources/{}/ingest/{}/v1.plan", job.source_id, job.fence),
        plan: plan.into(),
        format: 1,
        count: 10,
        span: 4,
        ..Default::default()
    };
    let track = pb::EncodedTrack { track: "v1".into(), needed: true, segments: Some(segments), ..Default::default() };
    Outcome::Index(pb::IndexResult { segmented: false, encode: vec![track], ..index })
}

fn part(job: &pb::Job) -> &str {
    job.id.split(':').nth(2).unwrap()
}

impl World {
    async fn segment(&mut self, job: &pb::Job, number: u32) -> Result<(), Problem> {
        self.segment_of(job, number, 7).await
    }

    async fn segment_of(&mut self, job: &pb::Job, number: u32, build: u8) -> Result<(), Problem> {
        let request = pb::RecordSegmentRequest {
            job_id: job.id.clone(),
            fence: job.fence,
            number,
            size: 1000,
            bit_rate: 2000 + u64::from(number),
            configuration: vec![1, build],
        };
        self.client.record_segment(request).await?;
        Ok(())
    }

    async fn want(&mut self, source: &str, track: &str, number: u32) {
        let request = pb::WantSegmentRequest { source_id: source.into(), track: track.into(), number };
        self.client.want_segment(request).await.unwrap();
    }

    async fn segments(&mut self, source: &str) -> pb::EncodedSegments {
        self.source(source).await.encoded.remove(0).segments.unwrap()
    }

    /// The next job of pictures that are encoded; all others are done at once.
    async fn span(&mut self) -> Option<pb::Job> {
        while let Some(job) = self.take().await {
            if job.kind() == JobKind::Encode {
                return Some(job);
            }
            self.finish(&job, outcome(job.kind())).await.unwrap();
        }
        None
    }
}

/// An uploaded file whose pictures are to be encoded, which nobody has begun.
async fn planned() -> (World, pb::Source) {
    let mut world = World::still(Config::default()).await;
    let source = world.uploaded().await;
    let ingest = world.take().await.unwrap();
    let wanting = wanting(&ingest, "plan");
    world.finish(&ingest, wanting).await.unwrap();
    (world, source)
}

fn made() -> Outcome {
    let work =
        pb::Work { wall: Some(prost_types::Duration { seconds: 2, nanos: 0 }), bytes_in: 5, ..Default::default() };
    Outcome::Encode(pb::EncodeResult { generation: "plan".into(), work: Some(work), ..Default::default() })
}

#[tokio::test]
async fn a_video_plays_from_its_first_segment_on_and_is_whole_with_its_last() {
    let (mut world, source) = planned().await;
    let video = &source.video_ids[0];
    let first = world.span().await.unwrap();
    assert_eq!(part(&first), "v1-0");
    let others = [world.span().await.unwrap(), world.span().await.unwrap()];
    assert_eq!(others.each_ref().map(part), ["v1-1", "v1-2"]);
    assert_eq!(world.video(video).await.state(), VideoState::Processing);
    // Of another span, before the first.
    world.segment(&others[0], 5).await.unwrap();
    assert_eq!(world.video(video).await.state(), VideoState::Processing, "there is no beginning");
    world.segment(&first, 1).await.unwrap();
    let shown = world.video(video).await;
    assert_eq!((shown.state(), shown.segmented), (VideoState::Ready, true));
    for number in [2, 3, 4] {
        world.segment(&first, number).await.unwrap();
        world.segment(&first, number).await.unwrap();
    }
    world.finish(&first, made()).await.unwrap();
    assert_eq!(world.video(video).await.revision, shown.revision, "an edit by revision would be refused for it");
    for number in [6, 7, 8] {
        world.segment(&others[0], number).await.unwrap();
    }
    world.finish(&others[0], made()).await.unwrap();
    world.segment(&others[1], 9).await.unwrap();
    assert_eq!(world.video(video).await.encoded.unwrap().state(), PartState::Running);
    world.segment(&others[1], 10).await.unwrap();
    let shown = world.video(video).await.encoded.unwrap();
    assert_eq!((shown.state(), shown.generation.as_str()), (PartState::Ready, "plan"));
    world.finish(&others[1], made()).await.unwrap();
    let segments = world.segments(&source.id).await;
    assert_eq!((segments.runs.len(), segments.bytes, segments.peak), (1, 10_000, 2010));
    let work = world.source(&source.id).await.encoded.remove(0).result.unwrap().work.unwrap();
    assert_eq!((work.wall.unwrap().seconds, work.bytes_in), (6, 15), "of all spans together");
    assert!(world.span().await.is_none());
}

#[tokio::test]
async fn what_an_attempt_stored_stays_and_the_next_one_makes_the_rest() {
    let (mut world, source) = planned().await;
    let first = world.span().await.unwrap();
    world.segment(&first, 1).await.unwrap();
    world.fail(&first, FailureKind::Infrastructure, "the store is away").await.unwrap();
    // It is not its any more.
    assert_eq!(reason(world.segment(&first, 2).await), Reason::StaleFence);
    tokio::time::pause();
    tokio::time::advance(MINUTE).await;
    tokio::time::resume();
    let again = world.span().await.unwrap();
    assert_eq!((part(&again), again.fence), ("v1-0", first.fence + 1));
    for number in 1..=4 {
        world.segment(&again, number).await.unwrap();
    }
    let runs = world.segments(&source.id).await.runs;
    let run = |first, count, fence| pb::SegmentRun { first, count, fence };
    assert_eq!(runs, [run(1, 1, first.fence), run(2, 3, again.fence)], "the first one of a number counts");
    world.finish(&again, made()).await.unwrap();
    assert_eq!(part(&world.span().await.unwrap()), "v1-1");
}

#[tokio::test]
async fn what_somebody_waits_for_is_next() {
    let (mut world, source) = planned().await;
    for (track, number) in [("v1", 10), ("v1", 11), ("v1", 0), ("a1", 1)] {
        world.want(&source.id, track, number).await;
    }
    assert_eq!(part(&world.span().await.unwrap()), "v1-2");
    assert_eq!(part(&world.span().await.unwrap()), "v1-0");
}

#[tokio::test]
async fn segments_that_do_not_fit_are_refused() {
    let (mut world, source) = planned().await;
    let first = world.span().await.unwrap();
    world.segment(&first, 1).await.unwrap();
    for number in [0, 5, 11] {
        assert_eq!(reason(world.segment(&first, number).await), Reason::InvalidArgument, "segment {number}");
    }
    let other = world.segment_of(&first, 2, 8).await.unwrap_err();
    assert!(other.to_string().contains("another build of ffmpeg"), "{other}");
    // One span that fails for good ends the track, and those that wait for it.
    world.fail(&first, FailureKind::Input, "its pictures are torn").await.unwrap();
    assert!(world.span().await.is_none());
    let shown = world.video(&source.video_ids[0]).await;
    assert_eq!((shown.state(), shown.segmented), (VideoState::Failed, false));
    // Once more, behind what is there.
    world.retry(&source.video_ids[0]).await;
    assert_eq!(world.video(&source.video_ids[0]).await.state(), VideoState::Ready);
    assert_eq!(part(&world.span().await.unwrap()), "v1-0");
}

#[tokio::test]
async fn segments_that_are_recorded_are_no_garbage() {
    let (mut world, source) = planned().await;
    let at = |rest: &str| format!("sources/{}/{rest}", source.id);
    let first = world.span().await.unwrap();
    world.segment(&first, 1).await.unwrap();
    world.fail(&first, FailureKind::Infrastructure, "the store is away").await.unwrap();
    let used = [at("ingest/1/v1.plan"), at("encode/1/v1-1.m4s")];
    let garbage = [at("encode/1/v1-2.m4s"), at("encode/1/v1-01.m4s"), at("encode/1/a1-1.m4s"), at("encode/2/v1-1.m4s")];
    for name in used.iter().chain(&garbage) {
        world.plant(name, 60 * MINUTE).await;
    }
    let (found, _) = world.collect(true).await;
    let found: Vec<_> = found.into_keys().filter(|name| used.contains(name) || garbage.contains(name)).collect();
    let mut expected = garbage.to_vec();
    expected.sort();
    assert_eq!(found, expected);
}
