//! The name of every object that belongs to a source. All lie below [`source`], so that deleting a source is deleting one
//! prefix.

use vidstream_backends::objects::{ObjectName, ObjectPrefix};
use vidstream_proto::{
    ids::{CaptionsId, SourceId},
    job::{Fence, JobKind},
};

use crate::extents::{Extent, PageNumber};

/// Everything of a source: `sources/{source}`.
pub fn source(source: SourceId) -> ObjectPrefix {
    prefix(&format!("sources/{source}"))
}

/// The bytes of an extent: `sources/{source}/bytes/{page}/{offset}-{length}-{digest}`, offset and length in hexadecimal.
///
/// The name follows from the record alone. It ends in a digest that nobody can forge, so whatever is put under a name is
/// what was recorded under it. A page's extents share a directory, because each directory of its own would cost a sync.
pub fn extent(source: SourceId, extent: &Extent) -> ObjectName {
    let (page, offset, len, digest) = (extent.page(), extent.offset(), extent.len(), extent.tree().digest());
    name(&format!("sources/{source}/bytes/{page}/{offset:011x}-{len:x}-{digest}"))
}

/// Everything one lease of a job writes: `sources/{source}/{kind}/{fence}`. Two runs of a job may not give the same bytes;
/// under their fences they never mix, and the accepted result says which one counts.
pub fn output(source: SourceId, kind: JobKind, fence: Fence) -> ObjectPrefix {
    prefix(&format!("sources/{source}/{}/{fence}", kind.name()))
}

/// The stored media index, written by an ingest job.
pub fn media_index(source: SourceId, fence: Fence) -> ObjectName {
    below(&output(source, JobKind::Ingest, fence), "media.index")
}

/// The storyboard's sheet `number`, from 0, written by a storyboard job.
pub fn sheet(source: SourceId, fence: Fence, number: usize) -> ObjectName {
    below(&output(source, JobKind::Storyboard, fence), &format!("{number}.jpg"))
}

/// The poster, written by a poster job.
pub fn poster(source: SourceId, fence: Fence) -> ObjectName {
    below(&output(source, JobKind::Poster, fence), "poster.jpg")
}

/// Captions that people added, as WebVTT: `sources/{source}/captions/{id}.vtt`.
pub fn captions(source: SourceId, id: CaptionsId) -> ObjectName {
    name(&format!("sources/{source}/captions/{id}.vtt"))
}

/// What the numbers of the objects of a made file are put behind, for the file that a lease of a job writes as `part`.
pub fn made(source: SourceId, kind: JobKind, fence: Fence, part: &str) -> String {
    format!("{}/{part}", output(source, kind, fence))
}

/// The media index of a made file.
pub fn made_index(source: SourceId, kind: JobKind, fence: Fence, part: &str) -> ObjectName {
    below(&output(source, kind, fence), &format!("{part}.index"))
}

/// The plan of the encoded pictures of `track`, written by the job that indexed the source.
pub fn encode_plan(source: SourceId, kind: JobKind, fence: Fence, track: &str) -> ObjectName {
    below(&output(source, kind, fence), &format!("{track}.plan"))
}

/// Segment `number`, from 1, of the encoded pictures of `track`.
pub fn segment(source: SourceId, fence: Fence, track: &str, number: u32) -> ObjectName {
    below(&output(source, JobKind::Encode, fence), &format!("{track}-{number}.m4s"))
}

/// The track and the number of the segment that has this name, if it is one of a segment.
pub fn segment_of(name: &ObjectName) -> Option<(&str, u32)> {
    let (_, own) = name.as_str().rsplit_once('/')?;
    let (track, number) = own.strip_suffix(".m4s")?.rsplit_once('-')?;
    Some((track, number.parse().ok().filter(|parsed: &u32| parsed.to_string() == number)?))
}

/// Everything of every source.
pub fn sources() -> ObjectPrefix {
    prefix("sources")
}

/// Says which catalog the store's objects belong to: `catalog/owner`. Below no source, so that nothing takes it for one's.
pub fn owner() -> ObjectName {
    name("catalog/owner")
}

/// What an object of a source is, by its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// An extent, or what has the name of one, recorded in this page if at all.
    Bytes(PageNumber),
    /// Written under a lease of a job of this kind.
    Output(JobKind, Fence),
    /// Captions of a video of the source.
    Captions(CaptionsId),
    /// Nothing that this version writes.
    Unknown,
}

/// Whose object has this name, and what it is; none if it is no object of a source.
pub fn place(name: &ObjectName) -> Option<(SourceId, Place)> {
    let mut segments = name.as_str().split('/');
    if segments.next() != Some("sources") {
        return None;
    }
    let source = segments.next()?.parse().ok()?;
    let (folder, number, rest) = (segments.next()?, segments.next(), segments.next());
    if let ("captions", Some(file), None) = (folder, number, rest) {
        let id = file.strip_suffix(".vtt").and_then(|id| id.parse().ok());
        return Some((source, id.map_or(Place::Unknown, Place::Captions)));
    }
    // Only the form that is written names the place: `007` is not `7`.
    let number = number.filter(|_| rest.is_some() && segments.next().is_none());
    let parsed = number.and_then(|text| text.parse::<u64>().ok().filter(|n| n.to_string() == text));
    let kinds = [JobKind::Ingest, JobKind::Storyboard, JobKind::Poster, JobKind::Normalise, JobKind::Encode];
    let place = match (kinds.into_iter().find(|kind| kind.name() == folder), parsed) {
        (Some(kind), Some(fence)) => Place::Output(kind, Fence(fence)),
        (None, Some(page)) if folder == "bytes" => {
            u32::try_from(page).map_or(Place::Unknown, |page| Place::Bytes(PageNumber(page)))
        }
        _ => Place::Unknown,
    };
    Some((source, place))
}

/// The length that the name of an extent says, bytes; none if `name` is not one of an extent.
pub fn extent_len(name: &ObjectName) -> Option<u64> {
    let (_, Place::Bytes(_)) = place(name)? else { return None };
    let (_, own) = name.as_str().rsplit_once('/')?;
    u64::from_str_radix(own.split('-').nth(1)?, 16).ok()
}

fn name(name: &str) -> ObjectName {
    name.parse().expect("ids and numbers make valid names")
}

fn prefix(prefix: &str) -> ObjectPrefix {
    prefix.parse().expect("ids and numbers make valid names")
}

fn below(prefix: &ObjectPrefix, rest: &str) -> ObjectName {
    prefix.name(rest).expect("numbers and words make valid names")
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "files in tests are small")]
mod tests {
    use super::*;
    use crate::{
        extents::{CELL, GRANULE},
        testing::pattern,
    };

    #[test]
    fn names_say_what_they_are() {
        let id: SourceId = "0197a000-0000-7000-8000-000000000001".parse().unwrap();
        let content = pattern(CELL as usize + 5);
        let tail = crate::testing::extent(&content, CELL..CELL + 5);
        let digest = tail.tree().digest();
        let below = |rest: &str| format!("sources/{id}/{rest}");
        assert_eq!(extent(id, &tail).as_str(), below(&format!("bytes/0/00000800000-5-{digest}")));
        assert_eq!(media_index(id, Fence(3)).as_str(), below("ingest/3/media.index"));
        assert_eq!(sheet(id, Fence(12), 0).as_str(), below("storyboard/12/0.jpg"));
        assert_eq!(poster(id, Fence(1)).as_str(), below("poster/1/poster.jpg"));
        assert_eq!(encode_plan(id, JobKind::Ingest, Fence(2), "v1").as_str(), below("ingest/2/v1.plan"));
        let made = segment(id, Fence(2), "v1", 30);
        assert_eq!(made.as_str(), below("encode/2/v1-30.m4s"));
        assert_eq!(segment_of(&made), Some(("v1", 30)));
        for other in ["encode/2/v1-030.m4s", "encode/2/v1-0", "encode/2/v1.index", "encode/2/30.m4s"] {
            assert_eq!(segment_of(&below(other).parse().unwrap()), None, "{other}");
        }
        assert!(extent(id, &tail).is_below(&source(id)));
        assert_eq!(extent_len(&extent(id, &tail)), Some(5));
        assert_eq!(extent_len(&poster(id, Fence(1))), None);
    }

    #[test]
    fn a_name_tells_its_place() {
        let id = SourceId::generate();
        let content = pattern(CELL as usize + 5);
        let tail = crate::testing::extent(&content, CELL..CELL + 5);
        let of = |name: &ObjectName| place(name);
        assert_eq!(of(&extent(id, &tail)), Some((id, Place::Bytes(PageNumber(0)))));
        assert_eq!(of(&media_index(id, Fence(3))), Some((id, Place::Output(JobKind::Ingest, Fence(3)))));
        assert_eq!(of(&sheet(id, Fence(12), 0)), Some((id, Place::Output(JobKind::Storyboard, Fence(12)))));
        assert_eq!(of(&poster(id, Fence(1))), Some((id, Place::Output(JobKind::Poster, Fence(1)))));
        let captions_id = CaptionsId::generate();
        assert_eq!(of(&captions(id, captions_id)), Some((id, Place::Captions(captions_id))));
        for strange in [
            "captions/x",
            "captions/x.vtt",
            "captions/1/x",
            "x",
            "bytes/x/y",
            "bytes/0",
            "bytes/00/y",
            "bytes/4294967296/y",
            "poster/1/a/b",
            "delete/1/x",
        ] {
            let name = source(id).name(strange).unwrap();
            assert_eq!(of(&name), Some((id, Place::Unknown)), "{strange}");
        }
        for other in ["sources", "sources/x/bytes/0/y", "other/x", "sources/x", owner().as_str()] {
            assert_eq!(of(&other.parse().unwrap()), None, "{other}");
        }
    }

    #[test]
    fn other_bytes_have_another_name() {
        let id = SourceId::generate();
        let content = pattern(7 * GRANULE as usize);
        let mut other = content.to_vec();
        other[6 * GRANULE as usize] ^= 1;
        let range = GRANULE..7 * GRANULE;
        let names = [&content, &other.into()].map(|bytes| extent(id, &crate::testing::extent(bytes, range.clone())));
        assert_ne!(names[0], names[1]);
    }
}
