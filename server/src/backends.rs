//! What services keep things in and hear each other by, opened: waited for where it is a server that is not there yet.

use crate::front::Awaited;
use crate::open;
use crate::roles::Role;
use crate::settings::Settings;
use anyhow::Context;
use std::sync::Arc;
use tokio::time::sleep;
use vidstream_backends::bus::EventBus;
use vidstream_backends::objects::ObjectStore;
use vidstream_backends::queue::JobQueue;
use vidstream_backends::retry::Backoff;
use vidstream_catalog::store::Store;

/// The backends of a process.
pub(crate) struct Backends {
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) queue: Arc<dyn JobQueue>,
    pub(crate) bus: Arc<dyn EventBus>,
    /// Only where the catalog runs.
    pub(crate) store: Option<Arc<dyn Store>>,
}

impl Backends {
    /// Opens what the roles need. Servers that are away are waited for, what is wrong with the settings is an error.
    pub(crate) async fn open(settings: &Settings, awaited: &Awaited) -> anyhow::Result<Self> {
        let objects = until_there(awaited, format!("the object store {}", settings.objects), async || {
            open::objects(&settings.objects).await
        });
        let store = async {
            if !settings.roles.has(Role::Catalog) {
                return Ok(None);
            }
            let what = format!("the catalog's store {}", settings.catalog);
            until_there(awaited, what, async || open::store(&settings.catalog).await).await.map(Some)
        };
        let (objects, store) = tokio::try_join!(objects, store)?;
        Ok(Self {
            objects,
            store,
            // Clients of these connect when they are used, and say themselves what is wrong.
            queue: open::queue(&settings.queue)
                .await
                .with_context(|| format!("open the job queue {}", settings.queue))?,
            bus: open::bus(&settings.events)
                .await
                .with_context(|| format!("open the event bus {}", settings.events))?,
        })
    }
}

/// What `open` opens, tried until the server is there. An error that time won't mend is returned.
pub(crate) async fn until_there<T>(
    awaited: &Awaited,
    what: String,
    open: impl AsyncFn() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut backoff = Backoff::default();
    loop {
        let error = match open().await {
            Ok(opened) => {
                if awaited.has(&what) {
                    tracing::info!("{what} is there");
                }
                return Ok(opened);
            }
            Err(error) if open::may_pass(&error) => error,
            Err(error) => return Err(error.context(format!("open {what}"))),
        };
        let why = format!("{error:#}");
        if awaited.waits(&what, why.clone()) {
            tracing::warn!("waiting for {what}: {why}");
        }
        sleep(backoff.next_wait()).await;
    }
}
