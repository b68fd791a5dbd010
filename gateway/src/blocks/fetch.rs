//! Fetching blocks that are not in memory: who claims one first fetches it for all, and the next ones too as long as these are
//! nobody else's and whoever asked keeps up. What is claimed has room to wait in, so fetching it waits for no reader.

use super::{AHEAD, BLOCK, Inner, Key, State, shared};
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::mpsc::{self, OwnedPermit, Receiver, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use vidstream_backends::objects::{ByteStream, ObjectError};

/// A block, or why it did not come.
type Arrival = Result<Bytes, Arc<ObjectError>>;

/// A block on its way: where its arrival is told.
pub type Coming = watch::Sender<Option<Arrival>>;

/// Where a block is.
pub enum Found {
    /// Here.
    Held(Bytes),
    /// Somebody fetches it. Whoever does and gives up closes the channel.
    Coming(watch::Receiver<Option<Arrival>>),
    /// Nowhere near: whoever asked is to fetch it.
    Claimed(Claim),
}

/// The right, and the promise, to fetch a block.
pub struct Claim {
    inner: Arc<Inner>,
    key: Key,
    coming: Coming,
}

/// A block for the reading that had it fetched.
pub struct Fetched {
    /// The bytes.
    pub bytes: Result<Bytes, ObjectError>,
    /// Given back when it is taken.
    _place: Option<OwnedSemaphorePermit>,
}

/// Room for one more block that waits to be taken.
struct Room {
    permit: OwnedPermit<Fetched>,
    place: Option<OwnedSemaphorePermit>,
}

/// Fetches the claimed block of an object of `size` bytes, and those after it up to `last`, for one reading and whoever waits for them.
/// The channel ends before `last` where a block is here already or somebody else's.
pub fn begin(inner: Arc<Inner>, claim: Claim, size: u64, last: u64) -> Receiver<Fetched> {
    let (reader, receiver) = mpsc::channel(AHEAD);
    let fetch = Fetch { inner, size, last, next: claim.key.clone(), window: VecDeque::new(), bytes: None };
    tokio::spawn(fetch.run(claim, reader));
    receiver
}

struct Fetch {
    inner: Arc<Inner>,
    size: u64,
    last: u64,
    /// The first block that is not claimed.
    next: Key,
    /// Blocks that are claimed, one after the other, each with room to wait in: fetching them waits for no reader.
    window: VecDeque<(Claim, Room)>,
    bytes: Option<Blockwise>,
}

impl Fetch {
    async fn run(mut self, claim: Claim, reader: Sender<Fetched>) {
        // Nothing waits yet.
        let Some(room) = Room::now(&reader, &self.inner.places) else { return };
        self.take(claim, room);
        loop {
            // Before the one before is given out: those who wait for that come for these right after.
            let is_free = self.widen(&reader);
            let Some((claim, room)) = self.window.pop_front() else {
                if !is_free || self.next.block > self.last {
                    return;
                }
                let Some(room) = Room::when_taken(&reader, &self.inner.places).await else { return };
                let Found::Claimed(claim) = self.inner.find(&self.next) else { return };
                self.take(claim, room);
                continue;
            };
            let others = self.window.iter().map(|(claim, _)| claim.coming.clone()).collect();
            let fetched = tokio::select! {
                fetched = self.block(&claim.key) => fetched,
                () = unwanted(&reader, &claim.coming, others) => return,
            };
            let name = claim.key.object.clone();
            let fetched = fetched.map_err(Arc::new);
            claim.arrive(fetched.clone());
            let is_over = fetched.is_err();
            room.fill(fetched.map_err(|error| shared(&name, &error)));
            if is_over {
                return;
            }
        }
    }

    fn take(&mut self, claim: Claim, room: Room) {
        self.next = Key { block: claim.key.block + 1, ..claim.key.clone() };
        self.window.push_back((claim, room));
    }

    /// Claims the following blocks as far as there is room; false where the next one is here or somebody else's.
    fn widen(&mut self, reader: &Sender<Fetched>) -> bool {
        while self.next.block <= self.last {
            let Some(room) = Room::now(reader, &self.inner.places) else { return true };
            let Some(claim) = self.inner.claim_if_free(&self.next) else { return false };
            self.take(claim, room);
        }
        true
    }

    async fn block(&mut self, key: &Key) -> Result<Bytes, ObjectError> {
        let start = key.block * BLOCK;
        let len = BLOCK.min(self.size.saturating_sub(start));
        if let Some(disk) = &self.inner.disk
            && let Some(bytes) = disk.read(key, len).await
        {
            // What comes after it begins elsewhere.
            self.bytes = None;
            return Ok(bytes);
        }
        let open = self.bytes.take().filter(|source| source.at == start && start < source.end);
        let mut source = if let Some(source) = open {
            source
        } else {
            let end = self.inner.end_of_gap(key, self.next.block, self.last).saturating_mul(BLOCK).min(self.size);
            let stream = self.inner.store.get_range(&key.object, start..end).await?;
            Blockwise { stream, at: start, end, rest: Bytes::new() }
        };
        let bytes = source.take(key, len).await?;
        self.bytes = Some(source);
        if let Some(disk) = &self.inner.disk {
            disk.offer(key, &bytes);
        }
        Ok(bytes)
    }
}

/// A stream of an object, taken in blocks.
struct Blockwise {
    stream: ByteStream,
    /// Where in the object it is.
    at: u64,
    /// Where it ends: what is behind that was near when it was asked for, and may be so no longer.
    end: u64,
    /// What came and belongs to the next block.
    rest: Bytes,
}

impl Blockwise {
    /// The next `len` bytes, in memory of their own: pieces of a stream share buffers, which a block that is kept would hold.
    async fn take(&mut self, key: &Key, len: u64) -> Result<Bytes, ObjectError> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let mut block = BytesMut::with_capacity(len);
        loop {
            let piece = self.rest.split_to(self.rest.len().min(len - block.len()));
            block.extend_from_slice(&piece);
            if block.len() == len {
                self.at += len as u64;
                return Ok(block.freeze());
            }
            self.rest = self.stream.try_next().await?.ok_or_else(|| ObjectError::Unavailable {
                doing: "read object",
                name: key.object.to_string(),
                source: "its bytes ended early".into(),
            })?;
        }
    }
}

impl Room {
    /// Room for a block, if there is some without waiting.
    fn now(reader: &Sender<Fetched>, places: &Arc<Semaphore>) -> Option<Self> {
        let permit = reader.clone().try_reserve_owned().ok()?;
        if reader.capacity() + 1 == AHEAD {
            // Nothing waits to be taken: one block each reading may always have.
            return Some(Self { permit, place: None });
        }
        let place = Arc::clone(places).try_acquire_owned().ok()?;
        Some(Self { permit, place: Some(place) })
    }

    /// Room for a block, once there is some; none if the reading ended.
    async fn when_taken(reader: &Sender<Fetched>, places: &Arc<Semaphore>) -> Option<Self> {
        let place = tokio::select! {
            place = Arc::clone(places).acquire_owned() => place.ok(),
            // All was taken.
            taken = reader.reserve_many(AHEAD) => {
                taken.ok()?;
                None
            }
            () = reader.closed() => return None,
        };
        let permit = reader.clone().reserve_owned().await.ok()?;
        Some(Self { permit, place })
    }

    fn fill(self, bytes: Result<Bytes, ObjectError>) {
        self.permit.send(Fetched { bytes, _place: self.place });
    }
}

/// Ends when neither the reading nor anybody else waits for what is claimed.
async fn unwanted(reader: &Sender<Fetched>, first: &Coming, others: Vec<Coming>) {
    reader.closed().await;
    first.closed().await;
    for other in others {
        other.closed().await;
    }
}

impl Claim {
    /// Tells all who wait what came, and keeps it.
    fn arrive(self, arrival: Arrival) {
        let mut state = self.inner.state();
        let left = match &arrival {
            Ok(bytes) => state.held.insert(self.key.clone(), bytes.clone(), bytes.len() as u64),
            Err(_) => Vec::new(),
        };
        state.coming.remove(&self.key);
        drop(state);
        self.coming.send_replace(Some(arrival));
        drop(left);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut state = self.inner.state();
        if state.coming.get(&self.key).is_some_and(|coming| coming.same_channel(&self.coming)) {
            state.coming.remove(&self.key);
        }
    }
}

impl Inner {
    /// Where the block is; if it is nowhere, it is the caller's to fetch.
    pub fn find(self: &Arc<Self>, key: &Key) -> Found {
        let mut state = self.state();
        if let Some(bytes) = state.held.get(key) {
            return Found::Held(bytes.clone());
        }
        match state.coming.get(key) {
            Some(coming) => Found::Coming(coming.subscribe()),
            None => Found::Claimed(self.claim(&mut state, key.clone())),
        }
    }

    /// Claims the block, if it is neither here nor somebody else's.
    fn claim_if_free(self: &Arc<Self>, key: &Key) -> Option<Claim> {
        let mut state = self.state();
        let is_free = !state.held.has(key) && !state.coming.contains_key(key);
        is_free.then(|| self.claim(&mut state, key.clone()))
    }

    /// Claims a block that is neither held nor coming.
    fn claim(self: &Arc<Self>, state: &mut State, key: Key) -> Claim {
        let coming = watch::Sender::new(None);
        state.coming.insert(key.clone(), coming.clone());
        Claim { inner: Arc::clone(self), key, coming }
    }

    /// The first block after `key`, at the most `last` + 1, that need not be fetched with it. Those before `unclaimed` are to be,
    /// unless they are on the disk.
    fn end_of_gap(&self, key: &Key, unclaimed: u64, last: u64) -> u64 {
        let state = self.state();
        let is_near = |block: &u64| {
            let key = Key { block: *block, ..key.clone() };
            let is_others = *block >= unclaimed && (state.held.has(&key) || state.coming.contains_key(&key));
            is_others || self.disk.as_ref().is_some_and(|disk| disk.has(&key))
        };
        (key.block + 1..=last).find(is_near).unwrap_or(last + 1)
    }
}
