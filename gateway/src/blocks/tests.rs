use super::*;
use futures::future::join_all;
use proptest::prelude::*;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tempfile::TempDir;
use vidstream_backends::objects::{FileStore, gather};

/// A store of files, and what was asked of it.
#[derive(Debug)]
struct Watched {
    files: FileStore,
    calls: AtomicUsize,
    bytes: AtomicU64,
    heads: AtomicUsize,
}

#[async_trait]
impl ObjectStore for Watched {
    async fn put(&self, name: &ObjectName, chunks: Vec<Bytes>) -> Result<(), ObjectError> {
        self.files.put(name, chunks).await
    }

    async fn put_new(&self, name: &ObjectName, chunks: Vec<Bytes>) -> Result<(), ObjectError> {
        self.files.put_new(name, chunks).await
    }

    async fn head(&self, name: &ObjectName) -> Result<ObjectInfo, ObjectError> {
        self.heads.fetch_add(1, Ordering::Relaxed);
        self.files.head(name).await
    }

    async fn get_range(&self, name: &ObjectName, range: Range<u64>) -> Result<ByteStream, ObjectError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(range.end - range.start, Ordering::Relaxed);
        self.files.get_range(name, range).await
    }

    async fn delete(&self, name: &ObjectName) -> Result<(), ObjectError> {
        self.files.delete(name).await
    }

    async fn delete_prefix(&self, prefix: &ObjectPrefix) -> Result<u64, ObjectError> {
        self.files.delete_prefix(prefix).await
    }

    fn list(&self, prefix: &ObjectPrefix) -> BoxStream<'static, Result<ObjectInfo, ObjectError>> {
        self.files.list(prefix)
    }
}

struct World {
    watched: Arc<Watched>,
    disk: Option<Disk>,
    blocks: BlockStore,
    folder: TempDir,
}

impl World {
    async fn new(memory: u64, disk: Option<u64>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk = disk.map(|size| Disk::open(&folder.path().join("cache"), size).unwrap());
        Self::with(memory, disk, folder).await
    }

    async fn with(memory: u64, disk: Option<Disk>, folder: TempDir) -> Self {
        let files = FileStore::open(&folder.path().join("objects")).await.unwrap();
        let watched = Watched { files, calls: 0.into(), bytes: 0.into(), heads: 0.into() };
        let watched = Arc::new(watched);
        let blocks = BlockStore::new(Arc::clone(&watched) as Arc<dyn ObjectStore>, memory, disk.clone());
        Self { watched, disk, blocks, folder }
    }

    async fn object(&self, name: &str, len: u64) -> (ObjectName, Bytes) {
        let content = content(name, len);
        let name: ObjectName = name.parse().unwrap();
        self.watched.put(&name, vec![content.clone()]).await.unwrap();
        (name, content)
    }

    async fn read(&self, name: &ObjectName, range: Range<u64>) -> Bytes {
        gather(self.blocks.get_range(name, range).await.unwrap()).await.unwrap()
    }

    /// Calls and bytes since this was asked last.
    fn asked(&self) -> (usize, u64) {
        (self.watched.calls.swap(0, Ordering::Relaxed), self.watched.bytes.swap(0, Ordering::Relaxed))
    }
}

fn content(name: &str, len: u64) -> Bytes {
    let mut bytes = vec![0; usize::try_from(len).unwrap()];
    blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes.into()
}

fn part(content: &Bytes, range: Range<u64>) -> Bytes {
    content.slice(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap())
}

const MIB: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_byte_is_asked_for_once() {
    let world = World::new(64 * MIB, None).await;
    let (name, all) = world.object("film/a", 2 * MIB - 77).await;
    // From everywhere at the same time, and again afterwards.
    for _ in 0..2 {
        let read = (0..64_u64).map(|n| {
            let range = (n % 4) * 100_000..2 * MIB - 77 - n;
            let (world, name, all) = (&world, &name, &all);
            async move { assert!(world.read(name, range.clone()).await == part(all, range)) }
        });
        join_all(read).await;
    }
    let (calls, bytes) = world.asked();
    assert_eq!(bytes, 2 * MIB - 77, "in {calls} calls");
    assert!(calls <= 2, "{calls} calls: they begin in two blocks");
    assert_eq!(world.watched.heads.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn one_request_brings_all_blocks_of_a_range() {
    let world = World::new(64 * MIB, None).await;
    let (name, all) = world.object("film/a", 8 * MIB).await;
    assert!(world.read(&name, 0..8 * MIB).await == all);
    assert_eq!(world.asked(), (1, 8 * MIB));
    let (name, _) = world.object("film/b", 8 * MIB).await;
    world.read(&name, 3 * MIB..3 * MIB + 1).await;
    assert_eq!(world.asked(), (1, BLOCK));
    world.read(&name, 0..8 * MIB).await;
    assert_eq!(world.asked(), (2, 8 * MIB - BLOCK), "around what is here");
}

#[tokio::test]
async fn it_holds_no_more_than_it_may() {
    let memory = 16 * MIB;
    let world = World::new(memory, None).await;
    for film in 0..4 {
        let (name, all) = world.object(&format!("film/{film}"), 8 * MIB).await;
        assert!(world.read(&name, 0..8 * MIB).await == all);
        let held = world.blocks.inner.state().held.bytes();
        assert!(held <= memory / 4 * 3, "{held}");
    }
    assert!(world.blocks.inner.state().coming.is_empty());
}

#[tokio::test]
async fn who_does_not_read_on_has_little_fetched() {
    let world = World::new(64 * MIB, None).await;
    let (name, all) = world.object("film/a", 8 * MIB).await;
    let mut slow = world.blocks.get_range(&name, 0..8 * MIB).await.unwrap();
    slow.try_next().await.unwrap().unwrap();
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    let fetched = world.blocks.inner.state().held.bytes();
    assert!(fetched <= (AHEAD as u64 + 2) * BLOCK, "{fetched}");
    // Another who reads the same goes on where the slow one stands still.
    assert!(world.read(&name, 0..8 * MIB).await == all);
    let rest = gather(slow).await.unwrap();
    assert!(rest == all.slice(usize::try_from(BLOCK).unwrap()..));
    // Of the slow one's call no more was taken than it had when it stood still, and it made no other.
    assert_eq!(world.asked().0, 2);
}

#[tokio::test]
async fn who_leaves_has_nothing_more_fetched() {
    let world = World::new(64 * MIB, None).await;
    let (name, all) = world.object("film/a", 8 * MIB).await;
    let mut left = world.blocks.get_range(&name, 0..8 * MIB).await.unwrap();
    left.try_next().await.unwrap().unwrap();
    drop(left);
    while Arc::strong_count(&world.blocks.inner) > 1 {
        tokio::task::yield_now().await;
    }
    assert!(world.blocks.inner.state().coming.is_empty());
    assert!(world.blocks.inner.state().held.bytes() < 4 * MIB);
    assert!(world.read(&name, 0..8 * MIB).await == all);
}

#[tokio::test]
async fn those_without_a_place_still_go_on() {
    // Four places for all.
    let world = World::new(4 * MIB, None).await;
    let (name, all) = world.object("film/a", 8 * MIB).await;
    let mut slow = Vec::new();
    for start in 0..8_u64 {
        let mut stream = world.blocks.get_range(&name, start * MIB..8 * MIB).await.unwrap();
        stream.try_next().await.unwrap().unwrap();
        slow.push((start, stream));
    }
    for (start, stream) in slow.into_iter().rev() {
        let rest = gather(stream).await.unwrap();
        assert!(rest == part(&all, start * MIB + BLOCK..8 * MIB), "{start}");
    }
}

#[tokio::test]
async fn what_is_missing_or_outside_is_told() {
    let world = World::new(64 * MIB, None).await;
    let (name, _) = world.object("film/a", 100).await;
    let outside = world.blocks.get_range(&name, 50..101).await.err();
    assert!(matches!(outside, Some(ObjectError::RangeOutside { size: 100, .. })), "{outside:?}");
    let gone: ObjectName = "film/gone".parse().unwrap();
    let missing = world.blocks.get_range(&gone, 0..1).await.err();
    assert!(matches!(missing, Some(ObjectError::NotFound { .. })), "{missing:?}");
    // It came after somebody asked in vain.
    let (gone, all) = world.object("film/gone", 10).await;
    assert!(world.read(&gone, 0..10).await == all);
    // An object whose size was known and that went away: everybody is told.
    let (name, _) = world.object("film/b", 10).await;
    world.blocks.head(&name).await.unwrap();
    world.watched.delete(&name).await.unwrap();
    let both = join_all([world.blocks.get_range(&name, 0..5), world.blocks.get_range(&name, 2..9)]).await;
    assert!(both.iter().all(|read| matches!(read, Err(ObjectError::NotFound { .. }))));
    assert!(world.blocks.inner.state().coming.is_empty());
}

#[tokio::test]
async fn ranges_come_in_their_order() {
    let world = World::new(64 * MIB, None).await;
    let (name, all) = world.object("film/a", 5 * MIB).await;
    let ranges = vec![3 * MIB..3 * MIB + 10, 0..1, 4 * MIB..5 * MIB, 10..20, 7..7];
    let read = gather(world.blocks.get_ranges(&name, ranges.clone()).await.unwrap()).await.unwrap();
    let expected: Vec<Bytes> = ranges.into_iter().map(|range| part(&all, range)).collect();
    assert!(read == expected.concat());
}

/// A film that is read from begin to end so often that memory alone would have forgotten its begin each time.
async fn read_thrice(world: &World) -> Vec<(usize, u64)> {
    let (name, all) = world.object("film/a", 8 * MIB).await;
    let mut asked = Vec::new();
    for _ in 0..3 {
        for block in 0..32 {
            assert!(
                world.read(&name, block * BLOCK..(block + 1) * BLOCK).await
                    == part(&all, block * BLOCK..(block + 1) * BLOCK)
            );
            if let Some(disk) = &world.disk {
                disk.settled().await;
            }
        }
        asked.push(world.asked());
    }
    asked
}

#[tokio::test]
async fn what_memory_forgot_comes_from_the_disk() {
    let world = World::new(MIB, Some(16 * MIB)).await;
    let asked = read_thrice(&world).await;
    assert_eq!(asked[0], (32, 8 * MIB));
    assert!(asked[1].0 > 20, "{asked:?}: the first time it only leaves its mark");
    assert!(asked[2].0 < 8, "{asked:?}");
    let disk = world.disk.as_ref().unwrap();
    assert!(disk.len() <= 16 * MIB);
    assert_eq!(std::fs::read_dir(world.folder.path().join("cache")).unwrap().count(), 0, "the file has no name");
}

#[tokio::test]
async fn a_disk_is_never_larger_than_it_may_be() {
    let world = World::new(MIB, Some(4 * MIB)).await;
    read_thrice(&world).await;
    assert!(world.disk.as_ref().unwrap().len() <= 4 * MIB);
}

#[tokio::test]
async fn a_damaged_disk_costs_a_request() {
    type Damage = fn(&Disk);
    for damage in [Disk::damage as Damage, Disk::cut] {
        let world = World::new(MIB, Some(16 * MIB)).await;
        read_thrice(&world).await;
        damage(world.disk.as_ref().unwrap());
        let asked = read_thrice(&world).await;
        assert!(asked[0].0 > 20, "{asked:?}");
        assert!(asked[2].0 < 12, "{asked:?}: it is written again");
    }
}

#[tokio::test]
async fn a_full_disk_is_gone_on_without() {
    let disk = Disk::full();
    let world = World::with(MIB, Some(disk), tempfile::tempdir().unwrap()).await;
    let asked = read_thrice(&world).await;
    assert!(asked.iter().all(|(calls, _)| *calls > 20), "{asked:?}");
}

#[tokio::test]
async fn a_folder_that_can_not_be_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let error = Disk::open(&file, MIB).unwrap_err();
    assert!(error.to_string().starts_with("no file can be made in "), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_range_is_what_the_store_has(
        asked in prop::collection::vec((0_u64..2 * MIB, 0_u64..MIB), 1..20),
        memory in prop_oneof![Just(MIB), Just(64 * MIB)],
        disk in prop_oneof![Just(None), Just(Some(4 * MIB))],
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let world = World::new(memory, disk).await;
            let (name, all) = world.object("film/a", 2 * MIB + 12_345).await;
            let ranges: Vec<_> = asked.into_iter().map(|(at, len)| at..(at + len).min(2 * MIB + 12_345)).collect();
            let read = join_all(ranges.iter().map(|range| world.read(&name, range.clone()))).await;
            for (range, read) in ranges.into_iter().zip(read) {
                assert!(read == part(&all, range.clone()), "{range:?}");
            }
        });
    }
}
