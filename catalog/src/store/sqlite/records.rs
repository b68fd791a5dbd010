//! Pages of records.

use super::super::rows::{corrupt, insert_extents};
use super::super::{Recorded, Result};
use super::{limit, sources};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use vidstream_proto::ids::SourceId;
use vidstream_source::extents::{Extent, PageNumber, RecordPage};

pub(super) fn record(c: &Connection, source: SourceId, extents: Vec<Extent>) -> Result<Option<Recorded>> {
    if !sources::is_live(c, source)? {
        return Ok(None);
    }
    let mut pages: BTreeMap<PageNumber, RecordPage> = BTreeMap::new();
    for extent in &extents {
        if let Entry::Vacant(place) = pages.entry(extent.page()) {
            place.insert(page(c, source, extent.page())?);
        }
    }
    let mut recorded = insert_extents(&mut pages, extents);
    let is_new = |page: &&RecordPage| recorded.new.iter().any(|range| PageNumber::of(range.start) == page.number());
    for page in pages.values().filter(is_new) {
        store(c, source, page)?;
    }
    recorded.received = received(c, source)?;
    Ok(Some(recorded))
}

fn page(c: &Connection, source: SourceId, number: PageNumber) -> Result<RecordPage> {
    let mut get = c.prepare_cached("SELECT row FROM page WHERE source = ? AND number = ?")?;
    let row: Option<Vec<u8>> =
        get.query_row(params![source.as_uuid().as_bytes(), number.0], |row| row.get(0)).optional()?;
    row.map_or_else(|| Ok(RecordPage::new(number)), |row| decode(number, &row))
}

fn decode(number: PageNumber, row: &[u8]) -> Result<RecordPage> {
    RecordPage::decode(number, row).map_err(|error| corrupt("records", error))
}

fn store(c: &Connection, source: SourceId, page: &RecordPage) -> Result<()> {
    let mut store = c.prepare_cached(
        "INSERT INTO page (source, number, bytes, row) VALUES (?, ?, ?, ?)
         ON CONFLICT (source, number) DO UPDATE SET bytes = excluded.bytes, row = excluded.row",
    )?;
    let bytes = page.received().cast_signed();
    store.execute(params![source.as_uuid().as_bytes(), page.number().0, bytes, page.encode()])?;
    Ok(())
}

pub(super) fn pages(c: &Connection, source: SourceId, first: PageNumber, count: usize) -> Result<Vec<RecordPage>> {
    let mut pages =
        c.prepare_cached("SELECT number, row FROM page WHERE source = ? AND number >= ? ORDER BY number LIMIT ?")?;
    let mut rows = pages.query(params![source.as_uuid().as_bytes(), first.0, limit(count)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(decode(PageNumber(row.get(0)?), row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?)?);
    }
    Ok(found)
}

pub(super) fn received(c: &Connection, source: SourceId) -> Result<u64> {
    let mut sum = c.prepare_cached("SELECT COALESCE(SUM(bytes), 0) FROM page WHERE source = ?")?;
    let sum: i64 = sum.query_row([source.as_uuid().as_bytes()], |row| row.get(0))?;
    Ok(sum.cast_unsigned())
}

pub(super) fn remove(c: &Connection, source: SourceId) -> Result<()> {
    c.prepare_cached("DELETE FROM page WHERE source = ?")?.execute([source.as_uuid().as_bytes()])?;
    Ok(())
}
