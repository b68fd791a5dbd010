//! Looking for what is wrong with the whole: every service looks at itself and at what it works with, the gateway at what
//! lies between them.

use crate::Deps;
use crate::upload::room;
use futures::future::{self, BoxFuture, FutureExt};
use futures::stream::{self, FuturesUnordered, Stream, StreamExt};
use std::time::{Duration, SystemTime};
use tonic::Status;
use vidstream_backends::objects::Space;
use vidstream_backends::probe::{self, Probed};
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::pb::diagnose_response::Event;
use vidstream_proto::pb::{self, Examination, Finding, Verdict};

/// As findings call it.
const SERVICE: &str = "gateway";
/// Clocks that differ by less are as good as equal: nothing here compares them to less than some seconds.
const NO_SKEW: Duration = Duration::from_secs(2);
/// Clocks that differ by more give times that people wonder about, and backoffs that are none.
const SKEW: Duration = Duration::from_secs(30);

/// Findings as they are made, then what they come to.
pub(crate) fn findings(deps: Deps) -> impl Stream<Item = Result<pb::DiagnoseResponse, Status>> + Send {
    let looks: FuturesUnordered<BoxFuture<'static, Vec<Finding>>> = FuturesUnordered::new();
    looks.push(catalog(deps.clone()).boxed());
    looks.push(transcoder(deps.clone()).boxed());
    looks.push(objects(deps.clone()).boxed());
    looks.push(disk(deps).boxed());
    let found = looks.flat_map(stream::iter);
    let told = found.map(Some).chain(stream::iter([None])).scan(pb::DiagnosisTotal::default(), |total, finding| {
        let event = match finding {
            Some(finding) => {
                *match finding.verdict() {
                    Verdict::Wrong => &mut total.wrong,
                    Verdict::Doubtful => &mut total.doubtful,
                    Verdict::Fine | Verdict::Unspecified => &mut total.fine,
                } += 1;
                Event::Found(finding)
            }
            None => Event::Total(*total),
        };
        future::ready(Some(event))
    });
    told.map(|event| Ok(pb::DiagnoseResponse { event: Some(event) }))
}

async fn catalog(deps: Deps) -> Vec<Finding> {
    let asked = SystemTime::now();
    let answer = deps.ask(deps.catalog.clone().examine_catalog(pb::ExamineCatalogRequest {})).await;
    let advice = "start a process with the role catalog, and see to it that this gateway reaches it: until then nothing \
                  can be changed, and videos are played for a minute at the most";
    examined("catalog", asked, answer.map(|answer| answer.examination), advice)
}

async fn transcoder(deps: Deps) -> Vec<Finding> {
    let asked = SystemTime::now();
    let answer = deps.ask(deps.transcoder.clone().examine_transcoder(pb::ExamineTranscoderRequest {})).await;
    let advice = "start a process with the role transcoder, and see to it that this gateway reaches it: until then \
                  progress is not shown, and without any transcoder nothing becomes playable";
    examined("transcoder", asked, answer.map(|answer| answer.examination), advice)
}

/// What a service answered, and what its answer says of the way there.
fn examined(
    service: &str,
    asked: SystemTime,
    answer: Result<Option<Examination>, Problem>,
    advice: &str,
) -> Vec<Finding> {
    let answer = match answer {
        Ok(answer) => answer.unwrap_or_default(),
        Err(problem) if problem.reason == Reason::Unimplemented => {
            let text = format!("another service listens where the {service} is looked for: {problem}");
            return vec![Finding::wrong(SERVICE, service, text, &format!("say in --to-{service} where it is"))];
        }
        Err(problem) => return vec![Finding::wrong(SERVICE, service, problem.to_string(), advice)],
    };
    let mut findings = vec![Finding::fine(SERVICE, service, "answers")];
    findings.extend(answer.now.and_then(|now| SystemTime::try_from(now).ok()).map(|now| clock(service, asked, now)));
    let own = env!("CARGO_PKG_VERSION");
    if answer.version != own {
        let text = format!("the {service} has version {}, this gateway {own}", answer.version);
        findings.push(Finding::doubtful(SERVICE, "versions", text, "is an upgrade under way? if not, finish it"));
    }
    findings.extend(answer.findings);
    findings
}

/// The other clock was read after the call came, so it may be a little ahead.
fn clock(service: &str, asked: SystemTime, there: SystemTime) -> Finding {
    let (skew, way) = match there.duration_since(asked) {
        Ok(ahead) => (ahead, "ahead"),
        Err(behind) => (behind.duration(), "behind"),
    };
    let text = format!("the {service}'s is {:.1} s {way}", skew.as_secs_f64());
    let advice =
        "set both machines by NTP; leases do not depend on it, but times that people see, backoffs and purges do";
    match skew {
        skew if skew < NO_SKEW => Finding::fine(SERVICE, "clocks", format!("the {service}'s is the same")),
        skew if skew < SKEW => Finding::doubtful(SERVICE, "clocks", text, advice),
        _ => Finding::wrong(SERVICE, "clocks", text, advice),
    }
}

async fn objects(deps: Deps) -> Vec<Finding> {
    let Probed { part, found, advice } = probe::look_at_objects(&*deps.objects).await;
    vec![match found {
        Ok(text) => Finding::fine(SERVICE, part, text),
        Err(error) => Finding::wrong(SERVICE, part, error.to_string(), advice),
    }]
}

/// What room the object store has, if that is bounded.
async fn disk(deps: Deps) -> Vec<Finding> {
    // One that does not answer is told by the probe.
    let space = tokio::time::timeout(deps.config.call_timeout, deps.objects.space()).await;
    let Ok(Ok(Some(space))) = space else { return Vec::new() };
    vec![room_of(space)]
}

fn room_of(space: Space) -> Finding {
    let part = "disk space";
    let mib = |bytes: u64| bytes >> 20;
    let text = format!("{} MiB of {} MiB are free", mib(space.free), mib(space.total));
    let advice = "remove videos, or give the object store more room; uploads are refused before it is full";
    match (room::for_uploads(space), space.free < space.total / 10) {
        (0, _) => Finding::wrong(SERVICE, part, text, advice),
        (_, true) => Finding::doubtful(SERVICE, part, text, advice),
        (_, false) => Finding::fine(SERVICE, part, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_and_room_are_judged() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 30);
        let clock = |seconds: u64| {
            let skew = Duration::from_secs(seconds);
            let (ahead, behind) = (clock("catalog", now, now + skew), clock("catalog", now, now - skew));
            assert_eq!(ahead.verdict(), behind.verdict());
            (ahead.verdict(), behind.text)
        };
        assert_eq!(clock(0), (Verdict::Fine, "the catalog's is the same".into()));
        assert_eq!(clock(5), (Verdict::Doubtful, "the catalog's is 5.0 s behind".into()));
        assert_eq!(clock(30), (Verdict::Wrong, "the catalog's is 30.0 s behind".into()));
        let room = |free: u64| room_of(Space { free: free << 30, total: 100 << 30 }).verdict();
        assert_eq!((room(50), room(9), room(1)), (Verdict::Fine, Verdict::Doubtful, Verdict::Wrong));
    }

    #[test]
    fn a_service_that_is_away_or_older_is_named() {
        let away = Problem::new(Reason::Unavailable, "connection refused");
        let [away] = &examined("catalog", SystemTime::now(), Err(away), "start it")[..] else { panic!("one") };
        assert_eq!((away.verdict(), &*away.part, &*away.advice), (Verdict::Wrong, "catalog", "start it"));
        assert!(away.text.contains("connection refused"), "{}", away.text);
        let older = Examination { version: "0.0.1".into(), ..Examination::new(SystemTime::now(), Vec::new()) };
        let findings = examined("catalog", SystemTime::now(), Ok(Some(older)), "");
        assert!(findings.iter().any(|finding| finding.part == "versions" && finding.text.contains("0.0.1")));
    }
}
