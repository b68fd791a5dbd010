//! What every job queue must do, as one suite of checks.

use std::{sync::Arc, time::Duration};

use futures::future::{Either, select};

use super::{Bells, Class, JobQueue};

const LIGHT: Class = Class::new("light");
const HEAVY: Class = Class::new("heavy");
const OTHER: Class = Class::new("other");

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
