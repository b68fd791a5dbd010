//! Sources: their rows, and settling, which derives what follows from a row: jobs and what the videos show.

use crate::catalog::{Catalog, TRIES};
use crate::requests::{answer, fingerprint};
use crate::show::show;
use crate::store::{RequestRow, VideoRow};
use crate::sweep::each;
use crate::{videos, wanted};
use futures::future::{try_join, try_join_all, try_join3};
use prost::Message;
use vidstream_mesh::trace;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::{SourceId, UploadId, VideoId};
use vidstream_proto::pb::{self, SourceLife, UploadState};
use vidstream_proto::source::{Part, Source};
use vidstream_proto::time::timestamp;
use vidstream_proto::upload::CreateUpload;
use vidstream_proto::video::Entry;
use vidstream_proto::{field, ranges};

/// The rows that a creation makes, kept with its request until they are there.
#[derive(Clone, PartialEq, prost::Message)]
struct Creation {
    #[prost(message, optional, tag = "1")]
    source: Option<pb::Source>,
    #[prost(message, optional, tag = "2")]
    entry: Option<pb::Entry>,
}

/// How a source is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SourceKey {
    Source(SourceId),
    Upload(UploadId),
    Video(VideoId),
}

impl TryFrom<pb::GetSourceRequest> for SourceKey {
    type Error = Problem;

    fn try_from(request: pb::GetSourceRequest) -> Result<Self, Problem> {
        use pb::get_source_request::Key;
        match field::present("key", request.key)? {
            Key::SourceId(id) => field::id("source_id", &id).map(Self::Source),
            Key::UploadId(id) => field::id("upload_id", &id).map(Self::Upload),
            Key::VideoId(id) => field::id("video_id", &id).map(Self::Video),
        }
    }
}

/// Whether anything follows from a change of a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Follows {
    /// Perhaps.
    Something,
    /// No job, and nothing that a video shows: its row, and with it its revision, stays as it is.
    Nothing,
}

impl Catalog {
    /// Makes a source and its video, if all that unfinished uploads bring fits into `room` bytes.
    pub(crate) async fn create_source(
        &self,
        create: CreateUpload,
        room: Option<u64>,
        owner: &str,
    ) -> Result<Source, Problem> {
        let id = create.request_id;
        let fingerprint = fingerprint("CreateSource", &pb::CreateSourceRequest::from(create.clone()));
        if let Some(row) = self.earlier(id, fingerprint).await? {
            return self.complete_creation(&row).await;
        }
        let _reserved = match room {
            Some(room) => Some(self.reserve(create.size, room).await?),
            None => None,
        };
        let answer = self.creation(create, owner).encode_to_vec();
        let row = RequestRow { id, fingerprint, answer, pending: true, made: self.now() };
        self.complete_creation(&self.remember(row).await?).await
    }

    fn creation(&self, create: CreateUpload, owner: &str) -> Creation {
        let now = self.now();
        let video_id = VideoId::generate();
        let source = Source {
            id: SourceId::generate(),
            revision: 1,
            video_ids: vec![video_id],
            life: SourceLife::Live,
            file_name: create.file_name,
            size: create.size,
            upload_id: UploadId::generate(),
            upload_state: UploadState::Open,
            received: 0,
            expected_blake3: create.blake3,
            blake3: None,
            create_time: now,
            receive_time: now,
            index: Part::waiting(),
            index_result: None,
            storyboard: Part::waiting(),
            storyboard_result: None,
            poster: Part::waiting(),
            poster_result: None,
            shown_revision: 0,
            tried_by: 0,
            trace_parent: trace::current().map(|at| at.to_string()).unwrap_or_default(),
            normalisation: None,
            encoded: Vec::new(),
        };
        let mut video = pb::Video {
            id: video_id.to_string(),
            owner: owner.to_owned(),
            title: create.title,
            revision: 1,
            create_time: Some(timestamp(now)),
            update_time: Some(timestamp(now)),
            ..pb::Video::default()
        };
        show(&mut video, &source);
        let entry = Entry { id: video_id, source_id: source.id, video };
        Creation { source: Some(source.into()), entry: Some(entry.into()) }
    }

    /// Makes the rows of a creation that are still missing. The video comes first, because settling the source expects
    /// it, and because its tombstone says that all this is long over.
    pub(crate) async fn complete_creation(&self, row: &RequestRow) -> Result<Source, Problem> {
        let creation: Creation = answer(row)?;
        let source = Source::try_from(field::present("source", creation.source)?)?;
        if !row.pending {
            return Ok(source);
        }
        let entry = Entry::try_from(field::present("entry", creation.entry)?)?;
        let video_id = entry.id;
        let video = VideoRow { entry, shown_source: source.revision, last_request: None, purging: false };
        tracing::trace!(name: "create.remembered", target: "point", "an upload is promised and has no rows");
        self.store.insert_video(video).await?;
        tracing::trace!(name: "create.half", target: "point", "a video has no source");
        if self.store.video(video_id).await?.is_some() {
            self.store.insert_source(source.clone()).await?;
            tracing::trace!(name: "create.whole", target: "point", "an upload has its rows, and nothing follows from them");
            self.notices.video_changed(video_id);
            // Once the source is there, the sweep settles it.
            let finished = async { Ok(self.store.finish_request(row.id).await?) };
            try_join(self.settle(&source), finished).await?;
            return Ok(source);
        }
        self.store.finish_request(row.id).await?;
        Ok(source)
    }

    /// A source; how much of it is recorded is exact.
    pub(crate) async fn get_source(&self, key: SourceKey) -> Result<Source, Problem> {
        let found = match key {
            SourceKey::Source(id) => self.store.source(id).await?,
            SourceKey::Upload(id) => self.store.source_of_upload(id).await?,
            SourceKey::Video(id) => {
                let video = self.video(id).await?;
                self.store.source(video.entry.source_id).await?
            }
        };
        let mut source = found.ok_or_else(|| match key {
            SourceKey::Source(id) => Problem::not_found("source", id),
            SourceKey::Upload(id) => Problem::not_found("upload", id),
            SourceKey::Video(id) => Problem::not_found("source of video", id),
        })?;
        if source.upload_state == UploadState::Open {
            source.received = self.store.received(source.id).await?;
        }
        Ok(source)
    }

    /// A source's row.
    pub(crate) async fn source(&self, id: SourceId) -> Result<Source, Problem> {
        self.store.source(id).await?.ok_or_else(|| Problem::not_found("source", id))
    }

    /// Changes a source's row by compare-and-set and settles it. `change` is called again when somebody else was faster.
    pub(crate) async fn update_source(
        &self,
        id: SourceId,
        mut change: impl FnMut(&mut Source) -> Result<(), Problem> + Send,
    ) -> Result<Source, Problem> {
        self.note_in_source(id, |source| change(source).map(|()| Follows::Something)).await
    }

    /// The same for a change that knows whether anything follows from it: jobs, or what the videos show.
    pub(crate) async fn note_in_source(
        &self,
        id: SourceId,
        mut change: impl FnMut(&mut Source) -> Result<Follows, Problem> + Send,
    ) -> Result<Source, Problem> {
        for _ in 0..TRIES {
            let before = self.source(id).await?;
            let mut after = before.clone();
            let follows = change(&mut after)?;
            if after != before {
                after.revision += 1;
                if !self.store.replace_source(after.clone(), before.revision).await? {
                    continue;
                }
                tracing::trace!(name: "source.written", target: "point", "a source is changed, and nothing yet follows from it");
            }
            match follows {
                Follows::Nothing if before.revision == before.shown_revision => {
                    self.store.mark_shown(id, after.revision).await?;
                }
                _ if after.revision != after.shown_revision => self.settle(&after).await?,
                _ => {}
            }
            return Ok(after);
        }
        Err(contended("source", id))
    }

    /// Derives all that follows from a source's row. Harmless to repeat, and with an old row.
    pub(crate) async fn settle(&self, source: &Source) -> Result<(), Problem> {
        let wanted = wanted::derive(source);
        let known = if wanted.is_empty() { Vec::new() } else { self.store.jobs_of(source.id).await? };
        // Side by side, because writes that wait together share a commit.
        let jobs = wanted.into_iter().map(|wanted| self.ensure_job(source.id, wanted, &known));
        let videos = source.video_ids.iter().map(|id| self.refresh_video(*id, source));
        try_join3(try_join_all(jobs), self.cancel_unwanted(source), try_join_all(videos)).await?;
        self.remove_expired(source).await?;
        tracing::trace!(name: "source.settled", target: "point", "all follows from a source, and its row does not say so");
        self.store.mark_shown(source.id, source.revision).await?;
        self.tell_source(source, Vec::new());
        Ok(())
    }

    /// What never came can't be watched or restored: the videos of an expired upload are purged at once.
    async fn remove_expired(&self, source: &Source) -> Result<(), Problem> {
        if source.life != SourceLife::Live || source.upload_state != UploadState::Expired {
            return Ok(());
        }
        each(&source.video_ids, |id| async move {
            match self.hide_video(*id, self.now()).await {
                Err(problem) if problem.reason != Reason::NotFound => Err(problem),
                _ => Ok(()),
            }
        })
        .await
    }

    /// Tells watchers of a source how it is, and which ranges came.
    pub(crate) fn tell_source(&self, source: &Source, recorded: Vec<pb::ByteRange>) {
        let message = pb::WatchSourceResponse {
            recorded,
            wants: ranges::to_wire(self.wants.of(source.id).iter()),
            revision: source.revision,
            dying: is_going(source),
            lagged: false,
        };
        self.notices.source_changed(source.id, &message);
    }

    /// Shows the source in its video, unless the video shows a newer one.
    async fn refresh_video(&self, id: VideoId, source: &Source) -> Result<(), Problem> {
        self.change_video(id, |row| {
            if row.shown_source >= source.revision {
                return Ok(videos::Change::None);
            }
            row.shown_source = source.revision;
            show(&mut row.entry.video, source);
            Ok(videos::Change::Write)
        })
        .await
        .map(|_| ())
        .or_else(|problem| if problem.reason == Reason::NotFound { Ok(()) } else { Err(problem) })
    }
}

/// Its bytes go, or never came: it takes no more of anything.
pub(crate) fn is_going(source: &Source) -> bool {
    source.life != SourceLife::Live || source.upload_state == UploadState::Expired
}

/// Others were always faster.
pub(crate) fn contended(what: &str, id: impl std::fmt::Display) -> Problem {
    Problem::new(Reason::Unavailable, format!("too many write {what} {id} at once; try again"))
}
