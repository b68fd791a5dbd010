use bytes::Bytes;
use proptest::prelude::*;
use tempfile::TempDir;
use vidstream_backends::objects::{FileStore, ObjectPrefix};

use super::*;
use crate::{
    checksum::crc32c,
    extents::GRANULE,
    testing::{Catalog, pattern},
};

const MIB: u64 = 1024 * 1024;

/// A source in a directory of its own.
struct Bench {
    directory: TempDir,
    store: Arc<dyn ObjectStore>,
    catalog: Arc<Catalog>,
    source: SourceId,
    content: Bytes,
}

impl Bench {
    async fn new(content: Bytes) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            store: Arc::new(FileStore::open(directory.path()).await.unwrap()),
            catalog: Arc::new(Catalog::new(content.len() as u64)),
            source: SourceId::generate(),
            content,
            directory,
        }
    }

    fn writer(&self) -> SourceWriter {
        self.writer_that_knows(self.catalog.map().clone())
    }

    fn writer_that_knows(&self, recorded: ExtentMap) -> SourceWriter {
        let catalog = Arc::<Catalog>::clone(&self.catalog);
        SourceWriter::new(self.source, Arc::clone(&self.store), catalog, recorded, Blocks::keeping(4))
    }

    fn size(&self) -> u64 {
        self.content.len() as u64
    }

    fn piece(&self, range: Range<u64>) -> Piece {
        piece(&self.content, range)
    }

    /// The ranges of all pieces of `len` bytes.
    fn pieces(&self, len: u64) -> Vec<Range<u64>> {
        (0..self.size()).step_by(len as usize).map(|start| start..(start + len).min(self.size())).collect()
    }

    async fn stored(&self) -> Vec<u64> {
        let listed: Vec<_> = self.store.list(&ObjectPrefix::all()).try_collect().await.unwrap();
        let mut sizes: Vec<u64> = listed.iter().map(|info| info.size).collect();
        sizes.sort_unstable();
        sizes
    }

    /// Every extent's object has its bytes, and the file's hash is right.
    async fn assert_whole(&self) {
        let map = self.catalog.map().clone();
        assert!(map.is_complete(), "missing: {:?}", map.missing(0..self.size()));
        for extent in map.extents() {
            let object = self.store.read(&names::extent(self.source, extent), CELL).await.unwrap();
            assert!(object == self.content[extent.offset() as usize..extent.range().end as usize], "{extent:?}");
        }
        assert_eq!(map.hash(), Ok(blake3::hash(&self.content)));
    }
}

fn piece(content: &Bytes, range: Range<u64>) -> Piece {
    let data = content.slice(range.start as usize..range.end as usize);
    Piece { offset: range.start, crc32c: crc32c(&data), data }
}

/// The same content with one other byte.
fn with_other_byte(content: &Bytes, at: u64) -> Bytes {
    let mut other = content.to_vec();
    other[at as usize] ^= 1;
    other.into()
}

fn is_different<T>(result: Result<T, WriteError>) -> bool {
    matches!(result, Err(WriteError::Different { .. }))
}

#[tokio::test]
async fn pieces_in_order_become_whole_cells() {
    let bench = Bench::new(pattern(3 * CELL as usize + 100_000)).await;
    let mut writer = bench.writer();
    for range in bench.pieces(MIB) {
        writer.push(bench.piece(range)).unwrap();
        while !writer.has_room() {
            writer.durable().await.unwrap().unwrap();
        }
    }
    writer.finish().await.unwrap();
    assert_eq!(bench.stored().await, [100_000, CELL, CELL, CELL]);
    assert_eq!(writer.held(), 0);
    assert!(writer.durable().await.is_none());
    bench.assert_whole().await;
}

#[tokio::test]
async fn only_what_is_recorded_is_durable() {
    let bench = Bench::new(pattern(2 * CELL as usize)).await;
    let mut writer = bench.writer();
    let closed = bench.catalog.gate.lock().await;
    for range in bench.pieces(MIB) {
        writer.push(bench.piece(range)).unwrap();
    }
    while bench.stored().await != [CELL, CELL] {
        tokio::task::yield_now().await;
    }
    // Both objects are there, nothing is acknowledged.
    assert!(futures::poll!(Box::pin(writer.durable())).is_pending());
    drop(closed);
    assert_eq!(writer.finish().await.unwrap(), (0..2 * CELL).into());
    bench.assert_whole().await;
}

#[tokio::test]
async fn what_becomes_durable_together_is_recorded_by_one_call() {
    let bench = Bench::new(pattern(8 * GRANULE as usize)).await;
    let mut writer = bench.writer();
    let closed = bench.catalog.gate.lock().await;
    for range in bench.pieces(GRANULE) {
        writer.push(bench.piece(range)).unwrap();
        writer.flush();
    }
    let stored = async {
        while bench.stored().await.len() < 8 {
            tokio::task::yield_now().await;
        }
        drop(closed);
    };
    let (durable, ()) = tokio::join!(writer.finish(), stored);
    assert_eq!(durable.unwrap(), (0..bench.size()).into());
    let calls = bench.catalog.calls.lock().unwrap().clone();
    assert!(calls.len() < 8, "{calls:?}");
    assert_eq!(calls.iter().sum::<usize>(), 8);
    bench.assert_whole().await;
}

#[tokio::test]
async fn wanted_granules_do_not_wait_for_their_cell() {
    let bench = Bench::new(pattern(CELL as usize)).await;
    let mut writer = bench.writer();
    writer.push(bench.piece(0..MIB)).unwrap();
    assert!(writer.durable().await.is_none(), "a part of a cell waits for the rest");
    writer.want((GRANULE..2 * GRANULE).into());
    assert_eq!(writer.durable().await.unwrap().unwrap(), (0..MIB).into(), "it was here already");

    writer.want((4 * MIB..6 * MIB).into());
    writer.push(bench.piece(4 * MIB..5 * MIB)).unwrap();
    assert!(writer.durable().await.is_none(), "half of what is wanted");
    writer.push(bench.piece(5 * MIB..6 * MIB)).unwrap();
    assert_eq!(writer.durable().await.unwrap().unwrap(), (4 * MIB..6 * MIB).into());

    // The cell is full when the rest is here, without a flush.
    for range in [MIB..2 * MIB, 2 * MIB..3 * MIB, 3 * MIB..4 * MIB, 7 * MIB..8 * MIB, 6 * MIB..7 * MIB] {
        writer.push(bench.piece(range)).unwrap();
    }
    let mut durable = ByteRanges::new();
    while let Some(more) = writer.durable().await {
        durable.extend(more.unwrap().iter());
    }
    assert_eq!(durable, ByteRanges::from_iter([MIB..4 * MIB, 6 * MIB..8 * MIB]));
    bench.assert_whole().await;
}

#[tokio::test]
async fn cells_left_alone_are_stored_as_they_are() {
    let bench = Bench::new(pattern(4 * CELL as usize)).await;
    let mut writer = bench.writer();
    for cell in 0..3 {
        writer.push(bench.piece(cell * CELL..cell * CELL + MIB)).unwrap();
    }
    assert_eq!(writer.durable().await.unwrap().unwrap(), (0..MIB).into());
    assert!(writer.durable().await.is_none(), "two cells may stay open");
    assert_eq!(writer.held(), 2 * MIB);
}

#[tokio::test]
async fn memory_is_bounded_however_slow_the_store_is() {
    let bench = Bench::new(pattern(12 * CELL as usize)).await;
    let mut writer = bench.writer();
    let closed = bench.catalog.gate.lock().await;
    let mut pushed = 0;
    for range in bench.pieces(MIB) {
        if !writer.has_room() {
            break;
        }
        pushed = range.end;
        writer.push(bench.piece(range)).unwrap();
    }
    assert!(writer.held() <= HELD, "{} bytes", writer.held());
    assert!((3 * CELL..6 * CELL).contains(&pushed), "{pushed} bytes");
    drop(closed);
    for range in bench.pieces(MIB).into_iter().filter(|range| range.start >= pushed) {
        while !writer.has_room() {
            writer.durable().await.unwrap().unwrap();
        }
        writer.push(bench.piece(range)).unwrap();
    }
    writer.finish().await.unwrap();
    bench.assert_whole().await;
}

#[tokio::test]
async fn wrong_pieces_are_refused_and_change_nothing() {
    let bench = Bench::new(pattern(3 * GRANULE as usize + 5)).await;
    let mut writer = bench.writer();
    let mut torn = bench.piece(0..GRANULE);
    torn.crc32c ^= 1;
    let error = writer.push(torn).unwrap_err();
    assert!(matches!(&error, WriteError::Checksum { range, .. } if *range == (0..GRANULE)), "{error}");
    assert_eq!(Problem::from(error).reason, Reason::ChecksumMismatch);
    let beyond = Piece { offset: 4 * GRANULE, ..bench.piece(0..5) };
    assert_eq!(Problem::from(writer.push(beyond).unwrap_err()).reason, Reason::TooManyBytes);
    let cut = bench.piece(0..5);
    assert_eq!(Problem::from(writer.push(cut).unwrap_err()).reason, Reason::InvalidOffset);
    assert_eq!(writer.finish().await.unwrap(), ByteRanges::new());

    writer.push(bench.piece(0..bench.size())).unwrap();
    writer.finish().await.unwrap();
    bench.assert_whole().await;
}

#[tokio::test]
async fn repeats_are_harmless_and_stored_once() {
    let bench = Bench::new(pattern(CELL as usize + 3 * GRANULE as usize)).await;
    let mut writer = bench.writer();
    for _ in 0..2 {
        writer.push(bench.piece(0..3 * GRANULE)).unwrap();
        writer.push(bench.piece(2 * GRANULE..5 * GRANULE)).unwrap();
    }
    assert_eq!(writer.finish().await.unwrap(), (0..5 * GRANULE).into());
    // Recorded by now; the chunk has both recorded and new bytes, and reaches into the next cell.
    let mut later = bench.writer();
    later.push(bench.piece(4 * GRANULE..CELL + GRANULE)).unwrap();
    assert_eq!(later.finish().await.unwrap(), (4 * GRANULE..CELL + GRANULE).into());
    assert_eq!(bench.stored().await, [GRANULE, 5 * GRANULE, CELL - 5 * GRANULE]);
}

#[tokio::test]
async fn other_bytes_are_refused_wherever_the_first_ones_are() {
    let bench = Bench::new(pattern(CELL as usize)).await;
    let other = with_other_byte(&bench.content, 3 * GRANULE + 7);
    let mut writer = bench.writer();
    writer.push(bench.piece(0..4 * GRANULE)).unwrap();
    assert!(is_different(writer.push(piece(&other, 3 * GRANULE..4 * GRANULE))), "gathered");
    writer.push(piece(&other, 2 * GRANULE..3 * GRANULE)).unwrap();
    writer.flush();
    assert!(is_different(writer.push(piece(&other, 0..4 * GRANULE))), "on its way");
    writer.finish().await.unwrap();
    writer.push(piece(&other, 3 * GRANULE..5 * GRANULE)).unwrap();
    let error = writer.finish().await.unwrap_err();
    assert_eq!(Problem::from(error).reason, Reason::BytesDiffer);
}

#[tokio::test]
async fn two_writers_that_know_nothing_of_each_other_agree() {
    let bench = Bench::new(pattern(CELL as usize + 100)).await;
    let nothing = ExtentMap::new(bench.size());
    let (mut one, mut two) = (bench.writer_that_knows(nothing.clone()), bench.writer_that_knows(nothing.clone()));
    two.push(bench.piece(MIB..2 * MIB)).unwrap();
    two.push(bench.piece(5 * MIB..6 * MIB)).unwrap();
    two.finish().await.unwrap();
    one.push(bench.piece(0..CELL)).unwrap();
    one.push(bench.piece(CELL..bench.size())).unwrap();
    assert_eq!(one.finish().await.unwrap(), (0..bench.size()).into());
    bench.assert_whole().await;
    // The whole cell that could not be recorded goes; the test waits for it, not for a time.
    while bench.stored().await != [100, MIB, MIB, MIB, 2 * MIB, 3 * MIB] {
        tokio::task::yield_now().await;
    }

    let other = with_other_byte(&bench.content, 5 * MIB);
    let mut third = bench.writer_that_knows(nothing.clone());
    third.push(piece(&other, 4 * MIB..6 * MIB)).unwrap();
    assert!(is_different(third.finish().await), "other bytes, found when they were recorded");
    let mut fourth = bench.writer_that_knows(nothing);
    fourth.push(piece(&other, 5 * MIB..6 * MIB)).unwrap();
    assert!(is_different(fourth.finish().await), "other bytes of the same run");
    bench.assert_whole().await;
}

#[tokio::test]
async fn a_store_that_fails_is_said_so() {
    let bench = Bench::new(pattern(5)).await;
    let mut writer = bench.writer();
    // The directory of the extents can't be made: a file has its name.
    std::fs::write(bench.directory.path().join("sources"), b"").unwrap();
    writer.push(bench.piece(0..5)).unwrap();
    let error = writer.finish().await.unwrap_err();
    assert!(matches!(error, WriteError::Objects(_)), "{error:?}");
    assert_eq!(Problem::from(error).reason, Reason::Unavailable);
    assert_eq!(bench.catalog.map().received(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Pieces of any size in any order, some twice, through writers that are dropped at any moment.
    #[test]
    fn killed_and_resumed_in_any_order_the_file_is_whole(
        tail in 1..GRANULE,
        len in prop::sample::select(vec![GRANULE, 5 * GRANULE, MIB, 3 * MIB, CELL]),
        kills in prop::collection::vec((1..40_usize, any::<bool>()), 0..5),
        seed in any::<u64>(),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let bench = Bench::new(pattern((2 * CELL + 3 * GRANULE + tail) as usize)).await;
            let mut random = Random(seed | 1);
            let mut acknowledged = ByteRanges::new();
            for (steps, drain) in kills {
                acknowledged.extend(some_pieces(&bench, len, steps, drain, &mut random).await.iter());
                let recorded = bench.catalog.map().recorded();
                assert!(acknowledged.iter().all(|range| recorded.contains(range)), "acknowledged is recorded");
            }
            some_pieces(&bench, len, usize::MAX, true, &mut random).await;
            bench.assert_whole().await;
        });
    }
}

/// Sends up to `steps` of the missing pieces and some that are not missing, in random order, then drops the writer,
/// after it has finished or (`drain` is false) in the middle. Returns what was acknowledged.
async fn some_pieces(bench: &Bench, len: u64, steps: usize, drain: bool, random: &mut Random) -> ByteRanges {
    let recorded = bench.catalog.map().recorded();
    let mut pieces = bench.pieces(len);
    pieces.retain(|range| !recorded.contains(range.clone()) || random.below(5) == 0);
    for at in (1..pieces.len()).rev() {
        pieces.swap(at, random.below(at + 1));
    }
    let (mut writer, mut acknowledged) = (bench.writer(), ByteRanges::new());
    for range in pieces.into_iter().take(steps) {
        while !writer.has_room() {
            acknowledged.extend(writer.durable().await.unwrap().unwrap().iter());
        }
        writer.push(bench.piece(range)).unwrap();
    }
    if drain {
        acknowledged.extend(writer.finish().await.unwrap().iter());
    }
    acknowledged
}

/// Marsaglia's xorshift: enough to shuffle by.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}
