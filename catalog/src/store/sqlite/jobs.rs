//! Rows of jobs.

use super::super::rows::{self, nanos};
use super::super::{ClassLoad, JobRow, JobsQuery, Result};
use super::limit;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, named_params, params};
use std::cmp::Reverse;
use std::time::SystemTime;
use vidstream_proto::ids::SourceId;
use vidstream_proto::job::{CLASSES, Job, JobClass, JobId, JobState};

const COLUMNS: &str = "row, revision, lost, result, unapplied, maker";
/// States below this one are unfinished.
const DONE: i32 = JobState::Done as i32;

struct Raw {
    row: Vec<u8>,
    revision: i64,
    lost: u32,
    result: Option<Vec<u8>>,
    unapplied: bool,
    maker: u32,
}

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok(Raw {
        row: row.get(0)?,
        revision: row.get(1)?,
        lost: row.get(2)?,
        result: row.get(3)?,
        unapplied: row.get(4)?,
        maker: row.get(5)?,
    })
}

impl Raw {
    fn decode(self) -> Result<JobRow> {
        let result = self.result.map(|bytes| rows::result(&bytes)).transpose()?.flatten();
        let Self { revision, lost, unapplied, maker, .. } = self;
        Ok(JobRow { job: rows::job(&self.row)?, revision, lost, result, unapplied, maker })
    }
}

fn many(c: &Connection, condition: &str, values: &[&dyn ToSql]) -> Result<Vec<JobRow>> {
    let mut get = c.prepare_cached(&format!("SELECT {COLUMNS} FROM job WHERE {condition}"))?;
    let rows = get.query_map(values, raw)?;
    rows.map(|row| row?.decode()).collect()
}

pub(super) fn get(c: &Connection, id: &JobId) -> Result<Option<JobRow>> {
    let mut get = c.prepare_cached(&format!("SELECT {COLUMNS} FROM job WHERE id = ?"))?;
    get.query_row([id.as_str()], raw).optional()?.map(Raw::decode).transpose()
}

pub(super) fn of_source(c: &Connection, source: SourceId) -> Result<Vec<JobRow>> {
    many(c, "source = ? ORDER BY created", &[source.as_uuid().as_bytes()])
}

pub(super) fn leased(c: &Connection) -> Result<Vec<JobRow>> {
    many(c, "state = ?", &[&i32::from(JobState::Leased)])
}

pub(super) fn unapplied(c: &Connection, count: usize) -> Result<Vec<JobRow>> {
    many(c, "unapplied = 1 ORDER BY id LIMIT ?", &[&limit(count)])
}

pub(super) fn insert(c: &Connection, row: JobRow) -> Result<bool> {
    let sql = "INSERT OR IGNORE INTO job
        (id, source, class, state, priority, created, updated, not_before, revision, lost, unapplied, maker, row, result,
            orphan)
        VALUES (:id, :source, :class, :state, :priority, :created, :updated, :not_before, :revision, :lost, :unapplied,
            :maker, :row, :result, NOT EXISTS (SELECT 1 FROM source WHERE source.id = :source))";
    write(c, row, sql, None)
}

pub(super) fn replace(c: &Connection, row: JobRow, expected: i64) -> Result<bool> {
    let sql = "UPDATE job SET source = :source, class = :class, state = :state, priority = :priority,
        created = :created, updated = :updated, not_before = :not_before, revision = :revision, lost = :lost,
        unapplied = :unapplied, maker = :maker, row = :row, result = :result WHERE id = :id AND revision = :expected";
    write(c, row, sql, Some(expected))
}

fn write(c: &Connection, row: JobRow, sql: &str, expected: Option<i64>) -> Result<bool> {
    let JobRow { job, revision, lost, result, unapplied, maker } = row;
    let mut write = c.prepare_cached(sql)?;
    let (id, source) = (job.id.to_string(), job.source_id.as_uuid().into_bytes());
    let (class, state) = (i32::from(job.class()), i32::from(job.state));
    let (priority, created, updated) = (job.priority, nanos(job.create_time), nanos(job.update_time));
    let not_before = job.not_before.map_or(0, nanos);
    let result = result.map(rows::result_bytes);
    let blob = rows::job_bytes(job);
    let mut values: Vec<(&str, &dyn ToSql)> = named_params! {
        ":id": id,
        ":source": source,
        ":class": class,
        ":state": state,
        ":priority": priority,
        ":created": created,
        ":updated": updated,
        ":not_before": not_before,
        ":revision": revision,
        ":lost": lost,
        ":unapplied": unapplied,
        ":maker": maker,
        ":row": blob,
        ":result": result,
    }
    .to_vec();
    values.extend(expected.as_ref().map(|expected| (":expected", expected as &dyn ToSql)));
    Ok(write.execute(values.as_slice())? == 1)
}

pub(super) fn lease(
    c: &Connection,
    classes: &[JobClass],
    worker: &str,
    maker: u32,
    now: SystemTime,
) -> Result<Option<JobRow>> {
    let mut best: Option<JobRow> = None;
    for class in classes {
        let first = first_of(c, *class, now)?;
        // On equal priority the class named earlier wins, so only a strictly better one replaces it.
        if let Some(row) = first
            && best.as_ref().is_none_or(|best| Reverse(row.job.priority) < Reverse(best.job.priority))
        {
            best = Some(row);
        }
    }
    let Some(queued) = best else {
        return Ok(None);
    };
    let expected = queued.revision;
    let row = rows::leased(queued, worker, maker, now);
    replace(c, row.clone(), expected)?;
    Ok(Some(row))
}

fn first_of(c: &Connection, class: JobClass, now: SystemTime) -> Result<Option<JobRow>> {
    let mut first = c.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM job WHERE state = ? AND class = ? AND not_before <= ?
         ORDER BY priority DESC, created, id LIMIT 1"
    ))?;
    let values = params![i32::from(JobState::Queued), i32::from(class), nanos(now)];
    first.query_row(values, raw).optional()?.map(Raw::decode).transpose()
}

pub(super) fn list(c: &Connection, query: &JobsQuery) -> Result<Vec<Job>> {
    let below = if query.unfinished_only { DONE } else { i32::MAX };
    let rows = match &query.source {
        Some(source) => {
            let source = source.as_uuid().as_bytes();
            many(
                c,
                "source = ? AND state < ? ORDER BY created DESC, id LIMIT ?",
                &[source, &below, &limit(query.limit)],
            )?
        }
        None => many(c, "state < ? ORDER BY created DESC, id LIMIT ?", &[&below, &limit(query.limit)])?,
    };
    let mut jobs: Vec<Job> = rows.into_iter().map(|row| row.job).collect();
    for job in jobs.iter_mut().filter(|job| job.state == JobState::Queued) {
        job.queue_position = ahead_of(c, job)?;
    }
    Ok(jobs)
}

fn ahead_of(c: &Connection, job: &Job) -> Result<u32> {
    // Two ranges of the index instead of one condition with OR, which would read the whole class.
    let mut ahead = c.prepare_cached(
        "SELECT (SELECT COUNT(*) FROM job WHERE state = ?1 AND class = ?2 AND priority > ?3)
            + (SELECT COUNT(*) FROM job WHERE state = ?1 AND class = ?2 AND priority = ?3 AND (created, id) < (?4, ?5))",
    )?;
    let (state, class) = (i32::from(JobState::Queued), i32::from(job.class()));
    let values = params![state, class, job.priority, nanos(job.create_time), job.id.as_str()];
    Ok(ahead.query_row(values, |row| row.get(0))?)
}

pub(super) fn waiting_classes(c: &Connection, now: SystemTime) -> Result<Vec<JobClass>> {
    let mut waiting = Vec::new();
    for class in CLASSES {
        if first_of(c, class, now)?.is_some() {
            waiting.push(class);
        }
    }
    Ok(waiting)
}

pub(super) fn load(c: &Connection, now: SystemTime) -> Result<Vec<ClassLoad>> {
    let mut load = c.prepare_cached(
        "SELECT COUNT(*) FILTER (WHERE state = ?1 AND not_before <= ?3), COUNT(*) FILTER (WHERE state = ?2),
            MIN(MAX(created, not_before)) FILTER (WHERE state = ?1 AND not_before <= ?3)
         FROM job WHERE state IN (?1, ?2) AND class = ?4",
    )?;
    let (queued, leased) = (i32::from(JobState::Queued), i32::from(JobState::Leased));
    let of = |class: JobClass| {
        let values = params![queued, leased, nanos(now), i32::from(class)];
        Ok(load.query_row(values, |row| {
            let (waiting, running): (i64, i64) = (row.get(0)?, row.get(1)?);
            let oldest: Option<i64> = row.get(2)?;
            let (waiting, running) = (waiting.cast_unsigned(), running.cast_unsigned());
            Ok(ClassLoad { class, waiting, running, oldest: oldest.map(rows::time) })
        })?)
    };
    CLASSES.into_iter().map(of).collect()
}

pub(super) fn forget(c: &Connection, before: SystemTime) -> Result<()> {
    // Those of sources that are there, which are many, lie outside of the index.
    let mut forget =
        c.prepare_cached("DELETE FROM job WHERE orphan = 1 AND state >= ? AND updated < ? AND unapplied = 0")?;
    forget.execute(params![DONE, nanos(before)])?;
    Ok(())
}
