//! Changes of videos as they come, over as many streams as it takes.

use crate::connect::{Gateway, answer, unary};
use crate::errors::{CallError, Failure};
use crate::retry::Outage;
use std::collections::HashMap;
use tonic::Streaming;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::VideoId;
use vidstream_proto::pb;
use vidstream_proto::pb::watch_videos_response::Event;

/// The changes and the progress of one video or of all. Outages are waited out for a minute.
pub struct Feed {
    gateway: Gateway,
    video: Option<VideoId>,
    /// Where the next stream begins; none before the first one and after a reset.
    position: Option<String>,
    stream: Option<Streaming<pb::WatchVideosResponse>>,
    /// What to give before the stream's events: the video as it is.
    ahead: Option<pb::WatchVideosResponse>,
    /// Newest revision of each video that was given, with its views: those change without raising it.
    newest: HashMap<String, (i64, u64)>,
    outage: Outage,
}

impl Feed {
    /// Of `video`, beginning with the video as it is now; or of all, from now on.
    pub fn new(gateway: Gateway, video: Option<VideoId>) -> Self {
        let (newest, outage) = (HashMap::new(), Outage::default());
        Self { gateway, video, position: None, stream: None, ahead: None, newest, outage }
    }

    /// What happens next.
    pub async fn next(&mut self) -> Result<pb::WatchVideosResponse, Failure> {
        loop {
            match self.receive().await {
                Ok(message) => {
                    self.outage.end();
                    if self.takes(&message) {
                        return Ok(message);
                    }
                }
                Err(error) => {
                    self.stream = None;
                    let retry_after = error.problem.retry_after;
                    if !error.is_transient() || !self.outage.wait(retry_after).await {
                        return Err(self.gateway.told(error));
                    }
                }
            }
        }
    }

    async fn receive(&mut self) -> Result<pb::WatchVideosResponse, CallError> {
        let position = match self.position.clone() {
            Some(position) => position,
            None => self.begin().await?,
        };
        if let Some(message) = self.ahead.take() {
            return Ok(message);
        }
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => none.insert(open(&self.gateway, self.video, position).await?),
        };
        let message = stream.message().await?;
        message.ok_or_else(|| Problem::new(Reason::Unavailable, "the server ended the stream").into())
    }

    /// Finds where to begin. The position is asked for before the video is read, so that no change falls between the two.
    async fn begin(&mut self) -> Result<String, CallError> {
        let page = unary(pb::ListVideosRequest { page_size: 1, ..Default::default() });
        let position = answer(self.gateway.videos.clone().list_videos(page).await)?.position;
        if let Some(id) = self.video {
            let changed = Some(Event::Changed(self.gateway.video(id).await?));
            self.ahead = Some(pb::WatchVideosResponse { position: String::new(), event: changed });
        }
        self.position = Some(position.clone());
        Ok(position)
    }

    /// Notes what `message` says of the feed; false if it is old news.
    fn takes(&mut self, message: &pb::WatchVideosResponse) -> bool {
        if !message.position.is_empty() {
            self.position = Some(message.position.clone());
        }
        match &message.event {
            Some(Event::Changed(video)) => self.is_newer(&video.id, (video.revision, video.views)),
            Some(Event::Purged(purged)) => self.is_newer(&purged.video_id, (purged.revision, 0)),
            Some(Event::Reset(_)) => {
                (self.position, self.stream) = (None, None);
                true
            }
            _ => true,
        }
    }

    fn is_newer(&mut self, id: &str, state: (i64, u64)) -> bool {
        let newer = self.newest.get(id).is_none_or(|seen| *seen < state);
        if newer {
            self.newest.insert(id.to_owned(), state);
        }
        newer
    }
}

async fn open(
    gateway: &Gateway,
    video: Option<VideoId>,
    position: String,
) -> Result<Streaming<pb::WatchVideosResponse>, CallError> {
    let video_id = video.map(|id| id.to_string()).unwrap_or_default();
    let request = pb::WatchVideosRequest { position, video_id, include_progress: true };
    answer(gateway.videos.clone().watch_videos(request).await)
}
