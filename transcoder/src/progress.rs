//! How far a job is: measured by the job, told on the bus a few times a second, and copied into the row by its beats.

mod merge;

pub(crate) use merge::Merge;

use crate::catalog::Lease;
use prost::Message as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use vidstream_backends::bus::{EventBus, Topic};
use vidstream_proto::ids::SourceId;
use vidstream_proto::job::{Fence, Job, JobProgress};
use vidstream_proto::pb::{self, PartState, Stage};
use vidstream_proto::time::proto_duration;

/// Between two messages of a stage: three a second, and the last one comes at once, which makes four.
const PAUSE: Duration = Duration::from_millis(334);
/// Before this, a rate says nothing about the time left.
const SETTLED: Duration = Duration::from_millis(500);
/// How much of the present rate goes into the mean with each second.
const MEMORY: f64 = 0.3;
/// The estimates of the time left are widened by this factor on both sides.
const DOUBT: f64 = 1.25;

/// Everything about any source.
pub(crate) fn all() -> Topic {
    "progress".parse().expect("a word is a topic")
}

/// Everything about one source.
pub(crate) fn of(source: SourceId) -> Topic {
    all().below(&source.to_string()).expect("an id makes a topic")
}

/// Tells runs of stages apart, and which one is newer: a later stage, or a later lease of the same. No clock is involved.
/// Of two that run together the one that takes longer counts as later: it is what people wait for.
pub(crate) fn sequence(stage: Stage, fence: Fence) -> u64 {
    let place: u64 = match stage {
        Stage::Unspecified => 0,
        Stage::Upload => 1,
        Stage::Index => 2,
        Stage::Poster => 3,
        Stage::Storyboard => 4,
        Stage::Normalise => 5,
        Stage::Encode => 6,
        Stage::Delete => 7,
    };
    place << 32 | fence.0.min(u64::from(u32::MAX))
}

/// The same for the run of a job under `fence`. Spans of pictures are one run, whoever is at them: their percent is of all
/// segments. It counts as later than that of sound, which is encoded before and in a moment.
pub(crate) fn sequence_of(job: &Job, fence: Fence) -> u64 {
    match job.kind.stage() {
        Stage::Encode => sequence(Stage::Encode, Fence(u64::from(job.id.part() != job.id.track()))),
        stage => sequence(stage, fence),
    }
}

/// Where a job says how far it is.
#[derive(Debug)]
pub(crate) struct Gauge(watch::Sender<JobProgress>);

impl Default for Gauge {
    fn default() -> Self {
        Self(watch::Sender::new(JobProgress::default()))
    }
}

impl Gauge {
    /// How far it is now, and what comes.
    pub fn read(&self) -> watch::Receiver<JobProgress> {
        self.0.subscribe()
    }

    /// Begins to measure work of `total` units (more than zero), which from now on is fixed.
    pub fn measure(&self, total: f64) -> Meter<'_> {
        Meter { gauge: self, measure: Measure::new(total) }
    }
}

/// Measures one stage of a job.
#[derive(Debug)]
pub(crate) struct Meter<'a> {
    gauge: &'a Gauge,
    measure: Measure,
}

impl Meter<'_> {
    /// The work covers so much media, which makes a speed.
    pub fn covering(mut self, media: Duration) -> Self {
        self.measure.media = Some(media);
        self
    }

    /// So many units were done before this began: they say nothing of the speed.
    pub fn begin(&mut self, units: f64) {
        (self.measure.begun.1, self.measure.last.1) = (units, units);
    }

    /// So many units of all are done. Less than before is no news.
    pub fn done(&mut self, units: f64) {
        self.gauge.0.send_replace(self.measure.done(units));
    }
}

/// Turns units done into percent, speed and the time left.
#[derive(Debug)]
pub(crate) struct Measure {
    total: f64,
    /// When it began, and with how much.
    begun: (Instant, f64),
    last: (Instant, f64),
    /// Units a second, lately.
    rate: Option<f64>,
    /// Media covered by all units.
    media: Option<Duration>,
}

impl Measure {
    /// Of work of `total` units (more than zero).
    pub fn new(total: f64) -> Self {
        let begun = (Instant::now(), 0.0);
        Self { total, begun, last: begun, rate: None, media: None }
    }

    /// So many units were done before the first look.
    pub fn beginning_at(mut self, units: f64) -> Self {
        (self.begun.1, self.last.1) = (units, units);
        self
    }

    /// So many units of all are done by now. Never less than before, and never more than all.
    pub fn done(&mut self, units: f64) -> JobProgress {
        let now = Instant::now();
        let units = units.clamp(self.last.1.min(self.total), self.total);
        self.update_rate(now, units);
        let (begun, before) = self.begun;
        let elapsed = now - begun;
        let overall = (units - before) / elapsed.as_secs_f64();
        let known = elapsed >= SETTLED && units > before;
        let left = self.rate.filter(|_| known).map(|rate| {
            let rest = self.total - units;
            let least = rest / rate.max(overall) / DOUBT;
            let most = rest / rate.min(overall) * DOUBT;
            (seconds(least), seconds(most))
        });
        let speed = self.media.filter(|_| known).map(|media| media.as_secs_f64() * overall / self.total);
        JobProgress { percent: 100.0 * units / self.total, speed: speed.unwrap_or(0.0), left }
    }

    fn update_rate(&mut self, now: Instant, units: f64) {
        let (since, before) = self.last;
        let passed = (now - since).as_secs_f64();
        if passed > 0.0 && units > before {
            let present = (units - before) / passed;
            let weight = 1.0 - (1.0 - MEMORY).powf(passed);
            self.rate = Some(self.rate.map_or(present, |rate| rate + (present - rate) * weight));
            self.last = (now, units);
        }
    }
}

/// A duration of at most a year, whatever the estimate.
fn seconds(estimate: f64) -> Duration {
    const YEAR: f64 = 365.0 * 86400.0;
    Duration::from_secs_f64(if estimate.is_finite() { estimate.clamp(0.0, YEAR) } else { YEAR })
}

/// The message for people about a job's progress.
pub(crate) fn message(job: &Job, progress: JobProgress, state: PartState) -> pb::Progress {
    let kind = job.kind.stage();
    pb::Progress {
        video_id: String::new(),
        stage: kind.into(),
        percent: progress.percent,
        speed: progress.speed,
        queue_position: 0,
        left_at_least: progress.left.map(|(least, _)| proto_duration(least)),
        left_at_most: progress.left.map(|(_, most)| proto_duration(most)),
        state: state.into(),
        sequence: sequence_of(job, job.fence),
    }
}

/// Tells the bus about one lease.
#[derive(Debug)]
pub(crate) struct Teller {
    bus: Arc<dyn EventBus>,
    topic: Topic,
    lease: Arc<Lease>,
}

impl Teller {
    /// About `lease`.
    pub fn new(bus: Arc<dyn EventBus>, lease: Arc<Lease>) -> Self {
        let topic = of(lease.source.id);
        Self { bus, topic, lease }
    }

    /// Tells what `gauge` shows, as long as the job runs: never ends by itself.
    pub async fn follow(&self, mut gauge: watch::Receiver<JobProgress>) {
        loop {
            let progress = *gauge.borrow_and_update();
            self.tell(progress, PartState::Running).await;
            tokio::time::sleep(PAUSE).await;
            if gauge.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Tells one thing. A notice that is lost costs a step of a progress bar.
    pub async fn tell(&self, progress: JobProgress, state: PartState) {
        // An encode is at its end when all that is encoded is there: the source's row says that.
        if self.lease.job.kind.stage() == Stage::Encode && state == PartState::Ready {
            return;
        }
        let told = pb::WatchAllProgressResponse {
            source_id: self.lease.source.id.to_string(),
            video_ids: self.lease.source.video_ids.iter().map(ToString::to_string).collect(),
            progress: Some(message(&self.lease.job, progress, state)),
        };
        if let Err(error) = self.bus.publish(&self.topic, told.encode_to_vec().into()).await {
            tracing::debug!(%error, "progress was not told");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{FutureExt as _, StreamExt as _};

    #[tokio::test(start_paused = true)]
    async fn percent_never_falls_and_never_passes_a_hundred() {
        let gauge = Gauge::default();
        let shown = gauge.read();
        let mut meter = gauge.measure(200.0);
        let mut seen = Vec::new();
        for units in [0.0, 20.0, 10.0, 100.0, 500.0, 150.0] {
            tokio::time::advance(Duration::from_secs(1)).await;
            meter.done(units);
            seen.push(shown.borrow().percent);
        }
        assert_eq!(seen, [0.0, 10.0, 10.0, 50.0, 100.0, 100.0]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_left_is_a_range_around_a_steady_rate() {
        let gauge = Gauge::default();
        let shown = gauge.read();
        let mut meter = gauge.measure(100.0).covering(Duration::from_secs(1000));
        meter.done(1.0);
        assert_eq!((shown.borrow().left, shown.borrow().speed), (None, 0.0), "unknown at first");
        for units in 1..=20 {
            tokio::time::advance(Duration::from_secs(1)).await;
            meter.done(f64::from(units));
        }
        let progress = *shown.borrow();
        let (least, most) = progress.left.expect("known by now");
        assert!(least < Duration::from_secs(80) && Duration::from_secs(80) < most, "{least:?} to {most:?}");
        assert!((progress.speed - 10.0).abs() < 0.5, "{}", progress.speed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_that_falls_widens_the_range() {
        let gauge = Gauge::default();
        let shown = gauge.read();
        let mut meter = gauge.measure(1000.0);
        for step in 1..=20 {
            tokio::time::advance(Duration::from_secs(1)).await;
            meter.done(if step <= 10 { 10.0 * f64::from(step) } else { 90.0 + f64::from(step) });
        }
        let (least, most) = shown.borrow().left.expect("known by now");
        assert!(most > least * 4, "{least:?} to {most:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn at_most_four_messages_a_second_are_told() {
        let bus: Arc<dyn EventBus> = Arc::new(vidstream_backends::bus::LocalBus::default());
        let mut heard = bus.subscribe(&all()).await.expect("a bus");
        let teller = Teller::new(bus, Arc::new(crate::testing::lease(vidstream_proto::job::JobKind::Ingest)));
        let gauge = Gauge::default();
        let mut meter = gauge.measure(10_000.0);
        let work = async {
            for step in 0..1000_u32 {
                tokio::time::sleep(Duration::from_millis(10)).await;
                meter.done(f64::from(step));
            }
        };
        tokio::select! {
            () = work => {}
            () = teller.follow(gauge.read()) => {}
        }
        teller.tell(JobProgress::default(), PartState::Ready).await;
        let mut told = 0;
        while let Some(Some(_)) = heard.next().now_or_never() {
            told += 1;
        }
        assert!((25..=40).contains(&told), "{told} in ten seconds");
    }

    #[test]
    fn later_stages_and_later_leases_are_newer() {
        let index = sequence(Stage::Index, Fence(9));
        assert!(sequence(Stage::Index, Fence(10)) > index);
        assert!(sequence(Stage::Storyboard, Fence(1)) > index);
        assert!(sequence(Stage::Storyboard, Fence(1)) > sequence(Stage::Poster, Fence(1)));
    }
}
