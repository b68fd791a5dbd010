//! What players do not take as it is: files that are normalised first, tracks that are encoded.

use crate::world::{World, outcome};
use vidstream_catalog::Config;
use vidstream_proto::pb::finish_job_request::Result as Outcome;
use vidstream_proto::pb::{self, FailureKind, JobKind, PartState, VideoState};

/// An index whose video needs to be encoded, and whose sound would better be.
fn wanting(segmented: bool) -> Outcome {
    let Outcome::Index(index) = outcome(JobKind::Ingest) else { unreachable!() };
    let warning = |code: &str| pb::Warning { code: code.into(), message: "why".into() };
    let track = |track: &str, needed: bool, cure: &str| pb::EncodedTrack {
        track: track.into(),
        needed,
        cures: vec![cure.into()],
        ..Default::default()
    };
    Outcome::Index(pb::IndexResult {
        segmented,
        warnings: vec![warning("OPEN_GOP"), warning("CODEC_NOT_EVERYWHERE"), warning("CUT_OFF")],
        encode: vec![track("a1", false, "CODEC_NOT_EVERYWHERE"), track("v1", !segmented, "OPEN_GOP")],
        no_storyboard_reason: "its keyframes can't be decoded alone".into(),
        ..index
    })
}

fn codes(video: &pb::Video) -> Vec<&str> {
    video.warnings.iter().map(|warning| warning.code.as_str()).collect()
}

#[tokio::test]
async fn a_file_that_cannot_be_indexed_is_normalised_first() {
    let mut world = World::start().await;
    let source = world.uploaded().await;
    let ingest = world.take().await.unwrap();
    let reading = pb::Normalisation { demuxer: "mpegts".into(), what: "an MPEG transport stream".into() };
    world.finish(&ingest, Outcome::Normalisation(reading.clone())).await.unwrap();
    let normalise = world.take().await.unwrap();
    assert_eq!(normalise.kind(), JobKind::Normalise);
    assert_eq!(world.video(&source.video_ids[0]).await.state(), VideoState::Processing);
    // Its end is an index like any other, whoever made it.
    assert!(world.finish(&normalise, outcome(JobKind::Poster)).await.is_err());
    world.finish(&normalise, outcome(JobKind::Normalise)).await.unwrap();
    let shown = world.video(&source.video_ids[0]).await;
    assert_eq!((shown.state(), shown.segmented), (VideoState::Ready, true));
    assert_eq!(world.take().await.unwrap().kind(), JobKind::Poster);
}

#[tokio::test]
async fn a_retry_looks_at_the_file_anew() {
    let mut world = World::start().await;
    let source = world.uploaded().await;
    let ingest = world.take().await.unwrap();
    world.finish(&ingest, Outcome::Normalisation(pb::Normalisation::default())).await.unwrap();
    let normalise = world.take().await.unwrap();
    world.fail(&normalise, FailureKind::Input, "there is nothing in it").await.unwrap();
    let shown = world.video(&source.video_ids[0]).await;
    assert_eq!((shown.state(), shown.failure.as_str()), (VideoState::Failed, "there is nothing in it"));
    assert_eq!(shown.storyboard.unwrap().state(), PartState::NotOffered);
    assert!(world.take().await.is_none());
    world.retry(&source.video_ids[0]).await;
    assert_eq!(world.take().await.unwrap().kind(), JobKind::Ingest);
}

#[tokio::test]
async fn what_is_needed_is_waited_for_and_warnings_go_with_their_cause() {
    let mut world = World::still(Config::default()).await;
    let source = world.uploaded().await;
    let video = &source.video_ids[0];
    let ingest = world.take().await.unwrap();
    world.finish(&ingest, wanting(false)).await.unwrap();
    let shown = world.video(video).await;
    assert_eq!((shown.state(), shown.segmented), (VideoState::Processing, false), "nothing plays yet");
    assert_eq!(shown.storyboard.as_ref().unwrap().state(), PartState::NotOffered);
    assert_eq!(world.take().await.unwrap().kind(), JobKind::Poster);
    // First what people see nothing of without.
    let pictures = world.take().await.unwrap();
    assert_eq!((pictures.kind(), pictures.id.split(':').nth(2)), (JobKind::Encode, Some("v1")));
    world.finish(&pictures, outcome(JobKind::Encode)).await.unwrap();
    let shown = world.video(video).await;
    assert_eq!((shown.state(), shown.segmented), (VideoState::Ready, true));
    assert_eq!(codes(&shown), ["CODEC_NOT_EVERYWHERE", "CUT_OFF"]);
    assert_eq!(shown.encoded.as_ref().unwrap().state(), PartState::Waiting, "the sound");
    // The encoded pictures have keyframes of their own.
    assert_eq!(world.take().await.unwrap().kind(), JobKind::Storyboard);
    let sound = world.take().await.unwrap();
    assert_eq!(sound.id.split(':').nth(2), Some("a1"));
    world.finish(&sound, outcome(JobKind::Encode)).await.unwrap();
    let shown = world.video(video).await;
    assert_eq!(codes(&shown), ["CUT_OFF"]);
    assert_eq!(shown.encoded.unwrap().state(), PartState::Ready);
}

#[tokio::test]
async fn what_could_not_be_encoded_is_a_warning_where_something_plays() {
    let mut world = World::still(Config::default()).await;
    let source = world.uploaded().await;
    let video = &source.video_ids[0];
    let ingest = world.take().await.unwrap();
    world.finish(&ingest, wanting(true)).await.unwrap();
    while let Some(job) = world.take().await {
        if job.kind() == JobKind::Encode {
            world.fail(&job, FailureKind::Input, "its pictures are torn").await.unwrap();
        } else {
            world.finish(&job, outcome(job.kind())).await.unwrap();
        }
    }
    let shown = world.video(video).await;
    assert_eq!((shown.state(), shown.segmented), (VideoState::Ready, true));
    assert_eq!(shown.encoded.as_ref().unwrap().state(), PartState::Failed);
    assert!(codes(&shown).contains(&"NOT_ENCODED") && codes(&shown).contains(&"OPEN_GOP"), "{:?}", codes(&shown));
    // It can be tried again.
    world.retry(video).await;
    assert_eq!(world.take().await.unwrap().kind(), JobKind::Encode);
}
