//! Rows of videos.

use super::super::rows::{self, nanos};
use super::super::{Result, VideoRow};
use super::{feed, limit, uuid};
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};
use std::time::SystemTime;
use vidstream_proto::ids::{RequestId, SourceId, VideoId};
use vidstream_proto::pb::VideoState;
use vidstream_proto::video::Entry;

pub(super) const COLUMNS: &str = "v.id, v.source, v.row, v.shown_source, v.last_request, v.purging, v.views";

/// A row as its columns hold it; its message is decoded outside of rusqlite's errors.
pub(super) struct Raw {
    id: [u8; 16],
    source: [u8; 16],
    row: Vec<u8>,
    shown_source: i64,
    last_request: Option<[u8; 16]>,
    purging: bool,
    views: i64,
}

pub(super) fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok(Raw {
        id: row.get(0)?,
        source: row.get(1)?,
        row: row.get(2)?,
        shown_source: row.get(3)?,
        last_request: row.get(4)?,
        purging: row.get(5)?,
        views: row.get(6)?,
    })
}

impl Raw {
    pub(super) fn decode(self) -> Result<VideoRow> {
        let id = VideoId::from_uuid(uuid(self.id));
        let video = rows::video(&self.row, self.views.cast_unsigned())?;
        Ok(VideoRow {
            entry: Entry { id, source_id: SourceId::from_uuid(uuid(self.source)), video },
            shown_source: self.shown_source,
            last_request: self.last_request.map(|id| RequestId::from_uuid(uuid(id))),
            purging: self.purging,
        })
    }
}

pub(super) fn get(c: &Connection, id: VideoId) -> Result<Option<VideoRow>> {
    let mut get = c.prepare_cached(&format!("SELECT {COLUMNS} FROM video v WHERE id = ? AND buried IS NULL"))?;
    get.query_row([id.as_uuid().as_bytes()], raw).optional()?.map(Raw::decode).transpose()
}

pub(super) fn of_source(c: &Connection, source: SourceId) -> Result<Vec<VideoRow>> {
    let mut of = c.prepare_cached(&format!("SELECT {COLUMNS} FROM video v WHERE source = ? AND buried IS NULL"))?;
    let rows = of.query_map([source.as_uuid().as_bytes()], raw)?;
    rows.map(|row| row?.decode()).collect()
}

pub(super) fn due(c: &Connection, now: SystemTime, count: usize) -> Result<Vec<VideoRow>> {
    let mut due =
        c.prepare_cached(&format!("SELECT {COLUMNS} FROM video v WHERE purge <= ? ORDER BY purge LIMIT ?"))?;
    let rows = due.query_map(params![nanos(now), limit(count)], raw)?;
    rows.map(|row| row?.decode()).collect()
}

pub(super) fn purging(c: &Connection, count: usize) -> Result<Vec<VideoRow>> {
    let mut purging = c.prepare_cached(&format!("SELECT {COLUMNS} FROM video v WHERE purging = 1 LIMIT ?"))?;
    let rows = purging.query_map([limit(count)], raw)?;
    rows.map(|row| row?.decode()).collect()
}

/// Writes every column but the id; one statement inserts and replaces.
fn write(c: &Connection, row: &VideoRow, sql: &str, expected: i64) -> Result<bool> {
    let (entry, video) = (&row.entry, &row.entry.video);
    let state = video.state();
    let position = feed::next(c)?;
    let changed = c.prepare_cached(sql)?.execute(named_params! {
        ":id": entry.id.as_uuid().as_bytes(),
        ":source": entry.source_id.as_uuid().as_bytes(),
        ":revision": video.revision,
        ":position": position,
        ":state": i32::from(state),
        ":shown": state != VideoState::Removed,
        ":created": rows::created(video)?,
        ":title": rows::title_key(video),
        ":purge": rows::purge(row)?,
        ":shown_source": row.shown_source,
        ":last_request": row.last_request.as_ref().map(|id| id.as_uuid().as_bytes()),
        ":purging": row.purging,
        // Views have a column of their own, which is not written here.
        ":row": rows::video_bytes(video),
        ":expected": expected,
    })?;
    if changed == 1 {
        write_words(c, entry)?;
    }
    Ok(changed == 1)
}

pub(super) fn insert(c: &Connection, row: &VideoRow) -> Result<bool> {
    // `:expected` has no meaning here but is bound; it is never null.
    let sql = "INSERT OR IGNORE INTO video
        (id, source, revision, position, state, shown, created, title, purge, shown_source, last_request, purging, row)
        SELECT :id, :source, :revision, :position, :state, :shown, :created, :title, :purge, :shown_source,
            :last_request, :purging, :row WHERE :expected IS NOT NULL";
    write(c, row, sql, 0)
}

pub(super) fn replace(c: &Connection, row: &VideoRow, expected: i64) -> Result<bool> {
    let sql = "UPDATE video SET source = :source, revision = :revision, position = :position, state = :state,
        shown = :shown, created = :created, title = :title, purge = :purge, shown_source = :shown_source,
        last_request = :last_request, purging = :purging, row = :row
        WHERE id = :id AND revision = :expected AND buried IS NULL";
    write(c, row, sql, expected)
}

pub(super) fn bury(c: &Connection, id: VideoId, expected: i64, now: SystemTime) -> Result<bool> {
    let id = id.as_uuid().as_bytes();
    let mut bury = c.prepare_cached(
        "UPDATE video SET revision = ?2 + 1, position = ?3, state = 0, shown = 0, title = '', purge = NULL, buried = ?4,
         last_request = NULL, purging = 0, row = NULL, views = 0, flushes = x'' WHERE id = ?1 AND revision = ?2 AND buried IS NULL",
    )?;
    let position = feed::next(c)?;
    if bury.execute(params![id, expected, position, nanos(now)])? == 0 {
        return Ok(false);
    }
    c.prepare_cached("DELETE FROM word WHERE video = (SELECT number FROM video WHERE id = ?)")?.execute([id])?;
    Ok(true)
}

/// Words of title and tags beside the row; written only where they changed.
fn write_words(c: &Connection, entry: &Entry) -> Result<()> {
    let words = rows::words(entry);
    let find = "SELECT number FROM video WHERE id = ?";
    let number: i64 = c.prepare_cached(find)?.query_row([entry.id.as_uuid().as_bytes()], |row| row.get(0))?;
    let mut there = c.prepare_cached("SELECT word FROM word WHERE video = ? ORDER BY word")?;
    let there: Vec<String> = there.query_map([number], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    if there == words {
        return Ok(());
    }
    c.prepare_cached("DELETE FROM word WHERE video = ?")?.execute([number])?;
    let mut insert = c.prepare_cached("INSERT INTO word (word, video) VALUES (?, ?)")?;
    for word in words {
        insert.execute(params![word, number])?;
    }
    Ok(())
}
