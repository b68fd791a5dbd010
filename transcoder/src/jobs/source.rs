//! What jobs need of a source: its reader, its index, and keyframes as pictures.

use super::{Failure, Task};
use crate::ffmpeg::args::MAX_PIXELS;
use crate::ffmpeg::plan::Decoder;
use crate::ffmpeg::{Decode, Pictures, Run};
use crate::picture::{Picture, Size};
use crate::records;
use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use tokio::sync::mpsc;
use vidstream_media::cmaf::SegmentLayout;
use vidstream_media::codec::Codec;
use vidstream_media::encoded::{Planned, keyframe_of};
use vidstream_media::index::MediaIndex;
use vidstream_media::presentation::{Presentation, Rendition, TrackName};
use vidstream_media::storyboard::{Feed, Keyframe, NoStoryboard};
use vidstream_media::track::{Sample, SampleTable, Track, TrackKind, VideoFormat};
use vidstream_proto::pb::{self, FailureKind};
use vidstream_proto::segments::EncodedSegments;
use vidstream_source::names;
use vidstream_source::reader::{PART, ReadError, SourceReader};

/// The largest stored index that is read; one of 20 million samples has about 60 MB.
const LARGEST_INDEX: u64 = 1 << 30;
/// Keyframes that are read while the one before is decoded.
const READ_AHEAD: usize = 3;
/// Bytes of a segment in which its pictures are described.
const SEGMENT_HEAD: u64 = 64 << 10;
/// A keyframe up to this size is read ahead whole; a larger one passes through in pieces.
const READ_WHOLE: u64 = 4 << 20;
/// How much longer than its media it may take to decode all of it.
const SLOWEST: u32 = 10;
/// Pictures that wait to be looked at.
const PICTURES_AHEAD: usize = 2;

/// A media index, and the file that it is of.
#[derive(Debug)]
pub(super) struct Opened {
    pub index: MediaIndex,
    pub reader: SourceReader,
    /// Of encoded pictures: the index is their plan, and each segment an object.
    segments: Option<EncodedSegments>,
}

/// Keyframes, and where they lie.
struct Located {
    index: MediaIndex,
    reader: SourceReader,
    keyframes: Vec<Keyframe>,
}

impl Task<'_> {
    /// A reader of the job's source.
    pub(super) fn reader(&self) -> SourceReader {
        let waiter = format!("{}/{}", self.lease.job.id, self.lease.job.fence);
        records::reader(&self.tools.catalog, &self.tools.objects, &self.lease.source, waiter)
    }

    /// The source's media index, as it is stored, and the file that it is of.
    pub(super) async fn media(&self) -> Result<Opened, Failure> {
        let missing = || Failure::new(FailureKind::Attempt, "the source has no media index");
        let result = self.lease.source.index_result.as_ref().ok_or_else(missing)?;
        self.opened(&result.object, result.file.as_ref()).await
    }

    /// What pictures are made of: the source's own, or, where there is a `reason` why those won't do, what was encoded of them.
    pub(super) async fn pictures(&self, reason: impl FnOnce(&pb::IndexResult) -> &str) -> Result<Opened, Failure> {
        let source = &self.lease.source;
        let unfit = source.index_result.as_ref().is_some_and(|index| !reason(index).is_empty());
        let encoded = source.encoded.iter().find(|track| track.is_video() && track.is_made()).filter(|_| unfit);
        match encoded.and_then(|track| track.segments.as_ref()) {
            Some(segments) => {
                let opened = self.opened(&segments.object, None).await?;
                Ok(Opened { segments: Some(segments.clone()), ..opened })
            }
            None => self.media().await,
        }
    }

    async fn opened(&self, object: &str, file: Option<&pb::MadeFile>) -> Result<Opened, Failure> {
        let name = object.parse().map_err(|error| Failure::ours(&error))?;
        let stored = self.tools.objects.read(&name, LARGEST_INDEX).await?;
        let index = tokio::task::spawn_blocking(move || MediaIndex::decode(&stored)).await??;
        let reader = match file {
            Some(file) => SourceReader::of_made(file.try_into()?, self.tools.objects.clone()),
            None => self.reader(),
        };
        Ok(Opened { index, reader, segments: None })
    }

    /// What is fed for `keyframes`: of encoded pictures, which lie in segments, an index of just those.
    async fn located(&self, opened: &Opened, keyframes: &[Keyframe]) -> Result<Option<Located>, Failure> {
        let Some(segments) = &opened.segments else { return Ok(None) };
        let gone = || Failure::new(FailureKind::Attempt, "a segment of encoded pictures is missing");
        let planned = Planned::new(Presentation::new(opened.index.clone())).ok_or_else(gone)?;
        let (mut parts, mut samples) = (Vec::new(), Vec::new());
        for (place, keyframe) in keyframes.iter().enumerate() {
            let number = planned.segment_at(keyframe.sample).ok_or_else(gone)?;
            let fence = segments.fence_of(number).ok_or_else(gone)?;
            let name = names::segment(self.lease.source.id, fence, &TrackName::Video.to_string(), number);
            let size = self.tools.objects.head(&name).await?.size;
            let head = self.tools.objects.get_range(&name, 0..size.min(SEGMENT_HEAD)).await?;
            let head = head.try_fold(BytesMut::new(), |mut all, bytes| async move {
                all.extend_from_slice(&bytes);
                Ok(all)
            });
            let range = keyframe_of(&head.await?).ok_or_else(gone)?;
            let (offset, size) = (PART * place as u64 + range.start, range.end - range.start);
            let size = u32::try_from(size).map_err(|error| Failure::ours(&error))?;
            samples.push(Sample { offset, size, dts: keyframe.ticks, cts: 0, duration: 1, sync: true });
            parts.push(name);
        }
        let mut index = opened.index.clone();
        let track = index.tracks.first_mut().ok_or_else(gone)?;
        track.samples = SampleTable::from_samples(samples);
        track.codec = Codec::H264 { avcc: segments.configuration.clone() };
        let reader = SourceReader::of_parts(parts, self.tools.objects.clone());
        let keyframes = keyframes.iter().enumerate().map(|(sample, keyframe)| Keyframe { sample, ..*keyframe });
        Ok(Some(Located { index, reader, keyframes: keyframes.collect() }))
    }

    /// The bytes of a rendition as players get them: its init segment, and each of its segments. What is read moves the gauge.
    pub(super) fn fed_rendition<'a>(
        &'a self,
        rendition: &'a Rendition<'a>,
        reader: SourceReader,
    ) -> impl Stream<Item = Result<Bytes, ReadError>> + use<'a> {
        let total: u64 = rendition.plan.segments().iter().map(|segment| segment.len).sum();
        let mut meter = self.gauge.measure(to_float(total.max(1))).covering(rendition.track.duration());
        let mut read = 0.0;
        fed_segments(rendition, reader, 1..).inspect_ok(move |bytes| {
            read += to_float(bytes.len() as u64);
            meter.done(read);
        })
    }

    /// Decodes `keyframes` to pictures of `size` and sends each as it comes; says what that took.
    pub(super) async fn decode(
        &self,
        opened: &Opened,
        keyframes: &[Keyframe],
        size: Size,
        pictures: mpsc::Sender<Picture>,
    ) -> Result<Run, Failure> {
        let located = self.located(opened, keyframes).await?;
        let (index, reader, keyframes) = match &located {
            Some(located) => (&located.index, &located.reader, located.keyframes.as_slice()),
            None => (&opened.index, &opened.reader, keyframes),
        };
        let plan = Self::picture_plan(index, size)?;
        let feed = Feed::new(index, keyframes.iter().copied())?;
        let program = &self.tools.program;
        let made = Pictures { program, plan, count: keyframes.len(), time: program.limits().time };
        Ok(made.decode(fed(reader.clone(), &feed), pictures).await?)
    }

    /// Decodes all of the video and sends those of `chosen` as pictures of `size`, each as it comes.
    pub(super) async fn decode_all(
        &self,
        presentation: &Presentation,
        reader: SourceReader,
        chosen: &[Keyframe],
        size: Size,
        pictures: mpsc::Sender<Picture>,
    ) -> Result<Run, Failure> {
        let plan = Self::picture_plan(presentation.index(), size)?;
        let rendition = presentation.tracks().find(|rendition| rendition.name == TrackName::Video);
        let rendition = rendition.ok_or(NoStoryboard::NoVideo)?;
        let only = chosen.iter().filter_map(|picture| rendition.decoded_at(picture.sample)).collect();
        let (program, media) = (&self.tools.program, rendition.track.duration());
        let made = Pictures {
            program,
            plan: plan.only(only),
            count: chosen.len(),
            time: program.limits().time + media * SLOWEST,
        };
        Ok(made.decode(fed_segments(&rendition, reader, 1..), pictures).await?)
    }

    /// How pictures of `size` are made of the video of `index`.
    fn picture_plan(index: &MediaIndex, size: Size) -> Result<Decode, Failure> {
        let (track, format) = video(index)?;
        if u32::from(format.width) * u32::from(format.height) > MAX_PIXELS {
            let (width, height) = (format.width, format.height);
            return Err(Failure::not_offered(format!("pictures of {width}×{height} are larger than what is decoded")));
        }
        let decoder = Decoder::of(&track.codec).ok_or(NoStoryboard::NoVideo)?;
        Ok(Decode::new(decoder, format, size))
    }

    /// One keyframe as a picture of `size`, and what that took.
    pub(super) async fn picture(
        &self,
        opened: &Opened,
        keyframe: Keyframe,
        size: Size,
    ) -> Result<(Picture, Run), Failure> {
        let (sender, mut receiver) = pictures();
        let alone = [keyframe];
        let (decoded, picture) = futures::join!(self.decode(opened, &alone, size, sender), receiver.recv());
        let run = decoded?;
        let picture = picture.ok_or_else(|| Failure::not_offered("no picture came of a keyframe"))?;
        Ok((picture, run))
    }
}

/// The init segment of a rendition and those of its segments that have these numbers, up to the first that is none.
pub(super) fn fed_segments<'a, N: Iterator<Item = u32> + 'a>(
    rendition: &'a Rendition<'a>,
    reader: SourceReader,
    numbers: N,
) -> impl Stream<Item = Result<Bytes, ReadError>> + use<'a, N> {
    let init = stream::iter([Ok(Bytes::from(rendition.init()))]);
    let segments = stream::iter(numbers.map_while(|number| rendition.segment(number)));
    init.chain(segments.map(move |layout| fragment(reader.clone(), layout)).buffered(READ_AHEAD).try_flatten())
}

/// A channel for pictures on their way.
pub(super) fn pictures() -> (mpsc::Sender<Picture>, mpsc::Receiver<Picture>) {
    mpsc::channel(PICTURES_AHEAD)
}

/// The video of `index`.
pub(super) fn video<'index>(index: &'index MediaIndex) -> Result<(&'index Track, &'index VideoFormat), Failure> {
    let format = |track: &'index Track| match &track.kind {
        TrackKind::Video(format) => Some((track, format)),
        TrackKind::Audio(_) => None,
    };
    index.tracks.iter().find_map(format).ok_or_else(|| NoStoryboard::NoVideo.into())
}

/// The bytes of `feed`: what is written here, and exactly the keyframes' own bytes of the source.
fn fed<'a>(reader: SourceReader, feed: &'a Feed<'_>) -> impl Stream<Item = Result<Bytes, ReadError>> + use<'a> {
    let init = stream::iter([Ok(Bytes::from(feed.init()))]);
    let fragments = stream::iter(feed.fragments())
        .map(move |layout| fragment(reader.clone(), layout))
        .buffered(READ_AHEAD)
        .try_flatten();
    init.chain(fragments)
}

async fn fragment(
    reader: SourceReader,
    layout: SegmentLayout,
) -> Result<BoxStream<'static, Result<Bytes, ReadError>>, ReadError> {
    let SegmentLayout { header, ranges, total_len } = layout;
    if total_len > READ_WHOLE {
        let bytes = stream::iter(ranges).flat_map(move |range| reader.read(range));
        return Ok(stream::iter([Ok(Bytes::from(header))]).chain(bytes).boxed());
    }
    let mut whole = BytesMut::from(header.as_slice());
    for range in ranges {
        let mut bytes = reader.read(range);
        while let Some(piece) = bytes.try_next().await? {
            whole.extend_from_slice(&piece);
        }
    }
    Ok(stream::iter([Ok(whole.freeze())]).boxed())
}

#[expect(clippy::cast_precision_loss, reason = "a share of a file; 2^53 bytes are exact")]
fn to_float(bytes: u64) -> f64 {
    bytes as f64
}
