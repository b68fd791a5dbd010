//! First answers.

use crate::database::{Mongo, all, done, inserted, limit};
use crate::fields::{Fields, blob, uuid};
use mongodb::bson::{Document, doc};
use std::time::SystemTime;
use vidstream_catalog::store::rows::{corrupt, nanos, time};
use vidstream_catalog::store::{RequestRow, Result};
use vidstream_proto::ids::RequestId;

fn read(document: &Document) -> Result<RequestRow> {
    let fields = Fields::of("request", document);
    Ok(RequestRow {
        id: RequestId::from_uuid(fields.uuid("_id")?),
        fingerprint: fields.blob("fingerprint")?.try_into().map_err(|error| corrupt("request", error))?,
        answer: fields.blob("answer")?.to_vec(),
        pending: fields.flag("pending"),
        made: time(fields.int("made")?),
    })
}

pub async fn get(mongo: &Mongo, id: RequestId) -> Result<Option<RequestRow>> {
    let found = done(mongo.requests.find_one(doc! { "_id": uuid(*id.as_uuid()) })).await?;
    found.as_ref().map(read).transpose()
}

pub async fn insert(mongo: &Mongo, row: RequestRow) -> Result<RequestRow> {
    let document = doc! {
        "_id": uuid(*row.id.as_uuid()),
        "fingerprint": blob(row.fingerprint),
        "answer": blob(row.answer.clone()),
        "pending": row.pending,
        "made": nanos(row.made),
    };
    if inserted(mongo.requests.insert_one(document)).await? {
        return Ok(row);
    }
    get(mongo, row.id).await?.ok_or_else(|| corrupt("request", "it is there and is not"))
}

pub async fn finish(mongo: &Mongo, id: RequestId) -> Result<()> {
    let finish = mongo.requests.update_one(doc! { "_id": uuid(*id.as_uuid()) }, doc! { "$set": { "pending": false } });
    done(finish).await.map(|_| ())
}

pub async fn pending(mongo: &Mongo, before: SystemTime, count: usize) -> Result<Vec<RequestRow>> {
    let pending = doc! { "pending": true, "made": { "$lt": nanos(before) } };
    let found = all(mongo.requests.find(pending).sort(doc! { "made": 1 }).limit(limit(count))).await?;
    found.iter().map(read).collect()
}

pub async fn forget(mongo: &Mongo, before: SystemTime) -> Result<()> {
    let old = doc! { "pending": false, "made": { "$lt": nanos(before) } };
    done(mongo.requests.delete_many(old)).await.map(|_| ())
}
