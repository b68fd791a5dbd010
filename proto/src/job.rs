//! Typed mirrors of jobs.

use crate::error::Problem;
use crate::ids::SourceId;
use crate::pb;
use crate::time::{system_time, timestamp};
use crate::{field, time};
use std::fmt;
use std::time::{Duration, SystemTime};

pub use pb::{JobClass, JobKind, JobState};

/// Every class, as workers are asked for it.
pub const CLASSES: [JobClass; 3] = [JobClass::Light, JobClass::Pictures, JobClass::Encode];

/// The name of a class, as its bell, figures and logs have it.
pub fn class_name(class: JobClass) -> &'static str {
    match class {
        JobClass::Light => "light",
        JobClass::Pictures => "pictures",
        JobClass::Encode => "encode",
        JobClass::Unspecified => "unspecified",
    }
}

impl JobKind {
    /// The class whose queue a job of this kind rings.
    pub fn class(self) -> JobClass {
        match self {
            Self::Storyboard => JobClass::Pictures,
            Self::Ingest | Self::Poster | Self::Delete => JobClass::Light,
            Self::Normalise | Self::Encode => JobClass::Encode,
            Self::Unspecified => JobClass::Unspecified,
        }
    }

    /// The stage that people see.
    pub fn stage(self) -> pb::Stage {
        match self {
            Self::Ingest => pb::Stage::Index,
            Self::Storyboard => pb::Stage::Storyboard,
            Self::Poster => pb::Stage::Poster,
            Self::Delete => pb::Stage::Delete,
            Self::Normalise => pb::Stage::Normalise,
            Self::Encode => pb::Stage::Encode,
            Self::Unspecified => pb::Stage::Unspecified,
        }
    }

    /// Lower case, as in ids and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Storyboard => "storyboard",
            Self::Poster => "poster",
            Self::Delete => "delete",
            Self::Normalise => "normalise",
            Self::Encode => "encode",
            Self::Unspecified => "unspecified",
        }
    }
}

/// `{source}:{kind}:{part}:{hash of inputs and policy}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct JobId(String);

impl JobId {
    /// The id of the job of `kind` that makes `part` of `source` from inputs and policy of this hash.
    pub fn new(source: SourceId, kind: JobKind, part: &str, hash: &str) -> Self {
        Self(format!("{source}:{}:{part}:{hash}", kind.name()))
    }

    /// From the wire or a store.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let wrong = || Problem::field("job_id", "is not the id of a job");
        let mut parts = text.split(':');
        let source = parts.next().ok_or_else(wrong)?;
        source.parse::<SourceId>().map_err(|_| wrong())?;
        let rest: Vec<&str> = parts.collect();
        let plain = |p: &&str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if rest.len() != 3 || !rest.iter().all(plain) || text.len() > 200 {
            return Err(wrong());
        }
        Ok(Self(text.to_owned()))
    }

    /// What the job makes of its source, such as the track that is encoded.
    pub fn part(&self) -> &str {
        self.0.split(':').nth(2).unwrap_or_default()
    }

    /// The track that an encode job is of: its part is the track, or the track and a span.
    pub fn track(&self) -> &str {
        let part = self.part();
        part.split_once('-').map_or(part, |(track, _)| track)
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Number of a lease; results under an older one are refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Fence(pub u64);

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Coarse progress of a leased job.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct JobProgress {
    /// 0 to 100.
    pub percent: f64,
    /// Seconds of media a second of time; 0 while unknown.
    pub speed: f64,
    /// Time left, at least and at most.
    pub left: Option<(Duration, Duration)>,
}

impl TryFrom<pb::JobProgress> for JobProgress {
    type Error = Problem;

    fn try_from(p: pb::JobProgress) -> Result<Self, Problem> {
        if !(0.0..=100.0).contains(&p.percent) || !p.speed.is_finite() || p.speed < 0.0 {
            return Err(Problem::field("progress", "percent is 0 to 100, speed at least 0"));
        }
        let left = match (&p.left_at_least, &p.left_at_most) {
            (Some(least), Some(most)) => {
                Some((time::std_duration("left_at_least", least)?, time::std_duration("left_at_most", most)?))
            }
            _ => None,
        };
        Ok(Self { percent: p.percent, speed: p.speed, left })
    }
}

impl From<JobProgress> for pb::JobProgress {
    fn from(p: JobProgress) -> Self {
        Self {
            percent: p.percent,
            speed: p.speed,
            left_at_least: p.left.map(|(least, _)| time::proto_duration(least)),
            left_at_most: p.left.map(|(_, most)| time::proto_duration(most)),
        }
    }
}

/// What to do for which source.
#[derive(Clone, PartialEq, Debug)]
pub struct Job {
    /// Its id; making it twice makes one.
    pub id: JobId,
    /// The source it works on.
    pub source_id: SourceId,
    /// What it does.
    pub kind: JobKind,
    /// Higher is taken first.
    pub priority: i32,
    /// Where it is in its life.
    pub state: JobState,
    /// Attempts that ended by the job's own fault.
    pub attempts: u32,
    /// The present or last lease.
    pub fence: Fence,
    /// The worker that holds the lease; empty where none does.
    pub worker: String,
    /// Beats of this lease.
    pub beat: u64,
    /// Coarse progress.
    pub progress: JobProgress,
    /// Why the last attempt failed.
    pub reason: String,
    /// When the row was made.
    pub create_time: SystemTime,
    /// When the row was last written.
    pub update_time: SystemTime,
    /// Not taken before this time.
    pub not_before: Option<SystemTime>,
    /// Jobs of the same class that will be taken first; only in answers.
    pub queue_position: u32,
}

impl Job {
    /// The class it is taken under.
    pub fn class(&self) -> JobClass {
        self.kind.class()
    }
}

impl TryFrom<pb::Job> for Job {
    type Error = Problem;

    fn try_from(j: pb::Job) -> Result<Self, Problem> {
        let kind = j.kind();
        let state = j.state();
        if kind == JobKind::Unspecified || state == JobState::Unspecified || j.job_class() != kind.class() {
            return Err(Problem::field("job", "has no known kind, class or state"));
        }
        Ok(Self {
            id: JobId::parse(&j.id)?,
            source_id: field::id("source_id", &j.source_id)?,
            kind,
            priority: j.priority,
            state,
            attempts: j.attempts,
            fence: Fence(j.fence),
            beat: j.beat,
            progress: j.progress.unwrap_or_default().try_into()?,
            create_time: system_time("create_time", &field::present("create_time", j.create_time)?)?,
            update_time: system_time("update_time", &field::present("update_time", j.update_time)?)?,
            not_before: j.not_before.as_ref().map(|t| system_time("not_before", t)).transpose()?,
            queue_position: j.queue_position,
            worker: j.worker,
            reason: j.reason,
        })
    }
}

impl From<Job> for pb::Job {
    fn from(j: Job) -> Self {
        Self {
            id: j.id.0,
            source_id: j.source_id.to_string(),
            kind: j.kind.into(),
            job_class: j.kind.class().into(),
            priority: j.priority,
            state: j.state.into(),
            attempts: j.attempts,
            fence: j.fence.0,
            worker: j.worker,
            beat: j.beat,
            progress: Some(j.progress.into()),
            reason: j.reason,
            create_time: Some(timestamp(j.create_time)),
            update_time: Some(timestamp(j.update_time)),
            not_before: j.not_before.map(timestamp),
            queue_position: j.queue_position,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_checked() {
        let source = SourceId::generate();
        let id = JobId::new(source, JobKind::Storyboard, "default", "0af3");
        assert_eq!(JobId::parse(id.as_str()).expect("valid"), id);
        for wrong in ["", "x:ingest:a:b", &format!("{source}:ingest:a"), &format!("{source}:ingest:../a:b")] {
            assert!(JobId::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn percent_is_a_percentage() {
        for percent in [-1.0, 100.1, f64::NAN] {
            assert!(JobProgress::try_from(pb::JobProgress { percent, ..Default::default() }).is_err());
        }
    }
}
