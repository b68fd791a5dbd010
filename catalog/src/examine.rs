//! Looking for what is wrong: the store takes writes, the backends do what they should, workers come for jobs.

use crate::Catalog;
use crate::owner::{self, Claim};
use crate::store::{ClassLoad, Load, RequestRow};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, timeout};
use vidstream_backends::probe::{self, Probed};
use vidstream_proto::error::Reason;
use vidstream_proto::ids::RequestId;
use vidstream_proto::job::JobClass;
use vidstream_proto::pb::{Examination, Finding};

/// As findings call it.
const SERVICE: &str = "catalog";
/// A store that has not answered by then is away.
const PATIENCE: Duration = Duration::from_secs(8);
/// Workers ask twice a minute when no bell rings; who has not asked for so long is not there.
const LATELY: Duration = Duration::from_secs(90);
/// Whoever waits longer while workers are there waits for too few of them.
const LONG: Duration = Duration::from_mins(10);
const CLASSES: [(JobClass, &str); 3] =
    [(JobClass::Light, "light jobs"), (JobClass::Pictures, "picture jobs"), (JobClass::Encode, "encode jobs")];

/// When workers last asked this catalog for jobs.
#[derive(Debug)]
pub(crate) struct WorkersSeen {
    since: Instant,
    asked: Mutex<HashMap<JobClass, Instant>>,
}

impl Default for WorkersSeen {
    fn default() -> Self {
        Self { since: Instant::now(), asked: Mutex::default() }
    }
}

impl WorkersSeen {
    /// Somebody asks for jobs of `classes`.
    pub fn note(&self, classes: &[JobClass]) {
        let now = Instant::now();
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.extend(classes.iter().map(|class| (*class, now)));
    }

    fn asked(&self, class: JobClass) -> Option<Duration> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.get(&class).map(Instant::elapsed)
    }
}

impl Catalog {
    /// Looks at itself and at what it works with.
    pub(crate) async fn examine(&self) -> Examination {
        let now = self.now();
        let (store, owner, load, objects, queue, bus) = tokio::join!(
            self.try_store(),
            self.look_at_owner(),
            timeout(PATIENCE, self.store.load(now)),
            probe::look_at_objects(&*self.objects),
            probe::look_at_queue(&*self.queue),
            probe::look_at_bus(self.notices.bus()),
        );
        let mut findings = vec![store, finding(objects), finding(queue), finding(bus)];
        findings.extend(owner);
        // Where the store does not answer, that is what is wrong.
        if let Ok(Ok(load)) = load {
            findings.extend(CLASSES.map(|(class, part)| self.jobs(&load, class, part, now)));
        }
        Examination::new(now, findings)
    }

    /// Writes a row that is forgotten with the next that are old.
    async fn try_store(&self) -> Finding {
        let (part, advice) = (
            "store",
            "is the database running, is its disk full, and do --catalog and its credentials fit? until then nothing \
             can be changed, and only what gateways hold can be watched",
        );
        let began = Instant::now();
        let row = RequestRow {
            id: RequestId::generate(),
            fingerprint: [0; 32],
            answer: Vec::new(),
            pending: false,
            made: SystemTime::UNIX_EPOCH,
        };
        match timeout(PATIENCE, self.store.insert_request(row)).await {
            Ok(Ok(_)) => Finding::fine(SERVICE, part, format!("takes a write in {} ms", began.elapsed().as_millis())),
            Ok(Err(error)) => Finding::wrong(SERVICE, part, error.to_string(), advice),
            Err(_) => Finding::wrong(SERVICE, part, format!("does not answer within {} s", PATIENCE.as_secs()), advice),
        }
    }

    /// Whose the objects are; nothing where the store or the object store does not answer, which is said of these.
    async fn look_at_owner(&self) -> Option<Finding> {
        let part = "owner of objects";
        match timeout(PATIENCE, self.own_objects(Claim::Look)).await {
            Ok(Ok(())) => Some(Finding::fine(SERVICE, part, "the stored objects are this catalog's")),
            Ok(Err(problem)) if problem.reason == Reason::ForeignObjects => {
                let text = problem.message.trim_end_matches(owner::ADVICE).trim_end_matches(": ");
                Some(Finding::wrong(SERVICE, part, text, owner::ADVICE))
            }
            Ok(Err(_)) | Err(_) => None,
        }
    }

    fn jobs(&self, load: &Load, class: JobClass, part: &str, now: SystemTime) -> Finding {
        let none = ClassLoad { class, waiting: 0, running: 0, oldest: None };
        let of = load.classes.iter().find(|of| of.class == class).unwrap_or(&none);
        let asked = self.workers.asked(class);
        let waited = of.oldest.and_then(|oldest| now.duration_since(oldest).ok()).unwrap_or_default();
        judge(part, of, asked, waited, self.workers.since.elapsed())
    }
}

/// What is to be said of a class that a worker `asked` for so long ago, and whose oldest job has `waited` so long, by a
/// catalog that has been there for so long.
fn judge(part: &str, of: &ClassLoad, asked: Option<Duration>, waited: Duration, there: Duration) -> Finding {
    let seen = match asked {
        Some(asked) => format!("a worker asked {} s ago", asked.as_secs()),
        None => format!("no worker has asked in {} s", there.as_secs()),
    };
    let oldest = if of.waiting > 0 { format!(", the oldest for {} s", waited.as_secs()) } else { String::new() };
    let text = format!("{} run, {} wait{oldest}; {seen}", of.running, of.waiting);
    let lately = asked.is_some_and(|asked| asked < LATELY) || of.running > 0;
    match (lately, of.waiting > 0 && waited > LATELY) {
        (true, _) if waited < LONG => Finding::fine(SERVICE, part, text),
        (true, _) => Finding::doubtful(SERVICE, part, text, "workers do not keep up: add transcoders"),
        // Others may have been asked.
        (false, false) if there < LATELY => Finding::fine(SERVICE, part, text),
        (false, false) => Finding::doubtful(SERVICE, part, text, "with several catalogs, workers may ask another one"),
        (false, true) => Finding::wrong(
            SERVICE,
            part,
            text,
            "no worker takes them: start a transcoder that reaches this catalog; the log of one that runs says why not",
        ),
    }
}

fn finding(Probed { part, found, advice }: Probed) -> Finding {
    match found {
        Ok(text) => Finding::fine(SERVICE, part, text),
        Err(error) => Finding::wrong(SERVICE, part, error.to_string(), advice),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vidstream_proto::pb::Verdict;

    #[test]
    fn a_queue_is_judged_by_who_comes() {
        let minute = Duration::from_mins(1);
        let verdict = |waiting, running, asked: Option<Duration>, waited, there| {
            let of = ClassLoad { class: JobClass::Light, waiting, running, oldest: None };
            judge("light jobs", &of, asked, waited, there).verdict()
        };
        let (zero, soon) = (Duration::ZERO, Some(Duration::from_secs(20)));
        assert_eq!(verdict(0, 0, soon, zero, 9 * minute), Verdict::Fine);
        assert_eq!(verdict(3, 1, soon, 5 * minute, 9 * minute), Verdict::Fine, "busy");
        assert_eq!(verdict(3, 1, soon, 15 * minute, 99 * minute), Verdict::Doubtful, "too busy");
        assert_eq!(verdict(0, 0, None, zero, minute), Verdict::Fine, "just started");
        assert_eq!(verdict(0, 0, None, zero, 9 * minute), Verdict::Doubtful);
        assert_eq!(verdict(1, 0, None, 5 * minute, 9 * minute), Verdict::Wrong);
        assert_eq!(verdict(1, 0, Some(5 * minute), 5 * minute, 9 * minute), Verdict::Wrong, "it has gone");
        assert_eq!(verdict(1, 1, Some(5 * minute), 5 * minute, 9 * minute), Verdict::Fine, "another catalog's");
    }
}
