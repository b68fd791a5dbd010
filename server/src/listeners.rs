//! The listeners of a process: bound first, because an address is what most often can't be had, and answering from then on.

use crate::front::{Awaited, Front};
use crate::settings::Settings;
use crate::sight::Sight;
use anyhow::Context;
use axum::Router;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use vidstream_gateway::http::hosts;
use vidstream_mesh::lifecycle::Lifecycle;
use vidstream_mesh::reflection::Introspection;
use vidstream_mesh::serve::{Limits, serve_by};
use vidstream_mesh::tls::ServerTls;

/// A listener that answers what its front does.
pub(crate) struct Listener {
    /// `http://ADDRESS`, `https://ADDRESS` with TLS; with the port that was picked.
    pub(crate) address: String,
    front: Front,
    /// Who answers what is no rpc, as spans call it.
    service: &'static str,
}

impl Listener {
    /// The listener that people use.
    pub(crate) async fn public(settings: &Settings, awaited: &Awaited, life: &Lifecycle) -> anyhow::Result<Self> {
        let (listener, address) = bind(settings.listen).await?;
        let tls = settings.secure.public_tls()?;
        let address = url(address, tls.is_some());
        let front = Front::new(awaited.clone());
        // Before anything else, whatever is asked.
        let router = hosts::only(settings.hosts.clone(), front.router());
        listen(listener, router, settings.limits.clone(), tls, life);
        Ok(Self { address, front, service: "gateway" })
    }

    /// The listener that other services use.
    pub(crate) async fn mesh(
        at: SocketAddr,
        settings: &Settings,
        awaited: &Awaited,
        life: &Lifecycle,
    ) -> anyhow::Result<Self> {
        let (listener, bound) = bind(at).await?;
        let tls = settings.secure.mesh_tls()?;
        let address = url(bound, tls.is_some());
        let front = Front::new(awaited.clone());
        // Services call each other by whatever name their network has.
        listen(listener, front.router(), Limits::mesh(), tls, life);
        tracing::info!(address = %bound, "mesh listener");
        Ok(Self { address, front, service: "mesh" })
    }

    /// Answers with `router` from now on, and with health and reflection for `services`; `sight` sees all of it, and the figures
    /// are on this listener if `has_figures`.
    pub(crate) async fn open(
        &self,
        router: Router,
        services: Vec<&'static str>,
        sight: &Sight,
        has_figures: bool,
    ) -> anyhow::Result<Introspection> {
        let introspection = Introspection::new(services).await.context("describe the services")?;
        let mut router = router.merge(introspection.routes.clone().into_axum_router());
        if has_figures {
            router = router.merge(sight.metrics.router());
        }
        // Here and not around the front: it needs to know which route is taken.
        self.front.open(router.layer(sight.observer.layer(self.service)));
        Ok(introspection)
    }
}

fn url(address: SocketAddr, encrypted: bool) -> String {
    format!("{}://{address}", if encrypted { "https" } else { "http" })
}

async fn bind(address: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("listen on {address}; is another program there?"))?;
    let address = listener.local_addr().context("read the listener's address")?;
    Ok((listener, address))
}

fn listen(listener: TcpListener, router: Router, limits: Limits, tls: Option<ServerTls>, life: &Lifecycle) {
    let served = serve_by(listener, router, limits, tls, life.clone());
    life.serve("listener", async move { Ok(served.await?) });
}
