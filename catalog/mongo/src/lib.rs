//! The catalog's store on MongoDB, from version 5 on, and on what speaks its protocol.
//!
//! Only what every such server does is used: changes of one document by compare-and-set, unique and sparse indexes, pages by
//! keys. Writes are acknowledged by a majority that has them in its journal, reads see what a majority has.

use async_trait::async_trait;
use database::Mongo;
use std::sync::Arc;
use std::time::SystemTime;
use vidstream_catalog::Position;
use vidstream_catalog::store::{
    Changes, ChangesQuery, Flush, JobRow, JobsQuery, ListPage, ListQuery, Load, Maker, Recorded, RequestRow, Result,
    Store, StoreError, VideoRow, ViewerRow,
};
use vidstream_proto::ids::{RequestId, SourceId, UploadId, VideoId, ViewerId};
use vidstream_proto::job::{Job, JobClass, JobId};
use vidstream_proto::source::Source;
use vidstream_source::extents::{Extent, PageNumber, RecordPage};

mod database;
mod driver;
mod feed;
mod fields;
mod jobs;
mod lists;
mod records;
mod requests;
mod schema;
mod sources;
mod videos;
mod views;

/// Opens the catalog that a connection string names, makes its collections and indexes if there are none, and brings them to
/// this version's form. The string is MongoDB's own (<https://www.mongodb.com/docs/manual/reference/connection-string/>); its
/// path names the database, `vidstream` if there is none.
///
/// # Errors
/// [`StoreError::Unavailable`] if nobody answers, or the string can't be read; [`may_pass`] tells these apart.
pub async fn open(url: &str) -> Result<Arc<dyn Store>> {
    Ok(Arc::new(Mongo::open(url).await?))
}

/// Whether what [`open`] failed with may pass with nothing changed in the settings: the server is not there yet.
pub fn may_pass(error: &StoreError) -> bool {
    database::may_pass(error)
}

#[async_trait]
impl Store for Mongo {
    async fn request(&self, id: RequestId) -> Result<Option<RequestRow>> {
        requests::get(self, id).await
    }

    async fn insert_request(&self, row: RequestRow) -> Result<RequestRow> {
        requests::insert(self, row).await
    }

    async fn finish_request(&self, id: RequestId) -> Result<()> {
        requests::finish(self, id).await
    }

    async fn pending_requests(&self, before: SystemTime, limit: usize) -> Result<Vec<RequestRow>> {
        requests::pending(self, before, limit).await
    }

    async fn forget_requests(&self, before: SystemTime) -> Result<()> {
        requests::forget(self, before).await
    }

    async fn video(&self, id: VideoId) -> Result<Option<VideoRow>> {
        videos::get(self, id).await
    }

    async fn insert_video(&self, row: VideoRow) -> Result<bool> {
        videos::insert(self, &row).await
    }

    async fn replace_video(&self, row: VideoRow, expected: i64) -> Result<bool> {
        videos::replace(self, &row, expected).await
    }

    async fn bury_video(&self, id: VideoId, expected: i64, now: SystemTime) -> Result<bool> {
        videos::bury(self, id, expected, now).await
    }

    async fn list_videos(&self, query: ListQuery) -> Result<ListPage> {
        lists::page(self, &query).await
    }

    async fn videos_of(&self, source: SourceId) -> Result<Vec<VideoRow>> {
        videos::of_source(self, source).await
    }

    async fn due_videos(&self, now: SystemTime, limit: usize) -> Result<Vec<VideoRow>> {
        videos::due(self, now, limit).await
    }

    async fn purging_videos(&self, limit: usize) -> Result<Vec<VideoRow>> {
        videos::purging(self, limit).await
    }

    async fn changes(&self, query: ChangesQuery) -> Result<Option<Changes>> {
        feed::changes(self, query).await
    }

    async fn add_views(&self, id: VideoId, views: u64, flush: Flush) -> Result<bool> {
        views::add(self, id, views, flush).await
    }

    async fn viewers(&self, keys: Vec<(VideoId, ViewerId)>) -> Result<Vec<ViewerRow>> {
        views::get(self, &keys).await
    }

    async fn save_viewers(&self, rows: Vec<ViewerRow>) -> Result<Vec<bool>> {
        views::save(self, &rows).await
    }

    async fn forget_viewers(&self, before: SystemTime, most: usize) -> Result<bool> {
        views::forget(self, before, most).await
    }

    async fn time(&self) -> Result<Option<SystemTime>> {
        self.time_of_server().await.map(Some)
    }

    async fn position(&self) -> Result<Position> {
        Ok(feed::state(self).await?.latest)
    }

    async fn forget_buried(&self, before: SystemTime) -> Result<()> {
        feed::forget(self, before).await
    }

    async fn source(&self, id: SourceId) -> Result<Option<Source>> {
        sources::get(self, id).await
    }

    async fn source_of_upload(&self, id: UploadId) -> Result<Option<Source>> {
        sources::of_upload(self, id).await
    }

    async fn insert_source(&self, source: Source) -> Result<bool> {
        sources::insert(self, &source).await
    }

    async fn replace_source(&self, source: Source, expected: i64) -> Result<bool> {
        sources::replace(self, &source, expected).await
    }

    async fn mark_shown(&self, id: SourceId, revision: i64) -> Result<()> {
        sources::mark_shown(self, id, revision).await
    }

    async fn remove_source(&self, id: SourceId) -> Result<()> {
        sources::remove(self, id).await
    }

    async fn unsettled_sources(&self, limit: usize) -> Result<Vec<Source>> {
        sources::unsettled(self, limit).await
    }

    async fn open_sources(&self, after: Option<SourceId>, limit: usize) -> Result<Vec<Source>> {
        sources::open(self, after, limit).await
    }

    async fn dying_sources(&self, limit: usize) -> Result<Vec<Source>> {
        sources::dying(self, limit).await
    }

    async fn outdated_sources(&self, maker: Maker, limit: usize) -> Result<Vec<Source>> {
        sources::outdated(self, maker, limit).await
    }

    async fn record(&self, source: SourceId, extents: Vec<Extent>) -> Result<Option<Recorded>> {
        records::record(self, source, extents).await
    }

    async fn pages(&self, source: SourceId, first: PageNumber, limit: usize) -> Result<Vec<RecordPage>> {
        records::pages(self, source, first, limit).await
    }

    async fn received(&self, source: SourceId) -> Result<u64> {
        records::received(self, source).await
    }

    async fn remove_pages(&self, source: SourceId) -> Result<()> {
        records::remove(self, source).await
    }

    async fn job(&self, id: &JobId) -> Result<Option<JobRow>> {
        jobs::get(self, id).await
    }

    async fn insert_job(&self, row: JobRow) -> Result<bool> {
        jobs::insert(self, row).await
    }

    async fn replace_job(&self, row: JobRow, expected: i64) -> Result<bool> {
        jobs::replace(self, row, expected).await
    }

    async fn lease_job(
        &self,
        classes: &[JobClass],
        worker: &str,
        maker: u32,
        now: SystemTime,
    ) -> Result<Option<JobRow>> {
        jobs::lease(self, classes, worker, maker, now).await
    }

    async fn jobs(&self, query: JobsQuery) -> Result<Vec<Job>> {
        jobs::list(self, &query).await
    }

    async fn jobs_of(&self, source: SourceId) -> Result<Vec<JobRow>> {
        jobs::of_source(self, source).await
    }

    async fn leased_jobs(&self) -> Result<Vec<JobRow>> {
        jobs::leased(self).await
    }

    async fn unapplied_jobs(&self, limit: usize) -> Result<Vec<JobRow>> {
        jobs::unapplied(self, limit).await
    }

    async fn waiting_classes(&self, now: SystemTime) -> Result<Vec<JobClass>> {
        jobs::waiting_classes(self, now).await
    }

    async fn load(&self, now: SystemTime) -> Result<Load> {
        let (classes, open_uploads) = futures::try_join!(jobs::load(self, now), sources::count_open(self))?;
        Ok(Load { classes, open_uploads })
    }

    async fn forget_jobs(&self, before: SystemTime) -> Result<()> {
        jobs::forget(self, before).await
    }

    async fn next_due(&self, now: SystemTime) -> Result<Option<SystemTime>> {
        feed::next_due(self, now).await
    }
}
