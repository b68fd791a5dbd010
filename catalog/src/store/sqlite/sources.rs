//! Rows of sources.

use super::super::rows::{self, Outdated};
use super::super::{Maker, Result};
use super::limit;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, named_params, params};
use vidstream_proto::ids::{SourceId, UploadId};
use vidstream_proto::source::{Source, SourceLife, UploadState};

/// The row and the revision that is shown, which a column holds because noting it is no change of the source.
fn raw(row: &Row<'_>) -> rusqlite::Result<(Vec<u8>, i64)> {
    Ok((row.get(0)?, row.get(1)?))
}

fn decode((row, shown): (Vec<u8>, i64)) -> Result<Source> {
    rows::source(&row, shown)
}

fn one(c: &Connection, condition: &str, values: impl rusqlite::Params) -> Result<Option<Source>> {
    let mut get = c.prepare_cached(&format!("SELECT row, shown FROM source WHERE {condition}"))?;
    get.query_row(values, raw).optional()?.map(decode).transpose()
}

fn many(c: &Connection, condition: &str, values: &[&dyn ToSql]) -> Result<Vec<Source>> {
    let mut get = c.prepare_cached(&format!("SELECT row, shown FROM source WHERE {condition}"))?;
    let rows = get.query_map(values, raw)?;
    rows.map(|row| decode(row?)).collect()
}

pub(super) fn get(c: &Connection, id: SourceId) -> Result<Option<Source>> {
    one(c, "id = ?", [id.as_uuid().as_bytes()])
}

pub(super) fn of_upload(c: &Connection, id: UploadId) -> Result<Option<Source>> {
    one(c, "upload = ?", [id.as_uuid().as_bytes()])
}

pub(super) fn unsettled(c: &Connection, count: usize) -> Result<Vec<Source>> {
    many(c, "shown < revision ORDER BY id LIMIT ?", &[&limit(count)])
}

pub(super) fn open(c: &Connection, after: Option<SourceId>, count: usize) -> Result<Vec<Source>> {
    let after = after.map_or([0; 16], |id| *id.as_uuid().as_bytes());
    let (life, open) = (i32::from(SourceLife::Live), i32::from(UploadState::Open));
    let condition = "life = ? AND upload_state = ? AND id > ? ORDER BY id LIMIT ?";
    many(c, condition, &[&life, &open, &after, &limit(count)])
}

pub(super) fn count_open(c: &Connection) -> Result<u64> {
    let mut count = c.prepare_cached("SELECT COUNT(*) FROM source WHERE life = ? AND upload_state = ?")?;
    let open = params![i32::from(SourceLife::Live), i32::from(UploadState::Open)];
    let count: i64 = count.query_row(open, |row| row.get(0))?;
    Ok(count.cast_unsigned())
}

pub(super) fn dying(c: &Connection, count: usize) -> Result<Vec<Source>> {
    many(c, "life > ? ORDER BY life DESC LIMIT ?", &[&i32::from(SourceLife::Live), &limit(count)])
}

pub(super) fn insert(c: &Connection, source: &Source) -> Result<bool> {
    let mut insert = c.prepare_cached(
        "INSERT OR IGNORE INTO source (id, upload, revision, shown, life, upload_state, tried_by, format, row)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    let Outdated { tried_by, format } = rows::outdated(source);
    let inserted = insert.execute(params![
        source.id.as_uuid().as_bytes(),
        source.upload_id.as_uuid().as_bytes(),
        source.revision,
        source.shown_revision,
        i32::from(source.life),
        i32::from(source.upload_state),
        tried_by,
        format,
        rows::source_bytes(source),
    ])?;
    Ok(inserted == 1)
}

pub(super) fn replace(c: &Connection, source: &Source, expected: i64) -> Result<bool> {
    let mut replace = c.prepare_cached(
        "UPDATE source SET revision = :revision, life = :life, upload_state = :upload_state, tried_by = :tried_by,
         format = :format, row = :row WHERE id = :id AND revision = :expected",
    )?;
    let Outdated { tried_by, format } = rows::outdated(source);
    let replaced = replace.execute(named_params! {
        ":id": source.id.as_uuid().as_bytes(),
        ":revision": source.revision,
        ":life": i32::from(source.life),
        ":upload_state": i32::from(source.upload_state),
        ":tried_by": tried_by,
        ":format": format,
        ":row": rows::source_bytes(source),
        ":expected": expected,
    })?;
    Ok(replaced == 1)
}

pub(super) fn mark_shown(c: &Connection, id: SourceId, revision: i64) -> Result<()> {
    let mut mark = c.prepare_cached("UPDATE source SET shown = ?2 WHERE id = ?1 AND revision = ?2")?;
    mark.execute(params![id.as_uuid().as_bytes(), revision])?;
    Ok(())
}

pub(super) fn remove(c: &Connection, id: SourceId) -> Result<()> {
    let id = id.as_uuid().as_bytes();
    if c.prepare_cached("DELETE FROM source WHERE id = ?")?.execute([id])? == 1 {
        c.prepare_cached("UPDATE job SET orphan = 1 WHERE source = ?")?.execute([id])?;
    }
    Ok(())
}

pub(super) fn outdated(c: &Connection, maker: Maker, count: usize) -> Result<Vec<Source>> {
    let condition = "id IN (SELECT id FROM source WHERE tried_by < ?1 UNION SELECT id FROM source WHERE format < ?2)
        ORDER BY id LIMIT ?3";
    many(c, condition, &[&maker.version, &maker.index_format, &limit(count)])
}

/// Fills the columns of rows that were written before there were any.
pub(super) fn fill_outdated(c: &Connection) -> Result<()> {
    let mut rows = c.prepare("SELECT row, shown FROM source")?;
    let rows = rows.query_map([], raw)?.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut fill = c.prepare("UPDATE source SET tried_by = ?, format = ? WHERE id = ?")?;
    for row in rows {
        let source = decode(row)?;
        let Outdated { tried_by, format } = rows::outdated(&source);
        fill.execute(params![tried_by, format, source.id.as_uuid().as_bytes()])?;
    }
    Ok(())
}

/// Life of a source, for writes that depend on it.
pub(super) fn is_live(c: &Connection, id: SourceId) -> Result<bool> {
    let mut life = c.prepare_cached("SELECT life FROM source WHERE id = ?")?;
    let life: Option<i32> = life.query_row([id.as_uuid().as_bytes()], |row| row.get(0)).optional()?;
    Ok(life == Some(SourceLife::Live.into()))
}
