use std::future::Future;

use tempfile::TempDir;
use vidstream_backends::objects::{FileStore, blocks::Blocks};
use vidstream_proto::upload::Piece;

use super::*;
use crate::{
    checksum::crc32c,
    extents::{CELL, GRANULE},
    ranges::ByteRanges,
    testing::{Catalog, pattern},
    writer::SourceWriter,
};

struct Bench {
    _directory: TempDir,
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
            _directory: directory,
        }
    }

    fn size(&self) -> u64 {
        self.content.len() as u64
    }

    fn reader(&self) -> SourceReader {
        let records = Arc::<Catalog>::clone(&self.catalog);
        SourceReader::new(self.source, self.size(), Arc::clone(&self.store), records)
    }

    /// Makes these bytes arrive, as one extent a cell.
    async fn arrive(&self, range: Range<u64>) {
        let known = self.catalog.map().clone();
        let recorder = Arc::<Catalog>::clone(&self.catalog);
        let mut writer = SourceWriter::new(self.source, Arc::clone(&self.store), recorder, known, Blocks::keeping(4));
        for start in range.clone().step_by(CELL as usize) {
            let data = self.bytes(start..range.end.min(start + CELL));
            writer.push(Piece { offset: start, crc32c: crc32c(&data), data }).unwrap();
        }
        writer.finish().await.unwrap();
    }

    fn bytes(&self, range: Range<u64>) -> Bytes {
        self.content.slice(range.start as usize..range.end as usize)
    }

    async fn until_wanted(&self, range: Range<u64>) {
        while self.catalog.wanted() != range.clone().into() {
            tokio::task::yield_now().await;
        }
    }
}

/// Lets `reading` run until `meanwhile` is done, then to its end.
async fn beside<T>(reading: impl Future<Output = T>, meanwhile: impl Future<Output = ()>) -> T {
    tokio::join!(reading, meanwhile).0
}

#[tokio::test]
async fn any_range_of_a_complete_source_is_read() {
    let bench = Bench::new(pattern(2 * CELL as usize + 100_000)).await;
    bench.arrive(3 * GRANULE..CELL).await;
    bench.arrive(0..3 * GRANULE).await;
    bench.arrive(CELL..bench.size()).await;
    let (reader, size) = (bench.reader(), bench.size());
    let ranges = [0..0, 0..1, 5..size, 0..size, size..size, 3 * GRANULE - 1..3 * GRANULE + 1, CELL - 10..2 * CELL + 10];
    for range in ranges {
        assert!(reader.read_exact(range.clone()).await.unwrap() == bench.bytes(range.clone()), "{range:?}");
    }
    #[expect(clippy::reversed_empty_ranges, reason = "a caller may compute one, and must be told")]
    for range in [0..size + 1, size + 1..size + 1, 2..1] {
        assert!(matches!(reader.read_exact(range).await, Err(ReadError::OutsideFile { .. })));
    }
    assert_eq!(bench.catalog.pages_read(), 1, "a page that has the extent is not read again");
    assert_eq!(bench.catalog.wanted(), ByteRanges::new());
}

#[tokio::test]
async fn scattered_ranges_are_read_one_after_the_other() {
    let bench = Bench::new(pattern(3 * CELL as usize - 5)).await;
    bench.arrive(0..bench.size()).await;
    let reader = bench.reader();
    let many = (0..1000).map(|at| at * 25_000..at * 25_000 + at % 90).collect();
    for ranges in [
        vec![],
        vec![5..5, 9..9],
        vec![CELL - 5..CELL + 5, CELL + 5..CELL + 6, 2 * CELL - 1..2 * CELL + 1],
        vec![2 * CELL..2 * CELL + 9, 0..9, 3..5, CELL..CELL + 1, CELL..CELL + 1],
        vec![0..bench.size(), 0..1],
        many,
    ] {
        let expected: Vec<u8> = ranges.iter().flat_map(|range| bench.bytes(range.clone())).collect();
        let read: Vec<Bytes> = reader.read_ranges(ranges.clone()).try_collect().await.unwrap();
        assert!(read.concat() == expected, "{ranges:?}");
    }
    let outside: Result<Vec<_>, _> = reader.read_ranges(vec![0..1, 5..bench.size() + 1]).try_collect().await;
    assert!(matches!(outside, Err(ReadError::OutsideFile { .. })));
}

#[tokio::test]
async fn what_has_not_come_is_wanted_and_waited_for() {
    let bench = Bench::new(pattern(3 * CELL as usize)).await;
    bench.arrive(CELL + GRANULE..CELL + 2 * GRANULE).await;
    let reader = bench.reader();
    let range = CELL + 100..CELL + 4 * GRANULE;
    let read = beside(reader.read_exact(range.clone()), async {
        bench.until_wanted(CELL..CELL + GRANULE).await;
        bench.arrive(CELL..CELL + GRANULE).await;
        bench.until_wanted(CELL + 2 * GRANULE..CELL + 4 * GRANULE).await;
        bench.arrive(0..CELL).await;
        bench.arrive(CELL + 2 * GRANULE..2 * CELL).await;
    });
    assert!(read.await.unwrap() == bench.bytes(range));
}

#[tokio::test(start_paused = true)]
async fn what_need_not_be_hurried_is_waited_for_and_not_wanted() {
    let bench = Bench::new(pattern(2 * CELL as usize)).await;
    let reader = bench.reader().unhurried();
    let range = CELL + 100..CELL + GRANULE;
    let read = beside(reader.read_exact(range.clone()), async {
        bench.arrive(0..CELL).await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert!(bench.catalog.wanted().is_empty());
        bench.arrive(CELL..2 * CELL).await;
    });
    assert!(read.await.unwrap() == bench.bytes(range));
}

#[tokio::test]
async fn a_long_read_asks_for_a_cell_at_a_time() {
    let bench = Bench::new(pattern(2 * CELL as usize + 5)).await;
    let reader = bench.reader();
    let read = beside(reader.read_exact(7..bench.size()), async {
        bench.until_wanted(0..CELL + GRANULE).await;
        bench.arrive(0..CELL + GRANULE).await;
        bench.until_wanted(CELL + GRANULE..bench.size()).await;
        bench.arrive(CELL + GRANULE..bench.size()).await;
    });
    assert!(read.await.unwrap() == bench.bytes(7..bench.size()));
}

#[tokio::test]
async fn reads_beside_each_other_want_all_they_wait_for() {
    let bench = Bench::new(pattern(2 * CELL as usize)).await;
    let reader = bench.reader();
    let (one, two) = (reader.read_exact(0..5), reader.read_exact(CELL..CELL + 5));
    let both = ByteRanges::from_iter([0..GRANULE, CELL..CELL + GRANULE]);
    let arrivals = async {
        while bench.catalog.wanted() != both {
            tokio::task::yield_now().await;
        }
        bench.arrive(0..CELL).await;
        bench.arrive(CELL..2 * CELL).await;
    };
    let (one, two, ()) = tokio::join!(one, two, arrivals);
    assert_eq!((one.unwrap(), two.unwrap()), (bench.bytes(0..5), bench.bytes(CELL..CELL + 5)));
}

#[tokio::test(start_paused = true)]
async fn patience_ends() {
    let bench = Bench::new(pattern(GRANULE as usize)).await;
    let patience = Duration::from_mins(1);
    let begun = tokio::time::Instant::now();
    let error = bench.reader().with_patience(patience).read_exact(0..5).await.unwrap_err();
    assert!(matches!(error, ReadError::NotCome { offset: 0, .. }), "{error}");
    assert_eq!(begun.elapsed(), patience);
    assert_eq!(Problem::from(error).reason, Reason::NotReady);
}

#[tokio::test]
async fn without_patience_nothing_is_asked_for() {
    let bench = Bench::new(pattern(GRANULE as usize)).await;
    let hasty = bench.reader().with_patience(Duration::ZERO);
    assert!(matches!(hasty.read_exact(0..5).await, Err(ReadError::NotCome { .. })));
    assert_eq!(bench.catalog.wanted(), ByteRanges::new());
    bench.arrive(0..GRANULE).await;
    assert_eq!(hasty.read_exact(0..5).await.unwrap(), bench.bytes(0..5));
}

#[tokio::test(start_paused = true)]
async fn arrivals_nobody_told_of_are_found() {
    let bench = Bench::new(pattern(GRANULE as usize)).await;
    bench.catalog.keep_quiet();
    let reader = bench.reader();
    let read = beside(reader.read_exact(0..5), async {
        bench.until_wanted(0..GRANULE).await;
        bench.arrive(0..GRANULE).await;
    });
    assert_eq!(read.await.unwrap(), bench.bytes(0..5));
}

#[tokio::test(start_paused = true)]
async fn a_catalog_that_is_away_is_waited_for_but_not_one_that_refuses() {
    let bench = Bench::new(pattern(GRANULE as usize)).await;
    let reader = bench.reader();
    let away = Problem::new(Reason::Unavailable, "the catalog is away");
    let read = beside(reader.read_exact(0..5), async {
        bench.until_wanted(0..GRANULE).await;
        bench.catalog.fail_with(Some(away));
        tokio::time::advance(Duration::from_secs(12)).await;
        bench.catalog.fail_with(None);
        bench.arrive(0..GRANULE).await;
    });
    assert_eq!(read.await.unwrap(), bench.bytes(0..5));

    let gone = Problem::new(Reason::SourceDying, "the source is being removed");
    let bench = Bench::new(pattern(GRANULE as usize)).await;
    let reader = bench.reader();
    let read = beside(reader.read_exact(0..5), async {
        bench.until_wanted(0..GRANULE).await;
        bench.catalog.fail_with(Some(gone.clone()));
    });
    assert_eq!(Problem::from(read.await.unwrap_err()), gone);
}

#[tokio::test]
async fn a_dropped_read_wants_nothing_more() {
    let bench = Bench::new(pattern(2 * CELL as usize)).await;
    let reader = bench.reader();
    let mut dropped = Box::pin(reader.read_exact(0..5));
    while bench.catalog.wanted().is_empty() {
        assert!(futures::poll!(&mut dropped).is_pending());
        tokio::task::yield_now().await;
    }
    drop(dropped);
    let read = beside(reader.read_exact(CELL..CELL + 5), async {
        bench.until_wanted(CELL..CELL + GRANULE).await;
        bench.arrive(CELL..2 * CELL).await;
    });
    assert_eq!(read.await.unwrap(), bench.bytes(CELL..CELL + 5));
}
