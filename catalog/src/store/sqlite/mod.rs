//! The embedded store: one `SQLite` file.

use super::{
    Changes, ChangesQuery, Flush, JobRow, JobsQuery, ListPage, ListQuery, Load, Maker, Recorded, RequestRow, Result,
    Store, StoreError, VideoRow, ViewerRow,
};
use crate::feed::Position;
use async_trait::async_trait;
use connection::{Readers, Writer};
use rusqlite::Connection;
use std::path::Path;
use std::time::SystemTime;
use uuid::Uuid;
use vidstream_proto::ids::{RequestId, SourceId, UploadId, VideoId, ViewerId};
use vidstream_proto::job::{Job, JobClass, JobId};
use vidstream_proto::source::Source;
use vidstream_source::extents::{Extent, PageNumber, RecordPage};

mod connection;
mod feed;
mod jobs;
mod lists;
mod records;
mod requests;
mod schema;
mod sources;
mod videos;
mod views;

/// Reads at once, at the most.
const READERS: usize = 4;

/// The catalog in one `SQLite` file.
#[derive(Debug)]
pub(super) struct Sqlite {
    writer: Writer,
    readers: Readers,
}

impl Sqlite {
    /// Opens the file at `path`, making it if there is none.
    pub(super) async fn open(path: &Path) -> Result<Self> {
        let file = path.to_owned();
        let open = move || {
            let mut connection = schema::connect(&file)?;
            schema::migrate(&mut connection)?;
            Ok::<_, StoreError>(connection)
        };
        let connection = tokio::task::spawn_blocking(open).await.map_err(connection::unavailable)??;
        Ok(Self { writer: Writer::new(connection), readers: Readers::new(path, READERS) })
    }

    async fn read<T: Send + 'static>(&self, read: impl FnOnce(&Connection) -> Result<T> + Send + 'static) -> Result<T> {
        self.readers.run(read).await
    }

    async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.writer.run(write).await
    }
}

/// A limit for SQL.
fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// The id in a column of 16 bytes.
fn uuid(bytes: [u8; 16]) -> Uuid {
    Uuid::from_bytes(bytes)
}

#[async_trait]
impl Store for Sqlite {
    async fn request(&self, id: RequestId) -> Result<Option<RequestRow>> {
        self.read(move |c| requests::get(c, id)).await
    }

    async fn insert_request(&self, row: RequestRow) -> Result<RequestRow> {
        self.write(move |c| requests::insert(c, row)).await
    }

    async fn finish_request(&self, id: RequestId) -> Result<()> {
        self.write(move |c| requests::finish(c, id)).await
    }

    async fn pending_requests(&self, before: SystemTime, limit: usize) -> Result<Vec<RequestRow>> {
        self.read(move |c| requests::pending(c, before, limit)).await
    }

    async fn forget_requests(&self, before: SystemTime) -> Result<()> {
        self.write(move |c| requests::forget(c, before)).await
    }

    async fn video(&self, id: VideoId) -> Result<Option<VideoRow>> {
        self.read(move |c| videos::get(c, id)).await
    }

    async fn insert_video(&self, row: VideoRow) -> Result<bool> {
        self.write(move |c| videos::insert(c, &row)).await
    }

    async fn replace_video(&self, row: VideoRow, expected: i64) -> Result<bool> {
        self.write(move |c| videos::replace(c, &row, expected)).await
    }

    async fn bury_video(&self, id: VideoId, expected: i64, now: SystemTime) -> Result<bool> {
        self.write(move |c| videos::bury(c, id, expected, now)).await
    }

    async fn list_videos(&self, query: ListQuery) -> Result<ListPage> {
        self.read(move |c| lists::page(c, &query)).await
    }

    async fn videos_of(&self, source: SourceId) -> Result<Vec<VideoRow>> {
        self.read(move |c| videos::of_source(c, source)).await
    }

    async fn due_videos(&self, now: SystemTime, limit: usize) -> Result<Vec<VideoRow>> {
        self.read(move |c| videos::due(c, now, limit)).await
    }

    async fn purging_videos(&self, limit: usize) -> Result<Vec<VideoRow>> {
        self.read(move |c| videos::purging(c, limit)).await
    }

    async fn changes(&self, query: ChangesQuery) -> Result<Option<Changes>> {
        self.read(move |c| feed::changes(c, &query)).await
    }

    async fn add_views(&self, id: VideoId, count: u64, flush: Flush) -> Result<bool> {
        self.write(move |c| views::add(c, id, count, flush)).await
    }

    async fn viewers(&self, keys: Vec<(VideoId, ViewerId)>) -> Result<Vec<ViewerRow>> {
        self.read(move |c| views::get(c, &keys)).await
    }

    async fn save_viewers(&self, rows: Vec<ViewerRow>) -> Result<Vec<bool>> {
        self.write(move |c| rows.iter().map(|row| views::save(c, row)).collect()).await
    }

    async fn forget_viewers(&self, before: SystemTime, most: usize) -> Result<bool> {
        self.write(move |c| views::forget(c, before, most)).await
    }

    async fn time(&self) -> Result<Option<SystemTime>> {
        Ok(None)
    }

    async fn position(&self) -> Result<Position> {
        self.read(|c| feed::state(c).map(|state| state.latest)).await
    }

    async fn forget_buried(&self, before: SystemTime) -> Result<()> {
        self.write(move |c| feed::forget(c, before)).await
    }

    async fn source(&self, id: SourceId) -> Result<Option<Source>> {
        self.read(move |c| sources::get(c, id)).await
    }

    async fn source_of_upload(&self, id: UploadId) -> Result<Option<Source>> {
        self.read(move |c| sources::of_upload(c, id)).await
    }

    async fn insert_source(&self, source: Source) -> Result<bool> {
        self.write(move |c| sources::insert(c, &source)).await
    }

    async fn replace_source(&self, source: Source, expected: i64) -> Result<bool> {
        self.write(move |c| sources::replace(c, &source, expected)).await
    }

    async fn mark_shown(&self, id: SourceId, revision: i64) -> Result<()> {
        self.write(move |c| sources::mark_shown(c, id, revision)).await
    }

    async fn remove_source(&self, id: SourceId) -> Result<()> {
        self.write(move |c| sources::remove(c, id)).await
    }

    async fn unsettled_sources(&self, limit: usize) -> Result<Vec<Source>> {
        self.read(move |c| sources::unsettled(c, limit)).await
    }

    async fn open_sources(&self, after: Option<SourceId>, limit: usize) -> Result<Vec<Source>> {
        self.read(move |c| sources::open(c, after, limit)).await
    }

    async fn dying_sources(&self, limit: usize) -> Result<Vec<Source>> {
        self.read(move |c| sources::dying(c, limit)).await
    }

    async fn outdated_sources(&self, maker: Maker, limit: usize) -> Result<Vec<Source>> {
        self.read(move |c| sources::outdated(c, maker, limit)).await
    }

    async fn record(&self, source: SourceId, extents: Vec<Extent>) -> Result<Option<Recorded>> {
        self.write(move |c| records::record(c, source, extents)).await
    }

    async fn pages(&self, source: SourceId, first: PageNumber, limit: usize) -> Result<Vec<RecordPage>> {
        self.read(move |c| records::pages(c, source, first, limit)).await
    }

    async fn received(&self, source: SourceId) -> Result<u64> {
        self.read(move |c| records::received(c, source)).await
    }

    async fn remove_pages(&self, source: SourceId) -> Result<()> {
        self.write(move |c| records::remove(c, source)).await
    }

    async fn job(&self, id: &JobId) -> Result<Option<JobRow>> {
        let id = id.clone();
        self.read(move |c| jobs::get(c, &id)).await
    }

    async fn insert_job(&self, row: JobRow) -> Result<bool> {
        self.write(move |c| jobs::insert(c, row)).await
    }

    async fn replace_job(&self, row: JobRow, expected: i64) -> Result<bool> {
        self.write(move |c| jobs::replace(c, row, expected)).await
    }

    async fn lease_job(
        &self,
        classes: &[JobClass],
        worker: &str,
        maker: u32,
        now: SystemTime,
    ) -> Result<Option<JobRow>> {
        let (classes, worker) = (classes.to_vec(), worker.to_owned());
        self.write(move |c| jobs::lease(c, &classes, &worker, maker, now)).await
    }

    async fn jobs(&self, query: JobsQuery) -> Result<Vec<Job>> {
        self.read(move |c| jobs::list(c, &query)).await
    }

    async fn jobs_of(&self, source: SourceId) -> Result<Vec<JobRow>> {
        self.read(move |c| jobs::of_source(c, source)).await
    }

    async fn leased_jobs(&self) -> Result<Vec<JobRow>> {
        self.read(jobs::leased).await
    }

    async fn unapplied_jobs(&self, limit: usize) -> Result<Vec<JobRow>> {
        self.read(move |c| jobs::unapplied(c, limit)).await
    }

    async fn waiting_classes(&self, now: SystemTime) -> Result<Vec<JobClass>> {
        self.read(move |c| jobs::waiting_classes(c, now)).await
    }

    async fn load(&self, now: SystemTime) -> Result<Load> {
        self.read(move |c| Ok(Load { classes: jobs::load(c, now)?, open_uploads: sources::count_open(c)? })).await
    }

    async fn forget_jobs(&self, before: SystemTime) -> Result<()> {
        self.write(move |c| jobs::forget(c, before)).await
    }

    async fn next_due(&self, now: SystemTime) -> Result<Option<SystemTime>> {
        self.read(move |c| feed::next_due(c, now)).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::contract::{Opened, store_contract};
    use super::super::open_file;
    use std::sync::Arc;

    #[tokio::test]
    async fn it_passes_the_contract() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        let opened = move || -> Opened {
            let path = path.clone();
            Box::pin(async move { open_file(&path).await.unwrap() })
        };
        store_contract(Arc::new(opened)).await;
    }
}
