//! The gateway's views of videos: asked for once, true without asking while the feed vouches for them.
//!
//! A view is fresh for 5 s after it was asked for or the feed confirmed it. One that is not is asked for again, by one
//! request for all, whose failure is theirs, too. Where the catalog can't be reached, what is held is served for 60 s more. So a gateway that reaches
//! a catalog shows a removed video for at most 5 s, and one that hears the feed not at all.

use super::feed::{Confirmations, Session};
use super::view::{Known, View, nothing_at};
use crate::Deps;
use moka::sync::Cache;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::field;
use vidstream_proto::ids::VideoId;
use vidstream_proto::pb::{self, VideoState, get_source_request::Key};
use vidstream_proto::video::Entry;

/// How long a view is believed after it was asked for or confirmed.
pub const FRESH: Duration = Duration::from_secs(5);
/// How much longer it is served where no catalog can be reached.
pub const HELD: Duration = Duration::from_mins(1);
/// A catalog that does not answer for this long can't be reached, where there is a view to serve instead.
const PATIENCE: Duration = Duration::from_secs(2);
/// After asking in vain, what is held is served for this long without asking.
const PAUSE: Duration = Duration::from_secs(1);
/// Videos whose views are held. A view takes a few KiB.
const MOST: u64 = 4096;

/// All views of this gateway. Cheap to clone.
#[derive(Clone)]
pub struct Views {
    shared: Arc<Shared>,
}

struct Shared {
    deps: Deps,
    slots: Cache<VideoId, Arc<Slot>>,
    confirmations: Confirmations,
}

/// The place of one video.
#[derive(Default)]
struct Slot {
    state: Mutex<State>,
    /// Held by the one request that asks the catalog.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    /// Counts what made the view doubtful, so that an answer that was overtaken on its way is not believed.
    doubts: u64,
    /// When the catalog was last asked in vain, and what came of it.
    in_vain: Option<(Instant, Problem)>,
}

/// An answer of the catalog.
#[derive(Clone)]
struct Held {
    known: Known,
    /// Before the question was sent.
    asked: Instant,
    /// What watched over it then.
    session: Option<Session>,
    /// The feed told of a change since.
    doubtful: bool,
}

impl fmt::Debug for Views {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Views").field("held", &self.shared.slots.entry_count()).finish_non_exhaustive()
    }
}

impl Views {
    /// No views yet.
    pub fn new(deps: Deps) -> Self {
        let slots = Cache::new(MOST);
        Self { shared: Arc::new(Shared { deps, slots, confirmations: Confirmations::default() }) }
    }

    /// What `read` finds in the view of `id`. If it finds that something is still to come, it reads a view asked for
    /// just now: nobody waits for what is there.
    pub async fn read<T>(&self, id: VideoId, read: impl Fn(&Arc<View>) -> Result<T, Problem>) -> Result<T, Problem> {
        let began = Instant::now();
        let found = |known: Known| read(&known.ok_or_else(|| nothing_at(id))?);
        match found(self.get(id, None).await?) {
            Err(problem) if problem.reason == Reason::NotReady => found(self.get(id, Some(began)).await?),
            found => found,
        }
    }

    /// What the feed vouches for.
    pub fn confirmations(&self) -> &Confirmations {
        &self.shared.confirmations
    }

    /// A video changed: it is asked for before it is shown again, and not shown at all once it is removed.
    pub fn changed(&self, entry: &Entry) {
        let removed = entry.video.state() == VideoState::Removed;
        self.doubt(entry.id, |held| {
            let held = held.filter(|_| !removed)?;
            // What changed without raising the revision, its views, is nothing that is played.
            let changed = held.known.as_ref().is_none_or(|view| view.entry.video.revision < entry.video.revision);
            Some(Held { doubtful: held.doubtful || changed, ..held })
        });
    }

    /// A video is gone for good.
    pub fn purged(&self, id: VideoId) {
        self.doubt(id, |_| None);
    }

    fn doubt(&self, id: VideoId, change: impl FnOnce(Option<Held>) -> Option<Held>) {
        if let Some(slot) = self.shared.slots.get(&id) {
            let mut state = slot.lock();
            state.doubts += 1;
            state.held = change(state.held.take());
        }
    }

    /// What is known of `id`, asked for at `not_before` at the earliest.
    async fn get(&self, id: VideoId, not_before: Option<Instant>) -> Result<Known, Problem> {
        let slot = self.shared.slots.get_with(id, Arc::default);
        if let Some(known) = self.believed(&slot, not_before) {
            return Ok(known);
        }
        let came = Instant::now();
        let _one_asks = slot.asking.lock().await;
        // Somebody asked while this waited.
        if let Some(known) = self.believed(&slot, not_before) {
            return Ok(known);
        }
        let answer = match self.fallback(&slot) {
            // One after the other would wait for a catalog that hangs as long as the first did.
            None => match slot.failed_since(came) {
                Some(problem) => return Err(problem),
                None => self.renew(id, &slot).await,
            },
            Some(known) if slot.asked_in_vain() => return Ok(known),
            Some(_) => timeout(PATIENCE, self.renew(id, &slot)).await.unwrap_or_else(|_| Err(silent_catalog())),
        };
        // Judged again: the feed may have told of a removal meanwhile.
        match (answer, self.fallback(&slot)) {
            (Err(problem), Some(known)) if may_pass(&problem) => {
                tracing::warn!(video = %id, %problem, "the catalog can't be asked; serving what is held");
                slot.lock().in_vain = Some((Instant::now(), problem));
                Ok(known)
            }
            (answer, _) => answer.inspect_err(|problem| {
                slot.lock().in_vain = Some((Instant::now(), problem.clone()));
            }),
        }
    }

    /// Asks, and holds the answer unless the feed told of a change while it was on its way.
    async fn renew(&self, id: VideoId, slot: &Slot) -> Result<Known, Problem> {
        let doubts = slot.lock().doubts;
        let session = self.shared.confirmations.session();
        let asked = Instant::now();
        let known = self.ask(id).await?;
        let mut state = slot.lock();
        state.in_vain = None;
        if state.doubts == doubts {
            state.held = Some(Held { known: known.clone(), asked, session, doubtful: false });
        }
        Ok(known)
    }

    /// What is held of the slot's video, if it is fresh.
    fn believed(&self, slot: &Slot, not_before: Option<Instant>) -> Option<Known> {
        let held = slot.lock().held.clone()?;
        let fresh = !held.doubtful && self.confirmed(&held).elapsed() < FRESH;
        (fresh && not_before.is_none_or(|start| held.asked >= start)).then_some(held.known)
    }

    /// What is held of the slot's video, if it may be shown though nobody can be asked.
    fn fallback(&self, slot: &Slot) -> Option<Known> {
        let held = slot.lock().held.clone()?;
        (self.confirmed(&held).elapsed() < FRESH + HELD).then_some(held.known)
    }

    /// When `held` was last known to be so.
    fn confirmed(&self, held: &Held) -> Instant {
        let heard = held.session.and_then(|session| self.shared.confirmations.heard(session));
        heard.map_or(held.asked, |heard| heard.max(held.asked))
    }

    async fn ask(&self, id: VideoId) -> Result<Known, Problem> {
        let deps = &self.shared.deps;
        let mut catalog = deps.catalog.clone();
        let asked = deps.ask(catalog.get_entry(pb::GetEntryRequest { video_id: id.to_string() })).await;
        let entry = match asked {
            Ok(answer) => field::present("entry", answer.entry).and_then(Entry::try_from).map_err(senseless)?,
            Err(problem) if problem.reason == Reason::NotFound => return Ok(None),
            Err(problem) => return Err(problem),
        };
        let key = Key::SourceId(entry.source_id.to_string());
        let asked = deps.ask(catalog.get_source(pb::GetSourceRequest { key: Some(key) })).await;
        match asked {
            Ok(answer) => {
                let source = field::present("source", answer.source).and_then(TryInto::try_into);
                Ok(View::shown(entry, source.map_err(senseless)?))
            }
            Err(problem) if problem.reason == Reason::NotFound => Ok(None),
            Err(problem) => Err(problem),
        }
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked_in_vain(&self) -> bool {
        self.lock().in_vain.as_ref().is_some_and(|(then, _)| then.elapsed() < PAUSE)
    }

    /// What came of the last question, if it failed after `then`.
    fn failed_since(&self, then: Instant) -> Option<Problem> {
        self.lock().in_vain.as_ref().filter(|(failed, _)| *failed > then).map(|(_, problem)| problem.clone())
    }
}

/// What is wrong with an answer of the catalog is not the client's mistake.
pub fn senseless(problem: Problem) -> Problem {
    Problem::new(Reason::Internal, format!("the catalog's answer makes no sense: {problem}"))
}

fn silent_catalog() -> Problem {
    Problem::new(Reason::Unavailable, "the catalog does not answer; try again")
}

/// Whether the trouble is the catalog's, and may pass.
fn may_pass(problem: &Problem) -> bool {
    matches!(
        problem.reason,
        Reason::Unavailable | Reason::DeadlineExceeded | Reason::Internal | Reason::ResourceExhausted
    )
}
