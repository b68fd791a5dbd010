//! The service's parts and how they are put together.

use crate::Config;
use crate::again::Makers;
use crate::bells::Bells;
use crate::examine::WorkersSeen;
use crate::feed::look::Looks;
use crate::figures::Figures;
use crate::notices::Notices;
use crate::room::Owed;
use crate::service::Service;
use crate::store::Store;
use crate::time::StoreClock;
use crate::views::Viewers;
use crate::wants::Wants;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;
use tokio::sync::{Notify, OnceCell};
use vidstream_backends::bus::EventBus;
use vidstream_backends::objects::ObjectStore;
use vidstream_backends::queue::JobQueue;
use vidstream_mesh::clock::{self, Clock};
use vidstream_mesh::lifecycle::Lifecycle;
use vidstream_proto::ids::SourceId;
use vidstream_proto::pb::catalog_service_server::CatalogServiceServer;

/// Largest request: a call records at most some hundred extents.
const LARGEST_REQUEST: usize = 8 << 20;
/// Largest answer; pages of records are cut well below it.
const LARGEST_ANSWER: usize = 16 << 20;

/// Times that a compare-and-set is tried before the caller hears that others were always faster.
pub(crate) const TRIES: usize = 64;

/// The catalog. Cheap to clone; clones share everything.
#[derive(Clone, Debug)]
pub struct Catalog {
    pub(crate) config: Arc<Config>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) queue: Arc<dyn JobQueue>,
    pub(crate) bells: Arc<Bells>,
    /// Only for what nothing refers to: bytes that are used are others' business.
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) notices: Notices,
    pub(crate) clock: Arc<StoreClock>,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) wants: Arc<Wants>,
    pub(crate) viewers: Arc<Viewers>,
    pub(crate) makers: Arc<Makers>,
    pub(crate) looks: Arc<Looks>,
    pub(crate) figures: Figures,
    pub(crate) workers: Arc<WorkersSeen>,
    /// Sources with bytes recorded since their row last said so.
    pub(crate) arrivals: Arc<Mutex<HashSet<SourceId>>>,
    /// What unfinished uploads have yet to bring.
    pub(crate) owed: Arc<Mutex<Owed>>,
    /// Something becomes due earlier than was known.
    pub(crate) due: Arc<Notify>,
    /// The leases of this process's former life were ended.
    pub(crate) freed: Arc<OnceCell<()>>,
}

/// Puts a [`Catalog`] together.
#[derive(Debug)]
pub struct Builder {
    store: Arc<dyn Store>,
    queue: Arc<dyn JobQueue>,
    bus: Arc<dyn EventBus>,
    objects: Arc<dyn ObjectStore>,
    config: Config,
    clock: Arc<dyn Clock>,
    lifecycle: Lifecycle,
}

impl Builder {
    /// Other settings than the default ones.
    #[must_use]
    pub fn config(self, config: Config) -> Self {
        Self { config, ..self }
    }

    /// Another clock than the machine's.
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// The life that ends its streams and loops.
    #[must_use]
    pub fn lifecycle(self, lifecycle: Lifecycle) -> Self {
        Self { lifecycle, ..self }
    }

    /// The catalog. [`Catalog::run`] has to run beside it.
    ///
    /// # Panics
    /// Outside of a tokio runtime: its notices have a task of their own.
    pub fn build(self) -> Catalog {
        let Self { store, queue, bus, objects, config, clock, lifecycle } = self;
        Catalog {
            config: Arc::new(config),
            store,
            queue,
            bells: Arc::default(),
            objects,
            notices: Notices::new(bus),
            clock: Arc::new(StoreClock::new(clock)),
            lifecycle,
            wants: Arc::default(),
            viewers: Arc::default(),
            makers: Arc::default(),
            looks: Arc::default(),
            figures: Figures::default(),
            workers: Arc::default(),
            arrivals: Arc::default(),
            owed: Arc::default(),
            due: Arc::default(),
            freed: Arc::default(),
        }
    }
}

impl Catalog {
    /// Begins a catalog over these backends.
    pub fn builder(
        store: Arc<dyn Store>,
        queue: Arc<dyn JobQueue>,
        bus: Arc<dyn EventBus>,
        objects: Arc<dyn ObjectStore>,
    ) -> Builder {
        let (config, clock, lifecycle) = (Config::default(), clock::system(), Lifecycle::new());
        Builder { store, queue, bus, objects, config, clock, lifecycle }
    }

    /// Its gRPC service.
    pub fn service(&self) -> CatalogServiceServer<Service> {
        CatalogServiceServer::new(Service::new(self.clone()))
            .max_decoding_message_size(LARGEST_REQUEST)
            .max_encoding_message_size(LARGEST_ANSWER)
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }
}
