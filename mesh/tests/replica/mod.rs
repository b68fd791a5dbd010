//! A replica of the catalog, as far as tests of the transport need one: real listeners, real HTTP/2, answers by order.
#![allow(dead_code, reason = "each of the tests that use it needs another part of it")]

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::post;
use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tonic::Status;
use tonic_prost::ProstCodec;
use tower::service_fn;
use vidstream_mesh::channel::Channel;
use vidstream_mesh::client::{ClientOptions, Peers};
use vidstream_mesh::layers::{ServerBounds, server_stack};
use vidstream_mesh::lifecycle::Lifecycle;
use vidstream_mesh::serve::{Limits, serve_by};
use vidstream_mesh::tls::ServerTls;
use vidstream_mesh::token::MeshToken;
use vidstream_proto::pb;
use vidstream_proto::pb::catalog_service_client::CatalogServiceClient;

/// Long after everything short is over, on a busy machine too.
pub const LONG: Duration = Duration::from_secs(20);

/// What a replica does with a call of an rpc, before it answers with its own address.
pub type Order = Arc<dyn Fn(&str) -> BoxFuture<'static, Result<(), Status>> + Send + Sync>;

/// A replica that answers.
pub struct Replica {
    /// Where it listens.
    pub address: SocketAddr,
    /// Calls that came.
    pub calls: Arc<AtomicUsize>,
    /// Its life.
    pub life: Lifecycle,
    setup: Setup,
    /// Of its own, so that all of it can end at once.
    runtime: Option<Runtime>,
}

/// How a replica is.
#[derive(Clone)]
pub struct Setup {
    pub address: SocketAddr,
    pub order: Order,
    pub token: Option<MeshToken>,
    pub bounds: ServerBounds,
    pub tls: Option<ServerTls>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            address: ([127, 0, 0, 1], 0).into(),
            order: Arc::new(|_| Box::pin(async { Ok(()) })),
            token: None,
            bounds: ServerBounds::default(),
            tls: None,
        }
    }
}

impl Replica {
    /// One that does nothing but answer.
    pub async fn start() -> Self {
        Self::by(Setup::default()).await
    }

    /// One that does what `order` says.
    pub async fn with(order: impl Fn(&str) -> BoxFuture<'static, Result<(), Status>> + Send + Sync + 'static) -> Self {
        Self::by(Setup { order: Arc::new(order), ..Setup::default() }).await
    }

    /// One like that.
    pub async fn by(setup: Setup) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let (life, calls) = (Lifecycle::new(), Arc::default());
        let listening = runtime.spawn(listen(setup.clone(), Arc::clone(&calls), life.clone()));
        let address = listening.await.expect("the address is free");
        Self { address, calls, life, setup, runtime: Some(runtime) }
    }

    /// Stops as a process does that is asked to; then another one starts at the same place.
    pub async fn restart(self) -> Self {
        assert!(self.life.stop(LONG).await, "it stops by itself");
        Self::by(Setup { address: self.address, ..self.setup.clone() }).await
    }

    /// Ends without a word to anybody.
    pub fn kill(self) {
        drop(self);
    }

    /// How many calls came.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn listen(setup: Setup, calls: Arc<AtomicUsize>, life: Lifecycle) -> SocketAddr {
    let listener = TcpListener::bind(setup.address).await.expect("the address is free");
    let address = listener.local_addr().expect("bound");
    let router = router((address, setup.order, calls), life.clone());
    let router = server_stack(router, setup.token, &setup.bounds);
    let served = serve_by(listener, router, Limits::mesh(), setup.tls, life.clone());
    life.spawn("listener", async move { Ok(served.await?) });
    address
}

type Answering = (SocketAddr, Order, Arc<AtomicUsize>);

fn router(answering: Answering, life: Lifecycle) -> Router {
    let service = "/vidstream.v1.CatalogService";
    let watch = Router::new().route(&format!("{service}/WatchEntries"), post(watch)).with_state(life);
    Router::new().route(&format!("{service}/{{rpc}}"), post(answer)).with_state(answering).merge(watch)
}

/// One event, and nothing more until the replica stops; then it ends as streams of services do.
async fn watch(State(life): State<Lifecycle>, request: Request) -> Response<tonic::body::Body> {
    let codec = ProstCodec::<pb::WatchEntriesResponse, pb::WatchEntriesRequest>::default();
    let answer = service_fn(move |_request| {
        let stopping = life.stopping().clone();
        let first = stream::iter([Ok(pb::WatchEntriesResponse::default())]);
        let last = stream::once(async move {
            stopping.cancelled().await;
            Err(Status::unavailable("stopping"))
        });
        std::future::ready(Ok::<_, Status>(tonic::Response::new(first.chain(last))))
    });
    tonic::server::Grpc::new(codec).server_streaming(answer, request).await
}

async fn answer(
    State((address, order, calls)): State<Answering>,
    Path(rpc): Path<String>,
    request: Request,
) -> Response<tonic::body::Body> {
    calls.fetch_add(1, Ordering::SeqCst);
    // Every rpc that tests call answers with an entry in its first field.
    let codec = ProstCodec::<pb::GetEntryResponse, pb::GetEntryRequest>::default();
    let answer = service_fn(move |_request| {
        let done = order(&rpc);
        async move {
            done.await?;
            let video = pb::Video { title: address.to_string(), ..Default::default() };
            let entry = Some(pb::Entry { video: Some(video), ..Default::default() });
            Ok::<_, Status>(tonic::Response::new(pb::GetEntryResponse { entry }))
        }
    });
    tonic::server::Grpc::new(codec).unary(answer, request).await
}

/// Where these replicas are.
pub fn peers<'a>(replicas: impl IntoIterator<Item = &'a Replica>) -> Peers {
    let addresses: Vec<_> = replicas.into_iter().map(|replica| replica.address.to_string()).collect();
    addresses.join(",").parse().expect("addresses")
}

/// Options that fit a test.
pub fn options() -> ClientOptions {
    ClientOptions { connect_timeout: Duration::from_secs(1), patience: LONG, ..ClientOptions::default() }
}

/// The address of the replica that answers a read.
pub async fn ask(channel: &Channel) -> Result<String, Status> {
    let mut client = CatalogServiceClient::new(channel.clone());
    let answer = client.get_entry(pb::GetEntryRequest::default()).await?;
    Ok(answer.into_inner().entry.and_then(|entry| entry.video).expect("a video").title)
}
