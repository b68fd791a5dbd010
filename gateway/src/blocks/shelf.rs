//! What to keep where there is no room for all: S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction",
//! SOSP 2023).
//!
//! What is new waits in a queue of a tenth of the room. What was asked for again meanwhile goes on to the main queue, all else leaves
//! only a mark; what comes again while its mark is there goes to the main queue at once. So one pass over much,
//! however long, pushes out nothing that is asked for again and again. Nothing moves when it is asked for.

use super::Key;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

/// Of the room, what is new has this part.
const NEW: u64 = 10;
/// How many times a thing in the main queue is passed over at the most, because it was asked for.
const MOST: u8 = 3;

/// Things of known weight, never more than there is room for.
#[derive(Debug)]
pub struct Shelf<V> {
    held: HashMap<Key, Held<V>>,
    new: Queue,
    main: Queue,
    marks: Marks,
    room: u64,
    new_room: u64,
}

#[derive(Debug)]
struct Held<V> {
    value: V,
    bytes: u64,
    /// How often it was asked for since it came into its queue, up to [`MOST`].
    asked: u8,
}

#[derive(Debug, Default)]
struct Queue {
    keys: VecDeque<Key>,
    bytes: u64,
}

impl<V> Shelf<V> {
    /// Nothing, with `room` bytes and marks of so many things that left.
    pub fn new(room: u64, marks: usize) -> Self {
        Self {
            held: HashMap::new(),
            new: Queue::default(),
            main: Queue::default(),
            marks: Marks::new(marks),
            room,
            new_room: room / NEW,
        }
    }

    /// The same, but one that takes nothing when it comes for the first time: it leaves its mark only.
    pub fn second_time(room: u64, marks: usize) -> Self {
        Self { new_room: 0, ..Self::new(room, marks) }
    }

    /// What is held under `key`, which counts as asked for.
    pub fn get(&mut self, key: &Key) -> Option<&V> {
        let held = self.held.get_mut(key)?;
        held.asked = (held.asked + 1).min(MOST);
        Some(&held.value)
    }

    /// Whether something is held under `key`.
    pub fn has(&self, key: &Key) -> bool {
        self.held.contains_key(key)
    }

    /// Bytes of all that is held.
    pub fn bytes(&self) -> u64 {
        self.new.bytes + self.main.bytes
    }

    /// Whether what comes under `key` now would be held. Leaves its mark if not.
    pub fn welcomes(&mut self, key: &Key) -> bool {
        if self.has(key) {
            return false;
        }
        if self.new_room > 0 || self.marks.has(key) {
            return true;
        }
        self.marks.leave(key);
        false
    }

    /// Takes `value` of `bytes` in, and gives back what had to leave for it.
    pub fn insert(&mut self, key: Key, value: V, bytes: u64) -> Vec<V> {
        if bytes > self.room || !self.welcomes(&key) {
            return vec![value];
        }
        let mut left = Vec::new();
        while self.bytes() + bytes > self.room {
            left.extend(self.evict());
        }
        let queue = if self.marks.take(&key) { &mut self.main } else { &mut self.new };
        queue.push(key.clone(), bytes);
        self.held.insert(key, Held { value, bytes, asked: 0 });
        left
    }

    /// Takes what is held under `key` away. It leaves no mark.
    pub fn remove(&mut self, key: &Key) -> Option<V> {
        let held = self.held.remove(key)?;
        for queue in [&mut self.new, &mut self.main] {
            let before = queue.keys.len();
            queue.keys.retain(|other| other != key);
            if queue.keys.len() < before {
                queue.bytes -= held.bytes;
            }
        }
        Some(held.value)
    }

    /// Lets one thing go.
    fn evict(&mut self) -> Option<V> {
        loop {
            let is_new = self.new.bytes > self.new_room || self.main.keys.is_empty();
            let queue = if is_new { &mut self.new } else { &mut self.main };
            let key = queue.keys.pop_front()?;
            let held = self.held.get_mut(&key)?;
            queue.bytes -= held.bytes;
            if held.asked > 0 {
                held.asked = if is_new { 0 } else { held.asked - 1 };
                self.main.push(key, held.bytes);
                continue;
            }
            if is_new {
                self.marks.leave(&key);
            }
            return self.held.remove(&key).map(|held| held.value);
        }
    }
}

impl Queue {
    fn push(&mut self, key: Key, bytes: u64) {
        self.keys.push_back(key);
        self.bytes += bytes;
    }
}

/// What was here not long ago, by hashes of the names: some 50 bytes each.
#[derive(Debug)]
struct Marks {
    /// When each was left.
    left: HashMap<u64, u64>,
    /// Oldest first. Those that were taken are still here; one that was taken and left again is here twice.
    in_order: VecDeque<(u64, u64)>,
    next: u64,
    most: usize,
    hasher: RandomState,
}

impl Marks {
    fn new(most: usize) -> Self {
        Self { left: HashMap::new(), in_order: VecDeque::new(), next: 0, most, hasher: RandomState::new() }
    }

    fn has(&self, key: &Key) -> bool {
        self.left.contains_key(&self.hasher.hash_one(key))
    }

    fn take(&mut self, key: &Key) -> bool {
        self.left.remove(&self.hasher.hash_one(key)).is_some()
    }

    fn leave(&mut self, key: &Key) {
        let hash = self.hasher.hash_one(key);
        if self.left.contains_key(&hash) {
            return;
        }
        self.left.insert(hash, self.next);
        self.in_order.push_back((hash, self.next));
        self.next += 1;
        while self.left.len() > self.most || self.in_order.len() > self.most.saturating_mul(2) {
            let Some((oldest, when)) = self.in_order.pop_front() else { return };
            if self.left.get(&oldest) == Some(&when) {
                self.left.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(number: u64) -> Key {
        Key { object: "films/a".parse().expect("a name"), block: number }
    }

    /// Asks for `number`, which has a weight of 1, and takes it in where it is not held.
    fn ask(shelf: &mut Shelf<u64>, number: u64) -> bool {
        let held = shelf.get(&key(number)).is_some();
        if !held {
            shelf.insert(key(number), number, 1);
        }
        held
    }

    #[test]
    fn a_long_pass_pushes_out_nothing_that_is_asked_for() {
        let mut shelf = Shelf::new(100, 100);
        for _ in 0..3 {
            for hot in 0..50 {
                ask(&mut shelf, hot);
            }
        }
        for cold in 1000..5000 {
            ask(&mut shelf, cold);
            if cold % 20 == 0 {
                assert!(ask(&mut shelf, cold / 20 % 50), "{cold}");
            }
        }
        let kept = (0..50).filter(|hot| shelf.has(&key(*hot))).count();
        assert_eq!(kept, 50);
    }

    #[test]
    fn what_comes_again_soon_is_kept() {
        let mut shelf = Shelf::new(20, 20);
        for number in 0..30 {
            ask(&mut shelf, number);
        }
        assert!(!shelf.has(&key(5)), "it left");
        assert!(!ask(&mut shelf, 5));
        for number in 100..140 {
            ask(&mut shelf, number);
        }
        assert!(shelf.has(&key(5)), "its mark was there");
    }

    #[test]
    fn what_is_taken_the_second_time_is_not_taken_the_first() {
        let mut shelf = Shelf::second_time(10, 10);
        assert_eq!(shelf.insert(key(1), 1, 1), [1]);
        assert!(!shelf.has(&key(1)));
        assert!(shelf.insert(key(1), 1, 1).is_empty());
        assert!(shelf.has(&key(1)));
        assert_eq!(shelf.insert(key(1), 2, 1), [2], "what is held stays");
    }

    #[test]
    fn a_mark_that_was_taken_does_not_take_its_successor_along() {
        let mut shelf = Shelf::second_time(6, 6);
        let insert = |shelf: &mut Shelf<u64>, number| drop(shelf.insert(key(number), number, 1));
        for number in (0..4).cycle().take(8) {
            insert(&mut shelf, number);
        }
        for number in 0..4 {
            assert_eq!(shelf.remove(&key(number)), Some(number));
        }
        for number in (0..4).cycle().take(8) {
            insert(&mut shelf, number);
        }
        assert_eq!((0..4).filter(|number| shelf.has(&key(*number))).count(), 4);
        // However often things come and go, little is remembered of them.
        for _ in 0..100 {
            insert(&mut shelf, 9);
            insert(&mut shelf, 9);
            shelf.remove(&key(9));
        }
        assert!(shelf.marks.in_order.len() <= 12, "{}", shelf.marks.in_order.len());
    }

    #[test]
    fn what_is_removed_is_gone() {
        let mut shelf = Shelf::new(10, 10);
        ask(&mut shelf, 1);
        assert_eq!((shelf.remove(&key(1)), shelf.remove(&key(1))), (Some(1), None));
        assert_eq!(shelf.bytes(), 0);
        for number in 0..100 {
            ask(&mut shelf, number);
        }
        assert_eq!(shelf.bytes(), 10);
    }

    proptest! {
        #[test]
        fn it_never_holds_more_than_it_has_room_for(
            asked in prop::collection::vec((0_u64..60, 1_u64..40, any::<bool>()), 1..300),
            second in any::<bool>(),
        ) {
            let mut shelf = if second { Shelf::second_time(100, 30) } else { Shelf::new(100, 30) };
            let mut there = std::collections::BTreeMap::new();
            for (number, bytes, remove) in asked {
                if remove {
                    prop_assert_eq!(shelf.remove(&key(number)).is_some(), there.remove(&number).is_some());
                } else if shelf.get(&key(number)).is_none() {
                    there.insert(number, bytes);
                    for left in shelf.insert(key(number), number, bytes) {
                        there.remove(&left);
                    }
                }
                prop_assert_eq!(shelf.bytes(), there.values().sum::<u64>());
                prop_assert!(shelf.bytes() <= 100);
                prop_assert!(there.keys().all(|number| shelf.has(&key(*number))));
            }
        }
    }
}
