//! The roles of one process: opens the backends, gives each service clients of the others, serves the listeners.

use crate::backends::{Backends, until_there};
use crate::ffmpeg;
use crate::front::Awaited;
use crate::listeners::Listener;
use crate::open;
use crate::roles::Role;
use crate::settings::Settings;
use crate::sight::Sight;
use anyhow::Context;
use axum::Router;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tonic::Request;
use tonic::service::Routes;
use tower::Layer;
use vidstream_catalog::Catalog;
use vidstream_catalog::store::{Store, StoreUrl};
use vidstream_gateway::http::{self, health};
use vidstream_gateway::{Deps, Gateway};
use vidstream_mesh::channel::Channel;
use vidstream_mesh::client::{self, ClientOptions, Peers};
use vidstream_mesh::in_process;
use vidstream_mesh::layers::{ServerBounds, server_stack};
use vidstream_mesh::lifecycle::Lifecycle;
use vidstream_mesh::reflection::Introspection;
use vidstream_proto::pb;
use vidstream_proto::pb::catalog_service_client::CatalogServiceClient;
use vidstream_proto::pb::transcoder_service_client::TranscoderServiceClient;
use vidstream_transcoder::{Program, Transcoder};

/// Largest message between services.
const LARGEST_MESSAGE: usize = 16 << 20;

/// A catalog that takes longer for a read of one entry is not there yet.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// Who is there is connected by then.
const LOOK: Duration = Duration::from_secs(1);

const GATEWAY: &str = "vidstream.v1.GatewayService";
const UPLOADS: &str = "vidstream.v1.UploadService";
const CATALOG: &str = "vidstream.v1.CatalogService";
const TRANSCODER: &str = "vidstream.v1.TranscoderService";

/// The running services of a process.
pub struct Mesh {
    /// `http://ADDRESS` of the public listener, or of the mesh listener where there is no gateway.
    pub address: String,
    listeners: Vec<Introspection>,
    sight: Sight,
}

impl Mesh {
    /// One without listeners.
    #[cfg(test)]
    pub(crate) fn bare() -> Self {
        let settings = Settings::resolve(None, [], Vec::new()).expect("defaults are valid");
        let sight = Sight::new(&settings).expect("no collector");
        Self { address: String::new(), listeners: Vec::new(), sight }
    }

    /// Says "not serving" on every listener.
    pub async fn say_not_serving(&self) {
        for listener in &self.listeners {
            listener.stop().await;
        }
    }

    /// Sends spans that are not sent yet, once all that makes some has ended.
    pub async fn send_last_spans(&self) {
        self.sight.end().await;
    }
}

/// Starts the services that are set; when this returns, they do their work: what they need is there, in this process or
/// another. Until then the listeners say what is waited for.
///
/// # Errors
/// In words. One that holds a [`ProgramError`](vidstream_transcoder::ProgramError) is about the setting `ffmpeg`.
pub async fn start(settings: &Settings, life: &Lifecycle) -> anyhow::Result<Mesh> {
    let awaited = Awaited::default();
    let sight = Sight::new(settings)?;
    // While it answers, if it must be asked at all, everything else is opened.
    let program = settings.roles.has(Role::Transcoder).then(|| tokio::spawn(ffmpeg::recall(settings)));
    let public =
        if settings.roles.has(Role::Gateway) { Some(Listener::public(settings, &awaited, life).await?) } else { None };
    let behind = match settings.mesh_listen {
        Some(address) => Some(Listener::mesh(address, settings, &awaited, life).await?),
        None => None,
    };
    let backends = Backends::open(settings, &awaited).await?;
    let services = Services::make(settings, &backends, &awaited, &sight, life).await?;
    if let Some(catalog) = &services.catalog
        && let Err(problem) = catalog.set_clock().await
    {
        tracing::warn!(%problem, "the catalog's clock was not set by its database's; the next sweep tries again");
    }
    let program = match program {
        Some(program) => Some(program.await.context("ask ffmpeg")?.context("the ffmpeg that is set can't be used")?),
        None => None,
    };
    let mut mesh = Mesh { address: String::new(), listeners: Vec::new(), sight };
    if let Some(behind) = &behind {
        mesh.address.clone_from(&behind.address);
        let health = services.health(&backends, life, program.as_ref());
        mesh.listeners.push(services.open_mesh(behind, settings, health, &mesh.sight).await?);
    }
    if let Some(public) = &public {
        mesh.address.clone_from(&public.address);
        let gateway = services.gateway(settings, &backends, life)?.saying(ffmpeg::about(program.as_ref()));
        mesh.listeners
            .push(public.open(gateway.router(), vec![GATEWAY, UPLOADS], &mesh.sight, behind.is_none()).await?);
    }
    services.run(program, life);
    Ok(mesh)
}

/// The services of this process, and ways to those of others.
struct Services {
    catalog: Option<Catalog>,
    transcoder: Option<Transcoder>,
    to_catalog: Channel,
    /// Only where somebody asks the transcoder.
    to_transcoder: Option<Channel>,
}

impl Services {
    async fn make(
        settings: &Settings,
        backends: &Backends,
        awaited: &Awaited,
        sight: &Sight,
        life: &Lifecycle,
    ) -> anyhow::Result<Self> {
        let catalog = backends.store.as_ref().map(|store| make_catalog(store, settings, backends, life));
        let to_catalog = if let Some(catalog) = &catalog {
            catalog.show_on(&sight.metrics);
            in_process::channel(sight.observer.layer("catalog").layer(catalog.service()))
        } else {
            let peers = settings.to_catalog.as_ref().context("--to-catalog is not set")?;
            let service = connect(peers, settings, life)?;
            answers(awaited, format!("the catalog at {peers}"), &service).await?;
            service.channel
        };
        let runs = settings.roles.has(Role::Transcoder);
        let transcoder = runs.then(|| make_transcoder(settings, backends, sight, life, to_catalog.clone()));
        let to_transcoder = match (&transcoder, &settings.to_transcoder) {
            (Some(transcoder), _) => {
                Some(in_process::channel(sight.observer.layer("transcoder").layer(transcoder.service())))
            }
            // Not waited for: without one, videos are taken and played, and progress is asked for again.
            (None, Some(peers)) => Some(connect(peers, settings, life)?.channel),
            (None, None) => None,
        };
        Ok(Self { catalog, transcoder, to_catalog, to_transcoder })
    }

    /// Opens the listener that other services use, for what of it is here.
    async fn open_mesh(
        &self,
        listener: &Listener,
        settings: &Settings,
        health: health::Needs,
        sight: &Sight,
    ) -> anyhow::Result<Introspection> {
        let (mut routes, mut names) = (Routes::from(Router::new()), Vec::new());
        if let Some(catalog) = &self.catalog {
            (routes, names) = (routes.add_service(catalog.service()), [names, vec![CATALOG]].concat());
        }
        if let Some(transcoder) = &self.transcoder {
            (routes, names) = (routes.add_service(transcoder.service()), [names, vec![TRANSCODER]].concat());
        }
        let services = server_stack(routes.into_axum_router(), settings.secure.token()?, &ServerBounds::default());
        let unknown = async |request: axum::extract::Request| http::unknown(&request);
        listener.open(services.merge(health::router(health)).fallback(unknown), names, sight, true).await
    }

    fn health(&self, backends: &Backends, life: &Lifecycle, program: Option<&Program>) -> health::Needs {
        let (objects, lifecycle) = (Arc::clone(&backends.objects), life.clone());
        health::Needs { catalog: self.catalog_client(), objects, lifecycle, about: ffmpeg::about(program) }
    }

    fn catalog_client(&self) -> CatalogServiceClient<Channel> {
        CatalogServiceClient::new(self.to_catalog.clone()).max_decoding_message_size(LARGEST_MESSAGE)
    }

    fn gateway(&self, settings: &Settings, backends: &Backends, life: &Lifecycle) -> anyhow::Result<Gateway> {
        let to_transcoder = self.to_transcoder.clone().context("--to-transcoder is not set")?;
        let gateway = Gateway::new(Deps {
            catalog: self.catalog_client(),
            transcoder: TranscoderServiceClient::new(to_transcoder),
            objects: Arc::clone(&backends.objects),
            lifecycle: life.clone(),
            config: Arc::new(vidstream_gateway::Config {
                public_url: settings.public_url.clone().unwrap_or_default(),
                upload_memory: settings.upload_memory,
                presign: settings.edge.presign,
                ..Default::default()
            }),
        });
        Ok(match open::near(&settings.edge, &backends.objects)? {
            Some(near) => gateway.reading_through(near),
            None => gateway,
        })
    }

    /// Lets the services work until the life ends.
    fn run(self, program: Option<Program>, life: &Lifecycle) {
        if let Some(catalog) = self.catalog {
            life.spawn("catalog", Box::pin(catalog.run()));
        }
        if let (Some(transcoder), Some(program)) = (self.transcoder, program) {
            life.spawn("transcoder", async move {
                transcoder.run(program).await;
                Ok(())
            });
        }
    }
}

/// A service of other processes, called by what proves that we belong to its mesh.
fn connect(peers: &Peers, settings: &Settings, life: &Lifecycle) -> anyhow::Result<client::Service> {
    let options = ClientOptions {
        tls: settings.secure.client_tls()?,
        token: settings.secure.token()?,
        ..ClientOptions::default()
    };
    Ok(client::connect(peers.clone(), options, life))
}

/// Waits until the catalog answers a read. A connection alone is no proof: a listener answers before there is anything behind
/// it, and to strangers.
async fn answers(awaited: &Awaited, what: String, service: &client::Service) -> anyhow::Result<()> {
    until_there(awaited, what, async || {
        // Whoever has just begun to look can't say yet that it is not there.
        let _ = timeout(LOOK, service.reach.come()).await;
        // Says where it is looked for, and why in vain.
        service.reach.now()?;
        let mut read = Request::new(pb::ListEntriesRequest { page_size: 1, ..Default::default() });
        read.set_timeout(READ_WITHIN);
        CatalogServiceClient::new(service.channel.clone()).list_entries(read).await.map_err(open::Refused)?;
        Ok(())
    })
    .await
}

/// Whether no process but this one has workers of its catalog: those of an earlier run are gone then.
fn has_all_workers(settings: &Settings) -> bool {
    let alone = matches!(settings.catalog, StoreUrl::Sqlite(_)) && settings.mesh_listen.is_none();
    alone && settings.roles.has(Role::Transcoder)
}

fn make_catalog(store: &Arc<dyn Store>, settings: &Settings, backends: &Backends, life: &Lifecycle) -> Catalog {
    let (queue, bus, objects) = (Arc::clone(&backends.queue), Arc::clone(&backends.bus), Arc::clone(&backends.objects));
    Catalog::builder(Arc::clone(store), queue, bus, objects)
        .config(vidstream_catalog::Config {
            purge_after: settings.purge_after,
            upload_expiry: settings.upload_expiry,
            write_deadline: settings.write_deadline,
            lease_death: settings.lease,
            sweep_interval: settings.lease,
            garbage_margin: settings.garbage_margin,
            free_leases_at_start: has_all_workers(settings),
            ..Default::default()
        })
        .lifecycle(life.clone())
        .build()
}

fn make_transcoder(
    settings: &Settings,
    backends: &Backends,
    sight: &Sight,
    life: &Lifecycle,
    catalog: Channel,
) -> Transcoder {
    let (queue, bus, objects) = (Arc::clone(&backends.queue), Arc::clone(&backends.bus), Arc::clone(&backends.objects));
    let usual = vidstream_transcoder::Config::default();
    Transcoder::builder(catalog, objects, queue, bus)
        .tracer(sight.observer.tracer().clone())
        .config(vidstream_transcoder::Config {
            write_deadline: settings.write_deadline,
            media: settings.media,
            encode: settings.encode,
            picture_places: settings.ffmpeg.jobs.unwrap_or(usual.picture_places),
            encode_places: settings.ffmpeg.jobs.unwrap_or(usual.encode_places),
            poll: settings.lease,
            beat: settings.lease / 6,
            lost_after: settings.lease * 2 / 3,
            ..usual
        })
        .lifecycle(life.clone())
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_are_freed_only_where_nobody_else_can_hold_one() {
        let settings = |flags: &[(&'static str, &str)]| {
            let flags = flags.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
            Settings::resolve(None, [], flags).expect("valid")
        };
        assert!(has_all_workers(&settings(&[])));
        assert!(!has_all_workers(&settings(&[("mesh-listen", "127.0.0.1:7070"), ("queue", "amqp://h")])));
        assert!(!has_all_workers(&settings(&[("catalog", "mongodb://h")])));
    }
}
