//! Documents of sources.

use crate::database::{Mongo, all, done, inserted, limit};
use crate::fields::{Fields, blob, uuid};
use crate::records;
use mongodb::bson::{Document, doc};
use vidstream_catalog::store::rows::{self, Outdated};
use vidstream_catalog::store::{Maker, Result};
use vidstream_proto::ids::{SourceId, UploadId};
use vidstream_proto::source::{Source, SourceLife, UploadState};

fn read(document: &Document) -> Result<Source> {
    let fields = Fields::of("source", document);
    rows::source(fields.blob("row")?, fields.int("shown")?)
}

fn life(life: SourceLife) -> i64 {
    i64::from(i32::from(life))
}

async fn one(mongo: &Mongo, condition: Document) -> Result<Option<Source>> {
    done(mongo.sources.find_one(condition)).await?.as_ref().map(read).transpose()
}

async fn some(mongo: &Mongo, condition: Document, count: usize) -> Result<Vec<Source>> {
    all(mongo.sources.find(condition).limit(limit(count))).await?.iter().map(read).collect()
}

pub async fn get(mongo: &Mongo, id: SourceId) -> Result<Option<Source>> {
    one(mongo, doc! { "_id": uuid(*id.as_uuid()) }).await
}

pub async fn of_upload(mongo: &Mongo, id: UploadId) -> Result<Option<Source>> {
    one(mongo, doc! { "upload": uuid(*id.as_uuid()) }).await
}

pub async fn unsettled(mongo: &Mongo, count: usize) -> Result<Vec<Source>> {
    some(mongo, doc! { "unsettled": true }, count).await
}

pub async fn open(mongo: &Mongo, after: Option<SourceId>, count: usize) -> Result<Vec<Source>> {
    let open = i64::from(i32::from(UploadState::Open));
    let mut condition = doc! { "life": life(SourceLife::Live), "upload_state": open };
    if let Some(after) = after {
        condition.insert("_id", doc! { "$gt": uuid(*after.as_uuid()) });
    }
    all(mongo.sources.find(condition).sort(doc! { "_id": 1 }).limit(limit(count))).await?.iter().map(read).collect()
}

pub async fn count_open(mongo: &Mongo) -> Result<u64> {
    let open = i64::from(i32::from(UploadState::Open));
    done(mongo.sources.count_documents(doc! { "life": life(SourceLife::Live), "upload_state": open })).await
}

pub async fn dying(mongo: &Mongo, count: usize) -> Result<Vec<Source>> {
    let condition = doc! { "life": { "$gt": life(SourceLife::Live) } };
    all(mongo.sources.find(condition).sort(doc! { "life": -1 }).limit(limit(count))).await?.iter().map(read).collect()
}

pub async fn outdated(mongo: &Mongo, maker: Maker, count: usize) -> Result<Vec<Source>> {
    let tried = doc! { "tried_by": { "$lt": i64::from(maker.version) } };
    let formed = doc! { "format": { "$lt": i64::from(maker.index_format) } };
    let (mut found, formed) = futures::try_join!(some(mongo, tried, count), some(mongo, formed, count))?;
    found.extend(formed);
    found.sort_by_key(|source| source.id);
    found.dedup_by_key(|source| source.id);
    found.truncate(count);
    Ok(found)
}

/// Fields that follow from the source, and those that it has not.
fn fields(source: &Source) -> (Document, Document) {
    let mut set = doc! {
        "revision": source.revision,
        "life": life(source.life),
        "upload_state": i64::from(i32::from(source.upload_state)),
        "row": blob(rows::source_bytes(source)),
    };
    let mut unset = Document::new();
    let Outdated { tried_by, format } = rows::outdated(source);
    for (name, value) in [("tried_by", tried_by), ("format", format)] {
        match value {
            Some(value) => set.insert(name, i64::from(value)),
            None => unset.insert(name, ""),
        };
    }
    (set, unset)
}

pub async fn insert(mongo: &Mongo, source: &Source) -> Result<bool> {
    let (mut document, _) = fields(source);
    document.insert("_id", uuid(*source.id.as_uuid()));
    document.insert("upload", uuid(*source.upload_id.as_uuid()));
    document.insert("shown", source.shown_revision);
    if source.shown_revision < source.revision {
        document.insert("unsettled", true);
    }
    inserted(mongo.sources.insert_one(document)).await
}

pub async fn replace(mongo: &Mongo, source: &Source, expected: i64) -> Result<bool> {
    let (mut set, unset) = fields(source);
    // What is shown is older than a new revision.
    set.insert("unsettled", true);
    let mut update = doc! { "$set": set };
    if !unset.is_empty() {
        update.insert("$unset", unset);
    }
    let there = doc! { "_id": uuid(*source.id.as_uuid()), "revision": expected };
    Ok(done(mongo.sources.update_one(there, update)).await?.matched_count == 1)
}

pub async fn mark_shown(mongo: &Mongo, id: SourceId, revision: i64) -> Result<()> {
    let there = doc! { "_id": uuid(*id.as_uuid()), "revision": revision };
    let update = doc! { "$set": { "shown": revision }, "$unset": { "unsettled": "" } };
    done(mongo.sources.update_one(there, update)).await.map(|_| ())
}

/// The source goes last: whoever is killed before does all of it again.
pub async fn remove(mongo: &Mongo, id: SourceId) -> Result<()> {
    let of_it = doc! { "source": uuid(*id.as_uuid()) };
    done(mongo.jobs.update_many(of_it, doc! { "$set": { "orphan": true } })).await?;
    records::remove(mongo, id).await?;
    done(mongo.sources.delete_one(doc! { "_id": uuid(*id.as_uuid()) })).await.map(|_| ())
}

/// Whether a source takes records.
pub async fn is_live(mongo: &Mongo, id: SourceId) -> Result<bool> {
    let live = doc! { "_id": uuid(*id.as_uuid()), "life": life(SourceLife::Live) };
    Ok(done(mongo.sources.find_one(live).projection(doc! { "_id": 1 })).await?.is_some())
}
