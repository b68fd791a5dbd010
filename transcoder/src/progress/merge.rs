//! Progress of one source out of several mouths (the bus, the rows, the parts): what of it is news.

use super::{message, sequence, sequence_of};
use std::collections::BTreeMap;
use vidstream_proto::job::{Fence, Job, JobProgress, JobState};
use vidstream_proto::pb::{PartState, Progress, Stage};
use vidstream_proto::source::Part;

/// What was said of each stage, so that what is older or less is not said after it.
#[derive(Debug, Default)]
pub(crate) struct Merge {
    said: BTreeMap<i32, Progress>,
}

impl Merge {
    /// `progress` if it is news.
    pub fn heard(&mut self, progress: Progress) -> Option<Progress> {
        let news = self.said.get(&progress.stage).is_none_or(|said| is_news(said, &progress));
        if news {
            self.said.insert(progress.stage, progress.clone());
        }
        news.then_some(progress)
    }

    /// What a job's row says.
    pub fn row(&mut self, job: &Job) -> Option<Progress> {
        match job.state {
            JobState::Leased => self.heard(message(job, job.progress, PartState::Running)),
            JobState::Queued => {
                // Its next lease.
                let fence = Fence(job.fence.0 + 1);
                let waits = message(job, JobProgress::default(), PartState::Waiting);
                let sequence = sequence_of(job, fence);
                self.heard(Progress { queue_position: job.queue_position, sequence, ..waits })
            }
            _ => None,
        }
    }

    /// What a part's own state says when no job of it is left: the end that nobody told.
    pub fn part(&mut self, stage: Stage, part: &Part) -> Option<Progress> {
        if part.is_pending() {
            return None;
        }
        let said = self.said.get(&stage.into());
        let before = said.map_or_else(|| Progress { stage: stage.into(), ..Progress::default() }, Clone::clone);
        let percent = if part.state == PartState::Ready { 100.0 } else { before.percent };
        let sequence = before.sequence.max(sequence(stage, Fence::default()));
        self.heard(Progress { stage: stage.into(), percent, state: part.state.into(), sequence, ..Progress::default() })
    }
}

/// Another run of the stage, or the same one further on.
fn is_news(said: &Progress, now: &Progress) -> bool {
    if now.sequence != said.sequence {
        return now.sequence > said.sequence;
    }
    let (before, after) = (order(said.state()), order(now.state()));
    match after.cmp(&before) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal if now.state() == PartState::Waiting => now.queue_position != said.queue_position,
        std::cmp::Ordering::Equal => now.percent > said.percent,
    }
}

fn order(state: PartState) -> u8 {
    match state {
        PartState::Unspecified | PartState::Waiting => 0,
        PartState::Running => 1,
        PartState::Ready | PartState::Failed | PartState::NotOffered => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::job;
    use vidstream_proto::job::JobKind;

    fn running(sequence: u64, percent: f64) -> Progress {
        Progress {
            stage: Stage::Index.into(),
            percent,
            state: PartState::Running.into(),
            sequence,
            ..Progress::default()
        }
    }

    #[test]
    fn within_a_run_it_only_goes_forward() {
        let mut merge = Merge::default();
        let said: Vec<_> = [(5, 10.0), (5, 30.0), (5, 20.0), (4, 90.0), (6, 0.0), (5, 99.0), (6, 50.0)]
            .into_iter()
            .filter_map(|(sequence, percent)| merge.heard(running(sequence, percent)))
            .map(|said| (said.sequence, said.percent))
            .collect();
        assert_eq!(said, [(5, 10.0), (5, 30.0), (6, 0.0), (6, 50.0)]);
    }

    #[test]
    fn stages_do_not_hide_each_other() {
        let mut merge = Merge::default();
        assert!(merge.heard(Progress { stage: Stage::Poster.into(), ..running(9, 1.0) }).is_some());
        assert!(merge.heard(Progress { stage: Stage::Storyboard.into(), ..running(8, 1.0) }).is_some());
        assert!(merge.heard(Progress { stage: Stage::Poster.into(), ..running(9, 2.0) }).is_some());
    }

    #[test]
    fn a_job_waits_runs_is_handed_back_and_runs_again() {
        let mut merge = Merge::default();
        let mut row = job(JobKind::Storyboard);
        row.queue_position = 3;
        let mut see = |job: &Job| merge.row(job).map(|said| (said.state(), said.queue_position, said.percent));
        assert_eq!(see(&row), Some((PartState::Waiting, 3, 0.0)));
        assert_eq!(see(&row), None);
        row.queue_position = 2;
        assert_eq!(see(&row), Some((PartState::Waiting, 2, 0.0)));
        (row.state, row.fence, row.progress.percent) = (JobState::Leased, Fence(1), 40.0);
        assert_eq!(see(&row), Some((PartState::Running, 0, 40.0)));
        row.progress.percent = 30.0;
        assert_eq!(see(&row), None);
        (row.state, row.queue_position) = (JobState::Queued, 0);
        assert_eq!(see(&row), Some((PartState::Waiting, 0, 0.0)));
        (row.state, row.fence) = (JobState::Leased, Fence(2));
        assert_eq!(see(&row), Some((PartState::Running, 0, 30.0)));
    }

    #[test]
    fn an_end_that_nobody_told_is_said_once() {
        let mut merge = Merge::default();
        let mut row = job(JobKind::Ingest);
        (row.state, row.fence) = (JobState::Leased, Fence(7));
        merge.row(&row);
        assert_eq!(merge.part(Stage::Index, &Part::running()), None);
        let end = merge.part(Stage::Index, &Part::ready("g")).expect("news");
        assert_eq!(
            (end.state(), end.percent, end.sequence),
            (PartState::Ready, 100.0, sequence(Stage::Index, Fence(7)))
        );
        assert_eq!(merge.part(Stage::Index, &Part::ready("g")), None);
        assert!(merge.part(Stage::Poster, &Part::not_offered("there is no video")).is_some());
    }
}
