//! Waiting for a video: until it is ready, until its previews are there.

use super::Context;
use crate::args::WaitUntil;
use crate::errors::Failure;
use crate::feed::Feed;
use crate::progress::Progress;
use crate::text::clean;
use vidstream_proto::ids::VideoId;
use vidstream_proto::pb;
use vidstream_proto::pb::watch_videos_response::Event;

/// Waits for `video` and gives it as it is then, with what is to be said of it.
pub async fn wait(
    context: &Context,
    mut video: pb::Video,
    id: VideoId,
    until: WaitUntil,
) -> Result<(pb::Video, Result<(), Failure>), Failure> {
    let mut feed = Feed::new(context.gateway.clone(), Some(id));
    let mut progress = Progress::work(&video.title);
    loop {
        if let Some(verdict) = verdict(&video, until) {
            return Ok((video, verdict));
        }
        match feed.next().await?.event {
            Some(Event::Changed(changed)) => video = changed,
            Some(Event::Progress(step)) => progress.stage(&step),
            Some(Event::Purged(_)) => return Err(removed(&video)),
            Some(Event::Reset(_) | Event::Current(_)) | None => {}
        }
    }
}

/// Whether nothing more will happen to a video by itself.
pub fn is_finished(video: &pb::Video) -> bool {
    match video.state() {
        pb::VideoState::Failed | pb::VideoState::Removed => true,
        pb::VideoState::Ready => !parts(video).into_iter().any(|(_, part)| is_pending(part)),
        pb::VideoState::Uploading | pb::VideoState::Processing | pb::VideoState::Unspecified => false,
    }
}

/// What `--wait` says of a video; none while it has to wait.
fn verdict(video: &pb::Video, until: WaitUntil) -> Option<Result<(), Failure>> {
    match video.state() {
        pb::VideoState::Failed => {
            Some(Err(Failure::failed(format!("`{}` failed: {}", clean(&video.title), clean(&video.failure)))))
        }
        pb::VideoState::Removed => Some(Err(removed(video))),
        pb::VideoState::Ready if until == WaitUntil::Ready => Some(Ok(())),
        pb::VideoState::Ready if is_finished(video) => Some(previews(video)),
        _ => None,
    }
}

/// Whether the previews of a finished video are what they should be.
fn previews(video: &pb::Video) -> Result<(), Failure> {
    for (name, part) in parts(video) {
        let Some(part) = part.filter(|part| part.state() == pb::PartState::Failed) else { continue };
        let message = format!("`{}` is ready, but its {name} failed: {}", clean(&video.title), clean(&part.reason));
        return Err(Failure::failed(message).hint(format!("`vidctl retry {}` runs failed parts again", video.id)));
    }
    Ok(())
}

fn removed(video: &pb::Video) -> Failure {
    Failure::failed(format!("`{}` was removed meanwhile", clean(&video.title)))
}

fn parts(video: &pb::Video) -> [(&'static str, Option<&pb::Part>); 3] {
    // A server that is older encodes nothing.
    let encoded = video.encoded.as_ref().unwrap_or(&NOTHING);
    [("storyboard", video.storyboard.as_ref()), ("poster", video.poster.as_ref()), ("encoding", Some(encoded))]
}

static NOTHING: pb::Part =
    pb::Part { state: pb::PartState::NotOffered as i32, reason: String::new(), generation: String::new() };

fn is_pending(part: Option<&pb::Part>) -> bool {
    part.is_none_or(|part| matches!(part.state(), pb::PartState::Waiting | pb::PartState::Running))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(state: pb::PartState) -> pb::Part {
        pb::Part { state: state.into(), reason: "why".into(), generation: String::new() }
    }

    fn video(state: pb::VideoState, storyboard: pb::PartState, poster: pb::PartState) -> pb::Video {
        pb::Video {
            title: "sea".into(),
            failure: "no pictures".into(),
            state: state.into(),
            storyboard: Some(part(storyboard)),
            poster: Some(part(poster)),
            ..Default::default()
        }
    }

    fn said(video: &pb::Video, until: WaitUntil) -> String {
        match verdict(video, until) {
            None => "waits".into(),
            Some(Ok(())) => "done".into(),
            Some(Err(Failure::Told { message, .. })) => message,
            Some(Err(Failure::ReaderLeft)) => panic!("nothing is printed"),
        }
    }

    #[test]
    fn ready_is_enough_unless_all_is_asked_for() {
        use pb::{PartState as P, VideoState as V};
        let running = video(V::Ready, P::Running, P::Ready);
        assert_eq!(said(&running, WaitUntil::Ready), "done");
        assert_eq!(said(&running, WaitUntil::All), "waits");
        assert_eq!(said(&video(V::Ready, P::Ready, P::Waiting), WaitUntil::All), "waits");
        assert_eq!(said(&video(V::Ready, P::NotOffered, P::Ready), WaitUntil::All), "done");
        let failed = video(V::Ready, P::Ready, P::Failed);
        assert_eq!(said(&failed, WaitUntil::Ready), "done");
        assert_eq!(said(&failed, WaitUntil::All), "`sea` is ready, but its poster failed: why");
        assert_eq!(said(&video(V::Processing, P::Ready, P::Ready), WaitUntil::Ready), "waits");
        assert_eq!(said(&video(V::Failed, P::Waiting, P::Waiting), WaitUntil::All), "`sea` failed: no pictures");
        assert_eq!(said(&video(V::Removed, P::Waiting, P::Waiting), WaitUntil::All), "`sea` was removed meanwhile");
    }
}
