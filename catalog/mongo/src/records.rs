//! Pages of records, a document each, changed by compare-and-set.

use crate::database::{Mongo, all, done, inserted, limit};
use crate::fields::{Fields, blob, uuid};
use crate::sources;
use mongodb::bson::{Bson, Document, doc};
use std::collections::BTreeMap;
use vidstream_catalog::store::rows::{corrupt, insert_extents};
use vidstream_catalog::store::{Recorded, Result};
use vidstream_proto::ids::SourceId;
use vidstream_source::extents::{Extent, PageNumber, RecordPage};

fn key(source: SourceId, number: PageNumber) -> Bson {
    blob([source.as_uuid().as_bytes().as_slice(), &number.0.to_be_bytes()].concat())
}

fn read(document: &Document) -> Result<RecordPage> {
    let fields = Fields::of("records", document);
    RecordPage::decode(PageNumber(fields.number("number")?), fields.blob("row")?)
        .map_err(|error| corrupt("records", error))
}

pub async fn record(mongo: &Mongo, source: SourceId, extents: Vec<Extent>) -> Result<Option<Recorded>> {
    if !sources::is_live(mongo, source).await? {
        return Ok(None);
    }
    let mut pages: BTreeMap<PageNumber, Vec<Extent>> = BTreeMap::new();
    let order: Vec<u64> = extents.iter().map(Extent::offset).collect();
    for extent in extents {
        pages.entry(extent.page()).or_default().push(extent);
    }
    let mut recorded = Recorded::default();
    for (number, extents) in pages {
        let of_page = record_page(mongo, source, number, &extents).await?;
        recorded.new.extend(of_page.new);
        recorded.overlapping.extend(of_page.overlapping);
    }
    // As they were given.
    recorded.new.sort_by_key(|range| order.iter().position(|offset| *offset == range.start));
    let (live, received) = futures::try_join!(sources::is_live(mongo, source), received(mongo, source))?;
    if !live {
        // Its removal may not have seen these pages.
        remove(mongo, source).await?;
        return Ok(None);
    }
    recorded.received = received;
    Ok(Some(recorded))
}

/// Tries until nobody came between.
async fn record_page(mongo: &Mongo, source: SourceId, number: PageNumber, extents: &[Extent]) -> Result<Recorded> {
    loop {
        let there = done(mongo.pages.find_one(doc! { "_id": key(source, number) })).await?;
        let (page, revision) = match &there {
            None => (RecordPage::new(number), 0),
            Some(document) => (read(document)?, Fields::of("records", document).int("revision")?),
        };
        let mut pages = BTreeMap::from([(number, page)]);
        let recorded = insert_extents(&mut pages, extents.to_vec());
        let Some(page) = pages.remove(&number).filter(|_| !recorded.new.is_empty()) else { return Ok(recorded) };
        if save(mongo, source, &page, revision).await? {
            return Ok(recorded);
        }
    }
}

/// Writes the page that follows on `revision`; false if that has passed.
async fn save(mongo: &Mongo, source: SourceId, page: &RecordPage, revision: i64) -> Result<bool> {
    let fields = doc! {
        "bytes": page.received().cast_signed(),
        "revision": revision + 1,
        "row": blob(page.encode()),
    };
    let id = key(source, page.number());
    if revision > 0 {
        let there = doc! { "_id": id, "revision": revision };
        return Ok(done(mongo.pages.update_one(there, doc! { "$set": fields })).await?.matched_count == 1);
    }
    let mut document = doc! { "_id": id, "source": uuid(*source.as_uuid()), "number": i64::from(page.number().0) };
    document.extend(fields);
    inserted(mongo.pages.insert_one(document)).await
}

pub async fn pages(mongo: &Mongo, source: SourceId, first: PageNumber, count: usize) -> Result<Vec<RecordPage>> {
    let behind = doc! { "source": uuid(*source.as_uuid()), "number": { "$gte": i64::from(first.0) } };
    all(mongo.pages.find(behind).sort(doc! { "number": 1 }).limit(limit(count))).await?.iter().map(read).collect()
}

pub async fn received(mongo: &Mongo, source: SourceId) -> Result<u64> {
    let of_it = doc! { "source": uuid(*source.as_uuid()) };
    let pages = all(mongo.pages.find(of_it).projection(doc! { "bytes": 1 })).await?;
    let bytes = pages.iter().map(|page| Fields::of("records", page).int("bytes"));
    Ok(bytes.sum::<Result<i64>>()?.cast_unsigned())
}

pub async fn remove(mongo: &Mongo, source: SourceId) -> Result<()> {
    done(mongo.pages.delete_many(doc! { "source": uuid(*source.as_uuid()) })).await.map(|_| ())
}
