//! The public service of videos: what the catalog knows, without what is nobody's business.

use crate::live::{self, Live};
use crate::playback::{Playback, addresses};
use crate::{Deps, captions, diagnose, explain};
use futures::stream::{BoxStream, StreamExt};
use tonic::{Request, Response, Status};
use vidstream_proto::captions::{AddCaptions, RemoveCaptions};
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::VideoId;
use vidstream_proto::pb::gateway_service_server::GatewayService;
use vidstream_proto::video::{Entry, ListVideos, RemoveVideo, RestoreVideo, RetryVideo, UpdateVideo};
use vidstream_proto::watched::ReportWatched;
use vidstream_proto::{field, pb};

/// [`GatewayService`] over the catalog and the transcoder.
#[derive(Clone, Debug)]
pub struct Videos {
    deps: Deps,
    playback: Playback,
    live: Live,
}

impl Videos {
    /// The service over `deps`, which tells `playback` of what it changes. Those who watch share `live`.
    pub fn new(deps: Deps, playback: Playback, live: Live) -> Self {
        Self { deps, playback, live }
    }

    /// A video that was changed. Playback hears of it before the client does: what is removed is gone at once.
    fn changed(&self, entry: Option<pb::Entry>) -> Result<Option<pb::Video>, Problem> {
        let entry = checked(entry)?;
        self.playback.changed(&entry);
        Ok(Some(entry.video))
    }
}

/// The video and its source, as the catalog has them now.
pub async fn entry(deps: &Deps, id: VideoId) -> Result<Entry, Problem> {
    let request = pb::GetEntryRequest { video_id: id.to_string() };
    checked(deps.ask(deps.catalog.clone().get_entry(request)).await?.entry)
}

/// What is wrong with an answer of the catalog is not the client's mistake.
fn checked(entry: Option<pb::Entry>) -> Result<Entry, Problem> {
    let entry = field::present("entry", entry).and_then(Entry::try_from);
    entry.map_err(|problem| Problem::new(Reason::Internal, format!("the catalog's answer makes no sense: {problem}")))
}

#[tonic::async_trait]
impl GatewayService for Videos {
    type WatchVideosStream = BoxStream<'static, Result<pb::WatchVideosResponse, Status>>;
    type WatchProgressStream = BoxStream<'static, Result<pb::WatchProgressResponse, Status>>;
    type CollectGarbageStream = BoxStream<'static, Result<pb::CollectGarbageResponse, Status>>;
    type DiagnoseStream = BoxStream<'static, Result<pb::DiagnoseResponse, Status>>;

    async fn list_videos(
        &self,
        request: Request<pb::ListVideosRequest>,
    ) -> Result<Response<pb::ListVideosResponse>, Status> {
        let list = ListVideos::try_from(request.into_inner())?;
        let call = pb::ListEntriesRequest::from(list);
        let page = self.deps.ask(self.deps.catalog.clone().list_entries(call)).await?;
        Ok(Response::new(pb::ListVideosResponse {
            videos: page.entries.into_iter().filter_map(|entry| entry.video).collect(),
            next_page_token: page.next_page_token,
            position: page.position,
        }))
    }

    async fn get_video(&self, request: Request<pb::GetVideoRequest>) -> Result<Response<pb::GetVideoResponse>, Status> {
        let id = field::id("video_id", &request.into_inner().video_id)?;
        let video = Some(entry(&self.deps, id).await?.video);
        Ok(Response::new(pb::GetVideoResponse { video }))
    }

    async fn update_video(
        &self,
        request: Request<pb::UpdateVideoRequest>,
    ) -> Result<Response<pb::UpdateVideoResponse>, Status> {
        let call = pb::UpdateEntryRequest::from(UpdateVideo::try_from(request.into_inner())?);
        let answer = self.deps.ask(self.deps.catalog.clone().update_entry(call)).await?;
        Ok(Response::new(pb::UpdateVideoResponse { video: self.changed(answer.entry)? }))
    }

    async fn remove_video(
        &self,
        request: Request<pb::RemoveVideoRequest>,
    ) -> Result<Response<pb::RemoveVideoResponse>, Status> {
        let call = pb::RemoveEntryRequest::from(RemoveVideo::try_from(request.into_inner())?);
        let answer = self.deps.ask(self.deps.catalog.clone().remove_entry(call)).await?;
        Ok(Response::new(pb::RemoveVideoResponse { video: self.changed(answer.entry)? }))
    }

    async fn restore_video(
        &self,
        request: Request<pb::RestoreVideoRequest>,
    ) -> Result<Response<pb::RestoreVideoResponse>, Status> {
        let call = pb::RestoreEntryRequest::from(RestoreVideo::try_from(request.into_inner())?);
        let answer = self.deps.ask(self.deps.catalog.clone().restore_entry(call)).await?;
        Ok(Response::new(pb::RestoreVideoResponse { video: self.changed(answer.entry)? }))
    }

    async fn retry_video(
        &self,
        request: Request<pb::RetryVideoRequest>,
    ) -> Result<Response<pb::RetryVideoResponse>, Status> {
        let call = pb::RetryEntryRequest::from(RetryVideo::try_from(request.into_inner())?);
        let answer = self.deps.ask(self.deps.catalog.clone().retry_entry(call)).await?;
        Ok(Response::new(pb::RetryVideoResponse { video: self.changed(answer.entry)? }))
    }

    async fn add_captions(
        &self,
        request: Request<pb::AddCaptionsRequest>,
    ) -> Result<Response<pb::AddCaptionsResponse>, Status> {
        let call = captions::stored(&self.deps, AddCaptions::try_from(request.into_inner())?).await?;
        let answer = self.deps.ask(self.deps.catalog.clone().add_entry_captions(call)).await?;
        Ok(Response::new(pb::AddCaptionsResponse { video: self.changed(answer.entry)? }))
    }

    async fn remove_captions(
        &self,
        request: Request<pb::RemoveCaptionsRequest>,
    ) -> Result<Response<pb::RemoveCaptionsResponse>, Status> {
        let call = pb::RemoveEntryCaptionsRequest::from(RemoveCaptions::try_from(request.into_inner())?);
        let answer = self.deps.ask(self.deps.catalog.clone().remove_entry_captions(call)).await?;
        Ok(Response::new(pb::RemoveCaptionsResponse { video: self.changed(answer.entry)? }))
    }

    async fn watch_videos(
        &self,
        request: Request<pb::WatchVideosRequest>,
    ) -> Result<Response<Self::WatchVideosStream>, Status> {
        // The public port answers this call by `live::rpcs`, without decoding.
        let told = self.live.videos(request.into_inner()).await?;
        Ok(Response::new(told.map(|told| told?.message()).boxed()))
    }

    async fn watch_progress(
        &self,
        request: Request<pb::WatchProgressRequest>,
    ) -> Result<Response<Self::WatchProgressStream>, Status> {
        let id = field::id("video_id", &request.into_inner().video_id)?;
        Ok(Response::new(live::progress::of_video(&self.deps, id).await?))
    }

    async fn get_playback(
        &self,
        request: Request<pb::GetPlaybackRequest>,
    ) -> Result<Response<pb::GetPlaybackResponse>, Status> {
        let id = field::id("video_id", &request.into_inner().video_id)?;
        let playback = Some(addresses::of(&entry(&self.deps, id).await?, &self.deps.config.public_url)?);
        Ok(Response::new(pb::GetPlaybackResponse { playback }))
    }

    async fn explain_video(
        &self,
        request: Request<pb::ExplainVideoRequest>,
    ) -> Result<Response<pb::ExplainVideoResponse>, Status> {
        let id = field::id("video_id", &request.into_inner().video_id)?;
        let explanation = Some(explain::video(&self.deps, id).await?);
        Ok(Response::new(pb::ExplainVideoResponse { explanation }))
    }

    async fn report_watched(
        &self,
        request: Request<pb::ReportWatchedRequest>,
    ) -> Result<Response<pb::ReportWatchedResponse>, Status> {
        let call = pb::AddWatchedRequest::from(ReportWatched::try_from(request.into_inner())?);
        self.deps.ask(self.deps.catalog.clone().add_watched(call)).await?;
        Ok(Response::new(pb::ReportWatchedResponse {}))
    }

    async fn collect_garbage(
        &self,
        request: Request<pb::CollectGarbageRequest>,
    ) -> Result<Response<Self::CollectGarbageStream>, Status> {
        Ok(Response::new(live::garbage(&self.deps, request.into_inner()).await?))
    }

    async fn diagnose(&self, _: Request<pb::DiagnoseRequest>) -> Result<Response<Self::DiagnoseStream>, Status> {
        Ok(Response::new(diagnose::findings(self.deps.clone()).boxed()))
    }
}
