//! Room on the disk, reserved before an upload is accepted.

use crate::world::{File, World, reason, request_id};
use futures::future::join_all;
use vidstream_catalog::Config;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::pb;
use vidstream_source::extents::GRANULE;

async fn create(world: &World, request_id: String, size: u64, room: Option<u64>) -> Result<pb::Source, Problem> {
    let file_name = "sea.mp4".into();
    let request = pb::CreateSourceRequest { request_id, file_name, size, room, ..Default::default() };
    Ok(world.client.clone().create_source(request).await?.into_inner().source.unwrap())
}

#[tokio::test(start_paused = true)]
async fn an_upload_needs_room_beside_what_others_have_yet_to_bring() {
    let mut world = World::start().await;
    let file = File::new(usize::try_from(10 * GRANULE).unwrap());
    let ten = file.size();
    let first = create(&world, request_id(), ten, Some(ten)).await.unwrap();
    let refused = create(&world, request_id(), 1, Some(ten)).await.unwrap_err();
    assert_eq!(refused.reason, Reason::NoSpace);
    assert!(refused.message.contains("there is no room for 1 MiB more"), "{}", refused.message);
    create(&world, request_id(), ten, Some(2 * ten)).await.unwrap();
    assert_eq!(reason(create(&world, request_id(), 1, Some(2 * ten)).await), Reason::NoSpace);
    // What came is on the disk, so it is not owed any more.
    world.record(&first.id, vec![file.extent(0..4 * GRANULE)]).await.unwrap();
    tokio::time::sleep(2 * world.config.received_interval).await;
    assert_eq!(reason(create(&world, request_id(), 4 * GRANULE + 1, Some(2 * ten)).await), Reason::NoSpace);
    create(&world, request_id(), 4 * GRANULE, Some(2 * ten)).await.unwrap();
    // Those that are complete owe nothing.
    world.record(&first.id, vec![file.extent(4 * GRANULE..ten)]).await.unwrap();
    world.complete(&first.id, file.blake3()).await.unwrap();
    create(&world, request_id(), 6 * GRANULE, Some(2 * ten)).await.unwrap();
    assert_eq!(reason(create(&world, request_id(), 1, Some(2 * ten)).await), Reason::NoSpace);
    create(&world, request_id(), u64::from(u32::MAX), None).await.expect("a store without bounds");
}

#[tokio::test]
async fn a_repeat_needs_no_room_of_its_own() {
    let world = World::start().await;
    let id = request_id();
    let first = create(&world, id.clone(), 100, Some(100)).await.unwrap();
    let again = create(&world, id, 100, Some(0)).await.unwrap();
    assert_eq!(first.id, again.id);
}

#[tokio::test]
async fn many_at_once_never_get_more_than_there_is() {
    let world = World::start().await;
    let made = join_all((0..40).map(|_| create(&world, request_id(), 10, Some(105)))).await;
    let made = made.iter().filter(|made| made.is_ok()).count();
    assert!((1..=10).contains(&made), "{made}");
    for _ in made..10 {
        create(&world, request_id(), 10, Some(105)).await.expect("one that was refused while others began");
    }
    assert_eq!(reason(create(&world, request_id(), 10, Some(105)).await), Reason::NoSpace);
    let world = World::still(Config::default()).await;
    create(&world, request_id(), 60, Some(100)).await.unwrap();
    let world = world.reopen().await;
    assert_eq!(reason(create(&world, request_id(), 50, Some(100)).await), Reason::NoSpace, "also after a restart");
}
