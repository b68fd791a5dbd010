//! Processes of the mesh that are killed and frozen.

use crate::layout::{Layout, Role};
use crate::mesh::{Backends, LEASE, Mesh, PATIENCE};
use crate::round::{Day, days, new_clip};
use std::time::{Duration, Instant};
use vidstream_tests::dice::Dice;

/// Where a catalog writes one row and not yet what follows from it, or rings no bell yet. Each with the passing at which it
/// kills, where it is not the first.
const POINTS: [&str; 22] = [
    "create.remembered",
    "create.half",
    "create.whole",
    "job.queued",
    "job.leased",
    "record.begun:2",
    "record.done:3",
    "source.written",
    "source.written:4",
    "source.settled",
    "source.settled:5",
    "complete.verified",
    "job.hurried",
    "job.failed",
    "job.again",
    "job.done",
    "job.applied",
    "video.written:2",
    "views.saved",
    "views.counted",
    "purge.begun",
    "bury.pages",
];

/// A moment by chance, below `most`.
async fn moment(dice: &mut Dice, most: Duration) {
    let most = u64::try_from(most.as_millis()).expect("short");
    tokio::time::sleep(Duration::from_millis(dice.roll(most))).await;
}

async fn begin(layout: Layout) -> Day {
    Day::begin(layout, Backends::shared().await).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_is_killed_in_mid_upload() {
    days("a gateway killed", begin, async |day, seed| {
        let fault = async |mesh: &mut Mesh, dice: &mut Dice| {
            let first = mesh.all(Role::is_gateway)[0];
            mesh.kill(first);
            moment(dice, Duration::from_secs(2)).await;
            mesh.revive(first, None);
        };
        day.round(seed, fault).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transcoder_is_killed_in_mid_job() {
    days("a transcoder killed", begin, async |day, seed| {
        let client = day.client.clone();
        let fault = async |mesh: &mut Mesh, dice: &mut Dice| {
            let new = tokio::spawn(new_clip(client, seed));
            let worker = mesh.at_work().await;
            moment(dice, Duration::from_millis(300)).await;
            mesh.kill(worker);
            assert_eq!(mesh.orphans().await, [""; 0]);
            mesh.revive(worker, None);
            new.await.expect("a client");
        };
        day.round(seed, fault).await;
    })
    .await;
}

/// The same for what follows from the death of a worker.
const LEASE_ENDED: &str = "lease.ended";

/// Each of two rounds has every other point and a dead worker, of four rounds each layout has all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_catalog_is_killed_between_a_write_and_what_follows() {
    days("a catalog killed at points", begin, async |day, seed| {
        let half = usize::try_from((seed + seed / 2) % 2).expect("small");
        for (number, point) in POINTS.iter().enumerate().filter(|(number, _)| number % 2 == half) {
            day.killed_at(point, seed + number as u64).await;
        }
        day.killed_after_worker_at(LEASE_ENDED, seed).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transcoder_is_frozen_past_its_lease_and_wakes() {
    days("a transcoder frozen", begin, async |day, seed| {
        let client = day.client.clone();
        let fault = async |mesh: &mut Mesh, dice: &mut Dice| {
            let new = tokio::spawn(new_clip(client, seed));
            let worker = loop {
                let worker = mesh.at_work().await;
                moment(dice, Duration::from_millis(200)).await;
                mesh.freeze(worker);
                if mesh.works(worker) {
                    break worker;
                }
                // Its job ended in that moment: it may have no lease that could die.
                mesh.thaw(worker);
            };
            let (begun, before) = (Instant::now(), mesh.logs().matches("a lease died").count());
            // Who observes it needs a lease's time from when it saw it first, and looks at intervals.
            while mesh.logs().matches("a lease died").count() == before {
                assert!(begun.elapsed() < PATIENCE, "its lease never died");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            moment(dice, LEASE / 2).await;
            mesh.thaw(worker);
            new.await.expect("a client");
        };
        day.round(seed, fault).await;
    })
    .await;
}
