//! Videos: what people change of them.

use crate::catalog::{Catalog, TRIES};
use crate::show::show;
use crate::sources::contended;
use crate::store::VideoRow;
use crate::wanted;
use std::time::SystemTime;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::{RequestId, VideoId};
use vidstream_proto::pb::{self, UploadState};
use vidstream_proto::time::timestamp;
use vidstream_proto::video::{Entry, RemoveVideo, RestoreVideo, RetryVideo, UpdateVideo};

/// Whether a change of a row has to be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// It is as it was.
    None,
    /// It is to be written under the next revision.
    Write,
}

impl Catalog {
    /// A video's row.
    pub(crate) async fn video(&self, id: VideoId) -> Result<VideoRow, Problem> {
        self.store.video(id).await?.ok_or_else(|| Problem::not_found("video", id))
    }

    /// Changes a video's row by compare-and-set. `change` is called again when somebody else was faster.
    pub(crate) async fn change_video(
        &self,
        id: VideoId,
        mut change: impl FnMut(&mut VideoRow) -> Result<Change, Problem> + Send,
    ) -> Result<VideoRow, Problem> {
        for _ in 0..TRIES {
            let before = self.video(id).await?;
            let mut after = before.clone();
            if change(&mut after)? == Change::None {
                return Ok(before);
            }
            if after.entry != before.entry {
                after.entry.video.update_time = Some(timestamp(self.now()));
            }
            after.entry.video.revision += 1;
            if self.store.replace_video(after.clone(), before.revision()).await? {
                tracing::trace!(name: "video.written", target: "point", "a video is changed, and nobody was told");
                self.notices.video_changed(id);
                return Ok(after);
            }
        }
        Err(contended("video", id))
    }

    /// A change that a client asked for: under its expected revision, and once. What is being purged is as good as gone, but
    /// for a request whose answer was lost.
    pub(crate) async fn asked_change(
        &self,
        id: VideoId,
        request: RequestId,
        expected: Option<i64>,
        mut change: impl FnMut(&mut VideoRow) -> Result<Change, Problem> + Send,
    ) -> Result<Entry, Problem> {
        let row = self.change_video(id, |row| {
            // Its answer was lost in a crash, or it is asked twice at once.
            if row.last_request == Some(request) {
                return Ok(Change::None);
            }
            if row.purging {
                return Err(is_purged(id));
            }
            check_revision(row, expected)?;
            let changed = change(row)?;
            if changed == Change::Write {
                row.last_request = Some(request);
            }
            Ok(changed)
        });
        Ok(row.await?.entry)
    }

    /// Changes the named fields.
    pub(crate) async fn update_video(&self, update: UpdateVideo) -> Result<pb::UpdateEntryResponse, Problem> {
        let request = pb::UpdateEntryRequest::from(update.clone());
        self.once(update.request_id, "UpdateEntry", &request, async {
            let change = |row: &mut VideoRow| {
                let video = &mut row.entry.video;
                let before = video.clone();
                video.title.clone_from(update.title.as_ref().unwrap_or(&before.title));
                video.description.clone_from(update.description.as_ref().unwrap_or(&before.description));
                video.tags.clone_from(update.tags.as_ref().unwrap_or(&before.tags));
                Ok(if *video == before { Change::None } else { Change::Write })
            };
            let entry = self.asked_change(update.video_id, update.request_id, update.expected_revision, change).await?;
            Ok(pb::UpdateEntryResponse { entry: Some(entry.into()) })
        })
        .await
    }

    /// Hides a video until its purge time.
    pub(crate) async fn remove_video(&self, remove: RemoveVideo) -> Result<pb::RemoveEntryResponse, Problem> {
        let request = pb::RemoveEntryRequest::from(remove.clone());
        self.once(remove.request_id, "RemoveEntry", &request, async {
            let now = self.now();
            let purge = now + remove.purge_after.unwrap_or(self.config.purge_after);
            let change = |row: &mut VideoRow| Ok(hide(row, now, purge));
            let entry = self.asked_change(remove.video_id, remove.request_id, remove.expected_revision, change).await?;
            self.due.notify_one();
            Ok(pb::RemoveEntryResponse { entry: Some(entry.into()) })
        })
        .await
    }

    /// Hides a video that nobody asked to remove, unless it is hidden.
    pub(crate) async fn hide_video(&self, id: VideoId, purge: SystemTime) -> Result<(), Problem> {
        let now = self.now();
        let hidden = self.change_video(id, |row| {
            let shown = row.entry.video.remove_time.is_none();
            Ok(if shown { hide(row, now, purge) } else { Change::None })
        });
        hidden.await.map(|_| self.due.notify_one())
    }

    /// Shows a removed video again.
    pub(crate) async fn restore_video(&self, restore: RestoreVideo) -> Result<pb::RestoreEntryResponse, Problem> {
        let request = pb::RestoreEntryRequest::from(restore.clone());
        self.once(restore.request_id, "RestoreEntry", &request, async {
            let entry = self.restore(&restore).await?;
            Ok(pb::RestoreEntryResponse { entry: Some(entry.into()) })
        })
        .await
    }

    async fn restore(&self, restore: &RestoreVideo) -> Result<Entry, Problem> {
        for _ in 0..TRIES {
            let row = self.refuse_purging(restore.video_id).await?;
            // Read after the video: it is at least as new as what the video shows.
            let source = self.source(row.entry.source_id).await?;
            if source.upload_state == UploadState::Expired {
                let text = "its upload expired before all its bytes came: there is nothing to restore";
                return Err(Problem::new(Reason::SourceDying, text));
            }
            let mut raced = false;
            let change = |now: &mut VideoRow| {
                raced = now.revision() != row.revision();
                if raced || now.entry.video.remove_time.is_none() {
                    return Ok(Change::None);
                }
                let video = &mut now.entry.video;
                (video.remove_time, video.purge_time) = (None, None);
                now.shown_source = source.revision;
                show(video, &source);
                Ok(Change::Write)
            };
            let entry = self.asked_change(restore.video_id, restore.request_id, restore.expected_revision, change);
            let entry = entry.await?;
            if !raced {
                return Ok(entry);
            }
        }
        Err(contended("video", restore.video_id))
    }

    /// Runs failed parts again.
    pub(crate) async fn retry_video(&self, retry: RetryVideo) -> Result<pb::RetryEntryResponse, Problem> {
        let request = pb::RetryEntryRequest::from(retry.clone());
        self.once(retry.request_id, "RetryEntry", &request, async {
            let row = self.refuse_purging(retry.video_id).await?;
            check_revision(&row, retry.expected_revision)?;
            self.update_source(row.entry.source_id, |source| {
                wanted::retry_failed(source);
                Ok(())
            })
            .await?;
            let entry = self.video(retry.video_id).await?.entry;
            Ok(pb::RetryEntryResponse { entry: Some(entry.into()) })
        })
        .await
    }

    /// The video's row, unless it is being purged: then it is as good as gone.
    async fn refuse_purging(&self, id: VideoId) -> Result<VideoRow, Problem> {
        let row = self.video(id).await?;
        if row.purging {
            return Err(is_purged(id));
        }
        Ok(row)
    }
}

fn is_purged(id: VideoId) -> Problem {
    Problem::new(Reason::NotFound, format!("video {id} is being purged"))
}

fn hide(row: &mut VideoRow, now: SystemTime, purge: SystemTime) -> Change {
    if row.purging {
        return Change::None;
    }
    let video = &mut row.entry.video;
    video.set_state(pb::VideoState::Removed);
    video.failure.clear();
    video.remove_time.get_or_insert(timestamp(now));
    video.purge_time = Some(timestamp(purge));
    Change::Write
}

fn check_revision(row: &VideoRow, expected: Option<i64>) -> Result<(), Problem> {
    let revision = row.revision();
    if expected.is_none_or(|expected| expected == revision) {
        return Ok(());
    }
    let id = row.entry.id;
    Err(Problem::new(Reason::RevisionMismatch, format!("video {id} has revision {revision}; read it again")))
}
