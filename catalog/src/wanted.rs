//! Which jobs a source wants: a pure function of its state, so that whatever a crash left out is derived again.

use vidstream_proto::ids::SourceId;
use vidstream_proto::job::{JobId, JobKind};
use vidstream_proto::pb::{SourceLife, UploadState};
use vidstream_proto::segments::EncodedSegments;
use vidstream_proto::source::{EncodedTrack, Part, PartState, Source};

/// Changes with every rule that makes a kind's outputs others from the same inputs.
const POLICY: u32 = 1;
/// Priority of what nothing but a worker is missing for: uploads that stall must not hold up those that are complete.
const URGENT: i32 = 200;

/// A job that a source wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Wanted {
    pub(crate) id: JobId,
    pub(crate) kind: JobKind,
    pub(crate) priority: i32,
}

impl Wanted {
    fn new(source: SourceId, kind: JobKind, part: &str, inputs: &str) -> Self {
        let hash = blake3::hash(format!("{POLICY}/{inputs}").as_bytes()).to_hex();
        Self { id: JobId::new(source, kind, part, &hash[..16]), kind, priority: priority(kind) }
    }

    /// Before what others of its kind wait for.
    pub(crate) fn urgent(self) -> Self {
        Self { priority: URGENT, ..self }
    }
}

/// What people wait for comes first.
fn priority(kind: JobKind) -> i32 {
    match kind {
        JobKind::Ingest => 100,
        JobKind::Poster => 60,
        JobKind::Storyboard => 50,
        JobKind::Normalise => 40,
        JobKind::Encode => 30,
        JobKind::Delete | JobKind::Unspecified => 10,
    }
}

/// The jobs whose outcome a source still lacks.
pub(crate) fn derive(source: &Source) -> Vec<Wanted> {
    let id = source.id;
    match source.life {
        SourceLife::Live => {}
        SourceLife::Dying => return vec![Wanted::new(id, JobKind::Delete, "all", "")],
        SourceLife::Gone | SourceLife::Unspecified => return Vec::new(),
    }
    if source.upload_state == UploadState::Expired {
        return Vec::new();
    }
    let mut wanted = Vec::new();
    if source.index.is_pending() {
        let inputs = source.size.to_string();
        let index = match &source.normalisation {
            None => Wanted::new(id, JobKind::Ingest, "index", &inputs),
            Some(reading) => Wanted::new(id, JobKind::Normalise, "file", &format!("{inputs}/{}", reading.demuxer)),
        };
        wanted.push(if source.upload_state == UploadState::Complete { index.urgent() } else { index });
    }
    // Pictures wait for the last byte: their worker would otherwise wait for the sender.
    let complete = source.upload_state == UploadState::Complete && source.index.state == PartState::Ready;
    if let Some(index) = source.index_result.as_ref().filter(|_| complete) {
        let parts = [
            (JobKind::Poster, &source.poster, &index.no_poster_reason),
            (JobKind::Storyboard, &source.storyboard, &index.no_storyboard_reason),
        ];
        for (kind, _, reason) in parts.into_iter().filter(|(_, part, _)| part.is_pending()) {
            wanted.push(Wanted::new(id, kind, "source", pictures_of(source, &index.generation, reason)));
        }
        let pending = source.encoded.iter().filter(|track| track.part.is_pending());
        wanted.extend(pending.flat_map(|track| encoding(id, track, &index.generation)));
    }
    wanted
}

/// The generation that pictures are made of: the source's own, or its encoded pictures' where those of the source won't do.
fn pictures_of<'a>(source: &'a Source, generation: &'a str, reason: &str) -> &'a str {
    let encoded = source.encoded.iter().filter(|track| track.is_video() && track.is_made() && !reason.is_empty());
    encoded.map(|track| track.part.generation.as_str()).next().unwrap_or(generation)
}

/// What encodes a track: sound in one go, before any picture, for it takes a moment; pictures in spans, the first spans of
/// all videos before the second ones of any.
fn encoding(source: SourceId, track: &EncodedTrack, generation: &str) -> Vec<Wanted> {
    // First what nobody sees or hears anything of before it is there.
    let first = priority(JobKind::Encode) + if track.needed { 5 } else { 0 };
    let Some(segments) = &track.segments else {
        let priority = first + 1;
        return vec![Wanted { priority, ..Wanted::new(source, JobKind::Encode, &track.track, generation) }];
    };
    let missing = (0..segments.spans()).filter(|span| segments.missing(*span).is_some());
    let later = |span: u32| i32::try_from(span).unwrap_or(i32::MAX);
    missing.map(|span| Wanted { priority: first - later(span), ..span_job(source, track, segments, span) }).collect()
}

/// The job of a span of pictures.
pub(crate) fn span_job(source: SourceId, track: &EncodedTrack, segments: &EncodedSegments, span: u32) -> Wanted {
    Wanted::new(source, JobKind::Encode, &format!("{}-{span}", track.track), &segments.plan)
}

/// The part that a job makes; a deletion makes none.
pub(crate) fn part_of<'a>(source: &'a mut Source, id: &JobId, kind: JobKind) -> Option<&'a mut Part> {
    match kind {
        JobKind::Ingest | JobKind::Normalise => Some(&mut source.index),
        JobKind::Storyboard => Some(&mut source.storyboard),
        JobKind::Poster => Some(&mut source.poster),
        JobKind::Encode => encoded_mut(source, id.track()).map(|track| &mut track.part),
        JobKind::Delete | JobKind::Unspecified => None,
    }
}

/// The track called `name` that is encoded.
pub(crate) fn encoded_mut<'a>(source: &'a mut Source, name: &str) -> Option<&'a mut EncodedTrack> {
    source.encoded.iter_mut().find(|track| track.track == name)
}

/// Failed parts wait again; what was not offered only because the index failed does, too.
pub(crate) fn retry_failed(source: &mut Source) {
    if source.index.state == PartState::Failed {
        source.index = Part::waiting();
        // What the file is, is looked at anew, too.
        source.normalisation = None;
        source.storyboard = Part::waiting();
        source.poster = Part::waiting();
    }
    let encoded = source.encoded.iter_mut().map(|track| &mut track.part);
    for part in [&mut source.storyboard, &mut source.poster].into_iter().chain(encoded) {
        if part.state == PartState::Failed {
            *part = Part::waiting();
        }
    }
}
