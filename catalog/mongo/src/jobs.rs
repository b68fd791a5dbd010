//! Documents of jobs.

use crate::database::{Mongo, all, done, inserted, limit};
use crate::fields::{Fields, blob, uuid};
use mongodb::bson::{Document, doc};
use std::time::SystemTime;
use vidstream_catalog::store::rows::{self, nanos};
use vidstream_catalog::store::{ClassLoad, JobRow, JobsQuery, Result};
use vidstream_proto::ids::SourceId;
use vidstream_proto::job::{CLASSES, Job, JobClass, JobId, JobState};

fn state(state: JobState) -> i64 {
    i64::from(i32::from(state))
}

fn class(class: JobClass) -> i64 {
    i64::from(i32::from(class))
}

fn read(document: &Document) -> Result<JobRow> {
    let fields = Fields::of("job", document);
    let result = fields.has("result").then(|| rows::result(fields.blob("result")?)).transpose()?.flatten();
    Ok(JobRow {
        job: rows::job(fields.blob("row")?)?,
        revision: fields.int("revision")?,
        lost: fields.number("lost")?,
        result,
        unapplied: fields.flag("unapplied"),
        maker: fields.number("maker")?,
    })
}

async fn some(mongo: &Mongo, condition: Document) -> Result<Vec<JobRow>> {
    all(mongo.jobs.find(condition)).await?.iter().map(read).collect()
}

pub async fn get(mongo: &Mongo, id: &JobId) -> Result<Option<JobRow>> {
    done(mongo.jobs.find_one(doc! { "_id": id.as_str() })).await?.as_ref().map(read).transpose()
}

pub async fn of_source(mongo: &Mongo, source: SourceId) -> Result<Vec<JobRow>> {
    let of_it = doc! { "source": uuid(*source.as_uuid()) };
    all(mongo.jobs.find(of_it).sort(doc! { "created": 1 })).await?.iter().map(read).collect()
}

pub async fn leased(mongo: &Mongo) -> Result<Vec<JobRow>> {
    some(mongo, doc! { "state": state(JobState::Leased) }).await
}

pub async fn unapplied(mongo: &Mongo, count: usize) -> Result<Vec<JobRow>> {
    all(mongo.jobs.find(doc! { "unapplied": true }).limit(limit(count))).await?.iter().map(read).collect()
}

/// Fields that follow from the row, and those that it has not.
fn fields(row: JobRow) -> (Document, Document) {
    let JobRow { job, revision, lost, result, unapplied, maker } = row;
    let mut set = doc! {
        "source": uuid(*job.source_id.as_uuid()),
        "class": class(job.class()),
        "state": state(job.state),
        "priority": i64::from(job.priority),
        "created": nanos(job.create_time),
        "updated": nanos(job.update_time),
        "not_before": job.not_before.map_or(0, nanos),
        "revision": revision,
        "lost": i64::from(lost),
        "maker": i64::from(maker),
        "row": blob(rows::job_bytes(job)),
    };
    let mut unset = Document::new();
    match result {
        Some(result) => set.insert("result", blob(rows::result_bytes(result))),
        None => unset.insert("result", ""),
    };
    if unapplied {
        set.insert("unapplied", true)
    } else {
        unset.insert("unapplied", "")
    };
    (set, unset)
}

pub async fn insert(mongo: &Mongo, row: JobRow) -> Result<bool> {
    let (id, source) = (row.job.id.to_string(), uuid(*row.job.source_id.as_uuid()));
    let (mut document, _) = fields(row);
    document.insert("_id", id);
    let source = mongo.sources.find_one(doc! { "_id": source }).projection(doc! { "_id": 1 });
    if done(source).await?.is_none() {
        document.insert("orphan", true);
    }
    inserted(mongo.jobs.insert_one(document)).await
}

pub async fn replace(mongo: &Mongo, row: JobRow, expected: i64) -> Result<bool> {
    let there = doc! { "_id": row.job.id.as_str(), "revision": expected };
    let (set, unset) = fields(row);
    let mut update = doc! { "$set": set };
    if !unset.is_empty() {
        update.insert("$unset", unset);
    }
    Ok(done(mongo.jobs.update_one(there, update)).await?.matched_count == 1)
}

/// Tries until it has the best one, or there is none: another may have been faster.
pub async fn lease(
    mongo: &Mongo,
    classes: &[JobClass],
    worker: &str,
    maker: u32,
    now: SystemTime,
) -> Result<Option<JobRow>> {
    loop {
        let firsts = classes.iter().map(|class| first_of(mongo, *class, now));
        let firsts = futures::future::try_join_all(firsts).await?;
        // On equal priority the class named earlier wins, so only a strictly better one replaces it.
        let best = firsts.into_iter().flatten().reduce(
            |best, row| {
                if row.job.priority > best.job.priority { row } else { best }
            },
        );
        let Some(queued) = best else { return Ok(None) };
        let expected = queued.revision;
        let row = rows::leased(queued, worker, maker, now);
        if replace(mongo, row.clone(), expected).await? {
            return Ok(Some(row));
        }
    }
}

async fn first_of(mongo: &Mongo, of: JobClass, now: SystemTime) -> Result<Option<JobRow>> {
    let due = doc! { "state": state(JobState::Queued), "class": class(of), "not_before": { "$lte": nanos(now) } };
    let first = mongo.jobs.find_one(due).sort(doc! { "priority": -1, "created": 1, "_id": 1 });
    done(first).await?.as_ref().map(read).transpose()
}

pub async fn list(mongo: &Mongo, query: &JobsQuery) -> Result<Vec<Job>> {
    let mut condition = Document::new();
    if let Some(source) = &query.source {
        condition.insert("source", uuid(*source.as_uuid()));
    }
    if query.unfinished_only {
        condition.insert("state", doc! { "$lt": state(JobState::Done) });
    }
    let order = doc! { "created": -1, "_id": 1 };
    let found = all(mongo.jobs.find(condition).sort(order).limit(limit(query.limit))).await?;
    let mut jobs = found.iter().map(|document| Ok(read(document)?.job)).collect::<Result<Vec<Job>>>()?;
    for job in jobs.iter_mut().filter(|job| job.state == JobState::Queued) {
        job.queue_position = ahead_of(mongo, job).await?;
    }
    Ok(jobs)
}

async fn ahead_of(mongo: &Mongo, job: &Job) -> Result<u32> {
    let queue = || doc! { "state": state(JobState::Queued), "class": class(job.class()) };
    let (priority, created) = (i64::from(job.priority), nanos(job.create_time));
    let mut better = queue();
    better.insert("priority", doc! { "$gt": priority });
    let mut older = queue();
    older.insert("priority", priority);
    older.insert("created", doc! { "$lt": created });
    let mut beside = queue();
    beside.insert("priority", priority);
    beside.insert("created", created);
    beside.insert("_id", doc! { "$lt": job.id.as_str() });
    let count = |condition| done(mongo.jobs.count_documents(condition));
    let (better, older, beside) = futures::try_join!(count(better), count(older), count(beside))?;
    Ok(u32::try_from(better + older + beside).unwrap_or(u32::MAX))
}

pub async fn waiting_classes(mongo: &Mongo, now: SystemTime) -> Result<Vec<JobClass>> {
    let mut waiting = Vec::new();
    for class in CLASSES {
        if first_of(mongo, class, now).await?.is_some() {
            waiting.push(class);
        }
    }
    Ok(waiting)
}

pub async fn load(mongo: &Mongo, now: SystemTime) -> Result<Vec<ClassLoad>> {
    let classes = CLASSES.map(|class| class_load(mongo, class, now));
    futures::future::try_join_all(classes).await
}

async fn class_load(mongo: &Mongo, of: JobClass, now: SystemTime) -> Result<ClassLoad> {
    let mut due = doc! { "state": state(JobState::Queued), "class": class(of), "not_before": { "$lte": nanos(now) } };
    let leased = doc! { "state": state(JobState::Leased), "class": class(of) };
    let count = |condition| done(mongo.jobs.count_documents(condition));
    let (waiting, running) = futures::try_join!(count(due.clone()), count(leased))?;
    // Jobs that never had to wait became due when they were made, all others at their time.
    due.insert("not_before", 0_i64);
    let at_once = first_time(mongo, due.clone(), "created");
    due.insert("not_before", doc! { "$gt": 0_i64, "$lte": nanos(now) });
    let (at_once, later) = futures::try_join!(at_once, first_time(mongo, due, "not_before"))?;
    Ok(ClassLoad { class: of, waiting, running, oldest: at_once.into_iter().chain(later).min() })
}

/// The earliest time in `field` of these.
async fn first_time(mongo: &Mongo, condition: Document, field: &str) -> Result<Option<SystemTime>> {
    let first = mongo.jobs.find_one(condition).sort(doc! { field: 1 }).projection(doc! { field: 1 });
    let first = done(first).await?;
    first.map(|document| Ok(rows::time(Fields::of("job", &document).int(field)?))).transpose()
}

pub async fn forget(mongo: &Mongo, before: SystemTime) -> Result<()> {
    let ended = doc! {
        "orphan": true,
        "state": { "$gte": state(JobState::Done) },
        "updated": { "$lt": nanos(before) },
        "unapplied": { "$exists": false },
    };
    done(mongo.jobs.delete_many(ended)).await.map(|_| ())
}
