use super::*;
use std::time::{Duration, SystemTime};
use vidstream_proto::ids::{SourceId, UploadId};
use vidstream_proto::job::{Fence, JobId, JobProgress};
use vidstream_proto::pb::SourceLife;

fn source() -> Source {
    let now = SystemTime::UNIX_EPOCH;
    Source {
        id: SourceId::generate(),
        revision: 1,
        video_ids: Vec::new(),
        life: SourceLife::Live,
        file_name: "sea.ts".to_owned(),
        size: 100,
        upload_id: UploadId::generate(),
        upload_state: UploadState::Open,
        received: 0,
        expected_blake3: None,
        blake3: None,
        create_time: now,
        receive_time: now,
        index: Part::waiting(),
        index_result: None,
        storyboard: Part::waiting(),
        storyboard_result: None,
        poster: Part::waiting(),
        poster_result: None,
        shown_revision: 1,
        tried_by: 0,
        trace_parent: String::new(),
        normalisation: None,
        encoded: Vec::new(),
    }
}

fn job_of(source: &Source, kind: JobKind, part: &str, state: JobState) -> Job {
    Job {
        id: JobId::new(source.id, kind, part, "0123456789abcdef"),
        source_id: source.id,
        kind,
        priority: 1,
        state,
        attempts: 0,
        fence: Fence(1),
        worker: String::new(),
        beat: 0,
        progress: JobProgress::default(),
        reason: String::new(),
        create_time: SystemTime::UNIX_EPOCH,
        update_time: SystemTime::UNIX_EPOCH,
        not_before: None,
        queue_position: 0,
    }
}

fn track(kind: TrackKind, id: u32, codec: &str, reason: &str) -> pb::MediaTrack {
    let (codec, not_packaged_reason) = (codec.to_owned(), reason.to_owned());
    pb::MediaTrack { id, kind: kind.into(), codec, not_packaged_reason, ..Default::default() }
}

/// An indexed file of HEVC, MP3 and a track that nobody plays.
fn indexed() -> Source {
    let media = pb::Media {
        container: "mov".to_owned(),
        tracks: vec![track(TrackKind::Video, 1, "hvc1", ""), track(TrackKind::Audio, 2, "mp3", "MP3 is not packaged")],
        ignored: vec![pb::IgnoredTrack { id: 3, what: "tmcd".into(), reason: "time codes are not played".into() }],
        plays_in: vec![Player::Progressive.into()],
        ..Default::default()
    };
    let wall = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    let work = Some(pb::Work { wall, bytes_in: 50, ..Default::default() });
    let encode = |track: &str, needed| EncodedTrack {
        track: track.to_owned(),
        needed,
        replaces: false,
        reason: format!("{track} does not play everywhere"),
        cures: Vec::new(),
        part: Part::waiting(),
        result: None,
        segments: None,
    };
    Source {
        index: Part::ready(""),
        index_result: Some(pb::IndexResult { media: Some(media), segmented: true, work, ..Default::default() }),
        encoded: vec![encode("v1", false), encode("a1", true)],
        upload_state: UploadState::Complete,
        ..source()
    }
}

fn ways(told: &pb::Explanation) -> Vec<(String, Vec<Treatment>)> {
    let ways = |track: &pb::ExplainedTrack| track.renditions.iter().map(pb::ExplainedRendition::treatment).collect();
    told.tracks.iter().map(|track| (track.name.clone(), ways(track))).collect()
}

fn states(told: &pb::Explanation) -> Vec<(pb::Stage, PartState, String)> {
    let of = |step: &pb::ExplainedStep| {
        let part = step.part.clone().unwrap_or_default();
        (step.stage(), part.state(), part.reason)
    };
    told.steps.iter().map(of).collect()
}

#[test]
fn what_is_not_known_yet_is_said() {
    let source = source();
    let jobs = [job_of(&source, JobKind::Ingest, "index", JobState::Leased)];
    let told = explained(VideoId::generate(), &source, &jobs);
    assert_eq!(told.file, "what it is is not known yet");
    let last = "it waits for the last byte of the upload".to_owned();
    assert_eq!(
        states(&told),
        [
            (pb::Stage::Index, PartState::Running, String::new()),
            (pb::Stage::Poster, PartState::Waiting, last.clone()),
            (pb::Stage::Storyboard, PartState::Waiting, last),
        ]
    );
}

#[test]
fn each_track_has_its_ways() {
    let source = indexed();
    let told = explained(VideoId::generate(), &source, &[]);
    let expected = [
        ("v1".to_owned(), vec![Treatment::Kept, Treatment::Repackaged, Treatment::Encoded]),
        ("a1".to_owned(), vec![Treatment::Kept, Treatment::Encoded]),
        (String::new(), vec![Treatment::Ignored]),
    ];
    assert_eq!(ways(&told), expected);
    assert!(told.tracks[1].renditions[0].reason.contains("MP3 is not packaged"), "{told:#?}");
    assert_eq!(told.tracks[2].renditions[0].reason, "time codes are not played");
    assert_eq!(told.steps[0].work.as_ref().expect("noted").bytes_in, 50);
}

#[test]
fn jobs_say_how_far_steps_are_and_what_went_wrong() {
    let source = indexed();
    let progress =
        JobProgress { percent: 40.0, speed: 2.0, left: Some((Duration::from_secs(3), Duration::from_secs(5))) };
    let runs = Job { progress, ..job_of(&source, JobKind::Encode, "v1-3", JobState::Leased) };
    let waits = Job {
        attempts: 1,
        reason: "ffmpeg was ended by signal 9".to_owned(),
        queue_position: 4,
        ..job_of(&source, JobKind::Encode, "a1", JobState::Queued)
    };
    // The source says that it is there: what a job of it says is old.
    let late = job_of(&source, JobKind::Ingest, "index", JobState::Leased);
    let told = explained(VideoId::generate(), &source, &[runs, waits, late]);
    let [index, pictures, sound, ..] = &told.steps[..] else { panic!("{told:#?}") };
    assert_eq!(index.part.as_ref().expect("a part").state(), PartState::Ready);
    assert_eq!((&*pictures.track, pictures.percent, pictures.speed), ("v1", 40.0, 2.0));
    let left = [&pictures.left_at_least, &pictures.left_at_most].map(|left| left.as_ref().expect("known").seconds);
    assert_eq!(left, [3, 5]);
    assert_eq!((&*sound.track, sound.queue_position, sound.attempts), ("a1", 4, 1));
    assert_eq!(sound.last_failure, "ffmpeg was ended by signal 9");
    assert_eq!(sound.part.as_ref().expect("a part").reason, "it waits for a worker");
    let way = &told.tracks[0].renditions[2];
    assert_eq!(way.part.as_ref().expect("a part").state(), PartState::Running, "{way:?}");
}

#[test]
fn a_normalised_track_says_what_it_was() {
    let mut source = indexed();
    source.normalisation =
        Some(pb::Normalisation { demuxer: "mpegts".into(), what: "an MPEG transport stream".into() });
    let before = |codec: &str, copied| pb::NormalisedTrack { codec: codec.into(), copied };
    let index = source.index_result.as_mut().expect("indexed");
    index.normalised = vec![before("hevc", true), before("mp2", false)];
    let told = explained(VideoId::generate(), &source, &[]);
    assert!(told.file.starts_with("it is an MPEG transport stream, which ffmpeg reads once"), "{}", told.file);
    let reasons: Vec<_> = told.tracks.iter().map(|track| track.renditions[0].reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "an MPEG transport stream can't be indexed; its hevc is kept as it is",
            "an MPEG transport stream can't be indexed; its mp2 is encoded",
            "time codes are not played",
        ]
    );
    assert_eq!(told.steps[1].stage(), pb::Stage::Normalise);
    assert!(told.steps[0].work.is_none() && told.steps[1].work.is_some(), "{told:#?}");
}

#[test]
fn a_file_that_failed_says_why() {
    let source = Source { index: Part::failed("it is a text file"), ..source() };
    let told = explained(VideoId::generate(), &source, &[]);
    assert_eq!(told.file, "it can't be played: it is a text file");
    assert_eq!(states(&told)[0], (pb::Stage::Index, PartState::Failed, "it is a text file".to_owned()));
}
