//! The edge: uploads, playback, live updates and the web app on one port.
//!
//! It holds clients of the other services and the object store, and no state of its own beyond caches: any gateway can
//! take over from any other in the middle of anything. It knows nothing of ffmpeg or databases.

pub mod blocks;
mod captions;
mod diagnose;
mod explain;
pub mod http;
pub mod live;
pub mod permissions;
pub mod playback;
pub mod service;
pub mod upload;
pub mod web;

use axum::middleware;
use live::Live;
use playback::Playback;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tonic::service::Routes;
use tonic::{Response, Status};
use tonic_web::GrpcWebLayer;
use upload::{UploadMemory, Uploads};
use vidstream_backends::objects::ObjectStore;
use vidstream_mesh::channel::Channel;
use vidstream_mesh::lifecycle::Lifecycle;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::pb::catalog_service_client::CatalogServiceClient;
use vidstream_proto::pb::gateway_service_server::GatewayServiceServer;
use vidstream_proto::pb::transcoder_service_client::TranscoderServiceClient;

/// Settings of a gateway.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// How long a unary call to another service may take.
    pub call_timeout: Duration,
    /// Bytes that headers, indexes and playlists may take in memory.
    pub cache_bytes: u64,
    /// Bytes that all uploads together may take in memory.
    pub upload_memory: u64,
    /// How long an address of the store is good that clients are sent to for pictures; none: they get the bytes here.
    pub presign: Option<Duration>,
    /// The address that people use, such as `https://videos.example.org`; empty: whatever they used to ask.
    pub public_url: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            call_timeout: Duration::from_secs(20),
            cache_bytes: 64 << 20,
            upload_memory: 256 << 20,
            presign: None,
            public_url: String::new(),
        }
    }
}

/// What a gateway works with. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Deps {
    /// The truth about videos and sources.
    pub catalog: CatalogServiceClient<Channel>,
    /// Progress of jobs.
    pub transcoder: TranscoderServiceClient<Channel>,
    /// The bytes.
    pub objects: Arc<dyn ObjectStore>,
    /// When to stop.
    pub lifecycle: Lifecycle,
    /// Settings.
    pub config: Arc<Config>,
}

impl Deps {
    /// The answer to a unary call to another service, within [`Config::call_timeout`].
    pub async fn ask<T>(&self, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Problem> {
        match tokio::time::timeout(self.config.call_timeout, call).await {
            Ok(answer) => Ok(answer?.into_inner()),
            Err(_) => Err(Problem::new(Reason::DeadlineExceeded, "another service took too long to answer; try again")),
        }
    }
}

/// The edge, ready to be served.
#[derive(Clone, Debug)]
pub struct Gateway {
    deps: Deps,
    memory: UploadMemory,
    near: Arc<dyn ObjectStore>,
    about: serde_json::Map<String, serde_json::Value>,
}

impl Gateway {
    /// A gateway over `deps`.
    pub fn new(deps: Deps) -> Self {
        let memory = UploadMemory::new(deps.config.upload_memory);
        let near = Arc::clone(&deps.objects);
        Self { deps, memory, near, about: serde_json::Map::new() }
    }

    /// The same gateway, which reads what it plays through `near`: a [`BlockStore`](blocks::BlockStore) over its store, say.
    pub fn reading_through(self, near: Arc<dyn ObjectStore>) -> Self {
        Self { near, ..self }
    }

    /// The same gateway, whose readiness says this of its process besides.
    pub fn saying(self, about: serde_json::Map<String, serde_json::Value>) -> Self {
        Self { about, ..self }
    }

    /// The memory of its uploads.
    pub fn upload_memory(&self) -> &UploadMemory {
        &self.memory
    }

    /// Everything the public port answers: gRPC, grpc-web, HTTP and the web app. Health and reflection of the listener
    /// are merged by whoever serves it.
    pub fn router(&self) -> axum::Router {
        let deps = || self.deps.clone();
        let playback = Playback::reading_through(Arc::clone(&self.near), deps());
        let routes =
            self.grpc_routes(&playback).merge(upload::router(deps(), self.memory.clone())).merge(playback.router());
        let Deps { catalog, objects, lifecycle, .. } = deps();
        let needs = http::health::Needs { catalog, objects, lifecycle, about: self.about.clone() };
        http::edge(routes.merge(http::health::router(needs)))
    }

    /// The public services, for gRPC and grpc-web.
    fn grpc_routes(&self, playback: &Playback) -> axum::Router {
        // Without tonic's own fallback: two routers with one can't be merged.
        let routes = Routes::from(axum::Router::new());
        let live = Live::new(self.deps.clone());
        let videos = service::Videos::new(self.deps.clone(), playback.clone(), live.clone());
        let uploads = Uploads::new(self.deps.clone(), self.memory.clone());
        let routes = routes.add_service(GatewayServiceServer::new(videos)).into_axum_router();
        let routes = routes.merge(live::rpcs(live)).merge(uploads.rpcs()).layer(GrpcWebLayer::new());
        let routes = routes.layer(middleware::from_fn_with_state(self.memory.clone(), upload::reserve));
        routes.layer(middleware::from_fn(http::only_calls))
    }
}
