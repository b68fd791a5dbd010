//! Files made on request: bytes of our own, then ranges of the source as they are.

use super::conditions::EntityTag;
use bytes::Bytes;
use std::ops::Range;
use vidstream_media::cmaf::SegmentLayout;
use vidstream_source::made::MadeFile;

/// A file that is made on request. A playlist is all head; a segment is a head and ranges.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Made {
    /// Its strong tag.
    pub tag: EntityTag,
    head: Bytes,
    ranges: Vec<Range<u64>>,
    len: u64,
    /// The file that the ranges are of; none: the source's own.
    file: Option<MadeFile>,
}

impl Made {
    /// A file that is all our own, tagged by what it says.
    pub fn text(text: impl Into<Bytes>) -> Self {
        let head = text.into();
        Self::own(EntityTag::of(&head), head)
    }

    /// A file that is all our own.
    pub fn own(tag: EntityTag, head: impl Into<Bytes>) -> Self {
        let head = head.into();
        let len = bytes_of(&head);
        Self { tag, head, ranges: Vec::new(), len, file: None }
    }

    /// A segment of what lies in `file`.
    pub fn segment(tag: EntityTag, layout: SegmentLayout, file: Option<MadeFile>) -> Self {
        Self { tag, head: layout.header.into(), ranges: layout.ranges, len: layout.total_len, file }
    }

    /// The file that its ranges are of; none: the source's own.
    pub fn file(&self) -> Option<&MadeFile> {
        self.file.as_ref()
    }

    /// Bytes of the file.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it consists of more than `many` ranges.
    pub fn may_be_scattered(&self, many: usize) -> bool {
        self.ranges.len() > many
    }

    /// Bytes it takes in memory.
    pub fn weight(&self) -> usize {
        self.head.len() + self.ranges.len() * size_of::<Range<u64>>() + size_of::<Self>()
    }

    /// What `part` of the file consists of: bytes of the head, then ranges of the source.
    pub fn part(&self, part: Range<u64>) -> (Bytes, Vec<Range<u64>>) {
        let head = bytes_of(&self.head);
        let own = part.start.min(head)..part.end.min(head);
        let own = self.head.slice(memory(own.start)..memory(own.end));
        let mut at = head;
        let mut ranges = Vec::new();
        for range in &self.ranges {
            let len = range.end - range.start;
            let within = part.start.clamp(at, at + len) - at..part.end.clamp(at, at + len) - at;
            if within.start < within.end {
                ranges.push(range.start + within.start..range.start + within.end);
            }
            at += len;
        }
        (own, ranges)
    }
}

fn bytes_of(head: &Bytes) -> u64 {
    u64::try_from(head.len()).expect("a length fits 64 bits")
}

fn memory(position: u64) -> usize {
    usize::try_from(position).expect("inside of what is in memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Made {
        let layout = SegmentLayout {
            header: (100..110).collect(),
            ranges: vec![20..25, 0..3, 50..60],
            total_len: 10 + 5 + 3 + 10,
        };
        Made::segment(EntityTag::new("x"), layout, None)
    }

    /// What the file is over a source whose every byte is its own offset.
    fn assembled((head, ranges): (Bytes, Vec<Range<u64>>)) -> Vec<u64> {
        head.iter().map(|b| u64::from(*b)).chain(ranges.into_iter().flatten()).collect()
    }

    #[test]
    fn every_part_is_cut_out_of_the_whole() {
        let file = file();
        let whole = assembled(file.part(0..file.len()));
        assert_eq!(whole.len(), 28);
        for start in 0..=28 {
            for end in start..=28 {
                let part = assembled(file.part(start..end));
                assert_eq!(part, whole[memory(start)..memory(end)], "{start}..{end}");
            }
        }
    }

    #[test]
    fn a_part_has_no_empty_range() {
        assert_eq!(file().part(10..16), (Bytes::new(), vec![20..25, 0..1]));
        assert_eq!(file().part(0..10).1, []);
        assert_eq!(file().part(14..19).1, [24..25, 0..3, 50..51]);
    }
}
