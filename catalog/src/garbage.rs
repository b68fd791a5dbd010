//! Garbage: objects that nothing refers to, and that nothing will ever refer to.
//!
//! It is judged by rows. What no row refers to yet may be on its way to one, so whatever is younger than a write deadline
//! and a margin is left alone; and so are the bytes of an open upload, because an extent that was stored and not recorded
//! is recorded when its bytes are sent again, at any time until the upload ends. Under a lease that can still finish
//! nothing is garbage either. Sources that are going have a job that deletes all they have.
//!
//! All of that holds for objects that are [this catalog's own](crate::owner); of others nothing is judged.

use crate::Catalog;
use crate::answers::{self, Answering};
use crate::jobs::can_finish;
use crate::owner::Claim;
use crate::store::{JobRow, VideoRow};
use futures::future::ready;
use futures::stream::BoxStream;
use futures::{Stream, TryStreamExt};
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use vidstream_backends::objects::{ObjectError, ObjectInfo, ObjectName};
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::SourceId;
use vidstream_proto::job::JobState;
use vidstream_proto::pb::{self, GarbageReason, SourceLife, UploadState, collect_objects_response::Event};
use vidstream_proto::source::Source;
use vidstream_proto::time::proto_duration;
use vidstream_source::extents::{PageNumber, RecordPage};
use vidstream_source::made::MadeFile;
use vidstream_source::names::{self, Place};

/// How long rows that were read are believed. Much less than the margin that garbage is older than a write deadline.
const ROWS_KEPT: Duration = Duration::from_secs(5);
/// After a start, others come first.
const FIRST_PASS: Duration = Duration::from_mins(5);

/// What an object is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Used,
    Young,
    Garbage(GarbageReason),
}

/// The rows by which the objects of one source are judged, as of a moment.
struct Rows {
    id: SourceId,
    read: Instant,
    source: Option<Source>,
    jobs: Vec<JobRow>,
    /// The videos that show it; asked for with the first of their captions.
    videos: Option<Vec<VideoRow>>,
    /// The page of records that was asked for last, and the names of its extents.
    page: Option<(PageNumber, HashSet<ObjectName>)>,
}

/// One collection.
struct Collection {
    catalog: Catalog,
    objects: BoxStream<'static, Result<ObjectInfo, ObjectError>>,
    /// Objects of one source mostly come one after the other.
    rows: Option<Rows>,
    dry_run: bool,
    total: pb::GarbageTotal,
}

impl Catalog {
    /// Finds garbage, object by object, and removes it unless it is a dry run; at last tells the total. Objects of another
    /// catalog are refused, unless this one is to `adopt` them.
    pub(crate) async fn collect_objects(
        &self,
        dry_run: bool,
        adopt: bool,
    ) -> Result<impl Stream<Item = Result<pb::CollectObjectsResponse, Problem>> + Send + use<>, Problem> {
        match (dry_run, adopt) {
            (false, true) => self.adopt_objects().await?,
            (false, false) => self.own_objects(Claim::Write).await?,
            (true, false) => self.own_objects(Claim::Look).await?,
            (true, true) => {}
        }
        let objects = self.objects.list(&names::sources());
        let total = pb::GarbageTotal { removed: !dry_run, ..pb::GarbageTotal::default() };
        let collection = Collection { catalog: self.clone(), objects, rows: None, dry_run, total };
        Ok(answers::stream(collection, &self.lifecycle))
    }

    /// Removes garbage at intervals.
    pub(crate) async fn garbage_loop(&self) {
        // At once, while a new store is empty; and so that a wrong one is told of.
        if let Err(problem) = self.own_objects(Claim::Write).await {
            tracing::warn!(error = %problem, "no garbage is collected until this is put right");
        }
        tokio::time::sleep(FIRST_PASS).await;
        loop {
            crate::sweep::report("collect garbage", self.collect_all().await);
            tokio::time::sleep(self.config.garbage_interval).await;
        }
    }

    async fn collect_all(&self) -> Result<(), Problem> {
        let events = self.collect_objects(false, false).await?;
        let last = events.try_fold(None, |_, message| ready(Ok(message.event)));
        if let Some(Event::Total(total)) = last.await?
            && total.garbage > 0
        {
            tracing::info!(objects = total.garbage, bytes = total.garbage_bytes, "garbage was removed");
        }
        Ok(())
    }
}

impl Answering for Collection {
    type Answer = pb::CollectObjectsResponse;

    async fn answer(&mut self) -> Result<ControlFlow<Self::Answer, Self::Answer>, Problem> {
        let response = |event| pb::CollectObjectsResponse { event: Some(event) };
        while let Some(info) = self.objects.try_next().await.map_err(store_failed)? {
            let Some((id, place)) = names::place(&info.name) else { continue };
            self.total.seen += 1;
            match self.judge(&info, id, place).await? {
                Verdict::Used => {}
                Verdict::Young => self.total.young += 1,
                Verdict::Garbage(reason) => {
                    let found = self.found(info, reason).await?;
                    return Ok(ControlFlow::Continue(response(Event::Found(found))));
                }
            }
        }
        Ok(ControlFlow::Break(response(Event::Total(self.total))))
    }
}

impl Collection {
    async fn found(&mut self, info: ObjectInfo, reason: GarbageReason) -> Result<pb::Garbage, Problem> {
        if !self.dry_run {
            self.catalog.objects.delete(&info.name).await.map_err(store_failed)?;
        }
        self.total.garbage += 1;
        self.total.garbage_bytes += info.size;
        Ok(pb::Garbage {
            name: info.name.to_string(),
            size: info.size,
            age: Some(proto_duration(info.age)),
            reason: reason.into(),
        })
    }

    /// Rows are read after the object was listed, or a moment before: whatever refers to an old object is in them.
    async fn judge(&mut self, info: &ObjectInfo, id: SourceId, place: Place) -> Result<Verdict, Problem> {
        let held = self.rows.take().filter(|rows| rows.id == id && rows.read.elapsed() < ROWS_KEPT);
        let rows = match held {
            Some(rows) => rows,
            None => Rows::read(&self.catalog, id).await?,
        };
        let rows = self.rows.insert(rows);
        let Some(reason) = rows.unused(&self.catalog, &info.name, place).await? else {
            return Ok(Verdict::Used);
        };
        let patience = self.catalog.config.write_deadline + self.catalog.config.garbage_margin;
        let counted = reason == GarbageReason::Superseded && rows.moved_within(patience, self.catalog.now(), place);
        Ok(if info.age < patience || counted { Verdict::Young } else { Verdict::Garbage(reason) })
    }
}

impl Rows {
    async fn read(catalog: &Catalog, id: SourceId) -> Result<Self, Problem> {
        let read = Instant::now();
        // Jobs first: one whose outcome was brought to the source meanwhile is then seen in the source.
        let jobs = catalog.store.jobs_of(id).await?;
        let source = catalog.store.source(id).await?;
        Ok(Self { id, read, source, jobs, videos: None, page: None })
    }

    /// Why nothing refers to the object, if nothing does and nothing can.
    async fn unused(
        &mut self,
        catalog: &Catalog,
        name: &ObjectName,
        place: Place,
    ) -> Result<Option<GarbageReason>, Problem> {
        let Some(source) = &self.source else {
            return Ok(Some(GarbageReason::NoSource));
        };
        if source.life != SourceLife::Live {
            return Ok(None);
        }
        Ok(match place {
            Place::Bytes(_) if source.upload_state != UploadState::Complete => None,
            Place::Bytes(page) => {
                let recorded = self.recorded(catalog, page).await?.contains(name);
                (!recorded).then_some(GarbageReason::NotRecorded)
            }
            Place::Output(kind, fence) => {
                let leased = |row: &JobRow| row.job.kind == kind && row.job.fence == fence && can_finish(row);
                let used = refers(source, name) || self.jobs.iter().any(leased);
                (!used).then_some(GarbageReason::Superseded)
            }
            Place::Captions(id) => {
                let id = id.to_string();
                let mut shown = self.videos(catalog).await?.iter().flat_map(|row| &row.entry.video.captions);
                (!shown.any(|captions| captions.id == id)).then_some(GarbageReason::Superseded)
            }
            Place::Unknown => Some(GarbageReason::Unknown),
        })
    }

    /// The videos that show the source.
    async fn videos(&mut self, catalog: &Catalog) -> Result<&[VideoRow], Problem> {
        let videos = match self.videos.take() {
            Some(videos) => videos,
            None => catalog.store.videos_of(self.id).await?,
        };
        Ok(self.videos.insert(videos))
    }

    /// Whether what is superseded may have counted a moment ago, and somebody may be reading it still.
    fn moved_within(&self, patience: Duration, now: SystemTime, place: Place) -> bool {
        let recent = |time: SystemTime| now.duration_since(time).unwrap_or_default() < patience;
        match place {
            Place::Output(kind, _) => {
                let moved = |row: &&JobRow| row.job.kind == kind && row.job.state == JobState::Done;
                self.jobs.iter().filter(moved).any(|row| recent(row.job.update_time))
            }
            Place::Captions(_) => {
                let changed = |row: &VideoRow| row.entry.video.update_time.and_then(|time| time.try_into().ok());
                self.videos.iter().flatten().filter_map(changed).any(recent)
            }
            Place::Bytes(_) | Place::Unknown => false,
        }
    }

    /// Names of the extents of a page of records.
    async fn recorded(&mut self, catalog: &Catalog, number: PageNumber) -> Result<&HashSet<ObjectName>, Problem> {
        let held = self.page.take().filter(|(held, _)| *held == number);
        let page = if let Some(page) = held {
            page
        } else {
            let mut pages = catalog.store.pages(self.id, number, 1).await?;
            pages.retain(|page| page.number() == number);
            let extents = pages.iter().flat_map(RecordPage::extents);
            (number, extents.map(|extent| names::extent(self.id, extent)).collect())
        };
        Ok(&self.page.insert(page).1)
    }
}

/// Whether a result of the source names the object.
fn refers(source: &Source, name: &ObjectName) -> bool {
    let index = source.index_result.iter().map(|index| &index.object);
    let sheets = source.storyboard_result.iter().flat_map(|storyboard| &storyboard.sheets);
    let poster = source.poster_result.iter().map(|poster| &poster.object);
    let encoded = || source.encoded.iter().filter_map(|track| track.result.as_ref());
    let plans = source.encoded.iter().filter_map(|track| Some(&track.segments.as_ref()?.object));
    let is_segment = || {
        let (track, number) = names::segment_of(name)?;
        let track = source.encoded.iter().find(|encoded| encoded.track == track)?;
        let fence = track.segments.as_ref()?.fence_of(number)?;
        (names::segment(source.id, fence, &track.track, number) == *name).then_some(())
    };
    let indexes = encoded().map(|made| &made.object);
    let files = source.index_result.iter().filter_map(|index| index.file.as_ref());
    let mut files = files.chain(encoded().filter_map(|made| made.file.as_ref()));
    index.chain(sheets).chain(poster).chain(indexes).chain(plans).any(|object| object == name.as_str())
        || is_segment().is_some()
        || files.any(|file| MadeFile::try_from(file).is_ok_and(|file| file.has(name.as_str())))
}

pub(crate) fn store_failed(error: ObjectError) -> Problem {
    let mut words = error.to_string();
    if let Some(cause) = std::error::Error::source(&error) {
        words = format!("{words}: {cause}");
    }
    Problem::new(Reason::Unavailable, words)
}
