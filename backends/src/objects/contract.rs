//! What every object store must do, as one suite of checks.
//!
//! An implementation's test calls [`objects_contract`] with a fresh store; a failed check panics and says which.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    ops::Range,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, future::join_all, stream};

use super::{ObjectError, ObjectInfo, ObjectName, ObjectPrefix, ObjectStore};

/// Those who want to be the first with one name, and how often they try.
const RACERS: u64 = 32;
const ROUNDS: u64 = 20;
/// More than any server lists, or deletes, in one answer.
const MANY: u64 = 10_000;
/// Requests at the same time where there are many.
const AT_ONCE: usize = 32;

/// Large enough to be read in several pieces, and no multiple of anything.
const LARGE: usize = 1024 * 1024 + 12_345;

/// Checks `store`, which must be empty, and leaves it empty.
///
/// # Panics
///
/// If the store breaks the contract.
pub async fn objects_contract(store: Arc<dyn ObjectStore>) {
    let store = &*store;
    missing_objects(store).await;
    whole_objects(store).await;
    ranges(store).await;
    several_ranges(store).await;
    replacing(store).await;
    empty_objects(store).await;
    putting_new(store).await;
    racing(store).await;
    deleting(store).await;
    deleting_at_once(store).await;
    listing(store).await;
    neighbours(store).await;
    longest_names(store).await;
    very_many(store).await;
    many_at_once(store).await;
    streams_survive_deletion(store).await;
    room(store).await;
    assert_eq!(listed(store, &ObjectPrefix::all()).await, [], "the suite leaves nothing behind");
}

async fn room(store: &dyn ObjectStore) {
    if let Some(space) = done("space", store.space()).await {
        assert!(0 < space.free && space.free <= space.total, "room: {space:?}");
    }
}

async fn missing_objects(store: &dyn ObjectStore) {
    let missing = name("missing/object");
    refused("head", store.head(&missing), |error| matches!(error, ObjectError::NotFound { .. })).await;
    refused("get_range", async { store.get_range(&missing, 0..0).await.map(|_| ()) }, |error| {
        matches!(error, ObjectError::NotFound { .. })
    })
    .await;
    refused("read", store.read(&missing, 1), |error| matches!(error, ObjectError::NotFound { .. })).await;
    done("delete what is not there", store.delete(&missing)).await;
    done("delete below what is not there", store.delete_prefix(&prefix("missing"))).await;
}

async fn whole_objects(store: &dyn ObjectStore) {
    let content = pattern(LARGE, 1);
    for (object, chunks) in [
        ("whole/empty", vec![]),
        ("whole/of-empty-chunks", vec![Bytes::new(), Bytes::new()]),
        ("whole/one-byte", vec![content.slice(..1)]),
        ("whole/one-chunk", vec![content.clone()]),
        (
            "whole/uneven.chunks",
            vec![content.slice(..7), Bytes::new(), content.slice(7..70_000), content.slice(70_000..)],
        ),
    ] {
        let object = name(object);
        let expected = chunks.concat();
        done("put", store.put(&object, chunks)).await;
        let info = done("head", store.head(&object)).await;
        assert_eq!((&info.name, info.size), (&object, expected.len() as u64), "head of {object}");
        assert!(info.age < Duration::from_hours(1), "{object} is new, not {:?} old", info.age);
        let read = done("read", store.read(&object, LARGE as u64)).await;
        assert!(read == expected, "{object} must come back as it went in");
        done("delete", store.delete(&object)).await;
    }
}

async fn ranges(store: &dyn ObjectStore) {
    let object = name("ranges/object");
    let content = pattern(LARGE, 2);
    let size = LARGE as u64;
    done("put", store.put(&object, vec![content.clone()])).await;
    for range in [0..0, 0..1, 0..size, 1..size, size - 1..size, size..size, 262_143..262_145, 100..900_000] {
        let read = done("read_range", store.read_range(&object, range.clone())).await;
        assert!(read == content[as_usize(&range)], "bytes {range:?}");
    }
    #[expect(clippy::reversed_empty_ranges, reason = "a caller may compute one, and must be told")]
    let outside = [0..size + 1, size..size + 1, size + 1..size + 2, u64::MAX - 1..u64::MAX, 2..1];
    for range in outside {
        let told =
            |error: &ObjectError| matches!(error, ObjectError::RangeOutside { size, .. } if *size == LARGE as u64);
        refused("a range outside", store.read_range(&object, range), told).await;
    }
    let told = |error: &ObjectError| matches!(error, ObjectError::TooLarge { .. });
    refused("reading more than the limit", store.read(&object, size - 1), told).await;
    done("delete", store.delete(&object)).await;
}

async fn several_ranges(store: &dyn ObjectStore) {
    let content = pattern(LARGE, 4);
    let object = name("ranges/several");
    done("put", store.put(&object, vec![content.clone()])).await;
    let scattered: Vec<_> = (0..900).map(|at| at * 1100..at * 1100 + at % 7).collect();
    for ranges in [
        vec![],
        vec![0..0, 5..5],
        vec![10..20, 20..30, 900_000..LARGE, 0..1],
        vec![LARGE - 1..LARGE, 0..LARGE],
        vec![5..400_000, 400_001..900_000],
        scattered,
    ] {
        let expected: Vec<u8> = ranges.iter().flat_map(|range| &content[range.clone()]).copied().collect();
        let asked = ranges.iter().map(|range| range.start as u64..range.end as u64).collect();
        let stream = done("get_ranges", store.get_ranges(&object, asked)).await;
        let got: Vec<Bytes> = done("reading ranges", stream.try_collect()).await;
        assert!(got.concat() == expected, "ranges {ranges:?} are read one after the other");
    }
    refused(
        "get_ranges",
        async { store.get_ranges(&object, vec![0..1, 5..LARGE as u64 + 1]).await.map(|_| ()) },
        |error| matches!(error, ObjectError::RangeOutside { .. }),
    )
    .await;
    done("delete", store.delete(&object)).await;
}

async fn replacing(store: &dyn ObjectStore) {
    let object = name("replaced/object");
    for content in [pattern(1000, 3), pattern(1000, 3), pattern(10, 4), pattern(2000, 5)] {
        done("put", store.put(&object, vec![content.clone()])).await;
        let read = done("read", store.read(&object, 10_000)).await;
        assert!(read == content, "the last put wins");
    }
    done("delete", store.delete(&object)).await;
}

async fn putting_new(store: &dyn ObjectStore) {
    let object = name("new/object");
    let contents: Vec<Bytes> = (0..8).map(|seed| pattern(100_000, seed)).collect();
    let outcomes = join_all(contents.iter().map(|content| store.put_new(&object, vec![content.clone()]))).await;
    let winners: Vec<usize> = (0..outcomes.len()).filter(|&at| outcomes[at].is_ok()).collect();
    assert_eq!(winners.len(), 1, "exactly one of many put_new succeeds");
    for outcome in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert!(matches!(outcome, ObjectError::AlreadyExists { .. }), "the losers are told so, not: {outcome}");
    }
    let read = done("read", store.read(&object, 100_000)).await;
    assert!(read == contents[winners[0]], "the winner's bytes stay");
    done("delete", store.delete(&object)).await;
    done("put_new after a deletion", store.put_new(&object, vec![])).await;
    done("delete", store.delete(&object)).await;
}

async fn racing(store: &dyn ObjectStore) {
    for round in 0..ROUNDS {
        let object = name(&format!("race/{round}"));
        let outcomes =
            join_all((0..RACERS).map(|racer| store.put_new(&object, vec![pattern(1000, racer)])).collect::<Vec<_>>())
                .await;
        let mut winners = Vec::new();
        for (racer, outcome) in (0..RACERS).zip(outcomes) {
            match outcome {
                Ok(()) => winners.push(racer),
                Err(ObjectError::AlreadyExists { .. }) => {}
                Err(error) => panic!("round {round}: a loser is told so, not: {error:?}"),
            }
        }
        assert_eq!(winners.len(), 1, "round {round}: {winners:?} won");
        let read = done("read", store.read(&object, 1000)).await;
        assert!(read == pattern(1000, winners[0]), "round {round}: the winner's bytes stay");
    }
    assert_eq!(done("delete_prefix", store.delete_prefix(&prefix("race"))).await, ROUNDS);
}

async fn empty_objects(store: &dyn ObjectStore) {
    let object = name("empty/object");
    done("put", store.put(&object, vec![])).await;
    assert_eq!(done("read", store.read(&object, 0)).await, Bytes::new());
    assert_eq!(done("read_range", store.read_range(&object, 0..0)).await, Bytes::new());
    let found = done("get", store.get(&object)).await;
    assert_eq!(found.size, 0);
    assert_eq!(done("reading it", found.bytes.try_collect::<Vec<_>>()).await.concat(), []);
    refused("a byte of nothing", store.read_range(&object, 0..1), |error| {
        matches!(error, ObjectError::RangeOutside { size: 0, start: 0, end: 1, .. })
    })
    .await;
    let listed = listed(store, &prefix("empty")).await;
    assert_eq!(listed.iter().map(|info| (&info.name, info.size)).collect::<Vec<_>>(), [(&object, 0)]);
    assert_eq!(done("delete_prefix", store.delete_prefix(&prefix("empty"))).await, 1);
}

async fn deleting(store: &dyn ObjectStore) {
    let kept = [name("deleted-not/object"), name("delete/other/object"), name("delete/thin")];
    let gone = [name("delete/this/a"), name("delete/this/b/c"), name("delete/this/b/d/e")];
    for object in kept.iter().chain(&gone) {
        done("put", store.put(object, vec![pattern(10, 6)])).await;
    }
    assert_eq!(done("delete_prefix", store.delete_prefix(&prefix("delete/this"))).await, 3);
    for nothing in ["delete/this", "delete/th", "delete/thin"] {
        let deleted = done("delete_prefix of nothing", store.delete_prefix(&prefix(nothing))).await;
        assert_eq!(deleted, 0, "no object is below {nothing}");
    }
    for object in &gone {
        refused("read of the deleted", store.read(object, 10), |error| matches!(error, ObjectError::NotFound { .. }))
            .await;
    }
    for object in &kept {
        done("read of its neighbour", store.read(object, 10)).await;
        done("delete", store.delete(object)).await;
        done("delete again", store.delete(object)).await;
    }
    done("put below a deleted prefix", store.put(&gone[0], vec![pattern(10, 7)])).await;
    assert_eq!(done("read", store.read(&gone[0], 10)).await, pattern(10, 7));
    done("delete_prefix again", store.delete_prefix(&prefix("delete"))).await;
}

async fn listing(store: &dyn ObjectStore) {
    let sizes: BTreeMap<ObjectName, u64> = (0..300).map(|at| (name(&format!("list/{}/{at}", at % 7)), at)).collect();
    for (object, size) in &sizes {
        let size = usize::try_from(*size).expect("small");
        done("put", store.put(object, vec![pattern(size, 8)])).await;
    }
    done("put beside", store.put(&name("list-not/object"), vec![])).await;
    let all = listed(store, &prefix("list")).await;
    assert_eq!(all.len(), sizes.len(), "each object is listed once");
    for info in all {
        assert_eq!(sizes.get(&info.name), Some(&info.size), "{}", info.name);
        assert!(info.age < Duration::from_hours(1), "{} is new", info.name);
    }
    assert_eq!(listed(store, &prefix("list/3")).await.len(), 43);
    assert_eq!(listed(store, &prefix("list/3/3")).await, [], "an object is not below itself");
    assert_eq!(listed(store, &prefix("nothing")).await, []);
    assert_eq!(done("delete_prefix of all", store.delete_prefix(&ObjectPrefix::all())).await, 301);
}

async fn deleting_at_once(store: &dyn ObjectStore) {
    let object = name("delete/contended");
    done("put", store.put(&object, vec![pattern(10, 1)])).await;
    for outcome in join_all((0..16).map(|_| store.delete(&object)).collect::<Vec<_>>()).await {
        done("one of many deletions", async { outcome }).await;
    }
    refused("head", store.head(&object), |error| matches!(error, ObjectError::NotFound { .. })).await;
    for at in 0..50 {
        done("put", store.put(&name(&format!("delete/all/{}/{at}", at % 5)), vec![pattern(10, 1)])).await;
    }
    let all = prefix("delete/all");
    for outcome in join_all((0..8).map(|_| store.delete_prefix(&all)).collect::<Vec<_>>()).await {
        let deleted = done("one of many deletions of all", async { outcome }).await;
        assert!(deleted <= 50, "{deleted} of 50 were deleted");
    }
    assert_eq!(listed(store, &all).await, []);
}

async fn neighbours(store: &dyn ObjectStore) {
    // Each sorts differently beside `side/a/`, and only that is meant.
    let objects = ["side/a/1", "side/a/b/2", "side/a-/3", "side/a.b/4", "side/a0/5", "side/aa/6", "side/A/7", "side/b"];
    for object in objects {
        done("put", store.put(&name(object), vec![pattern(5, 1)])).await;
    }
    let below = |text: &'static str| async move {
        let listed = listed(store, &prefix(text)).await;
        listed.into_iter().map(|info| info.name.to_string()).collect::<BTreeSet<_>>()
    };
    assert_eq!(below("side/a").await, BTreeSet::from(["side/a/1".into(), "side/a/b/2".into()]));
    assert_eq!(below("side").await, objects.map(String::from).into());
    assert_eq!(done("delete_prefix", store.delete_prefix(&prefix("side/a"))).await, 2);
    assert_eq!(below("side").await, objects[2..].iter().map(ToString::to_string).collect());
    assert_eq!(done("delete_prefix", store.delete_prefix(&prefix("side"))).await, 6);
}

async fn longest_names(store: &dyn ObjectStore) {
    let segment = |letter: &str| letter.repeat(255);
    let longest = [segment("x"), segment("y"), segment("z")].join("/");
    let deepest = ["d"; 384].join("/");
    for text in [&longest[..], &deepest, &segment("s"), "l.-_/-/_/a.b-c_D9"] {
        let object = name(text);
        done("put", store.put(&object, vec![pattern(100, 3)])).await;
        assert_eq!(done("read", store.read(&object, 100)).await, pattern(100, 3), "{text}");
        let found = listed(store, &ObjectPrefix::all()).await;
        assert_eq!(found.iter().map(|info| info.name.as_str()).collect::<Vec<_>>(), [text]);
        done("delete", store.delete(&object)).await;
    }
}

async fn very_many(store: &dyn ObjectStore) {
    let puts = stream::iter(0..MANY).map(|at| async move {
        done("put", store.put(&name(&format!("very/many/{}/{at}", at % 16)), vec![Bytes::from_static(b"few")])).await;
    });
    puts.buffer_unordered(AT_ONCE).collect::<()>().await;
    let names: BTreeSet<ObjectName> = listed(store, &prefix("very")).await.into_iter().map(|info| info.name).collect();
    assert_eq!(names.len() as u64, MANY, "each of many is listed");
    assert_eq!(done("delete_prefix of many", store.delete_prefix(&prefix("very/many/3"))).await, MANY / 16);
    assert_eq!(done("delete_prefix of many", store.delete_prefix(&prefix("very"))).await, MANY - MANY / 16);
    assert_eq!(listed(store, &prefix("very")).await, []);
}

async fn many_at_once(store: &dyn ObjectStore) {
    // Writers and a deletion meet in one place: each write either stays or is deleted, and none fails.
    for round in 0..20 {
        let writes = join_all((0..8).map(|at| async move {
            let object = name(&format!("many/{}/{at}", round % 3));
            done("put beside a deletion", store.put(&object, vec![pattern(3000, at)])).await;
        }));
        let deletion = async {
            done("delete_prefix beside writes", store.delete_prefix(&prefix("many"))).await;
        };
        futures::join!(writes, deletion);
    }
    done("put", store.put(&name("many/0/1"), vec![pattern(3000, 1)])).await;
    assert_eq!(done("read", store.read(&name("many/0/1"), 3000)).await, pattern(3000, 1));
    done("delete_prefix", store.delete_prefix(&prefix("many"))).await;
}

async fn streams_survive_deletion(store: &dyn ObjectStore) {
    let object = name("survive/object");
    let content = pattern(LARGE, 9);
    done("put", store.put(&object, vec![content.clone()])).await;
    let found = done("get", store.get(&object)).await;
    done("delete", store.delete(&object)).await;
    let mut bytes = found.bytes;
    let mut read = Vec::new();
    loop {
        match bytes.try_next().await {
            Ok(Some(more)) => read.extend_from_slice(&more),
            Ok(None) => {
                assert!(read == content, "a stream that ends without an error gave every byte");
                return;
            }
            Err(_) => return,
        }
    }
}

fn name(name: &str) -> ObjectName {
    name.parse().expect("the suite's names are valid")
}

fn prefix(prefix: &str) -> ObjectPrefix {
    prefix.parse().expect("the suite's prefixes are valid")
}

/// Bytes that differ at every place and for every seed.
fn pattern(len: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(step).take(len).collect()
}

fn as_usize(range: &Range<u64>) -> Range<usize> {
    let index = |at: u64| usize::try_from(at).expect("the suite's objects are small");
    index(range.start)..index(range.end)
}

async fn listed(store: &dyn ObjectStore, prefix: &ObjectPrefix) -> Vec<ObjectInfo> {
    done("list", store.list(prefix).try_collect()).await
}

async fn done<T>(what: &str, call: impl Future<Output = Result<T, ObjectError>>) -> T {
    match call.await {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error:?}"),
    }
}

async fn refused<T>(
    what: &str,
    call: impl Future<Output = Result<T, ObjectError>>,
    expected: impl Fn(&ObjectError) -> bool,
) {
    match call.await {
        Ok(_) => panic!("{what} must be refused"),
        Err(error) => assert!(expected(&error), "{what} is refused with the wrong error: {error:?}"),
    }
}
