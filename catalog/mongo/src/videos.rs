//! Documents of videos. A tombstone has `buried` and no `row`.

use crate::database::{Mongo, all, done, inserted, limit};
use crate::fields::{Fields, blob, uuid};
use mongodb::bson::{Document, doc};
use std::time::SystemTime;
use vidstream_catalog::store::rows::{self, nanos};
use vidstream_catalog::store::{Result, VideoRow};
use vidstream_proto::ids::{RequestId, SourceId, VideoId};
use vidstream_proto::pb::VideoState;
use vidstream_proto::video::Entry;

/// Has the database set the position: its own time.
pub fn new_position() -> Document {
    doc! { "position": { "$type": "timestamp" } }
}

pub fn read(document: &Document) -> Result<VideoRow> {
    let fields = Fields::of("video", document);
    let last_request = fields.has("last_request").then(|| fields.uuid("last_request")).transpose()?;
    Ok(VideoRow {
        entry: Entry {
            id: VideoId::from_uuid(fields.uuid("_id")?),
            source_id: SourceId::from_uuid(fields.uuid("source")?),
            video: rows::video(fields.blob("row")?, fields.int("views")?.cast_unsigned())?,
        },
        shown_source: fields.int("shown_source")?,
        last_request: last_request.map(RequestId::from_uuid),
        purging: fields.flag("purging"),
    })
}

async fn many(mongo: &Mongo, condition: Document, order: Document, count: usize) -> Result<Vec<VideoRow>> {
    all(mongo.videos.find(condition).sort(order).limit(limit(count))).await?.iter().map(read).collect()
}

pub async fn get(mongo: &Mongo, id: VideoId) -> Result<Option<VideoRow>> {
    let found = done(mongo.videos.find_one(doc! { "_id": uuid(*id.as_uuid()), "row": { "$exists": true } })).await?;
    found.as_ref().map(read).transpose()
}

pub async fn of_source(mongo: &Mongo, source: SourceId) -> Result<Vec<VideoRow>> {
    let condition = doc! { "source": uuid(*source.as_uuid()), "row": { "$exists": true } };
    all(mongo.videos.find(condition)).await?.iter().map(read).collect()
}

pub async fn due(mongo: &Mongo, now: SystemTime, count: usize) -> Result<Vec<VideoRow>> {
    many(mongo, doc! { "purge": { "$lte": nanos(now) } }, doc! { "purge": 1 }, count).await
}

pub async fn purging(mongo: &Mongo, count: usize) -> Result<Vec<VideoRow>> {
    all(mongo.videos.find(doc! { "purging": true }).limit(limit(count))).await?.iter().map(read).collect()
}

/// What a write changes: fields that are set, and those that are left out of what has none.
fn changes(row: &VideoRow) -> Result<Document> {
    let (entry, video) = (&row.entry, &row.entry.video);
    let state = video.state();
    let mut set = doc! {
        "source": uuid(*entry.source_id.as_uuid()),
        "revision": video.revision,
        "state": i64::from(i32::from(state)),
        "shown": state != VideoState::Removed,
        "created": rows::created(video)?,
        "title": rows::title_key(video),
        "words": rows::words(entry),
        "shown_source": row.shown_source,
        "row": blob(rows::video_bytes(video)),
    };
    let mut unset = Document::new();
    match rows::purge(row)? {
        Some(purge) => set.insert("purge", purge),
        None => unset.insert("purge", ""),
    };
    match &row.last_request {
        Some(id) => set.insert("last_request", uuid(*id.as_uuid())),
        None => unset.insert("last_request", ""),
    };
    if row.purging {
        set.insert("purging", true)
    } else {
        unset.insert("purging", "")
    };
    Ok(doc! { "$set": set, "$unset": unset, "$currentDate": new_position() })
}

pub async fn insert(mongo: &Mongo, row: &VideoRow) -> Result<bool> {
    let mut update = changes(row)?;
    update.insert("$setOnInsert", doc! { "views": 0_i64, "flushes": blob([]) });
    // An insertion can't have the position set. This finds nothing, and is refused where the id is there.
    let absent = doc! { "_id": uuid(*row.entry.id.as_uuid()), "revision": { "$lt": 0_i64 } };
    inserted(mongo.videos.update_one(absent, update).upsert(true)).await
}

pub async fn replace(mongo: &Mongo, row: &VideoRow, expected: i64) -> Result<bool> {
    let there = doc! { "_id": uuid(*row.entry.id.as_uuid()), "revision": expected, "row": { "$exists": true } };
    Ok(done(mongo.videos.update_one(there, changes(row)?)).await?.matched_count == 1)
}

pub async fn bury(mongo: &Mongo, id: VideoId, expected: i64, now: SystemTime) -> Result<bool> {
    let there = doc! { "_id": uuid(*id.as_uuid()), "revision": expected, "row": { "$exists": true } };
    let update = doc! {
        "$set": { "revision": expected + 1, "state": 0_i64, "shown": false, "title": "", "buried": nanos(now) },
        "$unset": {
            "row": "", "words": "", "purge": "", "purging": "", "last_request": "", "source": "", "views": "", "flushes": "",
        },
        "$currentDate": new_position(),
    };
    Ok(done(mongo.videos.update_one(there, update)).await?.matched_count == 1)
}
