//! Uploads: pieces over a stream, chunks by unary call or `PUT`, and completion. All of them find the upload in the
//! catalog, write through `source::writer` and keep nothing: the next call may reach another gateway.

mod chunk;
mod complete;
mod digest;
mod memory;
mod put;
pub(crate) mod room;
mod session;
mod stream;

use crate::Deps;
use crate::http::refusal;
use axum::Router;
use axum::extract::{Request as HttpRequest, State};
use axum::middleware::Next;
use axum::response::Response as HttpResponse;
use http::header::CONTENT_LENGTH;
use memory::Share;
pub use memory::UploadMemory;
use session::Session;
use std::sync::Arc;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::pb::upload_service_server::{UploadService, UploadServiceServer};
use vidstream_proto::upload::{Chunk, CompleteUpload, CreateUpload};
use vidstream_proto::{field, pb};

/// The largest message of a unary call: a chunk of 8 MiB with room for what is around it.
const MAX_MESSAGE: usize = 9 << 20;
/// The call whose message is a chunk.
const PUT_CHUNK: &str = "/vidstream.v1.UploadService/PutChunk";
/// The call that is a stream of pieces.
const STREAM_PIECES: &str = "/vidstream.v1.UploadService/StreamPieces";

/// [`UploadService`] over the catalog and the object store.
#[derive(Clone, Debug)]
pub struct Uploads {
    deps: Deps,
    memory: UploadMemory,
}

impl Uploads {
    /// The service over `deps`, which takes bytes as far as `memory` reaches.
    pub fn new(deps: Deps, memory: UploadMemory) -> Self {
        Self { deps, memory }
    }

    /// The calls of [`UploadService`]. Each decodes messages as large as its own may be and no larger.
    pub fn rpcs(self) -> Router {
        let unary = UploadServiceServer::new(self.clone()).max_decoding_message_size(MAX_MESSAGE);
        let streams = UploadServiceServer::new(self).max_decoding_message_size(stream::MAX_MESSAGE);
        let unary = Routes::from(Router::new()).add_service(unary).into_axum_router();
        unary.route_service(STREAM_PIECES, streams)
    }
}

/// The route of chunks over plain HTTP.
pub fn router(deps: Deps, memory: UploadMemory) -> Router {
    Router::new().route("/uploads/{id}/bytes", axum::routing::put(put::bytes)).with_state((deps, memory))
}

/// Takes a chunk's memory before its message is read, for as long as it is here.
pub async fn reserve(State(memory): State<UploadMemory>, mut request: HttpRequest, next: Next) -> HttpResponse {
    if request.uri().path() != PUT_CHUNK {
        return next.run(request).await;
    }
    // Known of grpc-web's calls; those of gRPC need not say it.
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match memory.begin(announced.unwrap_or(u64::MAX).min(MAX_MESSAGE as u64)) {
        Ok(share) => {
            request.extensions_mut().insert(Arc::new(share));
            next.run(request).await
        }
        Err(problem) => refusal(&request, problem),
    }
}

#[tonic::async_trait]
impl UploadService for Uploads {
    type StreamPiecesStream = stream::Answers;

    async fn create_upload(
        &self,
        request: Request<pb::CreateUploadRequest>,
    ) -> Result<Response<pb::CreateUploadResponse>, Status> {
        let create = CreateUpload::try_from(request.into_inner())?;
        let room = room::of(&*self.deps.objects).await?;
        let call = pb::CreateSourceRequest { room, ..create.into() };
        let answer = self.deps.ask(self.deps.catalog.clone().create_source(call)).await?;
        let upload = Some(Session::of(&self.deps, answer.source)?.public().await?);
        Ok(Response::new(pb::CreateUploadResponse { upload }))
    }

    async fn get_upload(
        &self,
        request: Request<pb::GetUploadRequest>,
    ) -> Result<Response<pb::GetUploadResponse>, Status> {
        let id = field::id("upload_id", &request.into_inner().upload_id)?;
        let session = Session::find(&self.deps, id).await?;
        let (upload, wants) = tokio::try_join!(session.public(), session.wants())?;
        Ok(Response::new(pb::GetUploadResponse { upload: Some(upload), wants }))
    }

    async fn stream_pieces(
        &self,
        request: Request<Streaming<pb::StreamPiecesRequest>>,
    ) -> Result<Response<Self::StreamPiecesStream>, Status> {
        Ok(Response::new(stream::serve(self.deps.clone(), &self.memory, request.into_inner())?))
    }

    async fn put_chunk(&self, request: Request<pb::PutChunkRequest>) -> Result<Response<pb::PutChunkResponse>, Status> {
        let share = request.extensions().get::<Arc<Share>>().cloned();
        let share = share.ok_or_else(|| Problem::new(Reason::Internal, "a chunk was read without memory for it"))?;
        let chunk = Chunk::try_from(request.into_inner())?;
        Ok(Response::new(chunk::put(&self.deps, &self.memory, share, chunk).await?))
    }

    async fn complete_upload(
        &self,
        request: Request<pb::CompleteUploadRequest>,
    ) -> Result<Response<pb::CompleteUploadResponse>, Status> {
        let request = CompleteUpload::try_from(request.into_inner())?;
        Ok(Response::new(complete::complete(&self.deps, request).await?))
    }
}
