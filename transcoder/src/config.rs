//! Settings, and how a transcoder is put together.

use crate::catalog::Catalog;
use crate::examine::Condition;
use crate::ffmpeg::Program;
use crate::jobs::Tools;
use crate::service::Service;
use crate::worker::Worker;
use std::sync::Arc;
use std::time::Duration;
use vidstream_backends::bus::EventBus;
use vidstream_backends::objects::ObjectStore;
use vidstream_backends::queue::JobQueue;
use vidstream_mesh::channel::Channel;
use vidstream_mesh::lifecycle::Lifecycle;
use vidstream_mesh::trace::Tracer;
use vidstream_proto::pb::transcoder_service_server::TranscoderServiceServer;

/// Between two beats of a lease, at the least.
const QUICKEST_BEAT: Duration = Duration::from_millis(50);

/// Which tracks are encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Encoding {
    /// All that some players do not take.
    #[default]
    All,
    /// Those of which players get nothing otherwise.
    Needed,
    /// None. Files that can't be indexed are read into one that can all the same.
    Nothing,
}

/// Settings of a transcoder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Limits of what is read of a file.
    pub media: vidstream_media::mp4::Limits,
    /// Which tracks are encoded.
    pub encode: Encoding,
    /// Light jobs at once: indexes, posters, deletions.
    pub light_places: usize,
    /// Storyboards at once.
    pub picture_places: usize,
    /// Encodes at once. Each uses all cores.
    pub encode_places: usize,
    /// Jobs that may wait without a place: for bytes of an upload, or for a write deadline.
    pub waiting_places: usize,
    /// Between two looks for work when no bell rings, at the most; at least half of it.
    pub poll: Duration,
    /// Between two beats of a lease, at the most; at most half of `write_deadline`.
    pub beat: Duration,
    /// A worker that could not beat for so long stops what it does. Shorter than a lease takes to die.
    pub lost_after: Duration,
    /// Between the two passes of a deletion: by then every write that was under way has ended.
    pub write_deadline: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            media: vidstream_media::mp4::Limits::default(),
            encode: Encoding::All,
            light_places: 4,
            picture_places: std::thread::available_parallelism().map_or(1, usize::from),
            encode_places: std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(8)),
            waiting_places: 64,
            poll: Duration::from_secs(30),
            beat: Duration::from_secs(5),
            lost_after: Duration::from_secs(20),
            write_deadline: Duration::from_mins(1),
        }
    }
}

/// Puts a [`Transcoder`] together.
#[derive(Debug)]
pub struct Builder {
    catalog: Channel,
    objects: Arc<dyn ObjectStore>,
    queue: Arc<dyn JobQueue>,
    bus: Arc<dyn EventBus>,
    config: Config,
    lifecycle: Lifecycle,
    tracer: Tracer,
}

impl Builder {
    /// Other settings than the usual ones.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// The life it is part of.
    #[must_use]
    pub fn lifecycle(mut self, lifecycle: Lifecycle) -> Self {
        self.lifecycle = lifecycle;
        self
    }

    /// Who collects spans of its jobs.
    #[must_use]
    pub fn tracer(mut self, tracer: Tracer) -> Self {
        self.tracer = tracer;
        self
    }

    /// The transcoder, which does nothing yet.
    pub fn build(self) -> Transcoder {
        let Self { catalog, objects, queue, bus, mut config, lifecycle, tracer } = self;
        // A worker hears with a beat that its source is going. Whoever has not heard yet must not begin a write that a
        // deletion no longer waits for.
        config.beat = config.beat.min(config.write_deadline / 2).max(QUICKEST_BEAT);
        let (catalog, condition) = (Catalog::new(catalog), Condition::default());
        Transcoder { catalog, objects, queue, bus, config, lifecycle, tracer, condition }
    }
}

/// Takes jobs and streams progress.
#[derive(Clone, Debug)]
pub struct Transcoder {
    catalog: Catalog,
    objects: Arc<dyn ObjectStore>,
    queue: Arc<dyn JobQueue>,
    bus: Arc<dyn EventBus>,
    config: Config,
    lifecycle: Lifecycle,
    tracer: Tracer,
    condition: Condition,
}

impl Transcoder {
    /// A transcoder that takes its jobs from the catalog behind this channel.
    pub fn builder(
        catalog: Channel,
        objects: Arc<dyn ObjectStore>,
        queue: Arc<dyn JobQueue>,
        bus: Arc<dyn EventBus>,
    ) -> Builder {
        let (config, lifecycle, tracer) = (Config::default(), Lifecycle::default(), Tracer::default());
        Builder { catalog, objects, queue, bus, config, lifecycle, tracer }
    }

    /// The gRPC service.
    pub fn service(&self) -> TranscoderServiceServer<Service> {
        TranscoderServiceServer::new(Service {
            catalog: self.catalog.clone(),
            objects: Arc::clone(&self.objects),
            queue: Arc::clone(&self.queue),
            bus: Arc::clone(&self.bus),
            life: self.lifecycle.clone(),
            condition: self.condition.clone(),
        })
    }

    /// Takes jobs and does them, with this ffmpeg, until the life's stopping token; then hands back what it holds and
    /// returns.
    pub async fn run(self, program: Program) {
        let Self { catalog, objects, queue, bus, config, lifecycle, tracer, condition } = self;
        condition.works_with(&program);
        let tools = Tools { catalog, objects, program, config: Arc::new(config) };
        Box::pin(Worker::new(tools, queue, bus, lifecycle, tracer, condition).run()).await;
    }
}
