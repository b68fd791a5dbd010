//! Positions of the change feed, and times that something is due at.

use super::super::rows::{nanos, time};
use super::super::{Change, Changes, ChangesQuery, Result};
use super::{limit, uuid, videos};
use crate::feed::Position;
use rusqlite::{Connection, OptionalExtension, params};
use std::time::SystemTime;
use vidstream_proto::ids::VideoId;
use vidstream_proto::job::JobState;

/// Takes the next position. One writer commits them in their order, so no reader ever sees a gap that is filled later.
pub(super) fn next(c: &Connection) -> Result<i64> {
    let mut next = c.prepare_cached("UPDATE feed SET position = position + 1 RETURNING position")?;
    Ok(next.query_row([], |row| row.get(0))?)
}

pub(super) struct State {
    pub(super) latest: Position,
    forgotten: i64,
}

pub(super) fn state(c: &Connection) -> Result<State> {
    let mut state = c.prepare_cached("SELECT name, position, forgotten FROM feed")?;
    Ok(state.query_row([], |row| {
        let (name, number): (i64, i64) = (row.get(0)?, row.get(1)?);
        let latest = Position { feed: name.cast_unsigned(), number: number.cast_unsigned() };
        Ok(State { latest, forgotten: row.get(2)? })
    })?)
}

/// One writer commits positions in their order, so none becomes visible late and nothing has to be told again.
pub(super) fn changes(c: &Connection, query: &ChangesQuery) -> Result<Option<Changes>> {
    let ChangesQuery { after, video, limit: count, .. } = *query;
    let State { latest, forgotten } = state(c)?;
    let number = after.number.cast_signed();
    if after.feed != latest.feed || number < forgotten || after.number > latest.number {
        return Ok(None);
    }
    let only = if video.is_some() { "v.id = ?3" } else { "?3 IS NULL" };
    let columns = videos::COLUMNS;
    let mut changes = c.prepare_cached(&format!(
        "SELECT {columns}, v.position, v.revision, v.buried IS NOT NULL FROM video v
         WHERE v.position > ?1 AND {only} ORDER BY v.position LIMIT ?2"
    ))?;
    let video = video.as_ref().map(|id| id.as_uuid().as_bytes());
    let mut rows = changes.query(params![number, limit(count), video])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let position: i64 = row.get(7)?;
        let change = if row.get(9)? {
            Change::Purged { id: VideoId::from_uuid(uuid(row.get(0)?)), revision: row.get(8)? }
        } else {
            Change::Changed(Box::new(videos::raw(row)?.decode()?.entry))
        };
        found.push((Position { number: position.cast_unsigned(), ..latest }, change));
    }
    Ok(Some(Changes { changes: found, latest }))
}

pub(super) fn forget(c: &Connection, before: SystemTime) -> Result<()> {
    let before = nanos(before);
    let mut highest = c.prepare_cached("SELECT MAX(position) FROM video WHERE buried < ?")?;
    let Some(highest) = highest.query_row([before], |row| row.get::<_, Option<i64>>(0))? else {
        return Ok(());
    };
    c.prepare_cached("UPDATE feed SET forgotten = MAX(forgotten, ?)")?.execute([highest])?;
    c.prepare_cached("DELETE FROM video WHERE buried < ?")?.execute([before])?;
    Ok(())
}

pub(super) fn next_due(c: &Connection, now: SystemTime) -> Result<Option<SystemTime>> {
    let mut purge = c.prepare_cached("SELECT purge FROM video WHERE purge > ? ORDER BY purge LIMIT 1")?;
    let purge: Option<i64> = purge.query_row([nanos(now)], |row| row.get(0)).optional()?;
    let mut job =
        c.prepare_cached("SELECT not_before FROM job WHERE state = ? AND not_before > ? ORDER BY not_before LIMIT 1")?;
    let job: Option<i64> =
        job.query_row(params![i32::from(JobState::Queued), nanos(now)], |row| row.get(0)).optional()?;
    Ok(purge.into_iter().chain(job).min().map(time))
}
