//! Sound anew, in the coding that plays everywhere: in one go, so that no seam is heard. It is fed as the packager makes it, so
//! its times are those that players see. Pictures are encoded in [spans](super::span).

use super::{Failure, Task, found, generation, span};
use crate::ffmpeg::encode::EncodeSound;
use crate::ffmpeg::filter;
use crate::made::Recording;
use std::time::Duration;
use vidstream_media::index::MediaIndex;
use vidstream_media::presentation::{Presentation, Rendition, TrackName};
use vidstream_media::track::Track;
use vidstream_proto::job::JobKind;
use vidstream_proto::pb;
use vidstream_source::made::MadeWriter;
use vidstream_source::names;

/// Time that an encode may take beside what its media lasts.
pub(super) const LEAST_TIME: Duration = Duration::from_mins(10);
/// How much longer than its media an encode may take.
pub(super) const SLOWEST: u32 = 30;
/// By how much encoded sound may be shorter than its source.
const SHORTER: Duration = Duration::from_millis(500);

pub(super) async fn run(task: Task<'_>) -> Result<pb::EncodeResult, Failure> {
    if let Some((track, number)) = task.lease.job.id.part().split_once('-') {
        let number = number.parse().map_err(|error| Failure::ours(&error))?;
        return span::run(&task, track, number).await;
    }
    let opened = task.media().await?;
    let presentation = tokio::task::spawn_blocking(move || Presentation::new(opened.index)).await?;
    let name: TrackName = task.lease.job.id.part().parse().map_err(|error| Failure::ours(&error))?;
    let missing = || Failure::input(format!("there is no track {name}"));
    let rendition = presentation.tracks().find(|rendition| rendition.name == name).ok_or_else(missing)?;
    let codec = rendition.track.codec.name();
    let plan = EncodeSound::of(&rendition).ok_or_else(|| Failure::input(format!("{codec} can't be decoded here")))?;
    let args = plan.args();

    let (id, fence, part) = (task.lease.source.id, task.lease.job.fence, name.to_string());
    let prefix = names::made(id, JobKind::Encode, fence, &part);
    let mut recording = Recording::new(MadeWriter::new(task.tools.objects.clone(), &prefix), task.tools.config.media)?;
    let media = rendition.track.duration();
    let feed = task.fed_rendition(&rendition, opened.reader);
    tracing::trace!(name: "encode.begun", target: "point", "a track is about to be encoded");
    let time = LEAST_TIME + media * SLOWEST;
    let ran = filter::pass(&task.tools.program, args, time, feed, &mut recording).await.map_err(Failure::of_filter)?;
    let (file, mut index) = recording.finish().await?;
    let track = settle(&mut index, rendition.track).ok_or_else(|| Failure::input("nothing of it can be decoded"))?;
    check_length(&rendition, track, media)?;
    let described = found::track(track);
    let stored = index.encode();
    let index = Presentation::new(index);
    let generation = generation([stored.as_slice(), &index.plan().fingerprint_bytes(), prefix.as_bytes()]);
    let object = names::made_index(id, JobKind::Encode, fence, &part);
    tracing::trace!(name: "encode.made", target: "point", "a track is encoded and its index not stored");
    task.tools.objects.put(&object, vec![stored.into()]).await?;
    tracing::trace!(name: "encode.stored", target: "point", "a track is encoded, which nobody knows");
    Ok(pb::EncodeResult {
        object: object.to_string(),
        file: Some((&file).into()),
        generation,
        format: vidstream_media::stored::VERSION.into(),
        track: Some(described),
        work: Some(ran.into()),
    })
}

/// The one track of what was encoded, with what people know the source's by.
fn settle<'a>(index: &'a mut MediaIndex, source: &Track) -> Option<&'a Track> {
    let track = index.tracks.first_mut()?;
    track.language.clone_from(&source.language);
    track.name.clone_from(&source.name);
    (!track.samples.is_empty()).then_some(track)
}

/// Never silently shorter: a decoder that gave up in the middle ends as well as one that did all.
fn check_length(source: &Rendition, made: &Track, media: Duration) -> Result<(), Failure> {
    let slowest = source.plan.timescale.duration(source.track.samples.end_dts()) / 100;
    let (is, lacking) = (made.duration(), SHORTER.max(slowest));
    if is + lacking >= media {
        return Ok(());
    }
    let seconds = |time: Duration| time.as_secs_f64();
    let words = format!("only {:.1} of {:.1} seconds of it can be decoded", seconds(is), seconds(media));
    Err(Failure::input(words))
}
