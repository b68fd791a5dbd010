//! The still picture shown in lists: out of a few keyframes the first that shows something, or what sound alone looks like.

use super::source::{Opened, video};
use super::waveform::waveform;
use super::{Failure, Task, generation};
use crate::ffmpeg::Runs;
use crate::jpeg;
use crate::picture::{Picture, Size};
use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use std::pin::pin;
use vidstream_media::picture::{display_size, fitted};
use vidstream_media::storyboard::poster_candidates;
use vidstream_proto::pb::{self, FailureKind};
use vidstream_source::names;

/// The longest side of a poster, in pixels.
const SIDE: u32 = 1280;
/// Mean luma below which a picture is taken for black.
const DARK: f64 = 24.0;
/// Mean luma above which a picture is taken for white.
const BRIGHT: f64 = 232.0;
/// Deviation of luma below which a picture is taken for empty.
const FLAT: f64 = 12.0;

pub(super) async fn run(task: Task<'_>) -> Result<pb::PosterResult, Failure> {
    let opened = task.pictures(|index| &index.no_poster_reason).await?;
    let mut runs = Runs::default();
    let picture = if video(&opened.index).is_ok() {
        still(&task, &opened, &mut runs).await?
    } else {
        waveform(&task, opened, &mut runs).await?
    };
    let size = picture.size();
    let encoded = tokio::task::spawn_blocking(move || jpeg::encode(&picture)).await?;
    let bytes = Bytes::from(encoded?);
    let name = names::poster(task.lease.source.id, task.lease.job.fence);
    let generation = generation([&bytes[..]]);
    task.tools.objects.put(&name, vec![bytes]).await?;
    let pixels = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let (width, height) = (pixels(size.width()), pixels(size.height()));
    Ok(pb::PosterResult { object: name.to_string(), width, height, generation, work: runs.work() })
}

/// One of the video's pictures.
async fn still(task: &Task<'_>, opened: &Opened, runs: &mut Runs) -> Result<Picture, Failure> {
    let candidates = poster_candidates(&opened.index)?;
    let (width, height) = fitted(display_size(video(&opened.index)?.1), SIDE);
    let size = Size::new(width, height)
        .ok_or_else(|| Failure::not_offered(format!("a poster of {width}×{height} can't be made")))?;
    // One by one: nearly always the first will do, and then nothing else of the file is read or decoded.
    let pictures = stream::iter(&candidates).then(|candidate| task.picture(opened, *candidate, size));
    let pictures = pictures.map_ok(|(picture, run)| {
        runs.add(run);
        picture
    });
    choose(pictures).await
}

/// The first picture that is neither dark nor bright nor flat, else the one with the most in it. Any picture of the video
/// will do: only where there is none it matters why.
async fn choose(pictures: impl Stream<Item = Result<Picture, Failure>>) -> Result<Picture, Failure> {
    let mut pictures = pin!(pictures);
    let mut best: Option<(f64, Picture)> = None;
    let mut why = None;
    while let Some(picture) = pictures.next().await {
        let picture = match picture {
            Ok(picture) => picture,
            // The file's own fault: another keyframe may be sound. Anything else passes, and is tried again.
            Err(failure) if matches!(failure.kind, FailureKind::Input | FailureKind::NotOffered) => {
                why = Some(failure);
                continue;
            }
            Err(failure) => return Err(failure),
        };
        let (mean, deviation) = picture.luma_statistics();
        if (DARK..=BRIGHT).contains(&mean) && deviation >= FLAT {
            return Ok(picture);
        }
        if best.as_ref().is_none_or(|(most, _)| deviation > *most) {
            best = Some((deviation, picture));
        }
    }
    let none = || why.unwrap_or_else(|| Failure::not_offered("no picture"));
    best.map(|(_, picture)| picture).ok_or_else(none)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of two halves.
    fn halves(left: u8, right: u8) -> Picture {
        let size = Size::new(4, 2).expect("even");
        let bytes = [left, left, right, right, left, left, right, right, 128, 128, 128, 128];
        Picture::new(size, Bytes::copy_from_slice(&bytes)).expect("fits")
    }

    /// What is chosen, and how many pictures were asked for.
    async fn chosen(candidates: &[Picture]) -> (Option<Picture>, usize) {
        let mut asked = 0;
        let pictures = stream::iter(candidates).inspect(|_| asked += 1).map(|picture| Ok(picture.clone()));
        let chosen = choose(pictures).await.ok();
        (chosen, asked)
    }

    #[tokio::test]
    async fn the_first_that_shows_something() {
        let [black, white, grey] = [halves(0, 4), halves(250, 255), halves(120, 121)];
        let [good, better] = [halves(80, 120), halves(20, 220)];
        let candidates = [black.clone(), white, grey, good.clone(), better];
        assert_eq!(chosen(&candidates).await, (Some(good), 4), "and the rest is not decoded");
        assert_eq!(chosen(&[black.clone(), halves(10, 30), black]).await, (Some(halves(10, 30)), 3));
        assert_eq!(chosen(&[]).await, (None, 0));
    }

    #[tokio::test]
    async fn what_does_not_decode_is_passed_over() {
        let good = halves(80, 120);
        let torn = || Err(Failure::not_offered("torn"));
        assert_eq!(choose(stream::iter([torn(), Ok(good.clone())])).await.ok(), Some(good));
        let failure = choose(stream::iter([torn()])).await.expect_err("no picture");
        assert_eq!(failure.reason, "torn");
        let passing = choose(stream::iter([Err(Failure::stopping()), Ok(halves(80, 120))])).await;
        assert_eq!(passing.err(), Some(Failure::stopping()));
    }
}
