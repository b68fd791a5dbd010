//! The checker finds each kind of lie, and none where there is none.

use crate::checker::{Found, Job, Part, Video, lies};
use crate::history::{History, Sent, Titled, Watched, union};
use std::time::{Duration, Instant};

const SOURCE: &str = "s";

/// One video that plays, one that can't, an unfinished upload, one removed for good and one to be restored: all as promised.
fn truth() -> (History, Found) {
    let hash = blake3::hash(b"sent");
    let sent = |name: &str, completed, plays| Sent {
        upload: format!("u-{name}"),
        video: name.to_owned(),
        blake3: hash,
        acknowledged: vec![0..10, 10..20],
        completed,
        plays,
    };
    let all = [
        sent("plays", true, true),
        sent("noise", true, false),
        sent("half", false, false),
        sent("gone", true, true),
        sent("hidden", true, true),
    ];
    let now = Instant::now();
    let watched = |after| Watched { video: "plays".into(), answered: now + Duration::from_secs(after) };
    let history = History {
        sent: all.into_iter().map(|sent| (sent.upload.clone(), sent)).collect(),
        watched: vec![watched(0), watched(1), watched(19)],
        kills: vec![now + Duration::from_secs(20)],
        titled: [("plays".to_owned(), Titled { revision: 7, title: "last".into() })].into(),
        removed: [("gone".to_owned(), true), ("hidden".to_owned(), false)].into(),
        lies: Vec::new(),
    };
    let part = Part { state: "READY".into(), reason: String::new() };
    let video = Video {
        state: "READY".into(),
        failure: String::new(),
        title: "last".into(),
        revision: 8,
        views: 2,
        parts: vec![part; 3],
        bytes: vec![hash; 2],
    };
    let noise = Video { state: "FAILED".into(), failure: "no video".into(), parts: vec![], ..video.clone() };
    let job = |id: &str, state: &str, fence| Job { id: id.into(), state: state.into(), fence, reason: "so".into() };
    let found = Found {
        videos: [("plays".to_owned(), video), ("noise".to_owned(), noise)].into(),
        durable: [("u-half".to_owned(), vec![0..15, 15..30])].into(),
        removed: vec![("gone".into(), 404), ("gone".into(), 404), ("hidden".into(), 404)],
        kept: [("gone".to_owned(), false), ("hidden".to_owned(), true)].into(),
        jobs: vec![job("a", "DONE", 2), job("b", "FAILED", 1), job("c", "CANCELLED", 1), job("d", "DONE", 1)],
        accepted: [("a".to_owned(), 2)].into(),
        objects: vec![format!("sources/{SOURCE}/bytes/0/x"), format!("sources/{SOURCE}/poster/2/poster.jpg")],
        sources: [SOURCE.to_owned()].into(),
        garbage: Vec::new(),
        orphans: Vec::new(),
    };
    (history, found)
}

#[test]
fn the_truth_is_no_lie() {
    let (history, found) = truth();
    assert_eq!(lies(&history, &found), [""; 0]);
}

/// Tells it one lie, and expects it to be found in words that hold `part`, alone.
fn told(part: &str, lie: impl Fn(&mut History, &mut Found)) {
    let (mut history, mut found) = truth();
    lie(&mut history, &mut found);
    let caught = lies(&history, &found);
    assert!(matches!(&caught[..], [one] if one.contains(part)), "{part}: {caught:?}");
}

fn video(found: &mut Found) -> &mut Video {
    found.videos.get_mut("plays").expect("it is there")
}

#[test]
fn lost_bytes_are_found() {
    told("acknowledged bytes [0..20]", |_, found| found.durable = [("u-half".to_owned(), vec![0..15, 15..19])].into());
    told("acknowledged bytes [0..20]", |_, found| found.durable.clear());
    told("are not those", |_, found| video(found).bytes[1] = blake3::hash(b"other"));
    told("are not those", |_, found| video(found).bytes.clear());
    told("is not there", |history, found| {
        found.videos.remove("plays");
        history.titled.clear();
    });
}

#[test]
fn uploads_that_do_not_end_are_found() {
    told("ended as PROCESSING", |_, found| video(found).state = "PROCESSING".into());
    told("ended as FAILED", |_, found| video(found).state = "FAILED".into());
    told("ended as FAILED with the reason ``", |_, found| {
        found.videos.get_mut("noise").expect("it is there").failure.clear();
    });
    told("a part of video", |_, found| video(found).parts[1].state = "RUNNING".into());
}

#[test]
fn a_second_result_is_found() {
    told("has the results [1, 2]", |_, found| found.accepted.extend([("a".into(), 1)]));
    told("has the results [2]", |_, found| found.jobs[0].fence = 3);
    told("has the results [1]", |_, found| found.accepted.extend([("b".into(), 1)]));
    told("has the results []", |_, found| {
        found.jobs[0] = Job { state: "LEASED".into(), id: "e".into(), ..found.jobs[0].clone() }
    });
    told("of the leases", |_, found| found.objects.push(format!("sources/{SOURCE}/poster/1/poster.jpg")));
}

#[test]
fn leftovers_are_found() {
    told("belongs to nothing", |_, found| found.objects.push("sources/other/bytes/0/x".into()));
    told("is garbage", |_, found| found.garbage.push("sources/s/bytes/0/y".into()));
    told("who started it does not", |_, found| found.orphans.push("ffmpeg".into()));
}

#[test]
fn wrong_counts_are_found() {
    told("has 4 views", |_, found| video(found).views = 4);
    told("has 1 views", |_, found| video(found).views = 1);
    // Without a kill nothing may be missing.
    told("has 2 views", |history, _| history.kills.clear());
    // Nor what was reported after it, or long before.
    told("has 2 views", |history, _| history.kills[0] -= Duration::from_secs(2));
    told("has 2 views", |history, _| history.kills[0] += Duration::from_secs(20));
}

#[test]
fn lost_changes_are_found() {
    told("was answered", |_, found| video(found).title = "before".into());
    told("was answered", |_, found| video(found).revision = 6);
    told("is answered with [404, 200]", |_, found| found.removed[1].1 = 200);
    told("is answered with []", |_, found| found.removed.retain(|(video, _)| video == "hidden"));
    told("caught on the way", |history, _| history.lies.push("caught on the way".into()));
}

#[test]
fn purges_that_do_not_happen_are_found() {
    told("is never purged", |_, found| found.kept.extend([("gone".into(), true)]));
    told("is never purged", |_, found| found.kept.retain(|video, _| video != "gone"));
    told("can't be restored", |_, found| found.kept.extend([("hidden".into(), false)]));
    // Its rows went, its bytes did not.
    told("belongs to nothing", |_, found| found.objects.push("sources/gone/bytes/0/x".into()));
}

#[test]
fn ranges_join() {
    assert_eq!(union(&[5..9, 0..2, 2..4, 8..11]), [0..4, 5..11]);
}
