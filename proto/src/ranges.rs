//! Byte ranges as the wire carries them.

use crate::error::Problem;
use crate::pb;
use std::ops::Range;

impl From<Range<u64>> for pb::ByteRange {
    fn from(range: Range<u64>) -> Self {
        Self { start: range.start, end: range.end }
    }
}

impl TryFrom<pb::ByteRange> for Range<u64> {
    type Error = Problem;

    fn try_from(range: pb::ByteRange) -> Result<Self, Problem> {
        if range.start >= range.end {
            return Err(Problem::field("range", format!("{}..{} is empty", range.start, range.end)));
        }
        Ok(range.start..range.end)
    }
}

/// Ranges for the wire.
pub fn to_wire(ranges: impl IntoIterator<Item = Range<u64>>) -> Vec<pb::ByteRange> {
    ranges.into_iter().map(Into::into).collect()
}

/// Ranges from the wire.
pub fn from_wire(ranges: Vec<pb::ByteRange>) -> Result<Vec<Range<u64>>, Problem> {
    ranges.into_iter().map(TryInto::try_into).collect()
}
