//! All roles in one process: opens the backends, gives each service clients of the others, serves the listeners.

use crate::open;
use crate::settings::Settings;
use anyhow::Context;
use axum::Router;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tonic::service::Routes;
use vidstream_backends::bus::EventBus;
use vidstream_backends::objects::ObjectStore;
use vidstream_backends::queue::JobQueue;
use vidstream_catalog::Catalog;
use vidstream_catalog::store::{Store, StoreUrl};
use vidstream_gateway::http::hosts;
use vidstream_gateway::{Deps, Gateway};
use vidstream_mesh::channel::Channel;
use vidstream_mesh::in_process;
use vidstream_mesh::layers::{ServerBounds, server_stack};
use vidstream_mesh::lifecycle::Lifecycle;
use vidstream_mesh::reflection::Introspection;
use vidstream_mesh::serve::{Limits, serve_by};
use vidstream_mesh::tls::ServerTls;
use vidstream_proto::pb::catalog_service_client::CatalogServiceClient;
use vidstream_proto::pb::transcoder_service_client::TranscoderServiceClient;
use vidstream_transcoder::{Program, Transcoder};

/// Largest message between services.
const LARGEST_MESSAGE: usize = 16 << 20;

/// A running mesh.
pub struct Mesh {
    /// `http://ADDRESS` of the public listener, `https://ADDRESS` with TLS.
    pub address: String,
    listeners: Vec<Introspection>,
}

impl Mesh {
    /// Says "not serving" on every listener.
    pub async fn say_not_serving(&self) {
        for listener in &self.listeners {
            listener.stop().await;
        }
    }
}

/// Starts everything; when this returns, the listeners answer and there is an ffmpeg to work with.
///
/// # Errors
/// In words. One that holds a [`ProgramError`](vidstream_transcoder::ProgramError) is about the setting `ffmpeg`.
pub async fn start(settings: &Settings, life: &Lifecycle) -> anyhow::Result<Mesh> {
    // While it answers, if it must be asked at all, everything else is opened.
    let (ffmpeg, note) = (PathBuf::from(&settings.ffmpeg), settings.data_dir.join("ffmpeg.checked"));
    let program =
        tokio::spawn(async move { Program::recall(&ffmpeg, vidstream_transcoder::Limits::default(), &note).await });
    // Addresses first: they are what most often can't be had.
    let public = bind(settings.listen).await?;
    let behind = match settings.mesh_listen {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    let secure = &settings.secure;
    let (tls, mesh_tls, token) = (secure.public_tls()?, secure.mesh_tls()?, secure.token()?);
    let backends = Backends::open(settings).await?;
    let catalog = backends.catalog(settings, life);
    let to_catalog = in_process::channel(catalog.service());
    let transcoder = backends.transcoder(settings, life, to_catalog.clone());
    let to_transcoder = in_process::channel(transcoder.service());
    let gateway = backends.gateway(settings, life, to_catalog, to_transcoder);

    let mut listeners = Vec::new();
    let scheme = if tls.is_some() { "https" } else { "http" };
    let address = format!("{scheme}://{}", public.local_addr().context("read the public address")?);
    let (edge, introspection) = with_introspection(gateway.router(), vec![GATEWAY, UPLOADS]).await?;
    listen(public, hosts::only(settings.hosts.clone(), edge), settings.limits.clone(), tls, life);
    listeners.push(introspection);
    if let Some(behind) = behind {
        tracing::info!(address = %behind.local_addr().context("read the mesh address")?, "mesh listener");
        let routes = Routes::from(Router::new()).add_service(catalog.service()).add_service(transcoder.service());
        let routes = server_stack(routes.into_axum_router(), token, &ServerBounds::default());
        let (services, introspection) = with_introspection(routes, vec![CATALOG, TRANSCODER]).await?;
        // Services call each other by whatever name their network has.
        listen(behind, services, Limits::mesh(), mesh_tls, life);
        listeners.push(introspection);
    }
    life.spawn("catalog", Box::pin(catalog.run()));
    let program = program.await.context("ask ffmpeg")?.context("the ffmpeg that is set can't be used")?;
    life.spawn("transcoder", async move {
        transcoder.run(program).await;
        Ok(())
    });
    Ok(Mesh { address, listeners })
}

/// What services keep things in and hear each other by.
struct Backends {
    objects: Arc<dyn ObjectStore>,
    queue: Arc<dyn JobQueue>,
    bus: Arc<dyn EventBus>,
    store: Arc<dyn Store>,
}

impl Backends {
    async fn open(settings: &Settings) -> anyhow::Result<Self> {
        Ok(Self {
            objects: open::objects(&settings.objects)
                .await
                .with_context(|| format!("open the object store {}", settings.objects))?,
            queue: open::queue(&settings.queue)
                .await
                .with_context(|| format!("open the job queue {}", settings.queue))?,
            bus: open::bus(&settings.events)
                .await
                .with_context(|| format!("open the event bus {}", settings.events))?,
            store: open::store(&settings.catalog)
                .await
                .with_context(|| format!("open the catalog {}", settings.catalog))?,
        })
    }

    fn catalog(&self, settings: &Settings, life: &Lifecycle) -> Catalog {
        let (queue, bus, objects) = (Arc::clone(&self.queue), Arc::clone(&self.bus), Arc::clone(&self.objects));
        Catalog::builder(Arc::clone(&self.store), queue, bus, objects)
            .config(vidstream_catalog::Config {
                purge_after: settings.purge_after,
                upload_expiry: settings.upload_expiry,
                write_deadline: settings.write_deadline,
                // The workers of an earlier run lived in the same process and are gone, unless others share the catalog.
                free_leases_at_start: matches!(settings.catalog, StoreUrl::Sqlite(_)),
                ..Default::default()
            })
            .lifecycle(life.clone())
            .build()
    }

    fn transcoder(&self, settings: &Settings, life: &Lifecycle, catalog: Channel) -> Transcoder {
        let (queue, bus, objects) = (Arc::clone(&self.queue), Arc::clone(&self.bus), Arc::clone(&self.objects));
        Transcoder::builder(catalog, objects, queue, bus)
            .config(vidstream_transcoder::Config {
                write_deadline: settings.write_deadline,
                media: settings.media,
                ..Default::default()
            })
            .lifecycle(life.clone())
            .build()
    }

    fn gateway(&self, settings: &Settings, life: &Lifecycle, catalog: Channel, transcoder: Channel) -> Gateway {
        Gateway::new(Deps {
            catalog: CatalogServiceClient::new(catalog).max_decoding_message_size(LARGEST_MESSAGE),
            transcoder: TranscoderServiceClient::new(transcoder),
            objects: Arc::clone(&self.objects),
            lifecycle: life.clone(),
            config: Arc::new(vidstream_gateway::Config {
                public_url: settings.public_url.clone().unwrap_or_default(),
                upload_memory: settings.upload_memory,
                ..Default::default()
            }),
        })
    }
}

const GATEWAY: &str = "vidstream.v1.GatewayService";
const UPLOADS: &str = "vidstream.v1.UploadService";
const CATALOG: &str = "vidstream.v1.CatalogService";
const TRANSCODER: &str = "vidstream.v1.TranscoderService";

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("listen on {address}; is another program there?"))
}

/// `router` with health and reflection for `services`.
async fn with_introspection(router: Router, services: Vec<&'static str>) -> anyhow::Result<(Router, Introspection)> {
    let introspection = Introspection::new(services).await.context("describe the services")?;
    Ok((router.merge(introspection.routes.clone().into_axum_router()), introspection))
}

fn listen(listener: TcpListener, router: Router, limits: Limits, tls: Option<ServerTls>, life: &Lifecycle) {
    let served = serve_by(listener, router, limits, tls, life.clone());
    life.spawn("listener", async move { Ok(served.await?) });
}
