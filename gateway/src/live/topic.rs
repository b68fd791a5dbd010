//! Events that many hear, each at its own pace. They are kept once, however many hear them; one who is slow misses what was
//! forgotten, and knows it.

use std::collections::{HashMap, VecDeque};
use std::task::Waker;

/// Events that are remembered.
pub(super) const REMEMBERED: usize = 256;

/// What is next for one who hears a topic.
pub(super) enum Next<E> {
    /// This, under its number.
    Event(u64, E),
    /// Events up to this number were forgotten before they were heard.
    Behind(u64),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Topic<E> {
    /// In the order of their numbers.
    events: VecDeque<(u64, E)>,
    /// Number of the latest event that was forgotten.
    forgotten: u64,
    /// Those who hear it, and those of them who wait.
    seats: usize,
    last_seat: u64,
    waiting: HashMap<u64, Waker>,
}

impl<E> Default for Topic<E> {
    fn default() -> Self {
        Self::after(0, VecDeque::new())
    }
}

impl<E> Topic<E> {
    /// A topic of which all up to `forgotten` is forgotten, and `events` followed.
    pub(super) fn after(forgotten: u64, events: VecDeque<(u64, E)>) -> Self {
        Self { events, forgotten, seats: 0, last_seat: 0, waiting: HashMap::new() }
    }

    /// All that is remembered.
    pub(super) fn events(&self) -> impl Iterator<Item = &(u64, E)> {
        self.events.iter()
    }

    /// Number of the latest event that was forgotten.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Somebody comes who hears it.
    pub(super) fn enter(&mut self) -> u64 {
        self.seats += 1;
        self.last_seat += 1;
        self.last_seat
    }

    /// The one of this seat goes; whether nobody is left.
    pub(super) fn leave(&mut self, seat: u64) -> bool {
        self.waiting.remove(&seat);
        self.seats -= 1;
        self.seats == 0
    }

    /// The one of this seat is woken by what comes next.
    pub(super) fn wait(&mut self, seat: u64, waker: &Waker) {
        self.waiting.entry(seat).and_modify(|before| before.clone_from(waker)).or_insert_with(|| waker.clone());
    }

    /// Those who wait, to be woken.
    pub(super) fn rouse(&mut self) -> impl Iterator<Item = Waker> {
        self.waiting.drain().map(|(_, waker)| waker)
    }

    /// Adds an event under a number that is higher than all before.
    pub(super) fn push(&mut self, number: u64, event: E) {
        if self.events.len() == REMEMBERED
            && let Some((oldest, _)) = self.events.pop_front()
        {
            self.forgotten = oldest;
        }
        self.events.push_back((number, event));
    }
}

impl<E> Topic<E> {
    /// The same, and forgets the latest event if it is one that this `repeats`: it says no more.
    pub(super) fn push_over(&mut self, number: u64, event: E, repeats: impl Fn(&E) -> bool) {
        self.events.pop_back_if(|(_, latest)| repeats(latest));
        self.push(number, event);
    }
}

impl<E: Clone> Topic<E> {
    /// What follows for one who has seen all up to `number`.
    pub(super) fn next(&self, number: u64) -> Option<Next<E>> {
        if number < self.forgotten {
            return Some(Next::Behind(self.forgotten));
        }
        let seen = self.events.partition_point(|(event, _)| *event <= number);
        self.events.get(seen).map(|(number, event)| Next::Event(*number, event.clone()))
    }
}
