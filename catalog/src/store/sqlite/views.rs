//! Views of videos, and rows of viewers.

use super::super::rows::{self, nanos, time};
use super::super::{Flush, Result, ViewerRow};
use super::{feed, limit, uuid};
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};
use std::time::SystemTime;
use vidstream_proto::ids::{VideoId, ViewerId};

/// Viewers that are forgotten at once.
const AT_ONCE: usize = 10_000;

pub(super) fn add(c: &Connection, id: VideoId, count: u64, flush: Flush) -> Result<bool> {
    let id = id.as_uuid().as_bytes();
    let mut get = c.prepare_cached("SELECT flushes FROM video WHERE id = ? AND buried IS NULL")?;
    let Some(flushes) = get.query_row([id], |row| row.get::<_, Vec<u8>>(0)).optional()? else {
        return Ok(false);
    };
    let Some(flushes) = rows::with_flush(&flushes, flush) else {
        return Ok(true);
    };
    let mut add = c.prepare_cached("UPDATE video SET views = views + ?, flushes = ?, position = ? WHERE id = ?")?;
    add.execute(params![i64::try_from(count).unwrap_or(i64::MAX), flushes, feed::next(c)?, id])?;
    Ok(true)
}

struct Raw {
    video: [u8; 16],
    viewer: [u8; 16],
    began: i64,
    counted: bool,
    revision: i64,
    watched: Vec<u8>,
    counted_by: Option<[u8; 16]>,
}

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    let [video, viewer] = [row.get(0)?, row.get(1)?];
    let (began, counted, revision, watched) = (row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?);
    Ok(Raw { video, viewer, began, counted, revision, watched, counted_by: row.get(6)? })
}

impl Raw {
    fn decode(self) -> Result<ViewerRow> {
        Ok(ViewerRow {
            video: VideoId::from_uuid(uuid(self.video)),
            viewer: ViewerId::from_uuid(uuid(self.viewer)),
            began: time(self.began),
            counted: self.counted,
            counted_by: self.counted_by.map(uuid),
            watched: rows::intervals(&self.watched)?,
            revision: self.revision,
        })
    }
}

pub(super) fn get(c: &Connection, keys: &[(VideoId, ViewerId)]) -> Result<Vec<ViewerRow>> {
    let mut get = c.prepare_cached(
        "SELECT video, viewer, began, counted, revision, watched, counted_by FROM viewer
         WHERE video = ? AND viewer = ?",
    )?;
    let mut found = Vec::new();
    for (video, viewer) in keys {
        let row = get.query_row([video.as_uuid().as_bytes(), viewer.as_uuid().as_bytes()], raw).optional()?;
        found.extend(row.map(Raw::decode).transpose()?);
    }
    Ok(found)
}

pub(super) fn save(c: &Connection, row: &ViewerRow) -> Result<bool> {
    let sql = if row.revision == 1 {
        "INSERT OR IGNORE INTO viewer (video, viewer, began, counted, counted_by, revision, watched)
         VALUES (:video, :viewer, :began, :counted, :counted_by, :revision, :watched)"
    } else {
        "UPDATE viewer SET began = :began, counted = :counted, counted_by = :counted_by, revision = :revision,
            watched = :watched
         WHERE video = :video AND viewer = :viewer AND revision = :revision - 1"
    };
    let saved = c.prepare_cached(sql)?.execute(named_params! {
        ":video": row.video.as_uuid().as_bytes(),
        ":viewer": row.viewer.as_uuid().as_bytes(),
        ":began": nanos(row.began),
        ":counted": row.counted,
        ":counted_by": row.counted_by.as_ref().map(uuid::Uuid::as_bytes),
        ":revision": row.revision,
        ":watched": rows::interval_bytes(&row.watched),
    })?;
    Ok(saved == 1)
}

pub(super) fn forget(c: &Connection, before: SystemTime, most: usize) -> Result<bool> {
    let there: i64 = c.prepare_cached("SELECT COUNT(*) FROM viewer")?.query_row([], |row| row.get(0))?;
    let excess = (there - limit(most)).max(0);
    // The first one that stays, were there none too old.
    let mut first = c.prepare_cached("SELECT began FROM viewer ORDER BY began LIMIT 1 OFFSET ?")?;
    let first: Option<i64> = first.query_row([excess], |row| row.get(0)).optional()?;
    let before = if excess > 0 { nanos(before).max(first.unwrap_or(i64::MAX)) } else { nanos(before) };
    let mut forget = c.prepare_cached(
        "DELETE FROM viewer WHERE (video, viewer) IN
         (SELECT video, viewer FROM viewer WHERE began < ? ORDER BY began LIMIT ?)",
    )?;
    Ok(forget.execute(params![before, limit(AT_ONCE)])? == AT_ONCE)
}
