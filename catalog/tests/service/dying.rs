//! A store that dies at a chosen write, as a killed process does: nothing answers after it; or that fails once, as one far
//! away does.

use async_trait::async_trait;
use std::fmt::Debug;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use vidstream_catalog::Position;
use vidstream_catalog::store::{
    Changes, ChangesQuery, Flush, JobRow, JobsQuery, ListPage, ListQuery, Load, Maker, Recorded, RequestRow, Result,
    Store, StoreError, VideoRow, ViewerRow,
};
use vidstream_proto::ids::{RequestId, SourceId, UploadId, VideoId, ViewerId};
use vidstream_proto::job::{Job, JobClass, JobId};
use vidstream_proto::source::Source;
use vidstream_source::extents::{Extent, PageNumber, RecordPage};

/// Whether the last write still happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Death {
    /// It dies instead of writing.
    Before,
    /// It writes and dies before it answers.
    After,
}

/// What goes wrong with one call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It is not done, and fails.
    Undone,
    /// It is done, and its answer is lost.
    Unheard,
    /// Its answer comes so late.
    Late(Duration),
}

/// Dies at a write.
#[derive(Debug)]
pub struct Dying {
    store: Arc<dyn Store>,
    death: Death,
    limit: i64,
    left: AtomicI64,
    faults: Mutex<Vec<(&'static str, Fault)>>,
    /// Looks for what came late in the feed.
    looks_back: AtomicI64,
}

impl Dying {
    pub fn new(store: Arc<dyn Store>, writes: i64, death: Death) -> Self {
        Self {
            store,
            death,
            limit: writes,
            left: AtomicI64::new(writes),
            faults: Mutex::default(),
            looks_back: AtomicI64::new(0),
        }
    }

    /// One that does not die.
    pub fn never(store: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self::new(store, i64::MAX, Death::Before))
    }

    /// The next call of this name has this fault, and no other.
    pub fn fail_next(&self, call: &'static str, fault: Fault) {
        self.faults.lock().unwrap().push((call, fault));
    }

    /// How often changes were asked for again, which may have been told.
    pub fn looks_back(&self) -> i64 {
        self.looks_back.load(Ordering::SeqCst)
    }

    /// Whether all faults there were to be have been.
    pub fn has_failed(&self) -> bool {
        self.faults.lock().unwrap().is_empty()
    }

    async fn call<T: Send>(&self, name: &str, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let fault = {
            let mut faults = self.faults.lock().unwrap();
            let at = faults.iter().position(|(of, _)| *of == name);
            at.map(|at| faults.remove(at).1)
        };
        match fault {
            None => call.await,
            Some(Fault::Undone) => Err(Self::dead()),
            Some(Fault::Unheard) => call.await.and(Err(Self::dead())),
            Some(Fault::Late(time)) => {
                let outcome = call.await;
                tokio::time::sleep(time).await;
                outcome
            }
        }
    }

    /// Writes so far.
    pub fn writes(&self) -> i64 {
        self.limit - self.left.load(Ordering::SeqCst)
    }

    fn dead() -> StoreError {
        StoreError::Unavailable(Arc::from(Box::<dyn std::error::Error + Send + Sync>::from("killed")))
    }

    /// Notes what a call asks for.
    fn saw(&self, argument: &dyn Debug) {
        if format!("{argument:?}").contains("again: true") {
            self.looks_back.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn read(&self) -> Result<()> {
        if self.left.load(Ordering::SeqCst) < 0 { Err(Self::dead()) } else { Ok(()) }
    }

    async fn write<T: Send>(&self, write: impl Future<Output = Result<T>> + Send) -> Result<T> {
        match self.left.fetch_sub(1, Ordering::SeqCst) {
            1.. => write.await,
            0 if self.death == Death::After => write.await.and(Err(Self::dead())),
            _ => Err(Self::dead()),
        }
    }
}

macro_rules! store {
    (reads { $($read:ident($($ra:ident: $rt:ty),*) -> $ro:ty;)* } writes { $($write:ident($($wa:ident: $wt:ty),*) -> $wo:ty;)* }) => {
        #[async_trait]
        impl Store for Dying {
            $(async fn $read(&self, $($ra: $rt),*) -> Result<$ro> {
                self.read()?;
                $(self.saw(&$ra);)*
                self.call(stringify!($read), self.store.$read($($ra),*)).await
            })*
            $(async fn $write(&self, $($wa: $wt),*) -> Result<$wo> {
                self.write(self.call(stringify!($write), self.store.$write($($wa),*))).await
            })*
        }
    };
}

store! {
    reads {
        request(id: RequestId) -> Option<RequestRow>;
        pending_requests(before: SystemTime, limit: usize) -> Vec<RequestRow>;
        video(id: VideoId) -> Option<VideoRow>;
        list_videos(query: ListQuery) -> ListPage;
        videos_of(source: SourceId) -> Vec<VideoRow>;
        due_videos(now: SystemTime, limit: usize) -> Vec<VideoRow>;
        purging_videos(limit: usize) -> Vec<VideoRow>;
        changes(query: ChangesQuery) -> Option<Changes>;
        viewers(keys: Vec<(VideoId, ViewerId)>) -> Vec<ViewerRow>;
        time() -> Option<SystemTime>;
        position() -> Position;
        source(id: SourceId) -> Option<Source>;
        source_of_upload(id: UploadId) -> Option<Source>;
        unsettled_sources(limit: usize) -> Vec<Source>;
        open_sources(after: Option<SourceId>, limit: usize) -> Vec<Source>;
        dying_sources(limit: usize) -> Vec<Source>;
        outdated_sources(maker: Maker, limit: usize) -> Vec<Source>;
        pages(source: SourceId, first: PageNumber, limit: usize) -> Vec<RecordPage>;
        received(source: SourceId) -> u64;
        job(id: &JobId) -> Option<JobRow>;
        jobs(query: JobsQuery) -> Vec<Job>;
        jobs_of(source: SourceId) -> Vec<JobRow>;
        leased_jobs() -> Vec<JobRow>;
        unapplied_jobs(limit: usize) -> Vec<JobRow>;
        waiting_classes(now: SystemTime) -> Vec<JobClass>;
        load(now: SystemTime) -> Load;
        next_due(now: SystemTime) -> Option<SystemTime>;
    }
    writes {
        insert_request(row: RequestRow) -> RequestRow;
        finish_request(id: RequestId) -> ();
        forget_requests(before: SystemTime) -> ();
        insert_video(row: VideoRow) -> bool;
        replace_video(row: VideoRow, expected: i64) -> bool;
        bury_video(id: VideoId, expected: i64, now: SystemTime) -> bool;
        forget_buried(before: SystemTime) -> ();
        add_views(id: VideoId, views: u64, flush: Flush) -> bool;
        save_viewers(rows: Vec<ViewerRow>) -> Vec<bool>;
        forget_viewers(before: SystemTime, most: usize) -> bool;
        insert_source(source: Source) -> bool;
        replace_source(source: Source, expected: i64) -> bool;
        mark_shown(id: SourceId, revision: i64) -> ();
        remove_source(id: SourceId) -> ();
        record(source: SourceId, extents: Vec<Extent>) -> Option<Recorded>;
        remove_pages(source: SourceId) -> ();
        insert_job(row: JobRow) -> bool;
        replace_job(row: JobRow, expected: i64) -> bool;
        lease_job(classes: &[JobClass], worker: &str, maker: u32, now: SystemTime) -> Option<JobRow>;
        forget_jobs(before: SystemTime) -> ();
    }
}
