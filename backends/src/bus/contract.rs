//! What every event bus must do, as one suite of checks.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::StreamExt as _;

use super::{BusError, Event, EventBus, Events, LARGEST_PAYLOAD, Topic};

/// A notice that is to come does so within this time.
const SOON: Duration = Duration::from_secs(10);
/// A notice that must not come is waited for this long.
const SILENCE: Duration = Duration::from_millis(300);
/// More notices than any bus keeps for a subscriber that does not read.
const FLOOD: u32 = 200_000;
/// Subscribers at once.
const MANY: usize = 50;

/// Checks `bus`, which nobody else uses.
///
/// # Panics
///
/// If the bus breaks the contract.
pub async fn bus_contract(bus: Arc<dyn EventBus>) {
    let bus = &*bus;
    everybody_subscribed_receives(bus).await;
    only_what_is_subscribed_to_is_received(bus).await;
    nothing_is_kept_for_later(bus).await;
    order_is_kept(bus).await;
    the_slow_are_told(bus).await;
    large_payloads_are_refused(bus).await;
    every_byte_comes_through(bus).await;
    many_subscribe_and_leave(bus).await;
    each_publisher_keeps_its_order(bus).await;
}

async fn everybody_subscribed_receives(bus: &dyn EventBus) {
    let mut first = subscribe(bus, "video.1").await;
    let mut second = subscribe(bus, "video").await;
    publish(bus, "video.1", "changed").await;
    assert_eq!(receive(&mut first).await, notice("video.1", "changed"));
    assert_eq!(receive(&mut second).await, notice("video.1", "changed"));
}

async fn only_what_is_subscribed_to_is_received(bus: &dyn EventBus) {
    let mut events = subscribe(bus, "video.1").await;
    for topic in ["video", "video.10", "video.2", "job.1", "job.video.1"] {
        publish(bus, topic, "not for it").await;
    }
    publish(bus, "video.1.progress", "for it").await;
    assert_eq!(receive(&mut events).await, notice("video.1.progress", "for it"));
    assert_silent(&mut events).await;
}

async fn nothing_is_kept_for_later(bus: &dyn EventBus) {
    publish(bus, "video.1", "early").await;
    let mut events = subscribe(bus, "video.1").await;
    assert_silent(&mut events).await;
    publish(bus, "video.1", "").await;
    assert_eq!(receive(&mut events).await, notice("video.1", ""));
    // Nor for somebody who comes while others listen.
    for at in 0..MANY {
        publish(bus, "video.1", "early").await;
        let mut late = subscribe(bus, "video.1").await;
        publish(bus, "video.1", &at.to_string()).await;
        assert_eq!(receive(&mut late).await, notice("video.1", &at.to_string()));
    }
}

async fn order_is_kept(bus: &dyn EventBus) {
    let mut events = subscribe(bus, "order").await;
    for at in 0..100 {
        publish(bus, "order", &at.to_string()).await;
    }
    for at in 0..100 {
        assert_eq!(receive(&mut events).await, notice("order", &at.to_string()));
    }
}

async fn the_slow_are_told(bus: &dyn EventBus) {
    let mut slow = subscribe(bus, "flood").await;
    for at in 0..FLOOD {
        publish(bus, "flood", &at.to_string()).await;
    }
    let last = notice("flood", &(FLOOD - 1).to_string());
    let (mut received, mut missed) = (0, false);
    loop {
        match receive(&mut slow).await {
            Event::Missed => missed = true,
            event @ Event::Notice { .. } => {
                received += 1;
                if event == last {
                    break;
                }
            }
        }
    }
    assert!(missed || received == FLOOD, "{received} of {FLOOD} notices came, and nobody said that some are missing");
    publish(bus, "flood", "after").await;
    assert_eq!(receive(&mut slow).await, notice("flood", "after"), "it goes on after a loss");
}

async fn large_payloads_are_refused(bus: &dyn EventBus) {
    let topic = topic("large");
    let mut events = subscribe(bus, "large").await;
    let largest = Bytes::from(vec![7; LARGEST_PAYLOAD]);
    bus.publish(&topic, largest.clone()).await.expect("the largest payload is allowed");
    assert_eq!(receive(&mut events).await, Event::Notice { topic: topic.clone(), payload: largest });
    let larger = Bytes::from(vec![7; LARGEST_PAYLOAD + 1]);
    assert!(matches!(bus.publish(&topic, larger).await, Err(BusError::TooLarge { .. })));
}

async fn every_byte_comes_through(bus: &dyn EventBus) {
    let mut events = subscribe(bus, "bytes").await;
    let payload: Bytes = (0..=u8::MAX).chain(*b"\r\n$-1\r\n").collect();
    let longest = "long.".repeat(50) + "topic";
    for on in ["bytes.A-Z_0", &format!("bytes.{}", &longest[..249])] {
        bus.publish(&topic(on), payload.clone()).await.expect("anybody may publish");
        assert_eq!(receive(&mut events).await, Event::Notice { topic: topic(on), payload: payload.clone() });
    }
}

async fn many_subscribe_and_leave(bus: &dyn EventBus) {
    let mut all = Vec::new();
    for at in 0..MANY {
        all.push((subscribe(bus, "many").await, subscribe(bus, &format!("many.{at}")).await));
    }
    // Those who leave take nothing from those who stay.
    let mut stay = all.split_off(MANY / 2);
    drop(all);
    for at in 0..MANY {
        publish(bus, &format!("many.{at}"), "hear").await;
    }
    for (at, (everything, own)) in stay.iter_mut().enumerate() {
        for at in 0..MANY {
            assert_eq!(receive(everything).await, notice(&format!("many.{at}"), "hear"));
        }
        assert_eq!(receive(own).await, notice(&format!("many.{}", at + MANY / 2), "hear"));
    }
    let mut again = subscribe(bus, "many.0").await;
    publish(bus, "many.0", "again").await;
    assert_eq!(receive(&mut again).await, notice("many.0", "again"), "a topic that was left can be joined again");
}

async fn each_publisher_keeps_its_order(bus: &dyn EventBus) {
    let mut events = subscribe(bus, "publishers").await;
    let publishers = (0..8).map(|publisher| async move {
        for at in 0..20 {
            publish(bus, &format!("publishers.{publisher}"), &at.to_string()).await;
        }
    });
    futures::future::join_all(publishers).await;
    let mut next = HashMap::new();
    for _ in 0..8 * 20 {
        let Event::Notice { topic, payload } = receive(&mut events).await else { panic!("160 notices are not many") };
        let expected: &mut u32 = next.entry(topic).or_default();
        assert_eq!(payload, expected.to_string());
        *expected += 1;
    }
}

fn topic(topic: &str) -> Topic {
    topic.parse().expect("the suite's topics are valid")
}

fn notice(on: &str, payload: &str) -> Event {
    Event::Notice { topic: topic(on), payload: Bytes::copy_from_slice(payload.as_bytes()) }
}

async fn subscribe(bus: &dyn EventBus, to: &str) -> Events {
    bus.subscribe(&topic(to)).await.expect("anybody may subscribe")
}

async fn publish(bus: &dyn EventBus, on: &str, payload: &str) {
    bus.publish(&topic(on), Bytes::copy_from_slice(payload.as_bytes())).await.expect("anybody may publish");
}

async fn receive(events: &mut Events) -> Event {
    let event = tokio::time::timeout(SOON, events.next()).await;
    event.expect("the notice must come").expect("the bus is open")
}

async fn assert_silent(events: &mut Events) {
    assert!(tokio::time::timeout(SILENCE, events.next()).await.is_err(), "there must be no notice");
}
