//! Views: who has watched enough of what.
//!
//! What a viewer reports is gathered in memory and joined, in batches, with what the store remembers of that viewer and
//! video for a day. A view counts when the union of all that was played reaches a share of the video, at most once in that
//! time. That row, by compare-and-set, is what makes it count: of many reports, and of many catalogs, one wins. The row says
//! by which claim: a report keeps its claim until it is known to be written, so that a write whose answer was lost is known
//! again as its own. The count goes to the video with a number that makes its repeat harmless. So nothing ever counts twice,
//! and a crash loses at most what was reported since the last batch began, and what of that batch was not written.
//!
//! A view does not raise the video's revision: an edit that expects one must not be refused because somebody watched. The
//! feed tells it all the same, and readers take the message with more views of two with one revision.

use crate::Catalog;
use crate::store::{Flush, StoreError, ViewerRow};
use std::collections::{HashMap, HashSet, VecDeque};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use uuid::Uuid;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::{VideoId, ViewerId};
use vidstream_proto::pb::VideoState;
use vidstream_proto::time::std_duration;
use vidstream_proto::watched::ReportWatched;
use watched::Watched;

mod watched;

/// At most one view in this time counts for one viewer and video.
pub(crate) const WINDOW: Duration = Duration::from_hours(24);
/// Viewers of videos that are remembered; of more, the oldest are forgotten. A row takes some 100 bytes.
pub(crate) const MOST_VIEWERS: usize = 1_000_000;
/// A view is this share of the video, in hundredths, …
const SHARE: u32 = 15;
/// … or this much, if that is less.
const LONGEST_VIEW: Duration = Duration::from_secs(30);
/// What the way of the first report may have taken longer than that of the last one.
const SLACK: Duration = Duration::from_secs(2);
/// Between two batches while the process stops.
const LAST_INTERVAL: Duration = Duration::from_secs(1);
/// Viewers of videos whose reports wait for the next batch.
const MOST_PENDING: usize = 20_000;
/// Rows of one commit.
const BATCH: usize = 500;

type Key = (VideoId, ViewerId);

/// What one viewer reported of one video since the last batch.
#[derive(Clone, Debug)]
struct Report {
    first: SystemTime,
    last: SystemTime,
    watched: Watched,
    /// The video's.
    duration: Duration,
    /// By what its view is known as its own; none before it was first tried to be written.
    claim: Option<Uuid>,
}

/// Views of a video that are to be added; repeated until it is known that they are.
#[derive(Clone, Debug)]
struct Count {
    video: VideoId,
    views: u64,
    flush: Flush,
}

/// What this catalog knows of viewers that its store does not.
#[derive(Debug)]
pub(crate) struct Viewers {
    reports: Mutex<HashMap<Key, Report>>,
    /// Held by whoever writes; what is still to be counted, and the number of the last count.
    unsent: tokio::sync::Mutex<(VecDeque<Count>, u64)>,
    /// Which catalog's numbers they are. A new life has a new name.
    name: Uuid,
}

impl Default for Viewers {
    fn default() -> Self {
        Self { reports: Mutex::default(), unsent: tokio::sync::Mutex::default(), name: Uuid::now_v7() }
    }
}

impl Viewers {
    fn reports(&self) -> MutexGuard<'_, HashMap<Key, Report>> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins a report with those that wait.
    fn add(&self, key: Key, report: Report) -> Result<(), Problem> {
        let mut reports = self.reports();
        if reports.len() >= MOST_PENDING && !reports.contains_key(&key) {
            let problem = Problem::new(Reason::ResourceExhausted, "too many watch at once to count them all");
            return Err(problem.retry_after(Duration::from_secs(10)));
        }
        match reports.get_mut(&key) {
            Some(known) => known.join(&report),
            None => {
                reports.insert(key, report);
            }
        }
        Ok(())
    }
}

impl Report {
    fn join(&mut self, other: &Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.watched.join(&other.watched);
        self.claim = self.claim.or(other.claim);
    }
}

/// How much has to be watched of a video of this length.
fn enough(duration: Duration) -> Duration {
    (duration * SHARE / 100).min(LONGEST_VIEW)
}

/// What the row of a viewer becomes by a report, and whether that makes a view.
fn joined(key: Key, row: Option<&ViewerRow>, report: &Report) -> (ViewerRow, bool) {
    let age = |row: &&ViewerRow| report.last.duration_since(row.began).unwrap_or_default();
    let window = row.filter(|row| age(row) < WINDOW);
    let mut next = ViewerRow {
        video: key.0,
        viewer: key.1,
        began: window.map_or(report.first, |row| row.began),
        counted: window.is_some_and(|row| row.counted),
        counted_by: window.and_then(|row| row.counted_by),
        watched: Vec::new(),
        revision: row.map_or(0, |row| row.revision) + 1,
    };
    if next.counted {
        // Written before, by this report, and nobody heard of it.
        let own = report.claim.is_some() && next.counted_by == report.claim;
        return (next, own);
    }
    let mut watched = report.watched.clone();
    if let Some(row) = window {
        watched.join(&row.watched.iter().cloned().collect());
    }
    let since = report.last.duration_since(next.began).unwrap_or_default() + SLACK;
    let counts = !watched.is_empty() && watched.total().min(since) >= enough(report.duration);
    if counts {
        // From here on a day without another one.
        (next.began, next.counted, next.counted_by) = (report.last, true, report.claim);
    } else {
        next.watched = watched.intervals();
    }
    (next, counts)
}

impl Catalog {
    /// Takes what a viewer has played.
    pub(crate) async fn add_watched(&self, report: ReportWatched) -> Result<(), Problem> {
        let ReportWatched { video_id: id, viewer_id, intervals } = report;
        let row = self.video(id).await?;
        match row.entry.video.state() {
            VideoState::Ready => {}
            VideoState::Uploading | VideoState::Processing => {
                return Err(Problem::new(Reason::NotReady, format!("video {id} does not play yet")));
            }
            VideoState::Failed | VideoState::Removed | VideoState::Unspecified => {
                return Err(Problem::new(Reason::NotFound, format!("video {id} does not play")));
            }
        }
        let duration = row.entry.video.media.as_ref().and_then(|media| media.duration.as_ref());
        let duration = duration.map(|duration| std_duration("duration", duration)).transpose()?.unwrap_or_default();
        let watched = intervals.into_iter().map(|range| range.start.min(duration)..range.end.min(duration)).collect();
        let now = self.now();
        self.viewers.add((id, viewer_id), Report { first: now, last: now, watched, duration, claim: None })
    }

    /// Writes what was reported, in batches, at intervals; the last time when the process stops and no report comes any more.
    pub(crate) async fn views_until_drained(&self) {
        let mut drained = pin!(self.lifecycle.drained());
        let mut interval = self.config.views_interval;
        loop {
            let stopping = async {
                self.lifecycle.stopping().cancelled().await;
                tokio::time::sleep(LAST_INTERVAL).await;
            };
            let is_last = tokio::select! {
                () = &mut drained => true,
                () = tokio::time::sleep(interval) => false,
                () = stopping => {
                    // Grace may be over before everybody has left.
                    interval = interval.min(LAST_INTERVAL);
                    false
                }
            };
            crate::sweep::report("count views", self.count_views().await);
            if is_last {
                return;
            }
        }
    }

    /// Brings what was reported to the rows, and what counts to the videos.
    pub(crate) async fn count_views(&self) -> Result<(), Problem> {
        let mut unsent = self.viewers.unsent.lock().await;
        let (counts, number) = &mut *unsent;
        let mut reports: Vec<(Key, Report)> = self.viewers.reports().drain().collect();
        let claim = Uuid::new_v4();
        for (_, report) in &mut reports {
            report.claim.get_or_insert(claim);
        }
        let mut outcome = Ok(());
        while !reports.is_empty() {
            let batch = reports.split_off(reports.len().saturating_sub(BATCH));
            match self.save(&batch).await {
                Ok(views) => {
                    tracing::trace!(name: "views.saved", target: "point", "viewers have watched, and no video counts them");
                    for (video, views) in views {
                        *number += 1;
                        let flush = Flush { by: self.viewers.name, number: *number };
                        counts.push_back(Count { video, views, flush });
                    }
                }
                Err(error) => {
                    self.put_back(batch);
                    outcome = Err(error.into());
                }
            }
        }
        // Numbers of one name rise in a video's row: behind one that may not be there the next ones wait, or it would be taken
        // for one that is.
        let mut waits = HashSet::new();
        for count in std::mem::take(counts) {
            if waits.contains(&count.video) {
                counts.push_back(count);
            } else if let Err(error) = self.count(&count).await {
                waits.insert(count.video);
                counts.push_back(count);
                outcome = Err(error.into());
            }
        }
        outcome
    }

    /// Brings reports to their rows; the new views of each video. Where another catalog was faster, they wait for the next
    /// batch.
    async fn save(&self, batch: &[(Key, Report)]) -> Result<HashMap<VideoId, u64>, StoreError> {
        let rows = self.store.viewers(batch.iter().map(|(key, _)| *key).collect()).await?;
        let rows: HashMap<Key, ViewerRow> = rows.into_iter().map(|row| ((row.video, row.viewer), row)).collect();
        let next: Vec<(ViewerRow, bool)> =
            batch.iter().map(|(key, report)| joined(*key, rows.get(key), report)).collect();
        let saved = self.store.save_viewers(next.iter().map(|(row, _)| row.clone()).collect()).await?;
        let mut views = HashMap::new();
        let mut beaten = Vec::new();
        for ((report, (row, counts)), saved) in batch.iter().zip(next).zip(saved) {
            if !saved {
                beaten.push(report.clone());
            } else if counts {
                *views.entry(row.video).or_default() += 1;
            }
        }
        self.put_back(beaten);
        Ok(views)
    }

    /// Reports that could not be saved wait on, as far as there is room.
    fn put_back(&self, batch: Vec<(Key, Report)>) {
        for (key, report) in batch {
            if self.viewers.add(key, report).is_err() {
                tracing::warn!("reports of viewers were dropped; their views may not count");
                return;
            }
        }
    }

    async fn count(&self, count: &Count) -> Result<(), StoreError> {
        if self.store.add_views(count.video, count.views, count.flush).await? {
            tracing::trace!(name: "views.counted", target: "point", "a video counts its viewers, and nobody was told");
            self.figures.viewed(count.views);
            self.notices.video_changed(count.video);
        }
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "intervals are meant, one of them often")]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn key() -> Key {
        (VideoId::generate(), ViewerId::generate())
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + SECOND * u32::try_from(1_000_000 + seconds).unwrap()
    }

    /// Reports of a video of 100 s, in order: the second that each comes in, and what was played.
    fn views(reports: &[(u64, &[std::ops::Range<u64>])]) -> usize {
        let key = key();
        let mut row = None;
        let mut views = 0;
        for (second, played) in reports {
            let seconds =
                |range: &std::ops::Range<u64>| Duration::from_secs(range.start)..Duration::from_secs(range.end);
            let watched = played.iter().map(seconds).collect();
            let (first, last) = (at(*second), at(*second));
            let report = Report { first, last, watched, duration: 100 * SECOND, claim: Some(Uuid::new_v4()) };
            let (next, counts) = joined(key, row.as_ref(), &report);
            views += usize::from(counts);
            row = Some(next);
        }
        views
    }

    #[test]
    fn a_share_of_the_video_is_a_view() {
        assert_eq!(views(&[(0, &[]), (14, &[0..14])]), 0);
        assert_eq!(views(&[(0, &[]), (15, &[0..15])]), 1);
        assert_eq!(views(&[(0, &[]), (10, &[80..90]), (15, &[0..5])]), 1, "anywhere");
        assert_eq!(enough(Duration::from_hours(1)), LONGEST_VIEW);
        assert_eq!(enough(10 * SECOND), Duration::from_millis(1500));
    }

    #[test]
    fn what_is_played_again_is_no_more() {
        assert_eq!(views(&[(0, &[]), (10, &[0..10]), (20, &[0..10]), (30, &[1..9, 0..10])]), 0);
        assert_eq!(views(&[(0, &[]), (10, &[0..10]), (20, &[0..10]), (25, &[8..15])]), 1);
    }

    #[test]
    fn nobody_watches_faster_than_time_goes() {
        assert_eq!(views(&[(0, &[0..100])]), 0);
        assert_eq!(views(&[(0, &[0..100]), (12, &[])]), 0);
        assert_eq!(views(&[(0, &[0..100]), (13, &[])]), 1, "a moment is allowed for");
        assert_eq!(views(&[(0, &[]), (1000, &[])]), 0, "waiting is not watching");
    }

    #[test]
    fn one_view_a_day() {
        let day = WINDOW.as_secs();
        let long: &[std::ops::Range<u64>] = &[0..20];
        assert_eq!(views(&[(0, &[]), (20, long), (40, long), (day + 19, long)]), 1);
        let again = [(0, &[] as &[_]), (20, long), (day + 20, &[]), (day + 40, long)];
        assert_eq!(views(&again), 2);
        // What was played of it a day ago is forgotten.
        assert_eq!(views(&[(0, &[]), (10, &[0..10]), (day, &[]), (day + 10, &[20..30])]), 0);
    }

    #[test]
    fn a_video_without_length_is_not_watched() {
        let (first, last, watched) = (at(0), at(99), Watched::default());
        let report = Report { first, last, watched, duration: Duration::ZERO, claim: None };
        assert!(!joined(key(), None, &report).1);
    }
}
