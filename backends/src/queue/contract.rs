//! What every job queue must do, as one suite of checks.

use std::{sync::Arc, time::Duration};

use futures::future::{Either, select};

use super::{Bells, Class, JobQueue};

const LIGHT: Class = Class::new("light");
const HEAVY: Class = Class::new("heavy");
const OTHER: Class = Class::new("other");

/// In the order of their names.
const CLASSES: [Class; 12] = [
    Class::new("a"),
    Class::new("b"),
    Class::new("c"),
    Class::new("class-of-thirty-two-letters-in-a"),
    Class::new("d"),
    Class::new("e"),
    Class::new("f"),
    Class::new("g"),
    Class::new("h"),
    Class::new("i"),
    Class::new("j"),
    Class::new("k"),
];
/// Bells rung at once.
const BURST: usize = 1000;

/// A bell that is to come does so within this time.
const SOON: Duration = Duration::from_secs(10);
/// A bell that must not come is waited for this long.
const SILENCE: Duration = Duration::from_millis(300);

/// Checks `queue`, which nobody else uses.
///
/// # Panics
///
/// If the queue breaks the contract.
pub async fn queue_contract(queue: Arc<dyn JobQueue>) {
    let queue = &*queue;
    a_bell_waits_for_a_listener(queue).await;
    a_waiting_listener_is_woken(queue).await;
    only_the_classes_asked_for_are_heard(queue).await;
    one_bell_wakes_one(queue).await;
    a_dropped_wait_loses_no_bell(queue).await;
    a_busy_worker_takes_no_bell(queue).await;
    a_wait_dropped_at_any_time_loses_no_bell(queue).await;
    a_burst_is_heard(queue).await;
    two_share_the_work(queue).await;
    many_classes(queue).await;
}

async fn a_bell_waits_for_a_listener(queue: &dyn JobQueue) {
    ring(queue, LIGHT).await;
    let mut bells = listen(queue, &[LIGHT]).await;
    assert_eq!(hear(&mut *bells).await, LIGHT);
    assert_silent(&mut *bells).await;
}

async fn a_waiting_listener_is_woken(queue: &dyn JobQueue) {
    let mut bells = listen(queue, &[LIGHT, HEAVY]).await;
    for class in [HEAVY, LIGHT, LIGHT, HEAVY] {
        let ((), heard) = futures::join!(ring(queue, class), hear(&mut *bells));
        assert_eq!(heard, class);
    }
    assert_silent(&mut *bells).await;
}

async fn only_the_classes_asked_for_are_heard(queue: &dyn JobQueue) {
    let mut bells = listen(queue, &[LIGHT, HEAVY]).await;
    ring(queue, OTHER).await;
    assert_silent(&mut *bells).await;
    ring(queue, LIGHT).await;
    ring(queue, HEAVY).await;
    let mut heard = [hear(&mut *bells).await, hear(&mut *bells).await];
    heard.sort();
    assert_eq!(heard, [HEAVY, LIGHT], "each class has a bell of its own");
    assert_eq!(hear(&mut *listen(queue, &[OTHER]).await).await, OTHER, "the bell waited for its listener");
}

async fn one_bell_wakes_one(queue: &dyn JobQueue) {
    let mut first = listen(queue, &[LIGHT]).await;
    let mut second = listen(queue, &[LIGHT]).await;
    let both = async {
        match select(first.next(), second.next()).await {
            Either::Left((heard, other)) | Either::Right((heard, other)) => {
                assert_eq!(heard.expect("a bell"), LIGHT);
                assert!(tokio::time::timeout(SILENCE, other).await.is_err(), "one bell must not wake two workers");
            }
        }
    };
    futures::join!(both, ring(queue, LIGHT));
}

async fn a_dropped_wait_loses_no_bell(queue: &dyn JobQueue) {
    let mut gone = listen(queue, &[LIGHT]).await;
    let mut other = listen(queue, &[LIGHT]).await;
    assert_silent(&mut *gone).await;
    ring(queue, LIGHT).await;
    drop(gone);
    assert_eq!(hear(&mut *other).await, LIGHT);
}

async fn a_busy_worker_takes_no_bell(queue: &dyn JobQueue) {
    let mut busy = listen(queue, &[LIGHT]).await;
    assert_silent(&mut *busy).await;
    // It listens, but is not waiting now.
    let mut free = listen(queue, &[LIGHT]).await;
    ring(queue, LIGHT).await;
    assert_eq!(hear(&mut *free).await, LIGHT);
    ring(queue, LIGHT).await;
    assert_eq!(hear(&mut *busy).await, LIGHT);
}

async fn a_wait_dropped_at_any_time_loses_no_bell(queue: &dyn JobQueue) {
    let mut bells = listen(queue, &[LIGHT]).await;
    for wait in [0, 1, 2, 5, 20].map(Duration::from_millis) {
        ring(queue, LIGHT).await;
        // Either this wait hears it, or the next one.
        if tokio::time::timeout(wait, bells.next()).await.is_err() {
            assert_eq!(hear(&mut *bells).await, LIGHT);
        }
    }
    assert_silent(&mut *bells).await;
}

async fn a_burst_is_heard(queue: &dyn JobQueue) {
    let mut bells = listen(queue, &[HEAVY]).await;
    let burst = async {
        for _ in 0..BURST / 50 {
            futures::future::join_all((0..50).map(|_| ring(queue, HEAVY))).await;
        }
    };
    let ((), heard) = futures::join!(burst, hear(&mut *bells));
    assert_eq!(heard, HEAVY);
    let more = all_that_wait(&mut *bells).await;
    assert!(more < BURST, "{more} more bells than were rung");
    ring(queue, HEAVY).await;
    assert_eq!(hear(&mut *bells).await, HEAVY, "it rings as before");
    assert_silent(&mut *bells).await;
}

async fn two_share_the_work(queue: &dyn JobQueue) {
    let (mut first, mut second) = (listen(queue, &[LIGHT]).await, listen(queue, &[LIGHT]).await);
    let (one, other) = (first.next(), second.next());
    ring(queue, LIGHT).await;
    // Whoever heard it is busy now; the other one, who waits still, hears the next.
    match select(one, other).await {
        Either::Left((heard, other)) | Either::Right((heard, other)) => {
            assert_eq!(heard.expect("a bell"), LIGHT);
            ring(queue, LIGHT).await;
            let heard = tokio::time::timeout(SOON, other).await.expect("the second bell must be heard");
            assert_eq!(heard.expect("a bell"), LIGHT);
        }
    }
}

async fn many_classes(queue: &dyn JobQueue) {
    let mut bells = listen(queue, &CLASSES).await;
    for class in CLASSES {
        ring(queue, class).await;
    }
    let mut heard = Vec::new();
    for _ in CLASSES {
        heard.push(hear(&mut *bells).await);
    }
    heard.sort();
    assert_eq!(heard, CLASSES);
    assert_silent(&mut *bells).await;
    // Who listens for nothing hears nothing.
    assert_silent(&mut *listen(queue, &[]).await).await;
}

/// Takes the bells that nobody heard yet; says how many.
async fn all_that_wait(bells: &mut dyn Bells) -> usize {
    let mut heard = 0;
    while let Ok(bell) = tokio::time::timeout(SILENCE, bells.next()).await {
        bell.expect("a working queue");
        heard += 1;
    }
    heard
}

async fn ring(queue: &dyn JobQueue, class: Class) {
    queue.ring(class).await.expect("a bell can be rung");
}

async fn listen(queue: &dyn JobQueue, classes: &[Class]) -> Box<dyn Bells> {
    queue.listen(classes).await.expect("anybody may listen")
}

async fn hear(bells: &mut dyn Bells) -> Class {
    let heard = tokio::time::timeout(SOON, bells.next()).await;
    heard.expect("the bell must be heard").expect("a working queue")
}

async fn assert_silent(bells: &mut dyn Bells) {
    assert!(tokio::time::timeout(SILENCE, bells.next()).await.is_err(), "there must be no bell");
}
