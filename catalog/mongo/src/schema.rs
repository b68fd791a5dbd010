//! Collections, their indexes and their history.

use crate::database::{Mongo, done, inserted};
use crate::fields::Fields;
use mongodb::IndexModel;
use mongodb::bson::{Document, doc};
use mongodb::options::IndexOptions;
use uuid::Uuid;
use vidstream_catalog::store::{Result, StoreError};

/// Version of the collections' form that this program writes.
const VERSION: i64 = 1;

/// Names of the indexes that pages of lists come from, by what is listed and its order.
const SHOWN_CREATED: &str = "shown_created";
const SHOWN_TITLE: &str = "shown_title";
const STATE_CREATED: &str = "state_created";
const STATE_TITLE: &str = "state_title";
/// Name of the index that words are looked up in.
pub const WORDS: &str = "words";

/// Makes what is missing. Several catalogs may do so at once.
pub async fn prepare(mongo: &Mongo) -> Result<()> {
    let version = doc! { "_id": "schema", "version": VERSION };
    inserted(mongo.meta.insert_one(version)).await?;
    let found = done(mongo.meta.find_one(doc! { "_id": "schema" })).await?.unwrap_or_default();
    let found = Fields::of("schema", &found).int("version")?;
    if found > VERSION {
        let text = format!("it has version {found}, this program knows up to {VERSION}");
        return Err(StoreError::Corrupt(text));
    }
    for (collection, indexes) in [
        (&mongo.videos, videos()),
        (&mongo.sources, sources()),
        (&mongo.pages, vec![index("source_number", doc! { "source": 1, "number": 1 })]),
        (&mongo.jobs, jobs()),
        (&mongo.requests, vec![index("pending_made", doc! { "pending": 1, "made": 1 })]),
        (&mongo.viewers, vec![index("began", doc! { "began": 1 })]),
    ] {
        done(collection.create_indexes(indexes)).await?;
    }
    let name = Uuid::new_v4().as_u64_pair().0.cast_signed();
    inserted(mongo.meta.insert_one(doc! { "_id": "feed", "name": name, "forgotten": 0_i64 })).await?;
    Ok(())
}

/// What tells this database's feed from another's.
pub async fn feed_name(mongo: &Mongo) -> Result<u64> {
    let feed = done(mongo.meta.find_one(doc! { "_id": "feed" })).await?.unwrap_or_default();
    Ok(Fields::of("feed", &feed).int("name")?.cast_unsigned())
}

fn index(name: &str, keys: Document) -> IndexModel {
    IndexModel::builder().keys(keys).options(IndexOptions::builder().name(name.to_owned()).build()).build()
}

/// An index of the documents that have the field.
fn sparse(field: &str) -> IndexModel {
    let options = IndexOptions::builder().name(field.to_owned()).sparse(true).build();
    IndexModel::builder().keys(doc! { field: 1 }).options(options).build()
}

fn videos() -> Vec<IndexModel> {
    vec![
        index("position", doc! { "position": 1 }),
        index(SHOWN_CREATED, doc! { "shown": 1, "created": -1, "_id": -1 }),
        index(SHOWN_TITLE, doc! { "shown": 1, "title": 1, "_id": 1 }),
        index(STATE_CREATED, doc! { "state": 1, "created": -1, "_id": -1 }),
        index(STATE_TITLE, doc! { "state": 1, "title": 1, "_id": 1 }),
        index(WORDS, doc! { "words": 1 }),
        index("source", doc! { "source": 1 }),
        sparse("purge"),
        sparse("purging"),
        sparse("buried"),
    ]
}

fn sources() -> Vec<IndexModel> {
    let unique = IndexOptions::builder().name("upload".to_owned()).unique(true).build();
    vec![
        IndexModel::builder().keys(doc! { "upload": 1 }).options(unique).build(),
        index("life", doc! { "life": 1, "upload_state": 1, "_id": 1 }),
        sparse("unsettled"),
        sparse("tried_by"),
        sparse("format"),
    ]
}

fn jobs() -> Vec<IndexModel> {
    vec![
        index("queue", doc! { "state": 1, "class": 1, "priority": -1, "created": 1, "_id": 1 }),
        index("due", doc! { "state": 1, "not_before": 1 }),
        index("source_created", doc! { "source": 1, "created": -1, "_id": 1 }),
        index("created", doc! { "created": -1, "_id": 1 }),
        sparse("unapplied"),
        sparse("orphan"),
    ]
}

/// Which index a page of a list comes from.
pub fn list_index(one_state: bool, by_title: bool) -> &'static str {
    match (one_state, by_title) {
        (false, false) => SHOWN_CREATED,
        (false, true) => SHOWN_TITLE,
        (true, false) => STATE_CREATED,
        (true, true) => STATE_TITLE,
    }
}
