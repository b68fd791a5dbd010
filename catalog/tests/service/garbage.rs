//! What is garbage, and what never is.

use crate::world::{File, World, outcome};
use futures::StreamExt;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};
use vidstream_catalog::Config;
use vidstream_proto::pb::finish_job_request::Result as Outcome;
use vidstream_proto::pb::{self, FailureKind, GarbageReason, JobKind, collect_objects_response::Event};
use vidstream_source::extents::Extent;
use vidstream_source::names;

pub const MINUTE: Duration = Duration::from_mins(1);

impl World {
    /// An object that was written `age` ago.
    pub async fn plant(&self, name: &str, age: Duration) {
        self.objects.put(&name.parse().unwrap(), vec![name.to_owned().into()]).await.unwrap();
        let file = std::fs::File::options().write(true).open(self.file(name)).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }

    pub fn is_there(&self, name: &str) -> bool {
        self.file(name).is_file()
    }

    /// What a collection finds, by name, and the total.
    pub async fn collect(&mut self, dry_run: bool) -> (BTreeMap<String, GarbageReason>, pb::GarbageTotal) {
        let request = pb::CollectObjectsRequest { dry_run, adopt: false };
        let mut events = self.client.collect_objects(request).await.unwrap().into_inner();
        let (mut found, mut total) = (BTreeMap::new(), None);
        while let Some(event) = events.next().await {
            match event.unwrap().event.unwrap() {
                Event::Found(garbage) => {
                    found.insert(garbage.name.clone(), garbage.reason());
                }
                Event::Total(end) => assert_eq!(total.replace(end), None),
            }
        }
        (found, total.unwrap())
    }
}

/// What jobs make, under the names that their leases give.
fn made(job: &pb::Job) -> Outcome {
    let at = |rest: &str| format!("sources/{}/{rest}", job.source_id);
    let mut made = outcome(job.kind());
    match &mut made {
        Outcome::Index(index) => {
            index.object = at(&format!("ingest/{}/media.index", job.fence));
            index.encode = vec![pb::EncodedTrack { track: "v1".into(), ..Default::default() }];
        }
        Outcome::Encode(encoded) => {
            encoded.object = at(&format!("encode/{}/v1.index", job.fence));
            encoded.file = Some(pb::MadeFile { prefix: at(&format!("encode/{}/v1", job.fence)), size: 9 << 20 });
        }
        Outcome::Storyboard(story) => story.sheets = vec![at(&format!("storyboard/{}/0.jpg", job.fence))],
        Outcome::Poster(poster) => poster.object = at(&format!("poster/{}/poster.jpg", job.fence)),
        Outcome::Normalisation(_) | Outcome::Delete(_) => {}
    }
    made
}

fn extent_name(source: &pb::Source, extent: &pb::Extent) -> String {
    names::extent(source.id.parse().unwrap(), &Extent::try_from(extent).unwrap()).to_string()
}

#[tokio::test]
async fn garbage_is_what_no_row_refers_to_and_dry_runs_leave_it() {
    let mut world = World::still(Config::default()).await;
    let source = world.uploaded().await;
    let at = |rest: &str| format!("sources/{}/{rest}", source.id);
    while let Some(job) = world.take().await {
        world.finish(&job, made(&job)).await.unwrap();
    }
    let stranger = "sources/0197a000-0000-7000-8000-000000000001/bytes/0/00000000000-5-x";
    let used = [
        extent_name(&source, &File::new(100_000).cells()[0]),
        at("ingest/1/media.index"),
        at("storyboard/1/0.jpg"),
        at("poster/1/poster.jpg"),
        at("encode/1/v1.index"),
        at("encode/1/v1-0"),
        at("encode/1/v1-1"),
        "others/0".to_owned(),
        "sources/readme.txt".to_owned(),
    ];
    let garbage = BTreeMap::from([
        (extent_name(&source, &File::new(70_000).cells()[0]), GarbageReason::NotRecorded),
        (at("bytes/7/00000000000-5-x"), GarbageReason::NotRecorded),
        (at("storyboard/1/1.jpg"), GarbageReason::Superseded),
        (at("poster/2/poster.jpg"), GarbageReason::Superseded),
        (at("encode/1/v1-2"), GarbageReason::Superseded),
        (at("notes/1/x"), GarbageReason::Unknown),
        (stranger.to_owned(), GarbageReason::NoSource),
    ]);
    for name in used.iter().chain(garbage.keys()) {
        world.plant(name, 60 * MINUTE).await;
    }
    let young = [at("bytes/0/00000000000-6-y"), at("poster/3/poster.jpg")];
    for name in &young {
        world.plant(name, MINUTE).await;
    }
    // What jobs that ended just now have superseded may still be read: it is garbage a little later.
    let (found, total) = world.collect(true).await;
    assert!(found.values().all(|reason| *reason != GarbageReason::Superseded), "{found:?}");
    assert_eq!((total.garbage, total.young), (4, 5));
    tokio::time::pause();
    tokio::time::advance(10 * MINUTE).await;
    tokio::time::resume();

    let (found, total) = world.collect(true).await;
    assert_eq!(found, garbage);
    assert_eq!((total.seen, total.garbage, total.young, total.removed), (16, 7, 2, false));
    assert!(garbage.keys().all(|name| world.is_there(name)), "a dry run changes nothing");
    let (found, total) = world.collect(false).await;
    assert_eq!((found, total.removed), (garbage.clone(), true));
    assert_eq!(total.garbage_bytes, garbage.keys().map(|name| name.len() as u64).sum::<u64>());
    assert!(garbage.keys().all(|name| !world.is_there(name)));
    assert!(used.iter().chain(&young).all(|name| world.is_there(name)));
    assert_eq!(world.collect(false).await.0, BTreeMap::new());
}

#[tokio::test]
async fn bytes_of_an_open_upload_are_kept_however_old() {
    let mut world = World::still(Config::default()).await;
    let (file, other) = (File::new(100_000), File::new(90_000));
    let source = world.create(file.size()).await;
    let (name, lost) = (extent_name(&source, &file.cells()[0]), extent_name(&source, &other.cells()[0]));
    for name in [&name, &lost] {
        world.plant(name, 100 * 60 * MINUTE).await;
    }
    // Whoever stored it may have died before it was recorded: the bytes come again and have the same name.
    assert_eq!(world.collect(false).await.0, BTreeMap::new());
    world.record(&source.id, file.cells()).await.unwrap();
    assert_eq!(world.collect(false).await.0, BTreeMap::new());
    world.complete(&source.id, file.blake3()).await.unwrap();
    assert_eq!(world.collect(false).await.0, BTreeMap::from([(lost, GarbageReason::NotRecorded)]));
    assert!(world.is_there(&name));
}

#[tokio::test]
async fn what_a_lease_writes_is_kept_until_it_ends() {
    let mut world = World::still(Config::default()).await;
    let source = world.uploaded().await;
    let ingest = world.take().await.unwrap();
    assert_eq!((ingest.kind(), ingest.fence), (JobKind::Ingest, 1));
    let output = |fence: u64| format!("sources/{}/ingest/{fence}/media.index", source.id);
    world.plant(&output(1), 60 * MINUTE).await;
    assert_eq!(world.collect(false).await.0, BTreeMap::new(), "a lease may take long");
    // It dies; what the next one makes counts.
    world.fail(&ingest, FailureKind::Infrastructure, "away").await.unwrap();
    assert_eq!(world.collect(false).await.0, BTreeMap::from([(output(1), GarbageReason::Superseded)]));
}

#[tokio::test]
async fn a_source_that_goes_is_its_delete_jobs_business() {
    let mut world = World::start().await;
    let source = world.uploaded().await;
    world.work().await;
    let name = format!("sources/{}/poster/9/poster.jpg", source.id);
    world.plant(&name, 60 * MINUTE).await;
    world.remove(&source.video_ids[0], Duration::ZERO).await.unwrap();
    let delete = loop {
        if let Some(job) = world.take().await {
            break job;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(world.collect(false).await.0, BTreeMap::new());
    world.finish(&delete, outcome(JobKind::Delete)).await.unwrap();
    // It was written behind the deletion's back.
    assert_eq!(world.collect(false).await.0, BTreeMap::from([(name, GarbageReason::NoSource)]));
}

#[tokio::test(start_paused = true)]
async fn the_sweep_collects_by_itself() {
    let world = World::start().await;
    while !world.is_there("catalog/owner") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let name = "sources/0197a000-0000-7000-8000-000000000001/poster/1/poster.jpg";
    let (young, old) = (format!("{name}.young"), format!("{name}.old"));
    world.plant(&young, MINUTE).await;
    world.plant(&old, 60 * MINUTE).await;
    tokio::time::sleep(10 * MINUTE).await;
    assert!(world.is_there(&young), "files keep their own time");
    assert!(!world.is_there(&old));
    world.plant(&old, 60 * MINUTE).await;
    tokio::time::sleep(world.config.garbage_interval).await;
    assert!(!world.is_there(&old), "it goes on doing so");
}
