//! Indexes: of whole files, of files that are still coming, and of what is none.

use crate::clips::{H264, MOVING, make, plain};
use crate::mesh::{Mesh, quick};
use vidstream_media::indexer::index_bytes;
use vidstream_proto::job::JobKind;
use vidstream_proto::pb::finish_job_request::Result as Outcome;
use vidstream_proto::pb::{FailureKind, Player, TrackKind};
use vidstream_source::extents::GRANULE;

#[tokio::test]
async fn a_file_is_described() {
    let mesh = Mesh::with(plain()).await;
    mesh.start();
    let result = mesh.index().await;
    let media = result.media.expect("media");
    assert_eq!(media.container, "mp4");
    assert_eq!(media.duration.map(|d| d.seconds), Some(6));
    let [video, audio] = media.tracks.as_slice() else { panic!("two tracks: {:?}", media.tracks) };
    assert_eq!((video.kind(), video.width, video.height, video.rotation_degrees), (TrackKind::Video, 640, 360, 0));
    assert!(video.codec.starts_with("avc1.") && (video.frame_rate - 25.0).abs() < 0.01, "{video:?}");
    assert!(video.bit_rate > 10_000, "{video:?}");
    assert_eq!((audio.kind(), audio.sample_rate, audio.channels), (TrackKind::Audio, 44_100, 1));
    assert_eq!(audio.codec, "mp4a.40.2");
    assert!(result.segmented && result.warnings.is_empty(), "{:?}", result.warnings);
    let players: Vec<_> = media.plays_in.iter().map(|p| Player::try_from(*p).expect("known")).collect();
    assert_eq!(players, [Player::Mse, Player::Progressive, Player::Avplayer]);
    assert_eq!((result.generation.len(), result.no_storyboard_reason.as_str()), (16, ""));
    let stored = mesh.read(&result.object).await;
    let index = vidstream_media::index::MediaIndex::decode(&stored).expect("an index");
    assert_eq!(index.encode(), index_bytes(&mesh.content).expect("indexed here").encode());
}

#[tokio::test]
async fn matroska_and_webm_are_described() {
    let film = make(&format!("{MOVING} -f lavfi -i sine=d=6 {H264} -bf 2 -c:a aac"), "matroska");
    let live = "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 25 -c:a libopus -live 1";
    let live = make(&format!("{MOVING} -f lavfi -i sine=d=6 {live}"), "webm");
    let (mse, progressive, apple) = (Player::Mse, Player::Progressive, Player::Avplayer);
    for (container, content, codecs, players) in [
        ("matroska", film, ["avc1.", "mp4a.40.2"], vec![mse, apple]),
        ("webm", live, ["vp09.00.", "opus"], vec![mse, progressive]),
    ] {
        let mesh = Mesh::with(content).await;
        mesh.start();
        let result = mesh.index().await;
        let media = result.media.expect("media");
        assert_eq!(media.container, container);
        let [video, audio] = media.tracks.as_slice() else { panic!("two tracks: {:?}", media.tracks) };
        assert!(video.codec.starts_with(codecs[0]) && audio.codec == codecs[1], "{video:?}, {audio:?}");
        assert!((video.frame_rate - 25.0).abs() < 0.01, "{video:?}");
        assert!(result.segmented, "{:?}", result.warnings);
        let found: Vec<_> = media.plays_in.iter().map(|player| Player::try_from(*player).expect("known")).collect();
        assert_eq!(found, players, "{container}");
        let stored = mesh.read(&result.object).await;
        let index = vidstream_media::index::MediaIndex::decode(&stored).expect("an index");
        assert_eq!(index.encode(), index_bytes(&mesh.content).expect("indexed here").encode());
    }
}

/// The whole file is read for its index, so nobody is asked to hurry what comes anyway.
#[tokio::test]
async fn matroska_is_read_as_it_comes() {
    let content = make(&format!("{MOVING} {H264} -b:v 4M"), "matroska");
    let size = content.len() as u64;
    assert!(size > 8 * GRANULE, "{size}");
    let mesh = Mesh::of(content, quick()).await;
    mesh.start();
    mesh.queue(JobKind::Ingest).await;
    let first = mesh.catalog.see(|state| state.wants.iter().next()).await;
    assert_eq!(first.start, 0, "{first:?}");
    mesh.upload(0..2 * GRANULE).await;
    for start in (2 * GRANULE..size).step_by(2 * usize::try_from(GRANULE).expect("small")) {
        let wants = mesh.catalog.state().wants.clone();
        assert!(wants.iter().all(|want| want.start < 2 * GRANULE), "{wants:?}");
        mesh.upload(start..size.min(start + 2 * GRANULE)).await;
    }
    mesh.catalog.outcome(JobKind::Ingest).await.expect("an index");
}

#[tokio::test]
async fn sound_has_no_pictures() {
    let mesh = Mesh::with(make("-f lavfi -i sine=d=3 -c:a aac", "mp4")).await;
    mesh.start();
    let result = mesh.index().await;
    assert_eq!((result.segmented, result.no_storyboard_reason.as_str()), (true, "there is no video"));
    // What it sounds like can be drawn.
    assert_eq!(result.no_poster_reason, "");
}

/// Only what the index needs is sent, as it is asked for.
#[tokio::test]
async fn an_index_at_the_end_is_read_before_the_rest_has_come() {
    let content = make(&format!("{MOVING} -f lavfi -i sine=d=6 {H264} -b:v 4M -c:a pcm_s16le"), "mov");
    let size = content.len() as u64;
    assert!(size > 8 * GRANULE, "{size}");
    let mesh = Mesh::of(content, quick()).await;
    mesh.start();
    mesh.queue(JobKind::Ingest).await;
    let sender = async {
        loop {
            let wanted = mesh.catalog.see(|state| state.wants.iter().next()).await;
            // The sender works in granules and sends what is asked for, no more.
            let last = wanted.end.min(wanted.start + 2 * GRANULE);
            mesh.upload(wanted.start..last).await;
        }
    };
    tokio::select! {
        outcome = mesh.catalog.outcome(JobKind::Ingest) => outcome.map(drop).expect("an index"),
        () = sender => unreachable!(),
    }
    let received = mesh.catalog.state().extents.received();
    assert!(received < size / 2, "{received} of {size} bytes had come");
}

#[tokio::test]
async fn waiting_uploads_leave_the_place_to_others() {
    let config = vidstream_transcoder::Config { light_places: 1, ..quick() };
    let mesh = Mesh::of(plain(), config).await;
    mesh.start();
    mesh.queue(JobKind::Ingest).await;
    mesh.catalog.see(|state| (!state.wants.is_empty()).then_some(())).await;
    // There is one place, and the first job waits for bytes in it.
    mesh.outcome(JobKind::Delete).await.expect("it gets the place");
    mesh.upload(0..mesh.content.len() as u64).await;
    mesh.catalog.outcome(JobKind::Ingest).await.expect("it gets it back");
}

#[tokio::test]
async fn bad_files_fail_with_a_sentence() {
    let whole = plain();
    let mut cut = make(&format!("{MOVING} {H264} -movflags +faststart"), "mp4");
    cut.truncate(cut.len() / 2);
    let cases: [(&str, Vec<u8>, &str); 4] = [
        (
            "random",
            (0..100_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect(),
            "not a video or sound",
        ),
        ("playlist", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n".to_vec(), "not a video or sound"),
        ("cut", cut, "the file ends before"),
        ("no index", whole[..whole.len() / 2].to_vec(), ""),
    ];
    for (name, content, words) in cases {
        let mesh = Mesh::with(content).await;
        let worker = mesh.start();
        let (kind, reason) = mesh.outcome(JobKind::Ingest).await.expect_err(name);
        assert_eq!(kind, FailureKind::Input, "{name}: {reason}");
        assert!(reason.contains(words) && reason.len() > 20, "{name}: {reason}");
        mesh.life.stopping().cancel();
        worker.await.expect("it ends");
    }
}

/// What is not indexed here is left to ffmpeg, with the only demuxer that may read it; then it is.
#[tokio::test]
async fn files_of_other_kinds_are_normalised() {
    for (name, content, demuxer, tracks) in [
        ("flash", make(&format!("{MOVING} {H264}"), "flv"), "flv", 1),
        ("vp8", make(&format!("{MOVING} -c:v libvpx -cpu-used 8"), "webm"), "matroska", 1),
    ] {
        let mesh = Mesh::with(content).await;
        let worker = mesh.start();
        match mesh.outcome(JobKind::Ingest).await {
            Ok(Outcome::Normalisation(reading)) => assert_eq!(reading.demuxer, demuxer, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
        let Ok(Outcome::Index(index)) = mesh.outcome(JobKind::Normalise).await else { panic!("{name}: no index") };
        let media = index.media.expect("what it is");
        assert_eq!((media.container.as_str(), media.tracks.len()), (demuxer, tracks), "{name}");
        assert!(index.file.is_some_and(|file| file.size > 0) && index.segmented, "{name}");
        mesh.life.stopping().cancel();
        worker.await.expect("it ends");
        assert_eq!(mesh.children(), 0, "{name}");
    }
}
