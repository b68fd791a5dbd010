//! What playback keeps in memory, weighed by bytes: files made on request, readers that know where the bytes of sources
//! lie, and of media only what took many reads to gather. Each thing is made once, however many ask for it at the same time.

use super::body;
use super::made::Made;
use super::records::CompleteRecords;
use super::view::View;
use crate::Deps;
use moka::future::Cache as Held;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use vidstream_backends::objects::{ObjectError, ObjectName};
use vidstream_media::presentation::TrackName;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::SourceId;
use vidstream_source::extents::CELL;
use vidstream_source::made::MadeFile;
use vidstream_source::reader::SourceReader;

/// Reads that cost more than to copy what they read.
const MANY_READS: usize = 16;
/// The largest file that is gathered in memory. Minutes of sound are smaller, and pictures in a few reads.
const LARGEST_GATHERED: u64 = 1 << 20;

/// Everything playback keeps. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Cache {
    deps: Deps,
    files: Held<FileKey, Arc<Made>>,
    gathered: Held<FileKey, Arc<Made>>,
    readers: Held<(SourceId, Option<MadeFile>), SourceReader>,
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
    /// Nothing yet; at most `budget` bytes.
    pub fn new(deps: Deps, budget: u64) -> Self {
        let made = || Held::builder().weigher(|_, made: &Arc<Made>| saturated(made.weight()));
        let readers = Held::builder().weigher(|_, reader| weight_of(reader)).max_capacity(budget / 4).build();
        let (files, gathered) = (made().max_capacity(budget / 4).build(), made().max_capacity(budget / 2).build());
        Self { deps, files, gathered, readers }
    }

    /// The file, made by `making` unless it is held.
    pub async fn file(
        &self,
        generation: &Generation,
        file: File,
        making: impl Future<Output = Result<Made, Problem>>,
    ) -> Result<Arc<Made>, Problem> {
        let made = self.files.try_get_with((generation.clone(), file), async { making.await.map(Arc::new) });
        made.await.map_err(|problem: Arc<Problem>| (*problem).clone())
    }

    /// The file as bytes of our own, where gathering it takes more than [`MANY_READS`]: sound that lies in small bits
    /// between the pictures. The system's own cache has pages, most of whose bytes are of pictures.
    pub async fn gathered(
        &self,
        view: &View,
        generation: &Generation,
        file: File,
        made: Arc<Made>,
    ) -> Result<Arc<Made>, Problem> {
        if made.len() > LARGEST_GATHERED || !made.may_be_scattered(MANY_READS) {
            return Ok(made);
        }
        let key = (generation.clone(), file);
        if let Some(gathered) = self.gathered.get(&key).await {
            return Ok(gathered);
        }
        let reader = self.reader(view, made.file()).await;
        let part = made.part(0..made.len());
        if body::reads(&reader, &part.1) <= MANY_READS {
            return Ok(made);
        }
        let gathering = async {
            let bytes = body::gathered(reader, part).await?;
            Ok(Arc::new(Made::own(made.tag.clone(), bytes)))
        };
        self.gathered.try_get_with(key, gathering).await.map_err(|problem: Arc<Problem>| (*problem).clone())
    }

    /// A reader of `file` of the view's source, of its own bytes if that is none: it is complete, so the reader knows where
    /// the bytes lie and waits for none.
    pub async fn reader(&self, view: &View, file: Option<&MadeFile>) -> SourceReader {
        let (id, size) = (view.source.id, view.source.size);
        let open = async {
            if let Some(file) = file {
                return SourceReader::of_made(file.clone(), Arc::clone(&self.deps.objects));
            }
            let records = Arc::new(CompleteRecords::new(self.deps.clone(), id));
            SourceReader::new(id, size, Arc::clone(&self.deps.objects), records).with_patience(Duration::ZERO)
        };
        self.readers.get_with((id, file.cloned()), open).await
    }
}

/// What the records of a whole file take in memory, which a reader comes to hold.
fn weight_of(reader: &SourceReader) -> u32 {
    u32::try_from(512 + reader.size() / CELL * 160).unwrap_or(u32::MAX)
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

/// A weight in bytes, as caches count it.
pub fn saturated(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
