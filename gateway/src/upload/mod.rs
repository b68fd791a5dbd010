//! Uploads: pieces over a stream, chunks by unary call or `PUT`, and completion. All of them find the upload in the
//! catalog, write through `source::writer` and keep nothing: the next call may reach another gateway.

mod chunk;
mod complete;
mod digest;
mod put;
mod session;
mod stream;

use crate::Deps;
use axum::Router;
use session::Session;
use tonic::{Request, Response, Status, Streaming};
use vidstream_proto::pb::upload_service_server::UploadService;
use vidstream_proto::upload::{Chunk, CompleteUpload, CreateUpload};
use vidstream_proto::{field, pb};

/// The largest message of an upload: a chunk of 8 MiB with room for what is around it.
pub const MAX_MESSAGE: usize = 16 << 20;

/// [`UploadService`] over the catalog and the object store.
#[derive(Clone, Debug)]
pub struct Uploads {
    deps: Deps,
}

impl Uploads {
    /// The service over `deps`.
    pub fn new(deps: Deps) -> Self {
        Self { deps }
    }
}

/// The route of chunks over plain HTTP.
pub fn router(deps: Deps) -> Router {
    Router::new().route("/uploads/{id}/bytes", axum::routing::put(put::bytes)).with_state(deps)
}

#[tonic::async_trait]
impl UploadService for Uploads {
    type StreamPiecesStream = stream::Answers;

    async fn create_upload(
        &self,
        request: Request<pb::CreateUploadRequest>,
    ) -> Result<Response<pb::CreateUploadResponse>, Status> {
        let call = pb::CreateSourceRequest::from(CreateUpload::try_from(request.into_inner())?);
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
        Ok(Response::new(stream::serve(self.deps.clone(), request.into_inner())))
    }

    async fn put_chunk(&self, request: Request<pb::PutChunkRequest>) -> Result<Response<pb::PutChunkResponse>, Status> {
        let chunk = Chunk::try_from(request.into_inner())?;
        Ok(Response::new(chunk::put(&self.deps, chunk).await?))
    }

    async fn complete_upload(
        &self,
        request: Request<pb::CompleteUploadRequest>,
    ) -> Result<Response<pb::CompleteUploadResponse>, Status> {
        let request = CompleteUpload::try_from(request.into_inner())?;
        Ok(Response::new(complete::complete(&self.deps, request).await?))
    }
}
