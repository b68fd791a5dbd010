//! Views of videos, and documents of viewers.

use crate::database::{Mongo, all, done, inserted};
use crate::fields::{Fields, blob, uuid};
use crate::videos::new_position;
use futures::{StreamExt, TryStreamExt, stream};
use mongodb::bson::{Bson, Document, doc};
use std::time::SystemTime;
use vidstream_catalog::store::rows::{self, nanos, time};
use vidstream_catalog::store::{Flush, Result, ViewerRow};
use vidstream_proto::ids::{VideoId, ViewerId};

/// Viewers that are forgotten at once.
const AT_ONCE: usize = 10_000;
/// Viewers that are asked for by one call.
const KEYS: usize = 500;
/// Viewers that are written at the same time: each is a call of its own, as each may be refused alone.
const WRITES: usize = 16;

pub async fn add(mongo: &Mongo, id: VideoId, count: u64, flush: Flush) -> Result<bool> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    loop {
        let there = doc! { "_id": uuid(*id.as_uuid()), "row": { "$exists": true } };
        let found = done(mongo.videos.find_one(there).projection(doc! { "flushes": 1 })).await?;
        let Some(found) = found else { return Ok(false) };
        let flushes = Fields::of("video", &found).blob("flushes")?;
        let Some(next) = rows::with_flush(flushes, flush) else { return Ok(true) };
        let unchanged = doc! { "_id": uuid(*id.as_uuid()), "row": { "$exists": true }, "flushes": blob(flushes) };
        let update = doc! {
            "$inc": { "views": count },
            "$set": { "flushes": blob(next) },
            "$currentDate": new_position(),
        };
        if done(mongo.videos.update_one(unchanged, update)).await?.matched_count == 1 {
            return Ok(true);
        }
    }
}

fn key(video: VideoId, viewer: ViewerId) -> Bson {
    blob([video.as_uuid().as_bytes().as_slice(), viewer.as_uuid().as_bytes()].concat())
}

fn read(document: &Document) -> Result<ViewerRow> {
    let fields = Fields::of("viewer", document);
    Ok(ViewerRow {
        video: VideoId::from_uuid(fields.uuid("video")?),
        viewer: ViewerId::from_uuid(fields.uuid("viewer")?),
        began: time(fields.int("began")?),
        counted: fields.flag("counted"),
        counted_by: fields.has("counted_by").then(|| fields.uuid("counted_by")).transpose()?,
        watched: rows::intervals(fields.blob("watched")?)?,
        revision: fields.int("revision")?,
    })
}

pub async fn get(mongo: &Mongo, keys: &[(VideoId, ViewerId)]) -> Result<Vec<ViewerRow>> {
    let mut found = Vec::new();
    for keys in keys.chunks(KEYS) {
        let keys: Vec<Bson> = keys.iter().map(|(video, viewer)| key(*video, *viewer)).collect();
        for document in all(mongo.viewers.find(doc! { "_id": { "$in": keys } })).await? {
            found.push(read(&document)?);
        }
    }
    Ok(found)
}

pub async fn save(mongo: &Mongo, viewers: &[ViewerRow]) -> Result<Vec<bool>> {
    // One viewer's rows of a call follow on each other.
    let mut saved = vec![false; viewers.len()];
    let mut chains: Vec<(Bson, Vec<usize>)> = Vec::new();
    let mut known = std::collections::HashMap::new();
    for (at, row) in viewers.iter().enumerate() {
        let chain = *known.entry((row.video, row.viewer)).or_insert_with(|| {
            chains.push((key(row.video, row.viewer), Vec::new()));
            chains.len() - 1
        });
        chains[chain].1.push(at);
    }
    let chains = stream::iter(chains).map(|(id, rows)| async move {
        let mut outcomes = Vec::new();
        for at in rows {
            outcomes.push((at, save_one(mongo, id.clone(), &viewers[at]).await?));
        }
        Ok::<_, vidstream_catalog::store::StoreError>(outcomes)
    });
    let outcomes: Vec<_> = chains.buffer_unordered(WRITES).try_collect().await?;
    for (at, outcome) in outcomes.into_iter().flatten() {
        saved[at] = outcome;
    }
    Ok(saved)
}

async fn save_one(mongo: &Mongo, id: Bson, row: &ViewerRow) -> Result<bool> {
    let fields = doc! {
        "video": uuid(*row.video.as_uuid()),
        "viewer": uuid(*row.viewer.as_uuid()),
        "began": nanos(row.began),
        "counted": row.counted,
        "counted_by": row.counted_by.map_or(Bson::Null, uuid),
        "revision": row.revision,
        "watched": blob(rows::interval_bytes(&row.watched)),
    };
    if row.revision == 1 {
        let mut document = doc! { "_id": id };
        document.extend(fields);
        return inserted(mongo.viewers.insert_one(document)).await;
    }
    let before = doc! { "_id": id, "revision": row.revision - 1 };
    Ok(done(mongo.viewers.update_one(before, doc! { "$set": fields })).await?.matched_count == 1)
}

pub async fn forget(mongo: &Mongo, before: SystemTime, most: usize) -> Result<bool> {
    let there = usize::try_from(done(mongo.viewers.estimated_document_count()).await?).unwrap_or(usize::MAX);
    let excess = there.saturating_sub(most);
    let mut before = nanos(before);
    if excess > 0 {
        // The first one that stays, were there none too old.
        before = before.max(began_of(mongo, doc! {}, excess).await?.unwrap_or(i64::MAX));
    }
    let old = doc! { "began": { "$lt": before } };
    let Some(first) = began_of(mongo, old.clone(), AT_ONCE).await? else {
        done(mongo.viewers.delete_many(old)).await?;
        return Ok(false);
    };
    if done(mongo.viewers.delete_many(doc! { "began": { "$lt": first } })).await?.deleted_count == 0 {
        // So many began at the same time.
        done(mongo.viewers.delete_many(doc! { "began": first })).await?;
    }
    Ok(true)
}

/// When the window of the viewer behind the `place` oldest ones began.
async fn began_of(mongo: &Mongo, of: Document, place: usize) -> Result<Option<i64>> {
    let found = mongo.viewers.find_one(of).sort(doc! { "began": 1 }).skip(place as u64);
    let found = done(found.projection(doc! { "began": 1 })).await?;
    found.as_ref().map(|found| Fields::of("viewer", found).int("began")).transpose()
}
