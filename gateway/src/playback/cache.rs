//! What playback keeps in memory, weighed by bytes: opened indexes, readers of sources, and files made on request. Media
//! bytes are never among them. Each thing is made once, however many ask for it at the same time.

use super::made::Made;
use super::records::SourceRecords;
use super::view::View;
use crate::Deps;
use moka::future::Cache as Held;
use std::future::Future;
use std::sync::Arc;
use vidstream_backends::objects::{ObjectError, ObjectName};
use vidstream_media::index::MediaIndex;
use vidstream_media::presentation::{Presentation, TrackName};
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::SourceId;
use vidstream_proto::pb;
use vidstream_source::reader::SourceReader;

/// Largest stored index that is opened. A day of ordinary video takes a tenth.
const LARGEST_INDEX: u64 = 256 << 20;
/// Sources whose readers are held. A reader holds the records it has read, some tens of bytes a MiB of media.
const READERS: u64 = 1024;

/// Everything playback keeps.
#[derive(Clone, Debug)]
pub struct Cache {
    deps: Deps,
    presentations: Held<Generation, Arc<Opened>>,
    files: Held<FileKey, Arc<Made>>,
    readers: Held<SourceId, SourceReader<SourceRecords>>,
}

/// A version of a part of a source.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Generation {
    source: SourceId,
    hash: Arc<str>,
}

/// A file that follows from a generation of a part.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum File {
    /// The HLS multivariant playlist.
    Multivariant,
    /// The DASH manifest.
    Manifest,
    /// A track's HLS media playlist.
    Playlist(TrackName),
    /// A track's init segment.
    Init(TrackName),
    /// A track's segment, counted from 1.
    Segment(TrackName, u32),
    /// The storyboard's WebVTT.
    StoryboardVtt,
    /// The storyboard's JSON.
    StoryboardJson,
}

type FileKey = (Generation, File);

#[derive(Debug)]
struct Opened {
    presentation: Presentation,
    weight: u32,
}

impl Generation {
    /// The version `hash` of a part of `source`.
    pub fn new(source: SourceId, hash: &str) -> Self {
        Self { source, hash: Arc::from(hash) }
    }

    /// Its hash, as addresses carry it.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

impl Cache {
    /// Nothing yet. Half of the budget is for indexes, half for files.
    pub fn new(deps: Deps) -> Self {
        let half = deps.config.cache_bytes / 2;
        let presentations = Held::builder().max_capacity(half).weigher(|_, opened: &Arc<Opened>| opened.weight).build();
        let files = Held::builder().max_capacity(half).weigher(|_, made: &Arc<Made>| saturated(made.weight())).build();
        Self { deps, presentations, files, readers: Held::new(READERS) }
    }

    /// The file, made by `make` unless it is held.
    pub async fn file(
        &self,
        generation: &Generation,
        file: File,
        make: impl Future<Output = Result<Made, Problem>>,
    ) -> Result<Arc<Made>, Problem> {
        let made = self.files.try_get_with((generation.clone(), file), async { make.await.map(Arc::new) });
        made.await.map_err(|problem: Arc<Problem>| (*problem).clone())
    }

    /// What `read` finds in the source rendition of `generation`, whose index is stored under `object`.
    pub async fn presentation<T>(
        &self,
        generation: &Generation,
        object: &str,
        read: impl FnOnce(&Presentation) -> T,
    ) -> Result<T, Problem> {
        let opened = self.presentations.try_get_with(generation.clone(), self.open(object));
        let opened = opened.await.map_err(|problem: Arc<Problem>| (*problem).clone())?;
        Ok(read(&opened.presentation))
    }

    async fn open(&self, object: &str) -> Result<Arc<Opened>, Problem> {
        let stored = self.deps.objects.read(&name(object)?, LARGEST_INDEX).await.map_err(unreadable)?;
        // A long film's index takes some milliseconds to plan.
        let opened = tokio::task::spawn_blocking(move || {
            let index = MediaIndex::decode(&stored).map_err(|error| {
                Problem::new(Reason::Internal, format!("the stored index can't be read: {error}"))
            })?;
            let presentation = Presentation::new(index);
            let segments: usize = presentation.renditions().map(|r| r.plan.segments().len()).sum();
            let weight = saturated(stored.len() + segments * 48 + size_of::<Opened>());
            Ok(Arc::new(Opened { presentation, weight }))
        });
        opened.await.unwrap_or_else(|_| Err(Problem::new(Reason::Internal, "opening the index was given up")))
    }

    /// A reader of the bytes of the view's source, which is complete.
    pub async fn reader(&self, view: &View) -> SourceReader<SourceRecords> {
        let (id, size) = (view.source.id, view.source.size);
        let open = async {
            let records = SourceRecords::new(self.deps.clone(), id);
            SourceReader::new(id, size, Arc::clone(&self.deps.objects), records)
        };
        self.readers.get_with(id, open).await
    }
}

/// The name of an object as the catalog's rows carry it.
pub fn name(object: &str) -> Result<ObjectName, Problem> {
    object.parse().map_err(|error| Problem::new(Reason::Internal, format!("a result names no object: {error}")))
}

/// What to say where an object can't be read.
pub fn unreadable(error: ObjectError) -> Problem {
    match error {
        // Deletion takes the bytes after the row says so; a view may be older.
        ObjectError::NotFound { .. } => Problem::new(Reason::NotFound, "it is gone"),
        error @ ObjectError::Unavailable { .. } => {
            tracing::warn!(error = &error as &dyn std::error::Error, "the object store failed");
            Problem::new(Reason::Unavailable, "the object store does not answer; try again")
        }
        error => Problem::new(Reason::Internal, error.to_string()),
    }
}

fn saturated(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
