//! Rows of requests.

use super::super::rows::{corrupt, nanos, time};
use super::super::{RequestRow, Result};
use super::{limit, uuid};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::time::SystemTime;
use vidstream_proto::ids::RequestId;

const COLUMNS: &str = "id, fingerprint, answer, pending, made";

fn read(row: &Row<'_>) -> rusqlite::Result<RequestRow> {
    Ok(RequestRow {
        id: RequestId::from_uuid(uuid(row.get(0)?)),
        fingerprint: row.get(1)?,
        answer: row.get(2)?,
        pending: row.get(3)?,
        made: time(row.get(4)?),
    })
}

pub(super) fn get(c: &Connection, id: RequestId) -> Result<Option<RequestRow>> {
    let mut get = c.prepare_cached(&format!("SELECT {COLUMNS} FROM request WHERE id = ?"))?;
    Ok(get.query_row([id.as_uuid().as_bytes()], read).optional()?)
}

pub(super) fn insert(c: &Connection, row: RequestRow) -> Result<RequestRow> {
    let mut insert = c.prepare_cached(&format!("INSERT OR IGNORE INTO request ({COLUMNS}) VALUES (?, ?, ?, ?, ?)"))?;
    let id = row.id.as_uuid().as_bytes();
    let made = nanos(row.made);
    if insert.execute(params![id, row.fingerprint, row.answer, row.pending, made])? == 1 {
        return Ok(row);
    }
    get(c, row.id)?.ok_or_else(|| corrupt("request", "it is there and is not"))
}

pub(super) fn finish(c: &Connection, id: RequestId) -> Result<()> {
    let mut finish = c.prepare_cached("UPDATE request SET pending = 0 WHERE id = ?")?;
    finish.execute([id.as_uuid().as_bytes()])?;
    Ok(())
}

pub(super) fn pending(c: &Connection, before: SystemTime, count: usize) -> Result<Vec<RequestRow>> {
    let mut pending = c.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM request WHERE pending = 1 AND made < ? ORDER BY made LIMIT ?"
    ))?;
    let rows = pending.query_map(params![nanos(before), limit(count)], read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn forget(c: &Connection, before: SystemTime) -> Result<()> {
    c.prepare_cached("DELETE FROM request WHERE pending = 0 AND made < ?")?.execute([nanos(before)])?;
    Ok(())
}
