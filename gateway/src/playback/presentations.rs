//! Opened indexes: loaded once from the object store, planned once.

use super::cache::{Generation, name, saturated, unreadable};
use moka::future::Cache;
use std::sync::Arc;
use std::time::Duration;
use vidstream_backends::objects::ObjectStore;
use vidstream_media::codec::Codec;
use vidstream_media::index::MediaIndex;
use vidstream_media::presentation::Presentation;
use vidstream_media::stored::StoredIndexError;
use vidstream_proto::error::{Problem, Reason};

/// When to ask again for what waits until its index is made anew.
const REBUILD_DELAY: Duration = Duration::from_secs(5);

fn undecoded(error: StoredIndexError) -> Problem {
    match error {
        // The sweep has it made anew; the new one has a generation of its own.
        StoredIndexError::Version(_) => {
            let words = "its index is of another version of this program and is being made anew";
            Problem::new(Reason::NotReady, words).retry_after(REBUILD_DELAY)
        }
        error => Problem::new(Reason::Internal, format!("the stored index can't be read: {error}")),
    }
}

/// Largest stored index that is opened. A day of ordinary video takes a tenth.
const LARGEST_INDEX: u64 = 256 << 20;

/// The opened indexes of renditions, weighed by bytes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Presentations {
    objects: Arc<dyn ObjectStore>,
    opened: Cache<Generation, Arc<Opened>>,
}

/// An opened index with its plan.
#[derive(Debug)]
pub struct Opened {
    /// Both.
    pub presentation: Presentation,
    weight: u32,
}

impl Presentations {
    /// None yet; at most `budget` bytes of them.
    pub fn new(objects: Arc<dyn ObjectStore>, budget: u64) -> Self {
        let opened = Cache::builder().max_capacity(budget).weigher(|_, opened: &Arc<Opened>| opened.weight).build();
        Self { objects, opened }
    }

    /// The rendition of `generation`, whose index is stored under `object`. Pictures that are encoded segment by segment are
    /// decoded by `configuration`, which their plan could not know.
    pub async fn opened(
        &self,
        generation: &Generation,
        object: &str,
        configuration: Option<&[u8]>,
    ) -> Result<Arc<Opened>, Problem> {
        let opened = self.opened.try_get_with(generation.clone(), self.open(object, configuration)).await;
        opened.map_err(|problem: Arc<Problem>| (*problem).clone())
    }

    async fn open(&self, object: &str, configuration: Option<&[u8]>) -> Result<Arc<Opened>, Problem> {
        let stored = self.objects.read(&name(object)?, LARGEST_INDEX).await.map_err(unreadable)?;
        let codec = configuration.map(|avcc| Codec::H264 { avcc: avcc.to_vec() });
        // A long film takes some milliseconds to plan.
        let opened = tokio::task::spawn_blocking(move || {
            let mut index = MediaIndex::decode(&stored).map_err(undecoded)?;
            if let (Some(codec), Some(track)) = (codec, index.tracks.first_mut()) {
                track.codec = codec;
            }
            let presentation = Presentation::new(index);
            let segments: usize = presentation.renditions().map(|r| r.plan.segments().len()).sum();
            let weight = saturated(stored.len() + segments * size_of::<vidstream_media::plan::Segment>());
            Ok(Arc::new(Opened { presentation, weight }))
        });
        opened.await.unwrap_or_else(|_| Err(Problem::new(Reason::Internal, "opening the index broke off")))
    }
}
