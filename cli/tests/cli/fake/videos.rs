//! Videos and live updates.

use super::Fake;
use futures::Stream;
use std::pin::Pin;
use tonic::{Request, Response, Status};
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::pb;
use vidstream_proto::pb::gateway_service_server::GatewayService;
use vidstream_proto::pb::watch_videos_response::Event;

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn found(video: Option<pb::Video>, id: &str) -> Result<Option<pb::Video>, Status> {
    video.map(Some).ok_or_else(|| Problem::not_found("video", id).into())
}

#[tonic::async_trait]
impl GatewayService for Fake {
    async fn list_videos(
        &self,
        request: Request<pb::ListVideosRequest>,
    ) -> Result<Response<pb::ListVideosResponse>, Status> {
        let request = request.into_inner();
        let mut world = self.world();
        let skipped: usize = request.page_token.parse().unwrap_or(0);
        let size = request.page_size as usize;
        let is_listed = |video: &&pb::Video| match request.state() {
            pb::VideoState::Unspecified => video.state() != pb::VideoState::Removed,
            state => video.state() == state,
        };
        let all: Vec<pb::Video> = world.videos.values().filter(is_listed).cloned().collect();
        let position = world.events.len().to_string();
        world.heard.lists.push(request);
        let next = skipped + size;
        let next_page_token = if next < all.len() { next.to_string() } else { String::new() };
        let videos = all.into_iter().skip(skipped).take(size).collect();
        Ok(Response::new(pb::ListVideosResponse { videos, next_page_token, position }))
    }

    async fn get_video(&self, request: Request<pb::GetVideoRequest>) -> Result<Response<pb::GetVideoResponse>, Status> {
        let id = request.into_inner().video_id;
        let video = found(self.world().videos.get(&id).cloned(), &id)?;
        Ok(Response::new(pb::GetVideoResponse { video }))
    }

    async fn update_video(
        &self,
        request: Request<pb::UpdateVideoRequest>,
    ) -> Result<Response<pb::UpdateVideoResponse>, Status> {
        let request = request.into_inner();
        self.world().heard.updates.push(request.clone());
        let revision = self.world().videos.get(&request.video_id).map(|video| video.revision);
        if request.expected_revision.is_some_and(|expected| Some(expected) != revision) {
            return Err(Problem::new(Reason::RevisionMismatch, "it has another revision").into());
        }
        let video = self.change(&request.video_id, |video| video.title.clone_from(&request.title));
        Ok(Response::new(pb::UpdateVideoResponse { video: found(video, &request.video_id)? }))
    }

    async fn remove_video(
        &self,
        request: Request<pb::RemoveVideoRequest>,
    ) -> Result<Response<pb::RemoveVideoResponse>, Status> {
        let request = request.into_inner();
        self.world().heard.removals.push(request.clone());
        let video = self.change(&request.video_id, |video| video.set_state(pb::VideoState::Removed));
        Ok(Response::new(pb::RemoveVideoResponse { video: found(video, &request.video_id)? }))
    }

    async fn restore_video(
        &self,
        request: Request<pb::RestoreVideoRequest>,
    ) -> Result<Response<pb::RestoreVideoResponse>, Status> {
        let id = request.into_inner().video_id;
        let video = self.change(&id, |video| video.set_state(pb::VideoState::Ready));
        Ok(Response::new(pb::RestoreVideoResponse { video: found(video, &id)? }))
    }

    async fn add_captions(
        &self,
        request: Request<pb::AddCaptionsRequest>,
    ) -> Result<Response<pb::AddCaptionsResponse>, Status> {
        let pb::AddCaptionsRequest { video_id, language, label, forced, file, .. } = request.into_inner();
        let captions = pb::Captions { language, label, forced, size: file.len() as u64, ..pb::Captions::default() };
        let video = self.change(&video_id, |video| video.captions.push(captions));
        Ok(Response::new(pb::AddCaptionsResponse { video: found(video, &video_id)? }))
    }

    async fn remove_captions(
        &self,
        request: Request<pb::RemoveCaptionsRequest>,
    ) -> Result<Response<pb::RemoveCaptionsResponse>, Status> {
        let pb::RemoveCaptionsRequest { video_id, captions_id, .. } = request.into_inner();
        let video = self.change(&video_id, |video| video.captions.retain(|captions| captions.id != captions_id));
        Ok(Response::new(pb::RemoveCaptionsResponse { video: found(video, &video_id)? }))
    }

    async fn retry_video(
        &self,
        request: Request<pb::RetryVideoRequest>,
    ) -> Result<Response<pb::RetryVideoResponse>, Status> {
        let id = request.into_inner().video_id;
        let video = self.change(&id, |video| video.set_state(pb::VideoState::Processing));
        Ok(Response::new(pb::RetryVideoResponse { video: found(video, &id)? }))
    }

    type WatchVideosStream = Answers<pb::WatchVideosResponse>;

    async fn watch_videos(
        &self,
        request: Request<pb::WatchVideosRequest>,
    ) -> Result<Response<Self::WatchVideosStream>, Status> {
        let request = request.into_inner();
        self.world().heard.watches.push(request.position.clone());
        self.watching.notify_one();
        let at = request.position.parse().unwrap_or(0);
        let follower = Follower { fake: self.clone(), at, video: request.video_id, given: 0 };
        Ok(Response::new(Box::pin(futures::stream::unfold(follower, |mut f| async { Some((f.next().await, f)) }))))
    }

    type WatchProgressStream = Answers<pb::WatchProgressResponse>;

    async fn watch_progress(
        &self,
        _: Request<pb::WatchProgressRequest>,
    ) -> Result<Response<Self::WatchProgressStream>, Status> {
        Err(Status::unimplemented("vidctl hears of progress with the changes"))
    }

    async fn get_playback(
        &self,
        request: Request<pb::GetPlaybackRequest>,
    ) -> Result<Response<pb::GetPlaybackResponse>, Status> {
        let id = request.into_inner().video_id;
        let video = found(self.world().videos.get(&id).cloned(), &id)?.unwrap_or_default();
        if video.state() == pb::VideoState::Processing {
            return Err(Problem::new(Reason::NotReady, "it does not play yet").into());
        }
        let hls = format!("/videos/{id}/master.m3u8");
        Ok(Response::new(pb::GetPlaybackResponse { playback: Some(pb::Playback { hls, ..Default::default() }) }))
    }

    async fn explain_video(
        &self,
        request: Request<pb::ExplainVideoRequest>,
    ) -> Result<Response<pb::ExplainVideoResponse>, Status> {
        let id = request.into_inner().video_id;
        let video = found(self.world().videos.get(&id).cloned(), &id)?.unwrap_or_default();
        let step = pb::ExplainedStep {
            stage: pb::Stage::Index.into(),
            part: video.source_rendition,
            ..pb::ExplainedStep::default()
        };
        let explanation = pb::Explanation {
            video_id: id,
            file_name: video.file_name,
            file: "it is an MP4 file".into(),
            tracks: Vec::new(),
            steps: vec![step],
        };
        Ok(Response::new(pb::ExplainVideoResponse { explanation: Some(explanation) }))
    }

    async fn report_watched(
        &self,
        _: Request<pb::ReportWatchedRequest>,
    ) -> Result<Response<pb::ReportWatchedResponse>, Status> {
        Err(Status::unimplemented("vidctl plays nothing itself"))
    }

    type CollectGarbageStream = Answers<pb::CollectGarbageResponse>;

    async fn collect_garbage(
        &self,
        request: Request<pb::CollectGarbageRequest>,
    ) -> Result<Response<Self::CollectGarbageStream>, Status> {
        use pb::collect_garbage_response::Event;
        let removed = !request.into_inner().dry_run;
        let found = |name: &str, size, reason: pb::GarbageReason| {
            let age = Some(prost_types::Duration { seconds: 5400, nanos: 0 });
            Event::Found(pb::Garbage { name: name.into(), size, age, reason: reason.into() })
        };
        let total = pb::GarbageTotal { seen: 12, garbage: 2, garbage_bytes: (3 << 20) + 100, young: 1, removed };
        let events = [
            found("sources/a/poster/1/poster.jpg", 3 << 20, pb::GarbageReason::Superseded),
            found("sources/b/\u{1b}[2J", 100, pb::GarbageReason::NoSource),
            Event::Total(total),
        ];
        let told = events.map(|event| Ok(pb::CollectGarbageResponse { event: Some(event) }));
        Ok(Response::new(Box::pin(futures::stream::iter(told))))
    }

    type DiagnoseStream = Answers<pb::DiagnoseResponse>;

    async fn diagnose(&self, _: Request<pb::DiagnoseRequest>) -> Result<Response<Self::DiagnoseStream>, Status> {
        use pb::diagnose_response::Event;
        let findings = self.world().findings.clone();
        let count =
            |verdict| findings.iter().filter(|found| found.verdict() == verdict).count().try_into().expect("few");
        let (fine, doubtful) = (count(pb::Verdict::Fine), count(pb::Verdict::Doubtful));
        let total = pb::DiagnosisTotal { fine, doubtful, wrong: count(pb::Verdict::Wrong) };
        let events: Vec<_> = findings.into_iter().map(Event::Found).chain([Event::Total(total)]).collect();
        let told = events.into_iter().map(|event| Ok(pb::DiagnoseResponse { event: Some(event) }));
        Ok(Response::new(Box::pin(futures::stream::iter(told))))
    }
}

struct Follower {
    fake: Fake,
    at: usize,
    video: String,
    given: usize,
}

impl Follower {
    async fn next(&mut self) -> Result<pb::WatchVideosResponse, Status> {
        let mut happened = self.fake.happened.subscribe();
        loop {
            if self.fake.world().faults.cut_watch_after == Some(self.given) {
                self.fake.world().faults.cut_watch_after = None;
                return Err(Problem::new(Reason::Unavailable, "stopping").into());
            }
            happened.wait_for(|count| *count > self.at).await.expect("the fake runs");
            let event = self.fake.world().events[self.at].clone();
            self.at += 1;
            let is_mine = match &event {
                Event::Changed(video) => self.video.is_empty() || video.id == self.video,
                _ => true,
            };
            if is_mine {
                self.given += 1;
                let position = if matches!(event, Event::Progress(_)) { String::new() } else { self.at.to_string() };
                return Ok(pb::WatchVideosResponse { position, event: Some(event) });
            }
        }
    }
}
