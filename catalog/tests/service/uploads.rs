//! Creating, recording, completing.

use crate::world::{File, World, outcome, reason, request_id};
use futures::future::join_all;
use std::time::Duration;
use vidstream_catalog::Config;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::pb::{self, get_source_request::Key};
use vidstream_source::extents::{CELL, GRANULE, PAGE};

#[tokio::test]
async fn a_file_goes_in_and_becomes_ready() {
    let mut world = World::start().await;
    let file = File::new(usize::try_from(CELL + 3 * GRANULE + 17).unwrap());
    let source = world.create(file.size()).await;
    let [video] = source.video_ids.as_slice() else { panic!("one video") };
    let shown = world.video(video).await;
    assert_eq!((shown.state(), shown.title.as_str()), (pb::VideoState::Uploading, "holiday at sea"));
    assert_eq!(shown.owner, "local");

    let answer = world.record(&source.id, file.cells()).await.unwrap();
    assert_eq!(answer.received, file.size());
    let shown = world.complete(&source.id, file.blake3()).await.unwrap();
    assert_eq!(shown.state(), pb::VideoState::Processing);
    let upload = shown.upload.unwrap();
    assert_eq!((upload.received, upload.state()), (file.size(), pb::UploadState::Complete));
    assert_eq!(upload.blake3, file.blake3());

    world.work().await;
    let shown = world.video(video).await;
    assert_eq!(shown.state(), pb::VideoState::Ready);
    assert_eq!(shown.source_rendition.unwrap().generation, "g1");
    assert_eq!(shown.storyboard.unwrap().generation, "s1");
    assert_eq!(shown.poster.unwrap().generation, "p1");
    assert!(shown.warnings.is_empty());
    let after = world.source(&source.id).await;
    assert_eq!(after.revision, after.shown_revision);
}

#[tokio::test]
async fn a_source_has_three_names() {
    let mut world = World::start().await;
    let source = world.create(10).await;
    let keys = [
        Key::SourceId(source.id.clone()),
        Key::UploadId(source.upload_id.clone()),
        Key::VideoId(source.video_ids[0].clone()),
    ];
    for key in keys {
        let found = world.client.get_source(pb::GetSourceRequest { key: Some(key) }).await.unwrap().into_inner();
        assert_eq!(found.source.unwrap().id, source.id);
    }
    let unknown = Key::UploadId(source.id.clone());
    assert_eq!(reason(world.client.get_source(pb::GetSourceRequest { key: Some(unknown) }).await), Reason::NotFound);
    assert_eq!(reason(world.client.get_source(pb::GetSourceRequest { key: None }).await), Reason::InvalidArgument);
}

#[tokio::test]
async fn repeats_and_overlaps_are_told_apart() {
    let mut world = World::start().await;
    let file = File::new(usize::try_from(10 * GRANULE).unwrap());
    let source = world.create(file.size()).await;
    let first = file.extent(0..4 * GRANULE);
    world.record(&source.id, vec![first.clone()]).await.unwrap();

    let again = world.record(&source.id, vec![first.clone()]).await.unwrap();
    assert_eq!((again.received, again.overlapping.len()), (4 * GRANULE, 0));

    let given = vec![file.extent(2 * GRANULE..6 * GRANULE), file.extent(8 * GRANULE..10 * GRANULE)];
    let answer = world.record(&source.id, given).await.unwrap();
    assert_eq!(answer.overlapping, [first]);
    assert_eq!(answer.received, 6 * GRANULE, "what does not overlap is recorded");

    let mut other = file.extent(8 * GRANULE..10 * GRANULE);
    other.crc32c ^= 1;
    assert_eq!(world.record(&source.id, vec![other]).await.unwrap().overlapping.len(), 1);
}

#[tokio::test]
async fn extents_of_another_file_are_refused() {
    let mut world = World::start().await;
    let file = File::new(usize::try_from(3 * GRANULE).unwrap());
    let source = world.create(2 * GRANULE).await;
    let past_the_end = file.extent(GRANULE..3 * GRANULE);
    let off_the_grid = pb::Extent { offset: 5, ..file.extent(0..GRANULE) };
    let no_tree = pb::Extent { tree: bytes::Bytes::new(), ..file.extent(0..GRANULE) };
    for wrong in [past_the_end, off_the_grid, no_tree] {
        assert_eq!(reason(world.record(&source.id, vec![wrong]).await), Reason::InvalidArgument);
    }
    assert_eq!(world.source(&source.id).await.received, 0);
}

#[tokio::test]
async fn pages_come_as_asked() {
    let mut world = World::start().await;
    let file = File::new(usize::try_from(2 * CELL).unwrap());
    let source = world.create(4 * PAGE).await;
    // Extents are placed by their offsets; what a tree holds is not known before completion.
    let at = |offset: u64| pb::Extent { offset, ..file.extent(0..CELL) };
    world.record(&source.id, vec![at(0), at(CELL), at(2 * PAGE), at(4 * PAGE - CELL)]).await.unwrap();
    let mut ask = async |first_page, pages| {
        let request = pb::ListExtentsRequest { source_id: source.id.clone(), first_page, pages };
        let answer = world.client.list_extents(request).await.unwrap().into_inner();
        assert_eq!(answer.next_page, None);
        answer.pages.iter().map(|page| (page.number, page.extents.len())).collect::<Vec<_>>()
    };
    assert_eq!(ask(0, 0).await, [(0, 2), (2, 1), (3, 1)]);
    assert_eq!(ask(1, 1).await, [(2, 1)]);
    assert_eq!(ask(4, 0).await, []);
}

#[tokio::test]
async fn long_lists_of_extents_are_cut() {
    let mut world = World::start().await;
    let file = File::new(usize::try_from(2 * GRANULE).unwrap());
    let source = world.create(6 * PAGE).await;
    let granule = file.extent(0..GRANULE);
    let all: Vec<pb::Extent> =
        (0..6 * PAGE / GRANULE).map(|n| pb::Extent { offset: n * GRANULE, ..granule.clone() }).collect();
    for some in all.chunks(4096) {
        world.record(&source.id, some.to_vec()).await.unwrap();
    }
    let (mut seen, mut first_page, mut calls) = (0, 0, 0);
    loop {
        let request = pb::ListExtentsRequest { source_id: source.id.clone(), first_page, pages: 0 };
        let answer = world.client.list_extents(request).await.unwrap().into_inner();
        seen += answer.pages.iter().map(|page| page.extents.len()).sum::<usize>();
        calls += 1;
        match answer.next_page {
            Some(next) => first_page = next,
            None => break,
        }
    }
    assert_eq!(seen, all.len());
    assert!(calls > 1, "some megabytes do not fit into an answer");
}

#[tokio::test]
async fn completion_needs_every_byte_and_the_right_sum() {
    let mut world = World::start().await;
    let file = File::new(usize::try_from(4 * GRANULE + 5).unwrap());
    let source = world.create(file.size()).await;
    world.record(&source.id, vec![file.extent(GRANULE..2 * GRANULE)]).await.unwrap();
    let missing = world.complete(&source.id, file.blake3()).await.unwrap_err();
    assert_eq!(missing.reason, Reason::BytesMissing);
    assert!(missing.message.contains("0-65536, 131072-262149"), "{}", missing.message);

    world.record(&source.id, vec![file.extent(0..GRANULE), file.extent(2 * GRANULE..file.size())]).await.unwrap();
    assert_eq!(reason(world.complete(&source.id, [7; 32]).await), Reason::ChecksumMismatch);
    assert_eq!(world.source(&source.id).await.upload_state(), pb::UploadState::Open);

    let first = world.complete(&source.id, file.blake3()).await.unwrap();
    let again = world.complete(&source.id, file.blake3()).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(reason(world.complete(&source.id, [7; 32]).await), Reason::ChecksumMismatch);
}

#[tokio::test]
async fn a_promised_sum_is_kept() {
    let mut world = World::start().await;
    let file = File::new(1000);
    let request = pb::CreateSourceRequest {
        request_id: request_id(),
        file_name: "x.mp4".into(),
        size: file.size(),
        blake3: vec![1; 32],
        ..Default::default()
    };
    let source = world.client.create_source(request).await.unwrap().into_inner().source.unwrap();
    world.record(&source.id, file.cells()).await.unwrap();
    assert_eq!(reason(world.complete(&source.id, file.blake3()).await), Reason::ChecksumMismatch);
}

#[tokio::test(start_paused = true)]
async fn rows_follow_an_upload_coarsely() {
    let mut world = World::start().await;
    let file = File::new(usize::try_from(4 * CELL).unwrap());
    let source = world.create(file.size()).await;
    let revision = world.source(&source.id).await.revision;
    for extent in file.cells().into_iter().take(3) {
        world.record(&source.id, vec![extent]).await.unwrap();
    }
    tokio::time::sleep(2 * world.config.received_interval).await;
    let after = world.source(&source.id).await;
    assert!(after.revision - revision <= 3, "not a write an extent");
    assert_eq!(world.video(&source.video_ids[0]).await.upload.unwrap().received, 3 * CELL);
}

#[tokio::test]
async fn many_record_at_once() {
    let mut world = World::start().await;
    let file = File::new(usize::try_from(40 * GRANULE).unwrap());
    let source = world.create(file.size()).await;
    let records = (0..40).map(|n| {
        let (mut client, id) = (world.client.clone(), source.id.clone());
        let extents = vec![file.extent(n * GRANULE..(n + 1) * GRANULE)];
        async move {
            client.record_extents(pb::RecordExtentsRequest { source_id: id, extents }).await.map_err(Problem::from)
        }
    });
    for answer in join_all(records).await {
        answer.unwrap();
    }
    world.complete(&source.id, file.blake3()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_nobody_continues_is_given_up() {
    let config = Config { upload_expiry: Duration::from_hours(3), ..Config::default() };
    let mut world = World::with(config).await;
    let file = File::new(usize::try_from(2 * GRANULE).unwrap());
    let source = world.create(file.size()).await;
    let video = &source.video_ids[0];
    let ingest = world.take().await.unwrap();
    tokio::time::sleep(Duration::from_hours(2)).await;
    world.beat(&ingest, 1).await.unwrap_err();
    world.record(&source.id, vec![file.extent(0..GRANULE)]).await.unwrap();
    tokio::time::sleep(Duration::from_hours(2)).await;
    assert_eq!(world.video(video).await.state(), pb::VideoState::Uploading, "it was continued");
    let ingest = world.take().await.unwrap();
    tokio::time::sleep(Duration::from_hours(2)).await;
    let removed = world.video(video).await;
    assert_eq!((removed.state(), removed.upload.unwrap().state()), (pb::VideoState::Removed, pb::UploadState::Expired));
    assert_eq!(reason(world.record(&source.id, file.cells()).await), Reason::SourceDying);
    assert_eq!(reason(world.restore(video).await), Reason::NotFound, "its bytes are on their way out");
    assert_eq!(reason(world.finish(&ingest, outcome(ingest.kind())).await), Reason::SourceDying);
    let delete = world.take().await.unwrap();
    assert_eq!(delete.kind(), pb::JobKind::Delete);
    world.finish(&delete, outcome(delete.kind())).await.unwrap();
    assert_eq!(reason(world.try_video(video).await), Reason::NotFound);
    let key = Some(pb::get_source_request::Key::UploadId(source.upload_id));
    assert_eq!(reason(world.client.get_source(pb::GetSourceRequest { key }).await), Reason::NotFound);
}

/// The first row says that it expired; what follows is derived again.
#[tokio::test(start_paused = true)]
async fn an_expiry_that_a_crash_stopped_is_finished() {
    let mut world = World::still(Config { upload_expiry: Duration::from_hours(1), ..Config::default() }).await;
    let source = world.create(5).await;
    let id = source.id.parse().unwrap();
    let mut row = world.store.source(id).await.unwrap().unwrap();
    let before = row.revision;
    row.revision += 1;
    row.upload_state = pb::UploadState::Expired;
    assert!(world.store.replace_source(row, before).await.unwrap());
    let mut world = world.reopen().await.run();
    tokio::time::sleep(2 * world.config.sweep_interval).await;
    assert_eq!(world.video(&source.video_ids[0]).await.state(), pb::VideoState::Removed);
    assert_eq!(world.take().await.unwrap().kind(), pb::JobKind::Delete);
}

#[tokio::test(start_paused = true)]
async fn a_removed_video_whose_upload_expired_is_not_restored() {
    let mut world = World::with(Config { upload_expiry: Duration::from_hours(1), ..Config::default() }).await;
    let source = world.create(5).await;
    let video = &source.video_ids[0];
    world.remove(video, Duration::from_hours(10)).await.unwrap();
    tokio::time::sleep(Duration::from_hours(2)).await;
    assert_eq!(reason(world.restore(video).await), Reason::SourceDying);
}

#[tokio::test(start_paused = true)]
async fn uploads_that_go_on_never_expire() {
    let config = Config { upload_expiry: Duration::from_secs(8), ..Config::default() };
    let mut world = World::with(config).await;
    let file = File::new(usize::try_from(20 * GRANULE).unwrap());
    let (source, idle) = (world.create(file.size()).await, world.create(file.size()).await);
    for granule in 0..20 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        world.record(&source.id, vec![file.extent(granule * GRANULE..(granule + 1) * GRANULE)]).await.unwrap();
    }
    assert_eq!(world.video(&idle.video_ids[0]).await.state(), pb::VideoState::Removed);
    world.complete(&source.id, file.blake3()).await.unwrap();
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(world.video(&source.video_ids[0]).await.state(), pb::VideoState::Processing);
}
