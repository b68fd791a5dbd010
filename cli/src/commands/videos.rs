//! `get`, `explain`, `rm`, `restore` and `retry`: one call a video.

use super::{Context, each, video_id};
use crate::args::{Remove, Several};
use crate::connect::{answer, request_id, unary, video};
use crate::errors::{CallError, Failure};
use crate::state::State;
use vidstream_proto::error::Exit;
use vidstream_proto::pb;
use vidstream_proto::time::proto_duration;

pub async fn get(context: &Context, id: &str) -> Result<Exit, Failure> {
    let id = video_id(id)?;
    let video = context.gateway.video(id).await.map_err(|error| context.gateway.told(error))?;
    context.printer.sheet(&video)?;
    Ok(Exit::Done)
}

pub async fn explain(context: &Context, id: &str) -> Result<Exit, Failure> {
    let request = unary(pb::ExplainVideoRequest { video_id: video_id(id)?.to_string() });
    let answered = answer(context.gateway.videos.clone().explain_video(request).await);
    let explanation = answered.map_err(|error| context.gateway.told(error))?.explanation;
    context.printer.explanation(&explanation.unwrap_or_default())?;
    Ok(Exit::Done)
}

pub async fn remove(context: &Context, args: Remove) -> Result<Exit, Failure> {
    let purge_after = args.purge_after.map(|after| proto_duration(after.0));
    each(args.ids, async |id| {
        let id = video_id(&id)?;
        let request = pb::RemoveVideoRequest {
            request_id: request_id(),
            video_id: id.to_string(),
            purge_after,
            expected_revision: None,
        };
        let removed = context.gateway.videos.clone().remove_video(unary(request)).await;
        let removed = video(removed.map(|r| r.into_inner().video));
        // Whatever was being uploaded to it can't go on.
        if removed.as_ref().map_or_else(CallError::is_not_found, |_| true) {
            State::of_user().map_or(Ok(()), |state| state.forget(&context.gateway.server, &[id]))?;
        }
        context.printer.video(&removed.map_err(|error| context.gateway.told(error))?)
    })
    .await
}

pub async fn restore(context: &Context, args: Several) -> Result<Exit, Failure> {
    each(args.ids, async |id| {
        let video_id = video_id(&id)?.to_string();
        let request = pb::RestoreVideoRequest { request_id: request_id(), video_id, expected_revision: None };
        let restored = context.gateway.videos.clone().restore_video(unary(request)).await;
        let restored = video(restored.map(|r| r.into_inner().video));
        context.printer.video(&restored.map_err(|error| context.gateway.told(error))?)
    })
    .await
}

pub async fn retry(context: &Context, args: Several) -> Result<Exit, Failure> {
    each(args.ids, async |id| {
        let request = pb::RetryVideoRequest {
            request_id: request_id(),
            video_id: video_id(&id)?.to_string(),
            expected_revision: None,
        };
        let retried = context.gateway.videos.clone().retry_video(unary(request)).await;
        let retried = video(retried.map(|r| r.into_inner().video));
        context.printer.video(&retried.map_err(|error| context.gateway.told(error))?)
    })
    .await
}
