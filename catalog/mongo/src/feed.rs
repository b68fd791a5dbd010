//! Positions of the change feed, and times that something is due at.
//!
//! A position is the database's own time of a write, which rises with every write. A write is seen a little later than its
//! position says, once a majority has it; so whoever follows the feed looks back by more than a write may take.

use crate::database::{DEADLINE, Mongo, all, done, limit};
use crate::fields::{Fields, uuid};
use crate::videos;
use mongodb::bson::{Document, Timestamp, doc};
use std::time::{Duration, SystemTime};
use vidstream_catalog::Position;
use vidstream_catalog::store::rows::{nanos, time};
use vidstream_catalog::store::{Change, Changes, ChangesQuery, Result};
use vidstream_proto::ids::VideoId;
use vidstream_proto::job::JobState;

/// How far back a look goes that is to see what came late: several times what a write may take.
const OVERLAP: Duration = Duration::from_secs(90);
const _: () = assert!(OVERLAP.as_secs() > 2 * DEADLINE.as_secs());

/// Seconds in the upper half, a count of that second's in the lower.
fn number(position: Timestamp) -> u64 {
    u64::from(position.time) << 32 | u64::from(position.increment)
}

fn timestamp(number: u64) -> Timestamp {
    let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    Timestamp { time: half(number >> 32), increment: half(number) }
}

pub struct State {
    pub latest: Position,
    forgotten: u64,
}

pub async fn state(mongo: &Mongo) -> Result<State> {
    let last = mongo.videos.find_one(doc! {}).sort(doc! { "position": -1 }).projection(doc! { "position": 1 });
    let last = done(last).await?;
    let last = last.as_ref().map(|last| Fields::of("video", last).timestamp("position")).transpose()?;
    let feed = done(mongo.meta.find_one(doc! { "_id": "feed" })).await?.unwrap_or_default();
    let forgotten = Fields::of("feed", &feed).int("forgotten")?.cast_unsigned();
    let number = last.map_or(0, number).max(forgotten);
    Ok(State { latest: Position { feed: mongo.feed, number }, forgotten })
}

pub async fn changes(mongo: &Mongo, query: ChangesQuery) -> Result<Option<Changes>> {
    let State { latest, forgotten } = state(mongo).await?;
    let after = query.after;
    if after.feed != latest.feed || after.number < forgotten || after.number > latest.number {
        return Ok(None);
    }
    let back = if query.again { OVERLAP.as_secs() << 32 } else { 0 };
    let mut condition = doc! { "position": { "$gt": timestamp(after.number.saturating_sub(back)) } };
    if let Some(id) = query.video {
        condition.insert("_id", uuid(*id.as_uuid()));
    }
    let found = mongo.videos.find(condition.clone()).sort(doc! { "position": 1 }).limit(limit(query.limit));
    let mut found = all(found).await?;
    if found.len() >= query.limit
        && let Some(last) = found.last()
    {
        // Clusters may give one time to two writes. Those of the last one's are not cut apart.
        let last = Fields::of("video", last).timestamp("position")?;
        let known: Vec<_> = found.iter().filter_map(|document| document.get("_id").cloned()).collect();
        condition.insert("position", last);
        let rest = all(mongo.videos.find(condition)).await?;
        found.extend(rest.into_iter().filter(|document| !document.get("_id").is_some_and(|id| known.contains(id))));
    }
    let changes = found.iter().map(|document| read(mongo, document)).collect::<Result<_>>()?;
    Ok(Some(Changes { changes, latest }))
}

fn read(mongo: &Mongo, document: &Document) -> Result<(Position, Change)> {
    let fields = Fields::of("video", document);
    let position = Position { feed: mongo.feed, number: number(fields.timestamp("position")?) };
    let change = if fields.has("buried") {
        Change::Purged { id: VideoId::from_uuid(fields.uuid("_id")?), revision: fields.int("revision")? }
    } else {
        Change::Changed(Box::new(videos::read(document)?.entry))
    };
    Ok((position, change))
}

pub async fn forget(mongo: &Mongo, before: SystemTime) -> Result<()> {
    let old = doc! { "buried": { "$lt": nanos(before) } };
    let highest = done(mongo.videos.find_one(old.clone()).sort(doc! { "position": -1 })).await?;
    let Some(highest) = highest else { return Ok(()) };
    let highest = number(Fields::of("video", &highest).timestamp("position")?).cast_signed();
    // First, so that nobody who was not told believes that he knows all.
    done(mongo.meta.update_one(doc! { "_id": "feed" }, doc! { "$max": { "forgotten": highest } })).await?;
    let up_to = doc! { "buried": { "$lt": nanos(before) }, "position": { "$lte": timestamp(highest.cast_unsigned()) } };
    done(mongo.videos.delete_many(up_to)).await.map(|_| ())
}

pub async fn next_due(mongo: &Mongo, now: SystemTime) -> Result<Option<SystemTime>> {
    let now = nanos(now);
    let purge = mongo.videos.find_one(doc! { "purge": { "$gt": now } }).sort(doc! { "purge": 1 });
    let queued = doc! { "state": i64::from(i32::from(JobState::Queued)), "not_before": { "$gt": now } };
    let job = mongo.jobs.find_one(queued).sort(doc! { "not_before": 1 });
    let (purge, job) = futures::try_join!(done(purge), done(job))?;
    let purge = purge.as_ref().map(|video| Fields::of("video", video).int("purge")).transpose()?;
    let job = job.as_ref().map(|job| Fields::of("job", job).int("not_before")).transpose()?;
    Ok(purge.into_iter().chain(job).min().map(time))
}
