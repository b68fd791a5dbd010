//! The still picture shown in lists: out of a few keyframes the first that shows something.

use super::source::{pictures, video};
use super::{Failure, Task, generation};
use crate::jpeg;
use crate::picture::{Picture, Size};
use bytes::Bytes;
use tokio::sync::mpsc;
use vidstream_media::picture::{display_size, fitted};
use vidstream_media::storyboard::poster_candidates;
use vidstream_proto::pb;
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
    let (index, _) = task.index().await?;
    let candidates = poster_candidates(&index)?;
    let (width, height) = fitted(display_size(video(&index)?.1), SIDE);
    let size = Size::new(width, height)
        .ok_or_else(|| Failure::not_offered(format!("a poster of {width}×{height} can't be made")))?;
    let (sender, receiver) = pictures();
    let decoded = task.decode(&index, &candidates, size, sender);
    let (decoded, chosen) = futures::join!(decoded, choose(receiver));
    // Any picture of the video will do: only with none at all it matters why.
    let Some(picture) = chosen else { return Err(decoded.err().unwrap_or_else(|| Failure::not_offered("no picture"))) };
    let encoded = tokio::task::spawn_blocking(move || jpeg::encode(&picture)).await?;
    let bytes = Bytes::from(encoded?);
    let name = names::poster(task.lease.source.id, task.lease.job.fence);
    let generation = generation([&bytes[..]]);
    task.tools.objects.put(&name, vec![bytes]).await?;
    Ok(pb::PosterResult { object: name.to_string(), width, height, generation })
}

/// The first picture that is neither dark nor bright nor flat, else the one with the most in it.
async fn choose(mut pictures: mpsc::Receiver<Picture>) -> Option<Picture> {
    let mut best: Option<((bool, f64), Picture)> = None;
    while let Some(picture) = pictures.recv().await {
        let (mean, deviation) = picture.luma_statistics();
        let shows = (DARK..=BRIGHT).contains(&mean) && deviation >= FLAT;
        let better = match &best {
            None => true,
            Some(((true, _), _)) => false,
            Some(((false, most), _)) => shows || deviation > *most,
        };
        if better {
            best = Some(((shows, deviation), picture));
        }
    }
    best.map(|(_, picture)| picture)
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

    async fn chosen(candidates: &[Picture]) -> Option<Picture> {
        let (sender, receiver) = mpsc::channel(candidates.len().max(1));
        for picture in candidates {
            sender.send(picture.clone()).await.expect("room");
        }
        drop(sender);
        choose(receiver).await
    }

    #[tokio::test]
    async fn the_first_that_shows_something() {
        let [black, white, grey] = [halves(0, 4), halves(250, 255), halves(120, 121)];
        let [good, better] = [halves(80, 120), halves(20, 220)];
        let candidates = [black.clone(), white, grey, good.clone(), better];
        assert_eq!(chosen(&candidates).await, Some(good));
        assert_eq!(chosen(&[black.clone(), halves(10, 30), black]).await, Some(halves(10, 30)));
        assert_eq!(chosen(&[]).await, None);
    }
}
