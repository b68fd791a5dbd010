//! Promises against what is there at the end. Pure, so that each kind of lie can be told to it.

use crate::history::{History, Sent, missing};
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::time::Duration;

/// Between two batches of what viewers report, and what writing one may take on a machine that is busy.
const FLUSH: Duration = Duration::from_secs(5 + 3);

/// A part of a video.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// `READY`, `FAILED`, …
    pub state: String,
    /// Why.
    pub reason: String,
}

/// A video as a gateway tells it.
#[derive(Clone, Debug)]
pub struct Video {
    /// `READY`, `FAILED`, …
    pub state: String,
    /// Why it failed.
    pub failure: String,
    /// As it is.
    pub title: String,
    /// As it is.
    pub revision: i64,
    /// As they are counted.
    pub views: u64,
    /// Source rendition, storyboard, poster.
    pub parts: Vec<Part>,
    /// BLAKE3 of what `/source` gives at each gateway.
    pub bytes: Vec<blake3::Hash>,
}

/// A job's row.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// `DONE`, `FAILED`, …
    pub state: String,
    /// Of its last lease.
    pub fence: u64,
    /// Why it failed.
    pub reason: String,
}

/// What is there at the end.
#[derive(Clone, Default, Debug)]
pub struct Found {
    /// By id; none that is not known.
    pub videos: HashMap<String, Video>,
    /// Durable ranges of uploads that were not completed, by the upload's id.
    pub durable: HashMap<String, Vec<Range<u64>>>,
    /// What each gateway answers for a removed video's playlist: the video's id, the status.
    pub removed: Vec<(String, u16)>,
    /// Whether a removed video still is in the catalog, by id.
    pub kept: HashMap<String, bool>,
    /// All rows of sources that are there, and the newest of others.
    pub jobs: Vec<Job>,
    /// Job and fence of each result that a worker was told to be accepted.
    pub accepted: BTreeSet<(String, u64)>,
    /// Names of all objects, `sources/…`.
    pub objects: Vec<String>,
    /// The sources that videos show.
    pub sources: BTreeSet<String>,
    /// What a second look for garbage finds.
    pub garbage: Vec<String>,
    /// Command lines of programs that should have ended.
    pub orphans: Vec<String>,
}

/// Every promise that was broken, in words.
pub fn lies(promised: &History, found: &Found) -> Vec<String> {
    let mut lies = promised.lies.clone();
    let ids: BTreeSet<_> = promised.sent.keys().collect();
    lies.extend(ids.into_iter().flat_map(|id| upload(promised, found, &promised.sent[id])));
    lies.extend(views(promised, found));
    lies.extend(titles(promised, found));
    lies.extend(removals(promised, found));
    lies.extend(results(found));
    lies.extend(leftovers(found));
    lies
}

fn upload(promised: &History, found: &Found, sent: &Sent) -> Vec<String> {
    let Sent { upload, video, .. } = sent;
    if promised.removed.contains_key(video) {
        return Vec::new();
    }
    if !sent.completed {
        let kept = found.durable.get(upload).map_or(&[][..], Vec::as_slice);
        let lost = missing(&sent.acknowledged, kept);
        return if lost.is_empty() {
            vec![]
        } else {
            vec![format!("acknowledged bytes {lost:?} of upload {upload} are lost")]
        };
    }
    let Some(now) = found.videos.get(video) else { return vec![format!("the complete video {video} is not there")] };
    let mut lies = Vec::new();
    match (now.state.as_str(), sent.plays) {
        ("READY", true) => {}
        ("FAILED", false) if !now.failure.is_empty() => {}
        (state, _) => lies.push(format!("video {video} ended as {state} with the reason `{}`", now.failure)),
    }
    if sent.plays {
        let unmade = now.parts.iter().filter(|part| part.state != "READY");
        lies.extend(unmade.map(|part| format!("a part of video {video} ended as {part:?}")));
    }
    if now.bytes.is_empty() || now.bytes.iter().any(|bytes| *bytes != sent.blake3) {
        lies.push(format!("the bytes of video {video} are not those that were sent"));
    }
    lies
}

/// Exact, but for what was reported a flush before a kill of who may have held it.
fn views(promised: &History, found: &Found) -> Vec<String> {
    let mut all: HashMap<&str, (u64, u64)> = HashMap::new();
    for report in &promised.watched {
        let (sure, at_risk) = all.entry(&report.video).or_default();
        let lost = promised.kills.iter().any(|kill| *kill >= report.answered && *kill - report.answered <= FLUSH);
        *(if lost { at_risk } else { sure }) += 1;
    }
    let wrong = all.into_iter().filter_map(|(video, (sure, at_risk))| {
        let counted = found.videos.get(video)?.views;
        let right = (sure..=sure + at_risk).contains(&counted);
        (!right).then(|| format!("video {video} has {counted} views of {sure} and at most {at_risk} more"))
    });
    wrong.collect()
}

fn titles(promised: &History, found: &Found) -> Vec<String> {
    let known = promised.titled.iter().filter_map(|(video, said)| Some((video, said, found.videos.get(video)?)));
    let lost = known.filter(|(_, said, now)| now.revision < said.revision || now.title != said.title);
    lost.map(|(video, said, now)| {
        format!("{said:?} of video {video} was answered, there is `{}` at {}", now.title, now.revision)
    })
    .collect()
}

fn removals(promised: &History, found: &Found) -> Vec<String> {
    let mut lies = Vec::new();
    for (video, for_good) in &promised.removed {
        let answers: Vec<_> = found.removed.iter().filter(|(of, _)| of == video).map(|(_, status)| *status).collect();
        if answers.is_empty() || answers.iter().any(|status| *status != 404) {
            lies.push(format!("the removed video {video} is answered with {answers:?}"));
        }
        // Its objects are leftovers then: no source owns them.
        match (for_good, found.kept.get(video)) {
            (true, Some(false)) | (false, Some(true)) => {}
            (true, _) => lies.push(format!("the video {video} was removed for good and is never purged")),
            (false, _) => lies.push(format!("the removed video {video} can't be restored")),
        }
    }
    lies
}

/// One result per job, and its outputs alone.
fn results(found: &Found) -> Vec<String> {
    let mut lies = Vec::new();
    for job in &found.jobs {
        let accepted: Vec<_> = found.accepted.iter().filter(|(id, _)| *id == job.id).map(|(_, fence)| *fence).collect();
        match job.state.as_str() {
            // Its worker may have been killed before it could log what it was told.
            "DONE" if accepted.is_empty() || accepted == [job.fence] => {}
            "CANCELLED" => {}
            "FAILED" if accepted.is_empty() && !job.reason.is_empty() => {}
            _ => lies.push(format!("{job:?} has the results {accepted:?}")),
        }
    }
    let mut fences: HashMap<(&str, &str), BTreeSet<&str>> = HashMap::new();
    for name in &found.objects {
        if let ["sources", source, kind, fence, ..] = name.split('/').collect::<Vec<_>>()[..]
            && kind != "bytes"
        {
            fences.entry((source, kind)).or_default().insert(fence);
        }
    }
    let mixed = fences.into_iter().filter(|(_, fences)| fences.len() > 1);
    lies.extend(mixed.map(|((source, kind), fences)| format!("source {source} has a {kind} of the leases {fences:?}")));
    lies
}

fn leftovers(found: &Found) -> Vec<String> {
    let owner = |name: &String| name.split('/').nth(1).unwrap_or_default().to_owned();
    let strangers = found.objects.iter().filter(|name| !found.sources.contains(&owner(name)));
    let strangers = strangers.map(|name| format!("object {name} belongs to nothing"));
    let garbage = found.garbage.iter().map(|name| format!("object {name} is garbage after the garbage was removed"));
    let orphans = found.orphans.iter().map(|line| format!("`{line}` runs, and who started it does not"));
    strangers.chain(garbage).chain(orphans).collect()
}
