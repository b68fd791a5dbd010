//! `download`: the original file, verified; the same command after an interruption continues.

use super::{Context, restorable, video_id};
use crate::args::Download;
use crate::errors::{CallError, Failure};
use crate::http::{self, chunk};
use crate::part::Part;
use crate::printer;
use crate::progress::Progress;
use crate::retry::Outage;
use crate::target::Target;
use crate::text::{clean, size};
use ::http::header::{CONTENT_RANGE, ETAG, IF_RANGE, RANGE};
use ::http::{HeaderMap, HeaderValue, Response, StatusCode};
use blake3::Hasher;
use hyper::body::Incoming;
use vidstream_proto::error::{Exit, Problem, Reason};
use vidstream_proto::ids::VideoId;
use vidstream_proto::pb;

pub async fn run(context: &Context, args: Download) -> Result<Exit, Failure> {
    let id = video_id(&args.id)?;
    let video = context.gateway.video(id).await.map_err(|error| context.gateway.told(error))?;
    let upload = offered(&video)?;
    let target = if args.file.as_os_str() == "-" { Target::Stdout } else { Target::File(Part::open(&args.file)?) };
    let mut fetching = Fetching::new(context, id, &video.file_name, &upload, target)?;
    fetching.fetch().await?;
    fetching.finish(id, &upload.blake3).await?;
    if args.file.as_os_str() != "-" {
        let bytes = size(upload.size);
        printer::note(&format!("saved as `{}`, {bytes}, BLAKE3 verified", args.file.display()));
    }
    Ok(Exit::Done)
}

/// The upload of a video that can be downloaded.
pub fn offered(video: &pb::Video) -> Result<pb::UploadPart, Failure> {
    if video.state() == pb::VideoState::Removed {
        let removed = Failure::new(Exit::NotFound, format!("`{}` was removed", clean(&video.title)));
        return Err(match restorable(video) {
            Some(hint) => removed.hint(hint),
            None => removed,
        });
    }
    let upload = video.upload.clone().unwrap_or_default();
    if upload.state() != pb::UploadState::Complete {
        let (received, all) = (size(upload.received), size(upload.size));
        return Err(Failure::failed(format!("it is not wholly uploaded: {received} of {all}")));
    }
    Ok(upload)
}

/// An original on its way.
pub struct Fetching<'a> {
    context: &'a Context,
    path: String,
    size: u64,
    target: Target,
    /// Of what `target` holds.
    etag: Option<HeaderValue>,
    /// Bytes that `target` holds.
    at: u64,
    /// Of those bytes.
    hasher: Hasher,
    progress: Progress,
}

/// Why an attempt ended early.
enum Stop {
    Final(Failure),
    Passing(CallError),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Final(failure)
    }
}

impl<'a> Fetching<'a> {
    /// Prepares to fetch the original of `id` from its first byte, or from where an earlier run ended.
    pub fn new(
        context: &'a Context,
        id: VideoId,
        file_name: &str,
        upload: &pb::UploadPart,
        target: Target,
    ) -> Result<Self, Failure> {
        let progress = Progress::transfer(file_name, upload.size);
        let path = format!("/videos/{id}/source");
        let (size, hasher) = (upload.size, Hasher::new());
        let mut fetching = Self { context, path, size, target, etag: None, at: 0, hasher, progress };
        fetching.resume()?;
        Ok(fetching)
    }

    /// Goes on with what an earlier run left.
    fn resume(&mut self) -> Result<(), Failure> {
        let Target::File(part) = &mut self.target else { return Ok(()) };
        let Some(etag) = part.etag().and_then(|etag| HeaderValue::try_from(etag).ok()) else { return Ok(()) };
        let held = part.resume(&mut self.hasher)?;
        // More than the file has is of something else.
        if held <= self.size {
            (self.at, self.etag) = (held, Some(etag));
        }
        Ok(())
    }

    /// Fetches until all is there. Outages are waited out for a minute.
    pub async fn fetch(&mut self) -> Result<(), Failure> {
        let mut outage = Outage::default();
        while self.at < self.size {
            let before = self.at;
            let error = match self.attempt().await {
                Ok(()) => continue,
                Err(Stop::Final(failure)) => return Err(failure),
                Err(Stop::Passing(error)) => error,
            };
            if self.at > before {
                outage.end();
            }
            if !error.is_transient() {
                return Err(self.context.gateway.told(error));
            }
            if outage.is_new() {
                self.progress.note(&format!("interrupted ({}); trying again", error.problem.message));
            }
            if !outage.wait(error.problem.retry_after).await {
                return Err(self.context.gateway.told(error).hint("the same command continues"));
            }
        }
        Ok(())
    }

    /// One request, from where it ended.
    async fn attempt(&mut self) -> Result<(), Stop> {
        let response = http::get(&self.context.gateway, &self.path, self.headers()).await;
        let response = response.map_err(Stop::Passing)?;
        self.accept(&response)?;
        let mut body = response.into_body();
        while let Some(bytes) = chunk(&mut body).await.map_err(Stop::Passing)? {
            if self.at + bytes.len() as u64 > self.size {
                return Err(Stop::Final(self.strange("more bytes than the file has")));
            }
            self.hasher.update(&bytes);
            let len = bytes.len() as u64;
            self.target.append(bytes).await?;
            self.at += len;
            self.progress.bytes(self.at, self.size);
        }
        if self.at == self.size {
            return Ok(());
        }
        Err(Stop::Passing(Problem::new(Reason::Unavailable, "the server ended the answer").into()))
    }

    /// The rest, if it is still of the same bytes (RFC 9110 §13.1.5).
    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let Some(etag) = self.etag.as_ref().filter(|_| self.at > 0) else { return headers };
        let range = HeaderValue::try_from(format!("bytes={}-", self.at)).expect("digits");
        headers.extend([(RANGE, range), (IF_RANGE, etag.clone())]);
        headers
    }

    /// Prepares for the answer's bytes: the rest, or all of them again.
    fn accept(&mut self, response: &Response<Incoming>) -> Result<(), Failure> {
        if response.status() == StatusCode::PARTIAL_CONTENT {
            let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
            let is_rest = range.starts_with(&format!("bytes {}-", self.at));
            return if is_rest { Ok(()) } else { Err(self.strange(&format!("another range: `{}`", clean(range)))) };
        }
        self.etag = response.headers().get(ETAG).cloned();
        self.target.restart(self.etag.as_ref().and_then(|etag| etag.to_str().ok()), self.at > 0)?;
        self.at = 0;
        self.hasher.reset();
        Ok(())
    }

    /// Verifies what came and lets the target keep it.
    pub async fn finish(self, id: VideoId, blake3: &[u8]) -> Result<(), Failure> {
        if blake3.is_empty() || self.hasher.finalize().as_bytes() == blake3 {
            return self.target.finish().await;
        }
        Err(self.target.discard(format!("what came is not the file of {id}: its BLAKE3 differs")).await)
    }

    /// Nothing more is fetched, and what can be taken back is.
    pub async fn give_up(self) {
        self.target.give_up().await;
    }

    fn strange(&self, what: &str) -> Failure {
        Failure::failed(format!("{} answered {what}", self.context.gateway.server))
    }
}
