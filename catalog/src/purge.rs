//! The way out: a removed video's purge time comes, it leaves its source, an emptied source dies, its bytes go, its rows
//! go, the video becomes a tombstone. Each step is one row and finds where the one before it stopped.

use crate::Catalog;
use crate::store::VideoRow;
use crate::sweep::each;
use crate::videos::Change;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::{SourceId, VideoId};
use vidstream_proto::pb::{SourceLife, VideoState};

/// Videos of one pass.
const PAGE: usize = 500;

impl Catalog {
    /// Begins the purge of every video whose time has come.
    pub(crate) async fn purge_due(&self) -> Result<(), Problem> {
        loop {
            let due = self.store.due_videos(self.now(), PAGE).await?;
            let more = due.len() == PAGE;
            each(due, |row| async move { self.begin_purge(&row).await }).await?;
            if !more {
                return Ok(());
            }
        }
    }

    /// From here on the video can't be restored.
    async fn begin_purge(&self, due: &VideoRow) -> Result<(), Problem> {
        let now = self.now();
        let begun = self.change_video(due.entry.id, |row| {
            let removed = row.entry.video.state() == VideoState::Removed;
            let purge = row.entry.video.purge_time.as_ref();
            let purge = purge.and_then(|stamp| vidstream_proto::time::system_time("purge_time", stamp).ok());
            if row.purging || !removed || purge.is_none_or(|purge| purge > now) {
                return Ok(Change::None);
            }
            row.purging = true;
            Ok(Change::Write)
        });
        match begun.await {
            Ok(row) if row.purging => {
                tracing::trace!(name: "purge.begun", target: "point", "a video is being purged and still has its source");
                self.detach(&row).await
            }
            Ok(_) => Ok(()),
            Err(problem) if problem.reason == Reason::NotFound => Ok(()),
            Err(problem) => Err(problem),
        }
    }

    /// Goes on with purges that a crash stopped.
    pub(crate) async fn resume_purges(&self) -> Result<(), Problem> {
        each(self.store.purging_videos(PAGE).await?, |row| async move { self.detach(&row).await }).await?;
        let mut gone = self.store.dying_sources(PAGE).await?;
        gone.retain(|source| source.life == SourceLife::Gone);
        each(gone, |source| async move { self.bury_source(source.id).await }).await
    }

    /// Takes a purged video from its source. A source that no video shows dies; one that others show lives on, and this
    /// video is done.
    async fn detach(&self, row: &VideoRow) -> Result<(), Problem> {
        let id = row.entry.id;
        let source = self.update_source(row.entry.source_id, |source| {
            source.video_ids.retain(|other| *other != id);
            if source.video_ids.is_empty() && source.life == SourceLife::Live {
                source.life = SourceLife::Dying;
            }
            Ok(())
        });
        match source.await {
            Ok(source) if source.life != SourceLife::Live => Ok(()),
            Ok(_) => self.bury_video(id).await,
            Err(problem) if problem.reason == Reason::NotFound => self.bury_video(id).await,
            Err(problem) => Err(problem),
        }
    }

    /// Removes the rows of a source whose bytes are gone, and the videos that were its last. Its own row is the last to
    /// go, because the sweep finds the rest by it.
    pub(crate) async fn bury_source(&self, id: SourceId) -> Result<(), Problem> {
        for row in self.store.videos_of(id).await? {
            self.bury_video(row.entry.id).await?;
        }
        tracing::trace!(name: "bury.videos", target: "point", "a source has no videos any more, and records");
        self.store.remove_pages(id).await?;
        tracing::trace!(name: "bury.pages", target: "point", "a source is all that is left of a video");
        self.store.remove_source(id).await?;
        Ok(())
    }

    async fn bury_video(&self, id: VideoId) -> Result<(), Problem> {
        while let Some(row) = self.store.video(id).await? {
            if self.store.bury_video(id, row.revision(), self.now()).await? {
                self.notices.video_changed(id);
            }
        }
        Ok(())
    }
}
