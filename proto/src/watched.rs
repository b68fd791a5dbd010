//! Typed mirror of what viewers report. The public and the mesh's call have the same fields.

use crate::error::Problem;
use crate::ids::{VideoId, ViewerId};
use crate::time::{proto_duration, std_duration};
use crate::{field, pb};
use std::ops::Range;
use std::time::Duration;

/// Intervals of one report, at the most.
pub const MOST_INTERVALS: usize = 64;

/// What a viewer has played of a video since the last report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReportWatched {
    /// Which video.
    pub video_id: VideoId,
    /// Who watches.
    pub viewer_id: ViewerId,
    /// Stretches of media time; each is longer than nothing.
    pub intervals: Vec<Range<Duration>>,
}

fn interval(interval: pb::WatchedInterval) -> Result<Range<Duration>, Problem> {
    let start = std_duration("intervals.start", &field::present("intervals.start", interval.start)?)?;
    let end = std_duration("intervals.end", &field::present("intervals.end", interval.end)?)?;
    if start >= end {
        return Err(Problem::field("intervals", "must end after they begin"));
    }
    Ok(start..end)
}

impl TryFrom<pb::AddWatchedRequest> for ReportWatched {
    type Error = Problem;

    fn try_from(r: pb::AddWatchedRequest) -> Result<Self, Problem> {
        if r.intervals.len() > MOST_INTERVALS {
            return Err(Problem::field("intervals", format!("at most {MOST_INTERVALS}, not {}", r.intervals.len())));
        }
        Ok(Self {
            video_id: field::id("video_id", &r.video_id)?,
            viewer_id: field::id("viewer_id", &r.viewer_id)?,
            intervals: r.intervals.into_iter().map(interval).collect::<Result<_, _>>()?,
        })
    }
}

impl TryFrom<pb::ReportWatchedRequest> for ReportWatched {
    type Error = Problem;

    fn try_from(r: pb::ReportWatchedRequest) -> Result<Self, Problem> {
        pb::AddWatchedRequest { video_id: r.video_id, viewer_id: r.viewer_id, intervals: r.intervals }.try_into()
    }
}

impl From<ReportWatched> for pb::AddWatchedRequest {
    fn from(r: ReportWatched) -> Self {
        let interval = |range: Range<Duration>| pb::WatchedInterval {
            start: Some(proto_duration(range.start)),
            end: Some(proto_duration(range.end)),
        };
        Self {
            video_id: r.video_id.to_string(),
            viewer_id: r.viewer_id.to_string(),
            intervals: r.intervals.into_iter().map(interval).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(intervals: Vec<pb::WatchedInterval>) -> pb::ReportWatchedRequest {
        let (video_id, viewer_id) = (VideoId::generate().to_string(), ViewerId::generate().to_string());
        pb::ReportWatchedRequest { video_id, viewer_id, intervals }
    }

    fn between(start: i64, end: i64) -> pb::WatchedInterval {
        let at = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        pb::WatchedInterval { start: at(start), end: at(end) }
    }

    #[test]
    fn intervals_go_forward() {
        let report = ReportWatched::try_from(request(vec![between(0, 10), between(5, 7)])).expect("valid");
        let again = ReportWatched::try_from(pb::AddWatchedRequest::from(report.clone())).expect("valid");
        assert_eq!(again, report);
        ReportWatched::try_from(request(vec![])).expect("the first report is empty");
        for wrong in [between(1, 1), between(2, 1), between(-1, 1), pb::WatchedInterval::default()] {
            ReportWatched::try_from(request(vec![wrong])).expect_err("refused");
        }
        ReportWatched::try_from(request(vec![between(0, 1); MOST_INTERVALS])).expect("as many as allowed");
        ReportWatched::try_from(request(vec![between(0, 1); MOST_INTERVALS + 1])).expect_err("too many");
    }
}
