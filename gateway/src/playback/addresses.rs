//! Where a video is played from: only what is offered.

use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::pb;
use vidstream_proto::pb::{PartState, UploadState, VideoState};
use vidstream_proto::video::Entry;

/// The addresses of `entry`'s video below `base` (empty: paths on the server that answers), or why it has none.
pub fn of(entry: &Entry, base: &str) -> Result<pb::Playback, Problem> {
    let video = &entry.video;
    if video.state() == VideoState::Removed {
        return Err(Problem::new(Reason::NotFound, format!("video {} was removed", entry.id)));
    }
    match video.upload.as_ref().map(pb::UploadPart::state) {
        Some(UploadState::Complete) => {}
        Some(UploadState::Expired) => {
            return Err(Problem::new(Reason::NotFound, "the upload was never finished and has expired"));
        }
        _ => return Err(Problem::new(Reason::NotReady, "the upload is not complete yet")),
    }
    let ready = |part: &Option<pb::Part>| part.as_ref().is_some_and(|part| part.state() == PartState::Ready);
    let address = |offered: bool, name: &str| {
        if offered { format!("{base}/videos/{}/{name}", entry.id) } else { String::new() }
    };
    let segmented = video.segmented;
    let storyboard = ready(&video.storyboard);
    Ok(pb::Playback {
        hls: address(segmented, "master.m3u8"),
        dash: address(segmented, "manifest.mpd"),
        source: address(true, "source"),
        storyboard_vtt: address(storyboard, "storyboard.vtt"),
        storyboard_json: address(storyboard, "storyboard.json"),
        poster: address(ready(&video.poster), "poster.jpg"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use vidstream_proto::ids::{SourceId, VideoId};

    fn entry(state: VideoState, upload: UploadState, rendition: PartState, storyboard: PartState) -> Entry {
        let part = |state: PartState| Some(pb::Part { state: state.into(), ..Default::default() });
        let video = pb::Video {
            state: state.into(),
            upload: Some(pb::UploadPart { state: upload.into(), ..Default::default() }),
            source_rendition: part(rendition),
            segmented: rendition == PartState::Ready,
            storyboard: part(storyboard),
            ..Default::default()
        };
        Entry { id: VideoId::generate(), source_id: SourceId::generate(), video }
    }

    #[test]
    fn only_what_is_offered_has_an_address() {
        let made = entry(VideoState::Ready, UploadState::Complete, PartState::Ready, PartState::Running);
        let playback = of(&made, "").expect("plays");
        assert_eq!(playback.hls, format!("/videos/{}/master.m3u8", made.id));
        assert_eq!(playback.dash, format!("/videos/{}/manifest.mpd", made.id));
        assert_eq!(playback.source, format!("/videos/{}/source", made.id));
        assert_eq!((playback.storyboard_vtt.as_str(), playback.poster.as_str()), ("", ""));
    }

    #[test]
    fn what_does_not_play_says_why() {
        let reason =
            |state, upload| of(&entry(state, upload, PartState::Ready, PartState::Ready), "").expect_err("no").reason;
        assert_eq!(reason(VideoState::Uploading, UploadState::Open), Reason::NotReady);
        assert_eq!(reason(VideoState::Removed, UploadState::Complete), Reason::NotFound);
        assert_eq!(reason(VideoState::Failed, UploadState::Expired), Reason::NotFound);
    }
}
