//! Segments of encoded pictures: what was stored counts from the moment that it is recorded, whoever made it, and what somebody
//! waits for is made next.

use crate::apply::pictures_again;
use crate::catalog::Catalog;
use crate::jobs::{check_fence, lost};
use crate::sources::{Follows, is_going};
use crate::wanted::{derive, encoded_mut, span_job};
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::SourceId;
use vidstream_proto::job::{JobId, JobState};
use vidstream_proto::segments::StoredSegment;
use vidstream_proto::source::Part;

impl Catalog {
    /// Notes a segment that the present lease of a job stored.
    pub(crate) async fn record_segment(&self, id: &JobId, segment: &StoredSegment) -> Result<(), Problem> {
        let row = self.job(id).await?;
        check_fence(&row.job, segment.fence)?;
        match row.job.state {
            JobState::Leased => {}
            JobState::Cancelled => {
                return Err(Problem::new(Reason::SourceDying, format!("job {id} is not wanted any more")));
            }
            _ => return Err(lost(&row.job, segment.fence)),
        }
        let source_id = row.job.source_id;
        let recorded = self.note_in_source(source_id, |source| {
            if is_going(source) {
                return Err(Problem::new(Reason::SourceDying, "the source is being removed"));
            }
            let unknown = || Problem::not_found("plan of job", id);
            let track = encoded_mut(source, id.track()).ok_or_else(unknown)?;
            let mut segments = track.segments.take().ok_or_else(unknown)?;
            // A plan that was replaced has other segments of the same numbers.
            let span = segments.span_of(segment.number);
            if span_job(source_id, track, &segments, span).id != *id {
                return Err(Problem::field("number", "is of no segment that the job makes"));
            }
            let is_new = segments.record(segment)?;
            let whole = segments.is_whole();
            if is_new && whole {
                track.part = Part::ready(segments.plan.clone());
            }
            track.segments = Some(segments);
            pictures_again(source);
            // Between the first segment, with which players may begin, and the last one nothing else follows: no job, and
            // nothing that a video shows. Its row would be written, and told of, every few seconds.
            Ok(if whole || segment.number == 1 { Follows::Something } else { Follows::Nothing })
        });
        recorded.await?;
        tracing::trace!(name: "segment.recorded", target: "point", "a segment counts, and its worker was not told");
        Ok(())
    }

    /// Has the span of a segment encoded next.
    pub(crate) async fn want_segment(&self, source: SourceId, track: &str, number: u32) -> Result<(), Problem> {
        let source = self.source(source).await?;
        let track = source.encoded.iter().find(|encoded| encoded.track == track);
        let planned = track.and_then(|track| Some((track, track.segments.as_ref()?)));
        let Some((track, segments)) = planned.filter(|(_, segments)| (1..=segments.count).contains(&number)) else {
            return Ok(());
        };
        let job = span_job(source.id, track, segments, segments.span_of(number));
        match derive(&source).into_iter().find(|wanted| wanted.id == job.id) {
            Some(wanted) => {
                let known = self.store.jobs_of(source.id).await?;
                self.ensure_job(source.id, wanted.urgent(), &known).await
            }
            None => Ok(()),
        }
    }
}
