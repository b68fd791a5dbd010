//! The poster of a file without pictures: how loud its sound is, by as little of it as shows that.

use super::source::{Opened, fed_segments};
use super::{Failure, Task};
use crate::ffmpeg::Runs;
use crate::ffmpeg::filter::{self, FilterError};
use crate::ffmpeg::listen::Listen;
use crate::made::RecordError;
use crate::picture::Picture;
use crate::waveform::Loudness;
use vidstream_media::presentation::{Presentation, Rendition};
use vidstream_source::reader::ReadError;

/// Segments that are heard at the most, spread over the whole: a few minutes of a sound of any length.
const MOST: usize = 60;
/// Bytes of them, about: sound that is not compressed has many.
const MOST_BYTES: u64 = 32 << 20;

/// The picture of the first sound that can be decoded.
pub(super) async fn waveform(task: &Task<'_>, opened: Opened, runs: &mut Runs) -> Result<Picture, Failure> {
    let Opened { index, reader, .. } = opened;
    let presentation = tokio::task::spawn_blocking(move || Presentation::new(index)).await?;
    let (listen, rendition) = heard(&presentation)
        .ok_or_else(|| Failure::not_offered("there is neither video nor sound that can be decoded"))?;
    let sizes: Vec<u64> = rendition.plan.segments().iter().map(|segment| segment.len).collect();
    let feed = fed_segments(&rendition, reader, chosen(&sizes));
    let (program, mut loudness) = (&task.tools.program, Loudness::default());
    let passed = filter::pass(program, listen.args(), program.limits().time, feed, &mut loudness).await;
    runs.add(passed.map_err(|error| match error {
        FilterError::Read(error) => error.into(),
        FilterError::Kept(never) => match never {},
        FilterError::Child(error) => Failure::of_filter::<ReadError, RecordError>(FilterError::Child(error)),
    })?);
    loudness.drawn().ok_or_else(|| Failure::not_offered("nothing of the sound can be decoded"))
}

/// The first sound that can be decoded, and how.
pub(super) fn heard(presentation: &Presentation) -> Option<(Listen, Rendition<'_>)> {
    presentation.tracks().find_map(|rendition| Some((Listen::of(&rendition)?, rendition)))
}

/// Which of segments of these sizes are heard, counted from 1: all, or as many as are few enough, equally far apart.
fn chosen(sizes: &[u64]) -> impl Iterator<Item = u32> + use<> {
    let all = sizes.len();
    let mean = (sizes.iter().sum::<u64>() / (all as u64).max(1)).max(1);
    let most = usize::try_from(MOST_BYTES / mean).unwrap_or(MOST).clamp(1, MOST).min(all);
    (0..most).filter_map(move |number| u32::try_from(number * all / most + 1).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_long_sound_a_few_stretches_are_heard() {
        let numbers = |sizes: &[u64]| chosen(sizes).collect::<Vec<_>>();
        assert!(numbers(&[]).is_empty());
        assert_eq!(numbers(&[9; 5]), [1, 2, 3, 4, 5]);
        // Ten hours of segments of four seconds.
        let long = numbers(&vec![64_000; 9000]);
        assert_eq!((long.len(), long[0], long[1], long[59]), (60, 1, 151, 8851));
        assert_eq!(numbers(&[16 << 20; 10]), [1, 6]);
        assert_eq!(numbers(&[1 << 40; 3]), [1]);
    }
}
