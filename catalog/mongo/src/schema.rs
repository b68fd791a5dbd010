//! Collections, their indexes and their history.

use crate::database::{self, Mongo, done, inserted};
use crate::fields::Fields;
use futures::TryStreamExt;
use futures::future::BoxFuture;
use mongodb::IndexModel;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::IndexOptions;
use std::sync::Arc;
use uuid::Uuid;
use vidstream_catalog::store::{Result, StoreError};

/// Brings the documents from one version of their form to the next one.
type Step = for<'a> fn(&'a Mongo) -> BoxFuture<'a, Result<()>>;

/// By the version that they begin with; the first one is 1. Each may be repeated, and done by several catalogs at once, while
/// others of the version before still write. Never change one that was released.
const STEPS: &[Step] = &[];

/// Names of the indexes that pages of lists come from, by what is listed and its order.
const SHOWN_CREATED: &str = "shown_created";
const SHOWN_TITLE: &str = "shown_title";
const STATE_CREATED: &str = "state_created";
const STATE_TITLE: &str = "state_title";
/// Name of the index that words are looked up in.
pub const WORDS: &str = "words";

/// Makes what is missing. Several catalogs may do so at once.
pub async fn prepare(mongo: &Mongo) -> Result<()> {
    upgrade(mongo, STEPS).await?;
    for (collection, indexes) in [
        (&mongo.videos, videos()),
        (&mongo.sources, sources()),
        (&mongo.pages, vec![index("source_number", doc! { "source": 1, "number": 1 })]),
        (&mongo.jobs, jobs()),
        (&mongo.requests, vec![index("pending_made", doc! { "pending": 1, "made": 1 })]),
        (&mongo.viewers, vec![index("began", doc! { "began": 1 })]),
    ] {
        let made = done(collection.create_indexes(indexes.clone())).await;
        made.map_err(|error| of_indexes(collection.name(), error))?;
        // Not every server refuses to make one that is there in another form.
        let there = done(async { collection.list_indexes().await?.try_collect::<Vec<_>>().await }).await?;
        for index in indexes.iter().map(form) {
            let mut named = there.iter().map(form).filter(|found| found.name == index.name).peekable();
            if named.peek().is_none() || named.any(|found| found != index) {
                let cause = format!("{} is not {:?}", index.name.unwrap_or_default(), index.keys);
                return Err(other_index(collection.name(), cause));
            }
        }
    }
    let name = Uuid::new_v4().as_u64_pair().0.cast_signed();
    inserted(mongo.meta.insert_one(doc! { "_id": "feed", "name": name, "forgotten": 0_i64 })).await?;
    Ok(())
}

/// Walks the steps from the version that is there to the last one, and notes each. A new database has the last version.
async fn upgrade(mongo: &Mongo, steps: &[Step]) -> Result<()> {
    let newest = i64::try_from(steps.len()).unwrap_or(i64::MAX).saturating_add(1);
    inserted(mongo.meta.insert_one(doc! { "_id": "schema", "version": newest })).await?;
    loop {
        let found = done(mongo.meta.find_one(doc! { "_id": "schema" })).await?.unwrap_or_default();
        let found = Fields::of("schema", &found).int("version")?;
        if found == newest {
            return Ok(());
        }
        let step = found.checked_sub(1).and_then(|at| usize::try_from(at).ok()).and_then(|at| steps.get(at));
        let Some(step) = step else {
            let text = format!("it has version {found}, this program knows 1 to {newest}");
            return Err(StoreError::Corrupt(text));
        };
        step(mongo).await?;
        // Unless another catalog was faster.
        let raised = doc! { "$set": { "version": found + 1 } };
        done(mongo.meta.update_one(doc! { "_id": "schema", "version": found }, raised)).await?;
    }
}

/// What tells an index from another; numbers of keys are of whatever kind the server keeps.
#[derive(PartialEq, Eq)]
struct Form<'a> {
    name: Option<&'a str>,
    keys: Vec<(&'a str, i64)>,
    unique: bool,
    sparse: bool,
}

fn form(index: &IndexModel) -> Form<'_> {
    let number = |value: &Bson| match value {
        Bson::Int32(number) => i64::from(*number),
        Bson::Int64(number) => *number,
        // 1.0 and -1.0, as shells write them.
        Bson::Double(number) if number.is_sign_negative() => -1,
        _ => 1,
    };
    let options = index.options.as_ref();
    Form {
        name: options.and_then(|options| options.name.as_deref()),
        keys: index.keys.iter().map(|(field, value)| (field.as_str(), number(value))).collect(),
        unique: options.and_then(|options| options.unique).unwrap_or_default(),
        sparse: options.and_then(|options| options.sparse).unwrap_or_default(),
    }
}

/// Somebody made an index of ours with other keys or options. Waiting does not mend that.
#[derive(Debug, thiserror::Error)]
#[error(
    "an index of the collection {collection} has another form than it must have; drop it, and it is made anew: {cause}"
)]
struct OtherIndex {
    collection: String,
    cause: String,
}

fn other_index(collection: &str, cause: String) -> StoreError {
    StoreError::Unavailable(Arc::new(OtherIndex { collection: collection.to_owned(), cause }))
}

fn of_indexes(collection: &str, cause: StoreError) -> StoreError {
    if database::is_other_index(&cause) { other_index(collection, cause.to_string()) } else { cause }
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
        index("age", doc! { "state": 1, "class": 1, "not_before": 1, "created": 1 }),
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

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use mongodb::bson::Bson;
    use vidstream_test_servers::{Kind, Server};

    async fn open(server: &Server, database: &str) -> Result<Mongo> {
        Mongo::open(&format!("{}/{database}", server.url())).await
    }

    fn note<'a>(mongo: &'a Mongo, step: &'static str) -> BoxFuture<'a, Result<()>> {
        let noted = doc! { "$inc": { step: 1_i64 } };
        async move { done(mongo.meta.update_one(doc! { "_id": "steps" }, noted).upsert(true)).await.map(drop) }.boxed()
    }

    const TWO: &[Step] = &[|mongo| note(mongo, "first"), |mongo| note(mongo, "second")];

    async fn noted(mongo: &Mongo) -> (i64, i64, i64) {
        let of =
            async |id: &str| mongo.meta.find_one(doc! { "_id": id }).await.expect("it answers").unwrap_or_default();
        let (steps, schema) = (of("steps").await, of("schema").await);
        let times = |step| steps.get(step).and_then(Bson::as_i64).unwrap_or_default();
        (times("first"), times("second"), schema.get_i64("version").expect("a version"))
    }

    #[tokio::test]
    async fn an_older_database_is_brought_up_to_date_step_by_step() {
        let server = Server::start(Kind::MongoDb).await;
        let mongo = open(&server, "old").await.expect("it opens");
        assert_eq!(noted(&mongo).await, (0, 0, 1));
        upgrade(&mongo, &TWO[..1]).await.expect("a step");
        assert_eq!(noted(&mongo).await, (1, 0, 2));
        upgrade(&mongo, TWO).await.expect("the next step");
        upgrade(&mongo, TWO).await.expect("nothing to do");
        assert_eq!(noted(&mongo).await, (1, 1, 3));
        let newer = open(&server, "old").await.expect_err("it is newer than this program");
        assert!(matches!(&newer, StoreError::Corrupt(text) if text.contains("version 3")), "{newer}");

        // Several catalogs begin at once.
        let mongo = open(&server, "shared").await.expect("it opens");
        let all = futures::future::try_join_all((0..4).map(|_| upgrade(&mongo, TWO))).await;
        all.expect("none is in another's way");
        let (first, second, version) = noted(&mongo).await;
        assert!(first >= 1 && second >= 1 && version == 3, "{first} {second} {version}");
    }

    #[tokio::test]
    async fn an_index_of_another_form_is_refused_and_not_waited_for() {
        let server = Server::start(Kind::MongoDb).await;
        let mongo = open(&server, "indexes").await.expect("it opens");
        let names = mongo.jobs.list_index_names().await.expect("it answers");
        assert!(names.contains(&"age".to_owned()), "{names:?}");
        mongo.jobs.drop_index("age").await.expect("it is there");
        mongo.jobs.create_index(index("age", doc! { "class": 1 })).await.expect("it takes any");
        let error = open(&server, "indexes").await.expect_err("it has other keys");
        assert!(error.to_string().contains("collection jobs"), "{error}");
        assert!(!database::may_pass(&error), "{error}");
        mongo.jobs.drop_index("age").await.expect("it is there");
        open(&server, "indexes").await.expect("it is made anew");
    }
}
