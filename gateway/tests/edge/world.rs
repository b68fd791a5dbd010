//! A whole edge, and a client that uploads to it.

use crate::catalog::Catalog;
use crate::transcoder::Transcoder;
use bytes::Bytes;
use futures::StreamExt;
use std::ops::Range;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::transport::Endpoint;
use tonic::{Status, Streaming};
use vidstream_backends::objects::{FileStore, ObjectStore};
use vidstream_gateway::{Config, Deps, Gateway};
use vidstream_mesh::channel::Channel;
use vidstream_mesh::lifecycle::Lifecycle;
use vidstream_mesh::{in_process, serve};
use vidstream_proto::error::Problem;
use vidstream_proto::ids::RequestId;
use vidstream_proto::pb;
use vidstream_proto::pb::catalog_service_client::CatalogServiceClient;
use vidstream_proto::pb::catalog_service_server::CatalogServiceServer;
use vidstream_proto::pb::gateway_service_client::GatewayServiceClient;
use vidstream_proto::pb::stream_pieces_request::Message;
use vidstream_proto::pb::transcoder_service_client::TranscoderServiceClient;
use vidstream_proto::pb::transcoder_service_server::TranscoderServiceServer;
use vidstream_proto::pb::upload_service_client::UploadServiceClient;
use vidstream_proto::upload::GRANULE;
use vidstream_source::extents::CELL;
use vidstream_source::names;
use vidstream_source::ranges::ByteRanges;

pub const MIB: u64 = 1 << 20;

pub type Uploads = UploadServiceClient<Channel>;

pub struct World {
    pub catalog: Arc<Catalog>,
    pub transcoder: Arc<Transcoder>,
    pub deps: Deps,
    _directory: TempDir,
}

impl World {
    pub async fn new() -> Self {
        Self::with_store(|store| store).await
    }

    /// A world whose store is wrapped.
    pub async fn with_store(wrap: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let (catalog, transcoder) = (Arc::new(Catalog::default()), Arc::new(Transcoder::default()));
        let catalog_channel = in_process::channel(CatalogServiceServer::from_arc(Arc::clone(&catalog)));
        let transcoder_channel = in_process::channel(TranscoderServiceServer::from_arc(Arc::clone(&transcoder)));
        let deps = Deps {
            catalog: CatalogServiceClient::new(catalog_channel),
            transcoder: TranscoderServiceClient::new(transcoder_channel),
            objects: wrap(Arc::new(FileStore::open(directory.path()).await.expect("a store"))),
            lifecycle: Lifecycle::new(),
            config: Arc::new(Config::default()),
        };
        Self { catalog, transcoder, deps, _directory: directory }
    }

    /// A gateway; each call makes another one, which knows nothing of the others.
    pub fn router(&self) -> axum::Router {
        Gateway::new(self.deps.clone()).router()
    }

    pub fn channel(&self) -> Channel {
        in_process::channel(Routes::from(self.router()))
    }

    /// A client of another gateway.
    pub fn uploads(&self) -> Uploads {
        Uploads::new(self.channel())
    }

    pub fn videos(&self) -> GatewayServiceClient<Channel> {
        GatewayServiceClient::new(self.channel())
    }

    /// A client over a socket.
    pub async fn remote(&self) -> UploadServiceClient<tonic::transport::Channel> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(serve::serve(listener, self.router(), serve::Limits::default(), self.deps.lifecycle.clone()));
        let endpoint = Endpoint::try_from(format!("http://{address}")).expect("an address");
        UploadServiceClient::new(endpoint.connect().await.expect("it listens"))
    }

    /// An open upload of `content`.
    pub async fn create(&self, content: &Bytes) -> pb::Upload {
        self.create_with_sum(content.len() as u64, Vec::new()).await
    }

    pub async fn create_with_sum(&self, size: u64, blake3: Vec<u8>) -> pb::Upload {
        let request = pb::CreateUploadRequest {
            request_id: RequestId::generate().to_string(),
            file_name: "sea.mp4".into(),
            size,
            blake3,
            ..Default::default()
        };
        self.uploads().create_upload(request).await.expect("created").into_inner().upload.expect("an upload")
    }

    pub async fn durable(&self, upload: &pb::Upload) -> ByteRanges {
        let request = pb::GetUploadRequest { upload_id: upload.id.clone() };
        let answer = self.uploads().get_upload(request).await.expect("found").into_inner();
        ranges(&answer.upload.expect("an upload").durable)
    }

    pub async fn complete(&self, upload: &pb::Upload, blake3: &[u8]) -> Result<pb::Video, Problem> {
        let request = pb::CompleteUploadRequest {
            request_id: RequestId::generate().to_string(),
            upload_id: upload.id.clone(),
            blake3: blake3.to_vec(),
        };
        let answer = self.uploads().complete_upload(request).await?;
        Ok(answer.into_inner().video.expect("a video"))
    }

    /// The objects have the bytes of `content` and the upload completes with its sum.
    pub async fn assert_whole(&self, upload: &pb::Upload, content: &Bytes) {
        let source = self.catalog.source_id(&upload.id);
        for extent in self.catalog.extents(&upload.id) {
            let object = self.deps.objects.read(&names::extent(source, &extent), CELL).await.expect("an object");
            let range = extent.range();
            assert!(object == content.slice(at(range.start)..at(range.end)), "other bytes in {range:?}");
        }
        let video = self.complete(upload, blake3::hash(content).as_bytes()).await.expect("complete");
        assert_eq!(video.id, upload.video_id);
        assert_eq!(video.upload.expect("a part").state(), pb::UploadState::Complete);
    }
}

pub fn at(offset: u64) -> usize {
    usize::try_from(offset).expect("small")
}

/// `len` bytes that differ from place to place.
pub fn pattern(len: u64) -> Bytes {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(step).flatten().take(at(len)).collect()
}

pub fn ranges(wire: &[pb::ByteRange]) -> ByteRanges {
    wire.iter().map(|range| range.start..range.end).collect()
}

pub fn piece(content: &Bytes, range: Range<u64>) -> pb::Piece {
    let data = content.slice(at(range.start)..at(range.end));
    pb::Piece { offset: range.start, crc32c: crc32c::crc32c(&data), data }
}

pub fn chunk(upload: &pb::Upload, content: &Bytes, range: Range<u64>) -> pb::PutChunkRequest {
    let pb::Piece { offset, data, crc32c } = piece(content, range);
    pb::PutChunkRequest { upload_id: upload.id.clone(), offset, data, crc32c }
}

/// The ranges of all pieces of `len` bytes.
pub fn cut(size: u64, len: u64) -> Vec<Range<u64>> {
    (0..size.div_ceil(len)).map(|n| n * len..((n + 1) * len).min(size)).collect()
}

pub fn granules(range: Range<u64>) -> Range<u64> {
    range.start * GRANULE..range.end * GRANULE
}

/// One open stream, from the client's side.
pub struct Stream {
    /// Gone once the client has ended its side.
    pieces: Option<mpsc::Sender<pb::StreamPiecesRequest>>,
    answers: Streaming<pb::StreamPiecesResponse>,
    pub durable: ByteRanges,
    pub wants: ByteRanges,
}

impl Stream {
    /// Sends `first` as the first message.
    pub async fn begin(client: Uploads, first: Message) -> Self {
        Self::try_begin(client, first).await.expect("a stream")
    }

    async fn try_begin(mut client: Uploads, first: Message) -> Result<Self, Status> {
        let (pieces, stream) = mpsc::channel(1);
        pieces.send(pb::StreamPiecesRequest { message: Some(first) }).await.expect("there is room for one");
        let answers = client.stream_pieces(ReceiverStream::new(stream)).await?.into_inner();
        Ok(Self { pieces: Some(pieces), answers, durable: ByteRanges::new(), wants: ByteRanges::new() })
    }

    /// A stream, unless it is refused at once.
    pub async fn try_open(client: Uploads, upload: &pb::Upload) -> Result<Self, Status> {
        Self::try_begin(client, open(upload)).await
    }

    pub async fn open(client: Uploads, upload: &pb::Upload) -> Self {
        Self::begin(client, open(upload)).await
    }

    /// Sends a message; says whether the server still takes any.
    pub async fn send(&self, message: Message) -> bool {
        let pieces = self.pieces.as_ref().expect("the client has not ended its side");
        pieces.send(pb::StreamPiecesRequest { message: Some(message) }).await.is_ok()
    }

    pub async fn send_piece(&self, content: &Bytes, range: Range<u64>) {
        assert!(self.send(Message::Piece(piece(content, range))).await, "the stream goes on");
    }

    /// The next answer.
    pub async fn hear(&mut self) -> Option<Result<(), Problem>> {
        Some(match self.answers.next().await? {
            Ok(answer) => {
                self.durable.extend(ranges(&answer.durable).iter());
                self.wants = ranges(&answer.wants);
                Ok(())
            }
            Err(status) => Err(status.into()),
        })
    }

    /// Hears answers until `range` is durable.
    pub async fn until_durable(&mut self, range: Range<u64>) {
        while !self.durable.contains(range.clone()) {
            self.hear().await.expect("the stream goes on").expect("no problem");
        }
    }

    /// Ends the client's side and hears everything.
    pub async fn end(mut self) -> Result<ByteRanges, Problem> {
        self.pieces = None;
        while let Some(answer) = self.hear().await {
            answer?;
        }
        Ok(self.durable)
    }

    /// Sends pieces, ends the client's side, and hears answers all the while.
    pub async fn send_all<R>(mut self, content: &Bytes, ranges: R) -> Result<ByteRanges, Problem>
    where
        R: IntoIterator<Item = Range<u64>, IntoIter: Send> + Send + 'static,
    {
        let (pieces, content) = (self.pieces.take().expect("the client has not ended its side"), content.clone());
        tokio::spawn(async move {
            for range in ranges {
                let message = Some(Message::Piece(piece(&content, range)));
                if pieces.send(pb::StreamPiecesRequest { message }).await.is_err() {
                    return;
                }
            }
        });
        self.end().await
    }

    /// Hears answers until the stream's last word.
    pub async fn problem(&mut self) -> Problem {
        loop {
            if let Err(problem) = self.hear().await.expect("the stream ends with a problem") {
                return problem;
            }
        }
    }
}

pub fn open(upload: &pb::Upload) -> Message {
    Message::Open(pb::OpenStream { upload_id: upload.id.clone() })
}
