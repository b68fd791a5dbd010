//! Pages of lists. Filter and order of a page lie in one index, which is walked along; a rare word is looked up in another.

use crate::database::{Mongo, all, done, every, limit};
use crate::fields::{Fields, uuid};
use crate::schema::{WORDS, list_index};
use crate::{feed, videos};
use mongodb::bson::{Document, doc};
use mongodb::options::Hint;
use vidstream_catalog::store::rows::{nanos, time};
use vidstream_catalog::store::{ListKey, ListPage, ListQuery, Result};
use vidstream_proto::ids::VideoId;
use vidstream_proto::pb::VideoOrder;

/// Entries that are read and sorted, at the most, before it is cheaper to walk along the list and look at the words of each.
const COMMON: usize = 2000;

pub async fn page(mongo: &Mongo, query: &ListQuery) -> Result<ListPage> {
    let position = feed::state(mongo).await?.latest;
    let rare = is_one_rare(mongo, query).await?;
    let walks = !query.prefixes.is_empty() && !rare;
    let end = if walks { end_of_walk(mongo, query).await? } else { None };
    let mut conditions = vec![of_list(query)];
    conditions.extend(query.after.as_ref().map(behind));
    conditions.extend(end.as_ref().map(up_to));
    conditions.extend(query.prefixes.iter().map(|prefix| has_word(prefix)));
    let page = mongo.videos.find(every(conditions)).sort(order(query)).limit(limit(query.limit));
    let page = page.hint(Hint::Name(if rare { WORDS } else { index(query) }.to_owned()));
    let rows = all(page).await?;
    let entries: Vec<_> = rows.iter().map(|row| Ok(videos::read(row)?.entry)).collect::<Result<_>>()?;
    let looked = end.filter(|_| entries.len() < query.limit);
    Ok(ListPage { entries, looked, position })
}

fn index(query: &ListQuery) -> &'static str {
    list_index(query.state.is_some(), query.order == VideoOrder::Title)
}

fn order(query: &ListQuery) -> Document {
    match query.order {
        VideoOrder::Title => doc! { "title": 1, "_id": 1 },
        VideoOrder::Created | VideoOrder::Unspecified => doc! { "created": -1, "_id": -1 },
    }
}

fn of_list(query: &ListQuery) -> Document {
    match query.state {
        None => doc! { "shown": true },
        Some(state) => doc! { "state": i64::from(i32::from(state)) },
    }
}

/// Words are letters, digits and marks: nothing in them means something to a pattern.
fn has_word(prefix: &str) -> Document {
    doc! { "words": { "$regex": format!("^{prefix}") } }
}

/// What lies behind a place. The first part bounds the index, the second leaves out equals.
fn behind(key: &ListKey) -> Document {
    match key {
        ListKey::Created(created, id) => {
            let (created, id) = (nanos(*created), uuid(*id.as_uuid()));
            let apart = vec![doc! { "created": { "$lt": created } }, doc! { "_id": { "$lt": id } }];
            doc! { "created": { "$lte": created }, "$or": apart }
        }
        ListKey::Title(title, id) => {
            let apart = vec![doc! { "title": { "$gt": title } }, doc! { "_id": { "$gt": uuid(*id.as_uuid()) } }];
            doc! { "title": { "$gte": title }, "$or": apart }
        }
    }
}

/// What lies before a place, and what is there.
fn up_to(key: &ListKey) -> Document {
    match key {
        ListKey::Created(created, id) => {
            let (created, id) = (nanos(*created), uuid(*id.as_uuid()));
            let apart = vec![doc! { "created": { "$gt": created } }, doc! { "_id": { "$gte": id } }];
            doc! { "created": { "$gte": created }, "$or": apart }
        }
        ListKey::Title(title, id) => {
            let apart = vec![doc! { "title": { "$lt": title } }, doc! { "_id": { "$lte": uuid(*id.as_uuid()) } }];
            doc! { "title": { "$lte": title }, "$or": apart }
        }
    }
}

/// Whether one of the asked words is rare enough to look at all entries that have it.
async fn is_one_rare(mongo: &Mongo, query: &ListQuery) -> Result<bool> {
    let common = COMMON.min(query.looks);
    for prefix in &query.prefixes {
        let count = mongo.videos.count_documents(has_word(prefix)).limit(common as u64);
        if done(count.hint(Hint::Name(WORDS.to_owned()))).await? < common as u64 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The last entry that a walk along the list looks at; none if the list ends before.
async fn end_of_walk(mongo: &Mongo, query: &ListQuery) -> Result<Option<ListKey>> {
    let mut conditions = vec![of_list(query)];
    conditions.extend(query.after.as_ref().map(behind));
    let by_title = query.order == VideoOrder::Title;
    let key = if by_title { "title" } else { "created" };
    let end = mongo.videos.find_one(every(conditions)).sort(order(query)).skip(query.looks.saturating_sub(1) as u64);
    let end = done(end.projection(doc! { key: 1 }).hint(Hint::Name(index(query).to_owned()))).await?;
    let Some(end) = &end else { return Ok(None) };
    let fields = Fields::of("video", end);
    let id = VideoId::from_uuid(fields.uuid("_id")?);
    Ok(Some(if by_title {
        ListKey::Title(fields.text("title")?.to_owned(), id)
    } else {
        ListKey::Created(time(fields.int("created")?), id)
    }))
}
