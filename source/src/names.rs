//! The name of every object that belongs to a source. All lie below [`source`], so that deleting a source is deleting one
//! prefix.

use vidstream_backends::objects::{ObjectName, ObjectPrefix};
use vidstream_proto::{
    ids::SourceId,
    job::{Fence, JobKind},
};

use crate::extents::Extent;

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
        assert!(extent(id, &tail).is_below(&source(id)));
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
