//! Uploads.

use super::{Fake, Uploading};
use futures::{Stream, StreamExt};
use std::ops::Range;
use std::pin::Pin;
use tonic::{Request, Response, Status, Streaming};
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::{UploadId, VideoId};
use vidstream_proto::pb;
use vidstream_proto::pb::stream_pieces_request::Message;
use vidstream_proto::pb::upload_service_server::UploadService;
use vidstream_proto::ranges::to_wire;
use vidstream_proto::upload::Piece;

impl Fake {
    fn upload(&self, id: &str) -> Result<pb::Upload, Status> {
        let world = self.world();
        let uploading = world.uploads.get(id).ok_or_else(|| Status::from(Problem::not_found("upload", id)))?;
        let video = world.videos.get(&uploading.video_id);
        Ok(pb::Upload {
            id: id.to_owned(),
            video_id: uploading.video_id.clone(),
            size: uploading.bytes.len() as u64,
            state: video.and_then(|video| Some(video.upload.as_ref()?.state)).unwrap_or_default(),
            durable: to_wire(uploading.durable.iter().cloned()),
            ..Default::default()
        })
    }

    /// Takes a piece; says what became durable.
    fn take(&self, upload: &str, piece: pb::Piece) -> Result<Range<u64>, Status> {
        let piece = Piece::try_from(piece)?;
        let mut world = self.world();
        let uploading = world.uploads.get_mut(upload).expect("it was found when the stream opened");
        let piece = piece.within(uploading.bytes.len() as u64)?;
        if crc32c::crc32c(&piece.data) != piece.crc32c {
            return Err(Problem::new(Reason::ChecksumMismatch, "wrong sum").into());
        }
        let range = piece.offset..piece.offset + piece.data.len() as u64;
        let at = |offset: u64| usize::try_from(offset).expect("small");
        uploading.bytes[at(range.start)..at(range.end)].copy_from_slice(&piece.data);
        uploading.durable.push(range.clone());
        world.heard.pieces.push(range.clone());
        Ok(range)
    }

    /// What goes wrong after `count` pieces, if anything.
    async fn fail(&self, count: usize) -> Result<(), Status> {
        if self.world().faults.pause_after == Some(count) {
            self.paused.notify_one();
            self.resumed.notified().await;
        }
        let mut world = self.world();
        if world.faults.cut_after == Some(count) {
            world.faults.cut_after = None;
            return Err(Problem::new(Reason::Unavailable, "stopping").into());
        }
        world.faults.refuse.clone().map_or(Ok(()), |problem| Err(problem.into()))
    }
}

#[tonic::async_trait]
impl UploadService for Fake {
    async fn create_upload(
        &self,
        request: Request<pb::CreateUploadRequest>,
    ) -> Result<Response<pb::CreateUploadResponse>, Status> {
        let request = request.into_inner();
        let left = self.world().faults.no_uploads;
        if left > 0 {
            self.world().faults.no_uploads = left - 1;
            return Err(Problem::new(Reason::Unavailable, "no store").into());
        }
        let known =
            self.world().uploads.iter().find(|(_, u)| u.request_id == request.request_id).map(|(id, _)| id.clone());
        if let Some(id) = known {
            return Ok(Response::new(pb::CreateUploadResponse { upload: Some(self.upload(&id)?) }));
        }
        let (id, video_id) = (UploadId::generate().to_string(), VideoId::generate().to_string());
        let title = vidstream_proto::upload::CreateUpload::try_from(request.clone())?.title;
        let upload = pb::UploadPart { state: pb::UploadState::Open.into(), size: request.size, ..Default::default() };
        let video = pb::Video {
            id: video_id.clone(),
            title,
            file_name: request.file_name,
            state: pb::VideoState::Uploading.into(),
            revision: 1,
            upload: Some(upload),
            ..Default::default()
        };
        let bytes = vec![0; usize::try_from(request.size).expect("small")];
        let uploading =
            Uploading { request_id: request.request_id, video_id: video_id.clone(), bytes, durable: vec![] };
        self.world().videos.insert(video_id, video);
        self.world().uploads.insert(id.clone(), uploading);
        Ok(Response::new(pb::CreateUploadResponse { upload: Some(self.upload(&id)?) }))
    }

    async fn get_upload(
        &self,
        request: Request<pb::GetUploadRequest>,
    ) -> Result<Response<pb::GetUploadResponse>, Status> {
        let upload = Some(self.upload(&request.into_inner().upload_id)?);
        let wants = self.world().wants.clone();
        Ok(Response::new(pb::GetUploadResponse { upload, wants }))
    }

    type StreamPiecesStream = Pin<Box<dyn Stream<Item = Result<pb::StreamPiecesResponse, Status>> + Send>>;

    async fn stream_pieces(
        &self,
        request: Request<Streaming<pb::StreamPiecesRequest>>,
    ) -> Result<Response<Self::StreamPiecesStream>, Status> {
        let mut pieces = request.into_inner();
        let opening = pieces.message().await?.and_then(|first| first.message);
        let Some(Message::Open(open)) = opening else { return Err(Status::invalid_argument("not opened")) };
        self.upload(&open.upload_id)?;
        let fake = self.clone();
        let answers = pieces.enumerate().then(move |(number, message)| {
            let (fake, upload) = (fake.clone(), open.upload_id.clone());
            async move {
                let Some(Message::Piece(piece)) = message?.message else { return Err(Status::internal("no piece")) };
                let durable = fake.take(&upload, piece)?;
                fake.fail(number + 1).await?;
                let wants = fake.world().wants.clone();
                Ok(pb::StreamPiecesResponse { durable: to_wire([durable]), wants })
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn put_chunk(&self, _: Request<pb::PutChunkRequest>) -> Result<Response<pb::PutChunkResponse>, Status> {
        Err(Status::unimplemented("vidctl streams"))
    }

    async fn complete_upload(
        &self,
        request: Request<pb::CompleteUploadRequest>,
    ) -> Result<Response<pb::CompleteUploadResponse>, Status> {
        let request = request.into_inner();
        let upload = self.upload(&request.upload_id)?;
        let bytes = self.world().uploads[&request.upload_id].bytes.clone();
        let sum = blake3::hash(&bytes);
        if !request.blake3.is_empty() && request.blake3 != sum.as_bytes() {
            return Err(Problem::new(Reason::ChecksumMismatch, "the file's sum differs").into());
        }
        if upload.state() == pb::UploadState::Complete {
            let video = self.world().videos.get(&upload.video_id).cloned();
            return Ok(Response::new(pb::CompleteUploadResponse { video }));
        }
        let after = self.world().after_upload;
        self.world().heard.sums.push(request.blake3);
        let video = self.change(&upload.video_id, |video| {
            video.set_state(after);
            video.upload.as_mut().expect("uploaded").set_state(pb::UploadState::Complete);
        });
        Ok(Response::new(pb::CompleteUploadResponse { video }))
    }
}
