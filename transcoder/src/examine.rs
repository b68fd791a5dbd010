//! Looking for what is wrong: ffmpeg can do what is asked of it, the backends do what they should, the worker reaches the
//! catalog.

use crate::ffmpeg::Program;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;
use tokio::time::Instant;
use vidstream_backends::bus::EventBus;
use vidstream_backends::objects::ObjectStore;
use vidstream_backends::probe::{self, Probed};
use vidstream_backends::queue::JobQueue;
use vidstream_proto::error::Problem;
use vidstream_proto::pb::{Examination, Finding};

/// As findings call it.
const SERVICE: &str = "transcoder";

/// What a transcoder knows of itself. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Condition {
    shared: Arc<Shared>,
}

/// When the catalog was asked, and what it said if that was no answer.
type Asked = (Instant, Result<(), String>);

#[derive(Debug, Default)]
struct Shared {
    program: OnceLock<Program>,
    /// What came of the last time that the catalog was asked for jobs, by class.
    asked: Mutex<BTreeMap<&'static str, Asked>>,
}

impl Condition {
    /// It works with this ffmpeg.
    pub fn works_with(&self, program: &Program) {
        // A transcoder runs once.
        let _ = self.shared.program.set(program.clone());
    }

    /// It asked the catalog for a job of `class`.
    pub fn asked<T>(&self, class: &'static str, answer: &Result<T, Problem>) {
        let answer = answer.as_ref().map(|_| ()).map_err(ToString::to_string);
        let mut asked = self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.insert(class, (Instant::now(), answer));
    }

    async fn ffmpeg(&self) -> Finding {
        let (part, advice) =
            ("ffmpeg", "install ffmpeg 5.1 or newer with its usual decoders, or say with --ffmpeg where it is");
        let Some(program) = self.shared.program.get() else {
            return Finding::doubtful(SERVICE, part, "has not been looked at yet", "ask again in a moment");
        };
        match program.examine().await {
            Ok((version, lacks)) if lacks.is_empty() => {
                let text = format!("{version} has all that is needed; its cage: {}", program.layers());
                if program.layers().hold() {
                    return Finding::fine(SERVICE, part, text);
                }
                let advice = "a hostile file may do all that the server may: run it on Linux 5.13 or newer";
                Finding::doubtful(SERVICE, part, text, advice)
            }
            Ok((version, lacks)) => {
                Finding::wrong(SERVICE, part, format!("{version} has no {}", lacks.join(", ")), advice)
            }
            Err(error) => Finding::wrong(SERVICE, part, error.to_string(), advice),
        }
    }

    fn workers(&self) -> Vec<Finding> {
        let asked = self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if asked.is_empty() {
            let advice = "ask again in a moment";
            return vec![Finding::doubtful(SERVICE, "worker", "has not asked for jobs yet", advice)];
        }
        let told = asked.into_iter().map(|(class, (at, answer))| {
            let ago = at.elapsed().as_secs();
            match answer {
                Ok(()) => Finding::fine(SERVICE, "worker", format!("asked for {class} jobs {ago} s ago")),
                Err(why) => {
                    let text = format!("asked for {class} jobs {ago} s ago, and was told: {why}");
                    Finding::wrong(SERVICE, "worker", text, "does the transcoder reach a catalog?")
                }
            }
        });
        told.collect()
    }

    /// Looks at itself and at what it works with.
    pub async fn examine(&self, objects: &dyn ObjectStore, queue: &dyn JobQueue, bus: &dyn EventBus) -> Examination {
        let now = SystemTime::now();
        let (ffmpeg, objects, queue, bus) = tokio::join!(
            self.ffmpeg(),
            probe::look_at_objects(objects),
            probe::look_at_queue(queue),
            probe::look_at_bus(bus),
        );
        let mut findings = vec![ffmpeg];
        findings.extend([objects, queue, bus].map(finding));
        findings.extend(self.workers());
        Examination::new(now, findings)
    }
}

fn finding(Probed { part, found, advice }: Probed) -> Finding {
    match found {
        Ok(text) => Finding::fine(SERVICE, part, text),
        Err(error) => Finding::wrong(SERVICE, part, error.to_string(), advice),
    }
}
