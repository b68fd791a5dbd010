//! The listeners of a process: bound first, because an address is what most often can't be had, and answering from then on.

use crate::front::{Awaited, Front};
use crate::settings::Settings;
use crate::sight::Sight;
use anyhow::Context;
use axum::Router;
use axum::middleware::from_fn;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use vidstream_gateway::http::hosts;
use vidstream_mesh::caller;
use vidstream_mesh::lifecycle::Lifecycle;
use vidstream_mesh::reflection::Introspection;
use vidstream_mesh::serve::{Limits, serve};

/// A listener that answers what its front does.
pub(crate) struct Listener {
    /// Where it listens, the port that was picked included.
    pub(crate) address: SocketAddr,
    front: Front,
}

impl Listener {
    /// The listener that people use.
    pub(crate) async fn public(
        settings: &Settings,
        awaited: &Awaited,
        sight: &Sight,
        life: &Lifecycle,
    ) -> anyhow::Result<Self> {
        let (listener, address) = bind(settings.listen).await?;
        let front = Front::new(awaited.clone());
        // Before anything else, whatever is asked.
        let router = hosts::only(settings.hosts.clone(), front.router());
        listen(listener, router.layer(sight.observer.layer("gateway")), settings.limits.clone(), life);
        Ok(Self { address, front })
    }

    /// The listener that other services use.
    pub(crate) async fn mesh(
        address: SocketAddr,
        awaited: &Awaited,
        sight: &Sight,
        life: &Lifecycle,
    ) -> anyhow::Result<Self> {
        let (listener, address) = bind(address).await?;
        let front = Front::new(awaited.clone());
        // Services call each other by whatever name their network has.
        listen(listener, front.router().layer(sight.observer.layer("mesh")), Limits::default(), life);
        tracing::info!(%address, "mesh listener");
        Ok(Self { address, front })
    }

    /// Answers with `router` from now on, with health and reflection for `services`, and with the process's figures.
    pub(crate) async fn open(
        &self,
        router: Router,
        services: Vec<&'static str>,
        sight: &Sight,
    ) -> anyhow::Result<Introspection> {
        let introspection = Introspection::new(services).await.context("describe the services")?;
        self.front.open(router.merge(introspection.routes.clone().into_axum_router()).merge(sight.metrics.router()));
        Ok(introspection)
    }
}

/// The services of a mesh listener behind their layer.
pub(crate) fn services_only(routes: Router) -> Router {
    routes.layer(from_fn(caller::authorise_mesh))
}

async fn bind(address: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("listen on {address}; is another program there?"))?;
    let address = listener.local_addr().context("read the listener's address")?;
    Ok((listener, address))
}

fn listen(listener: TcpListener, router: Router, limits: Limits, life: &Lifecycle) {
    let served = serve(listener, router, limits, life.clone());
    life.spawn("listener", async move { Ok(served.await?) });
}
