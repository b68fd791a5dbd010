//! What the shared feed told last, for those who watch all videos and for those who watch single ones. Each stands at a
//! number of it and takes what comes after.

use super::told::Told;
use super::topic::{Next, REMEMBERED, Topic};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::Instant;
use tonic::Status;
use vidstream_proto::ids::VideoId;

/// Changes of others do not keep the watchers of one video from hearing for longer than this that the feed is current.
const CONFIRMED: Duration = Duration::from_secs(5);

/// Whom an event is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum About {
    /// Those who watch this video, and those who watch all.
    Video(VideoId),
    /// All: the feed is current. Nothing new, unless it was silent.
    Current,
    /// All, and nothing follows it.
    Last,
}

/// One thing that was told.
#[derive(Clone, Debug)]
pub(super) struct Event {
    about: About,
    /// Where to watch from after it.
    pub(super) position: Arc<str>,
    /// What it is.
    pub(super) told: Told,
}

impl Event {
    /// Nothing follows it.
    pub(super) fn is_last(&self) -> bool {
        self.about == About::Last
    }
}

/// What a watcher finds in the log.
pub(super) enum Found {
    /// The next event, and its number.
    Event(u64, Event),
    /// Events that it has not seen were forgotten.
    Behind,
    /// All was told, and nothing will be any more.
    Ended(Status),
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Log {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Number of the latest event; the first has 1.
    head: u64,
    /// Where the feed was, in its order, each time with the number of the last event up to there.
    places: VecDeque<(Arc<str>, u64)>,
    all: Topic<Event>,
    /// Videos that are watched alone.
    videos: HashMap<VideoId, Topic<Event>>,
    /// The feed's latest word was that it is current.
    silent: bool,
    /// When watchers last heard that the feed is current.
    confirmed: Option<Instant>,
    /// Those who wait for the feed to come to their place.
    seekers: Vec<Waker>,
    ended: Option<Status>,
}

/// Somebody who hears the log: of one video, or of all.
#[derive(Debug)]
pub(super) struct Chair {
    log: Arc<Log>,
    video: Option<VideoId>,
    seat: u64,
}

impl Chair {
    /// Takes a chair at `log`.
    pub(super) fn at(log: &Arc<Log>, video: Option<VideoId>) -> Self {
        let seat = log.lock().topic(video).enter();
        Self { log: Arc::clone(log), video, seat }
    }

    /// What follows for one who has seen all up to `number`.
    pub(super) fn poll_next(&self, number: u64, context: &Context<'_>) -> Poll<Found> {
        let mut state = self.log.lock();
        match state.topic(self.video).next(number) {
            Some(Next::Event(number, event)) => return Poll::Ready(Found::Event(number, event)),
            Some(Next::Behind(_)) => return Poll::Ready(Found::Behind),
            None => {}
        }
        if let Some(status) = &state.ended {
            return Poll::Ready(Found::Ended(status.clone()));
        }
        state.topic(self.video).wait(self.seat, context.waker());
        Poll::Pending
    }

    /// The number to go on after for one who is at `position`, once the feed is there. Never, if it does not come there.
    pub(super) fn poll_place(&self, position: &str, context: &Context<'_>) -> Poll<u64> {
        let mut state = self.log.lock();
        let place = state.places.iter().rev().find(|(place, _)| **place == *position);
        if let Some((_, number)) = place.filter(|_| state.ended.is_none()) {
            return Poll::Ready(*number);
        }
        if !state.seekers.iter().any(|seeker| seeker.will_wake(context.waker())) {
            state.seekers.push(context.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Chair {
    fn drop(&mut self) {
        let mut state = self.log.lock();
        let empty = state.topic(self.video).leave(self.seat);
        if let Some(id) = self.video.filter(|_| empty) {
            state.videos.remove(&id);
        }
    }
}

impl Log {
    /// The feed told this, and is at `position` with it.
    pub(super) fn tell(&self, position: &str, about: About, told: Told) {
        let mut state = self.lock();
        let position: Arc<str> = position.into();
        let silent = std::mem::replace(&mut state.silent, about == About::Current);
        let is_told = about != About::Current || silent || state.must_confirm();
        if is_told {
            state.push(Event { about, position: Arc::clone(&position), told });
        }
        state.stand_at(position);
        let mut woken = std::mem::take(&mut state.seekers);
        if is_told {
            woken.extend(state.rouse(about));
        }
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Nothing will be told any more; `status` says why.
    pub(super) fn end(&self, status: Status) {
        let mut state = self.lock();
        state.ended.get_or_insert(status);
        let mut woken = std::mem::take(&mut state.seekers);
        woken.extend(state.rouse(About::Last));
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Nothing will be told any more.
    pub(super) fn has_ended(&self) -> bool {
        self.lock().ended.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn must_confirm(&self) -> bool {
        self.confirmed.is_none_or(|confirmed| confirmed.elapsed() >= CONFIRMED)
    }

    /// Gives the event its number and puts it where it is heard.
    fn push(&mut self, event: Event) {
        self.head += 1;
        if let About::Video(id) = event.about {
            if let Some(topic) = self.videos.get_mut(&id) {
                topic.push(self.head, event.clone());
            }
        } else {
            self.confirmed = Some(Instant::now());
            let repeats = |before: &Event| before.about == About::Current && event.about == About::Current;
            self.videos.values_mut().for_each(|topic| topic.push_over(self.head, event.clone(), repeats));
        }
        self.all.push(self.head, event);
    }

    /// The feed is at `position`: all that was told is at or before it.
    fn stand_at(&mut self, position: Arc<str>) {
        match self.places.back_mut() {
            Some((place, number)) if *place == position => *number = self.head,
            _ => self.places.push_back((position, self.head)),
        }
        // One who goes on from a place finds all that follows: before each event and behind the last one.
        let forgotten = self.all.forgotten();
        while self.places.len() > REMEMBERED + 1 || self.places.front().is_some_and(|(_, number)| *number < forgotten) {
            self.places.pop_front();
        }
    }

    /// Whom to wake for what is `about` them.
    fn rouse(&mut self, about: About) -> Vec<Waker> {
        let alone: Vec<&mut Topic<Event>> = match about {
            About::Video(id) => self.videos.get_mut(&id).into_iter().collect(),
            About::Current | About::Last => self.videos.values_mut().collect(),
        };
        [&mut self.all].into_iter().chain(alone).flat_map(Topic::rouse).collect()
    }

    fn topic(&mut self, video: Option<VideoId>) -> &mut Topic<Event> {
        let Some(id) = video else { return &mut self.all };
        let all = &self.all;
        self.videos.entry(id).or_insert_with(|| {
            let concerns = |(_, event): &&(u64, Event)| !matches!(event.about, About::Video(other) if other != id);
            Topic::after(all.forgotten(), all.events().filter(concerns).cloned().collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vidstream_proto::pb;

    fn tell(log: &Log, number: usize, about: About) {
        let position = format!("at {number}");
        let message = pb::WatchVideosResponse { position: position.clone(), event: None };
        log.tell(&position, about, message.into());
    }

    fn place(log: &Arc<Log>, position: &str) -> Option<u64> {
        match Chair::at(log, None).poll_place(position, &Context::from_waker(Waker::noop())) {
            Poll::Ready(number) => Some(number),
            Poll::Pending => None,
        }
    }

    /// Positions of what there is after `number`; none where something was forgotten.
    fn heard(chair: &Chair, mut number: u64) -> Option<Vec<String>> {
        let mut positions = Vec::new();
        loop {
            match chair.poll_next(number, &Context::from_waker(Waker::noop())) {
                Poll::Ready(Found::Event(next, event)) => {
                    number = next;
                    positions.push(event.position.to_string());
                }
                Poll::Ready(Found::Behind) => return None,
                Poll::Ready(Found::Ended(_)) | Poll::Pending => return Some(positions),
            }
        }
    }

    #[test]
    fn one_video_is_heard_from_any_place_that_is_remembered() {
        let log = Arc::<Log>::default();
        let (mine, other) = (VideoId::generate(), VideoId::generate());
        tell(&log, 0, About::Current);
        for number in 1..=10 {
            tell(&log, number, About::Video(if number % 5 == 0 { mine } else { other }));
        }
        let (alone, all) = (Chair::at(&log, Some(mine)), Chair::at(&log, None));
        let start = place(&log, "at 0").expect("remembered");
        assert_eq!(heard(&alone, start).expect("remembered"), ["at 5", "at 10"]);
        assert_eq!(heard(&all, start).expect("remembered").len(), 10);
        assert_eq!(heard(&alone, place(&log, "at 7").expect("remembered")).expect("remembered"), ["at 10"]);
        assert_eq!(place(&log, "at 11"), None, "not yet");
    }

    #[test]
    fn what_is_forgotten_is_no_place_to_begin_at() {
        let log = Arc::<Log>::default();
        let (mine, other) = (VideoId::generate(), VideoId::generate());
        tell(&log, 0, About::Current);
        let start = place(&log, "at 0").expect("remembered");
        let (alone, all) = (Chair::at(&log, Some(mine)), Chair::at(&log, None));
        for number in 1..=REMEMBERED + 1 {
            tell(&log, number, About::Video(other));
        }
        assert_eq!(place(&log, "at 0"), None);
        assert_eq!(place(&log, "at 1").map(|number| heard(&all, number).expect("all").len()), Some(REMEMBERED));
        assert_eq!(heard(&all, start), None);
        assert_eq!(heard(&alone, start).expect("others do not count"), [""; 0]);
        drop(alone);
        assert_eq!(heard(&Chair::at(&log, Some(mine)), start), None, "what was forgotten may have been its own");
    }

    #[tokio::test(start_paused = true)]
    async fn that_it_is_current_is_told_out_of_silence_or_after_a_while() {
        let log = Arc::<Log>::default();
        let chair = Chair::at(&log, None);
        let video = About::Video(VideoId::generate());
        tell(&log, 0, About::Current);
        tell(&log, 1, video);
        tell(&log, 2, About::Current);
        assert_eq!(heard(&chair, 0).expect("all"), ["at 0", "at 1"]);
        assert_eq!(place(&log, "at 2"), place(&log, "at 1"), "a place all the same");
        tell(&log, 2, About::Current);
        assert_eq!(heard(&chair, 2).expect("all"), ["at 2"], "it was silent");
        tokio::time::advance(CONFIRMED).await;
        tell(&log, 3, video);
        tell(&log, 3, About::Current);
        assert_eq!(heard(&chair, 3).expect("all"), ["at 3", "at 3"]);
    }
}
