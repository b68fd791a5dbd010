//! Where the catalog keeps its rows.
//!
//! A store offers operations on single rows: insert if absent, replace if the revision is still the expected one, read,
//! and a few that pick rows. No operation writes two rows, so that stores without transactions can be one; what follows
//! from a row in other rows is derived again by the catalog. Exceptions are what one table gives cheaply everywhere: the
//! feed's position of a video, and the pages of one source.
//!
//! Every implementation passes [`contract::store_contract`].

use crate::feed::Position;
use async_trait::async_trait;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use uuid::Uuid;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::{RequestId, SourceId, UploadId, VideoId, ViewerId};
use vidstream_proto::job::{Job, JobClass, JobId};
use vidstream_proto::pb;
use vidstream_proto::source::Source;
use vidstream_proto::video::Entry;
use vidstream_source::extents::{Extent, PageNumber, RecordPage};

pub mod contract;
pub mod rows;
mod sqlite;
mod url;

pub use self::url::{StoreUrl, UrlError, open_file};

/// Result of an operation on the store.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Why an operation did not succeed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk is full. Nothing was written.
    #[error("the catalog's disk is full")]
    Full,
    /// A row is not what we write: damaged, or written by a newer version.
    #[error("the catalog holds a damaged row: {0}")]
    Corrupt(String),
    /// The store does not answer or failed. Whether the operation was done is not known; it may be repeated.
    #[error("the catalog's store failed: {0}")]
    Unavailable(Arc<dyn std::error::Error + Send + Sync>),
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Full => Self::new(Reason::NoSpace, error.to_string()),
            StoreError::Corrupt(_) => Self::new(Reason::Internal, error.to_string()),
            // Callers may be anybody, and the cause names addresses.
            StoreError::Unavailable(cause) => {
                tracing::warn!(%cause, "the catalog's store failed");
                Self::new(Reason::Unavailable, "the catalog's store does not answer; try again")
            }
        }
    }
}

/// A request that was answered, or is about to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestRow {
    /// The client's id.
    pub id: RequestId,
    /// Hash of what was asked: the same id with another one is a mistake.
    pub fingerprint: [u8; 32],
    /// The first answer, a message.
    pub answer: Vec<u8>,
    /// Whether rows that the answer speaks of may still be missing.
    pub pending: bool,
    /// When it was first asked.
    pub made: SystemTime,
}

/// What a viewer watched of a video in the present window.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ViewerRow {
    /// Which video.
    pub video: VideoId,
    /// Who watches.
    pub viewer: ViewerId,
    /// When the window began: with the first report, or, once a view counted, with that one.
    pub began: SystemTime,
    /// Whether a view counted in this window; nothing more is remembered then.
    pub counted: bool,
    /// By which claim it counted. Whoever does not know whether its write came through finds its own claim here, or another's.
    pub counted_by: Option<Uuid>,
    /// What was watched, to the millisecond; ascending, apart, few.
    pub watched: Vec<Range<Duration>>,
    /// Rises with every write of the row, from 1.
    pub revision: i64,
}

/// A number that makes an addition of views harmless to repeat. Numbers of one name rise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flush {
    /// Whose number it is.
    pub by: Uuid,
    /// The number.
    pub number: u64,
}

/// A video as stored. Its `views` are read with it and written only by [`Store::add_views`].
#[derive(Clone, PartialEq, Debug)]
pub struct VideoRow {
    /// What people see, and the source it is of.
    pub entry: Entry,
    /// Revision of the source that the entry shows.
    pub shown_source: i64,
    /// The last request that changed it: a repeat whose first answer was lost in a crash is known by it.
    pub last_request: Option<RequestId>,
    /// Its purge has begun: it can't be restored any more.
    pub purging: bool,
}

impl VideoRow {
    /// Revision of the row, which is the video's.
    pub fn revision(&self) -> i64 {
        self.entry.video.revision
    }
}

/// Which videos of a list, and where the page begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListQuery {
    /// Only this state; none: all but removed ones.
    pub state: Option<pb::VideoState>,
    /// Each must be a prefix of a word of title or tags (see [`crate::search`]).
    pub prefixes: Vec<String>,
    /// Behind which entry the page begins; its order is the list's.
    pub after: Option<ListKey>,
    /// Order of the list.
    pub order: pb::VideoOrder,
    /// At most so many.
    pub limit: usize,
    /// Entries that may be looked at for words before the page is given as it is; not 0.
    pub looks: usize,
}

/// Place of an entry in a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ListKey {
    /// In the order of creation, newest first.
    Created(SystemTime, VideoId),
    /// In the order of titles: the title's sort key.
    Title(String, VideoId),
}

/// A part of a list.
#[derive(Clone, PartialEq, Debug)]
pub struct ListPage {
    /// The entries, in order.
    pub entries: Vec<Entry>,
    /// The last entry that was looked at, if there may be more behind it although the page is not full.
    pub looked: Option<ListKey>,
    /// The feed's position before they were read.
    pub position: Position,
}

/// A change of a video: its latest state.
#[derive(Clone, PartialEq, Debug)]
pub enum Change {
    /// The video is this now.
    Changed(Box<Entry>),
    /// The video is gone.
    Purged {
        /// Which one.
        id: VideoId,
        /// Higher than any it had.
        revision: i64,
    },
}

/// Which changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChangesQuery {
    /// Behind this position.
    pub after: Position,
    /// Those too that may have come to be seen after `after` was given out, although their positions are before it: where
    /// positions are times, a write is seen a little later than its position says. Some of these were told already.
    pub again: bool,
    /// Only this video's.
    pub video: Option<VideoId>,
    /// About so many: changes at one position are not taken apart.
    pub limit: usize,
}

/// Changes after a position.
#[derive(Clone, PartialEq, Debug)]
pub struct Changes {
    /// In the order of their positions, each video at its latest one.
    pub changes: Vec<(Position, Change)>,
    /// The feed's position when they were read.
    pub latest: Position,
}

/// What became of extents that were to be recorded.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recorded {
    /// Ranges that are recorded by this call.
    pub new: Vec<Range<u64>>,
    /// Recorded extents that stand against given ones.
    pub overlapping: Vec<Extent>,
    /// Bytes of the source that are recorded by now.
    pub received: u64,
}

/// A job as stored.
#[derive(Clone, PartialEq, Debug)]
pub struct JobRow {
    /// The job.
    pub job: Job,
    /// Rises with every write of the row.
    pub revision: i64,
    /// Leases that died without a word.
    pub lost: u32,
    /// What it found or made, once it is done.
    pub result: Option<pb::finish_job_request::Result>,
    /// Its outcome may not have reached the source yet.
    pub unapplied: bool,
    /// Version of the code of the worker that had the last lease.
    pub maker: u32,
}

/// What workers are: a higher version may take what a lower one could not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Maker {
    /// Version of their code.
    pub version: u32,
    /// Version of the form in which they store indexes.
    pub index_format: u32,
}

/// What waits and runs, for whoever watches over it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Load {
    /// Of each class; one without jobs may be missing.
    pub classes: Vec<ClassLoad>,
    /// Uploads of live sources that are open.
    pub open_uploads: u64,
}

/// What of a class waits and runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClassLoad {
    /// The class.
    pub class: JobClass,
    /// Jobs that are queued and due.
    pub waiting: u64,
    /// Jobs that are leased.
    pub running: u64,
    /// Since when the oldest of those that wait could be taken.
    pub oldest: Option<SystemTime>,
}

/// Which jobs of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobsQuery {
    /// Only this source's.
    pub source: Option<SourceId>,
    /// Leave out what is done, failed or cancelled.
    pub unfinished_only: bool,
    /// At most so many.
    pub limit: usize,
}

/// A store of rows. Object-safe; every operation may be cancelled by dropping it, after which it may have happened.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// A request that was seen before.
    async fn request(&self, id: RequestId) -> Result<Option<RequestRow>>;
    /// Inserts if absent; the row that is there now.
    async fn insert_request(&self, row: RequestRow) -> Result<RequestRow>;
    /// Marks a request's rows as complete.
    async fn finish_request(&self, id: RequestId) -> Result<()>;
    /// Requests made before `before` that are still pending.
    async fn pending_requests(&self, before: SystemTime, limit: usize) -> Result<Vec<RequestRow>>;
    /// Forgets requests made before `before` that are not pending.
    async fn forget_requests(&self, before: SystemTime) -> Result<()>;

    /// A video; none once it is buried.
    async fn video(&self, id: VideoId) -> Result<Option<VideoRow>>;
    /// Inserts if there never was one with this id; says whether it did.
    async fn insert_video(&self, row: VideoRow) -> Result<bool>;
    /// Replaces if the row has the revision `expected`; says whether it did.
    async fn replace_video(&self, row: VideoRow, expected: i64) -> Result<bool>;
    /// Puts a tombstone of revision `expected + 1` in its place if the row has the revision `expected`; says whether it did.
    async fn bury_video(&self, id: VideoId, expected: i64, now: SystemTime) -> Result<bool>;
    /// A part of a list.
    async fn list_videos(&self, query: ListQuery) -> Result<ListPage>;
    /// The videos of a source.
    async fn videos_of(&self, source: SourceId) -> Result<Vec<VideoRow>>;
    /// Removed videos whose purge time is not after `now` and whose purge has not begun, the oldest first.
    async fn due_videos(&self, now: SystemTime, limit: usize) -> Result<Vec<VideoRow>>;
    /// Videos whose purge has begun.
    async fn purging_videos(&self, limit: usize) -> Result<Vec<VideoRow>>;
    /// Changes, of one video or of all; none if the position is too old to tell what is gone, or of another feed.
    async fn changes(&self, query: ChangesQuery) -> Result<Option<Changes>>;
    /// Adds views to a video without touching its revision; the feed tells it. One that was done is not done again, unless
    /// sixteen others added to the video meanwhile. Says whether there is such a video.
    async fn add_views(&self, id: VideoId, views: u64, flush: Flush) -> Result<bool>;
    /// The rows of these viewers, as far as there are any, in no order.
    async fn viewers(&self, keys: Vec<(VideoId, ViewerId)>) -> Result<Vec<ViewerRow>>;
    /// Writes each row whose revision is one more than what is stored (absent: 0); says which were. Few commits.
    async fn save_viewers(&self, rows: Vec<ViewerRow>) -> Result<Vec<bool>>;
    /// Forgets viewers whose window began before `before`, and the oldest ones beyond `most`; some thousands at once, so
    /// that others can write in between. Says whether there are more to forget.
    async fn forget_viewers(&self, before: SystemTime, most: usize) -> Result<bool>;
    /// The store's own time, which all its catalogs share; none of a store that is on its catalog's machine.
    async fn time(&self) -> Result<Option<SystemTime>>;
    /// The feed's position now.
    async fn position(&self) -> Result<Position>;
    /// Forgets tombstones put before `before`; positions older than theirs are then too old.
    async fn forget_buried(&self, before: SystemTime) -> Result<()>;

    /// A source.
    async fn source(&self, id: SourceId) -> Result<Option<Source>>;
    /// The source that an upload fills.
    async fn source_of_upload(&self, id: UploadId) -> Result<Option<Source>>;
    /// Inserts if absent; says whether it did.
    async fn insert_source(&self, source: Source) -> Result<bool>;
    /// Replaces if the row has the revision `expected`; says whether it did. What it shows stays as it is.
    async fn replace_source(&self, source: Source, expected: i64) -> Result<bool>;
    /// Notes that everything that follows from the source's `revision` is done, if that still is its revision.
    async fn mark_shown(&self, id: SourceId, revision: i64) -> Result<()>;
    /// Removes the row; none: harmless.
    async fn remove_source(&self, id: SourceId) -> Result<()>;
    /// Sources that show less than their revision.
    async fn unsettled_sources(&self, limit: usize) -> Result<Vec<Source>>;
    /// Live sources whose upload is open, behind `after` in the order of ids.
    async fn open_sources(&self, after: Option<SourceId>, limit: usize) -> Result<Vec<Source>>;
    /// Sources that are dying or gone, the gone ones first.
    async fn dying_sources(&self, limit: usize) -> Result<Vec<Source>>;
    /// Live sources with a failed part that was last tried by a lower version, or with an index in a lower form.
    async fn outdated_sources(&self, maker: Maker, limit: usize) -> Result<Vec<Source>>;

    /// Records extents of a live source, those of a page in one commit; none if there is no such source or it is not live.
    async fn record(&self, source: SourceId, extents: Vec<Extent>) -> Result<Option<Recorded>>;
    /// Pages of records from `first` on, ascending, at most `limit`.
    async fn pages(&self, source: SourceId, first: PageNumber, limit: usize) -> Result<Vec<RecordPage>>;
    /// Bytes that are recorded.
    async fn received(&self, source: SourceId) -> Result<u64>;
    /// Removes all pages of a source.
    async fn remove_pages(&self, source: SourceId) -> Result<()>;

    /// A job.
    async fn job(&self, id: &JobId) -> Result<Option<JobRow>>;
    /// Inserts if absent; says whether it did.
    async fn insert_job(&self, row: JobRow) -> Result<bool>;
    /// Replaces if the row has the revision `expected`; says whether it did.
    async fn replace_job(&self, row: JobRow, expected: i64) -> Result<bool>;
    /// Leases the best queued job that is due: by priority, the classes' order, age. The lease has the next fence, no beat,
    /// no progress; who took it is noted. Two calls never get one job.
    async fn lease_job(
        &self,
        classes: &[JobClass],
        worker: &str,
        maker: u32,
        now: SystemTime,
    ) -> Result<Option<JobRow>>;
    /// Jobs, newest first, with their places in the queue.
    async fn jobs(&self, query: JobsQuery) -> Result<Vec<Job>>;
    /// All jobs of a source.
    async fn jobs_of(&self, source: SourceId) -> Result<Vec<JobRow>>;
    /// All leased jobs.
    async fn leased_jobs(&self) -> Result<Vec<JobRow>>;
    /// Jobs whose outcome may not have reached their source.
    async fn unapplied_jobs(&self, limit: usize) -> Result<Vec<JobRow>>;
    /// Classes with a queued job that is due.
    async fn waiting_classes(&self, now: SystemTime) -> Result<Vec<JobClass>>;
    /// What waits and runs.
    async fn load(&self, now: SystemTime) -> Result<Load>;
    /// Forgets finished jobs last written before `before` whose source is gone.
    async fn forget_jobs(&self, before: SystemTime) -> Result<()>;

    /// The next moment after `now` at which a video is to be purged or a queued job becomes due.
    async fn next_due(&self, now: SystemTime) -> Result<Option<SystemTime>>;
}
