//! What the catalog shows of its work on `/metrics`. Each catalog counts what it did; what waits and runs is the same
//! wherever it is asked.

use crate::Catalog;
use crate::store::{ClassLoad, Load};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use std::sync::atomic::AtomicU64;
use vidstream_mesh::metrics::Metrics;
use vidstream_proto::job::{CLASSES, Job, JobState, class_name};

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Class {
    class: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct End {
    class: &'static str,
    /// `done`, `not_offered`, `failed`, `again` (an attempt that will be tried again), `lost` (the worker fell silent).
    outcome: &'static str,
}

/// The catalog's figures. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    ended: Family<End, Counter>,
    views: Counter,
    waiting: Family<Class, Gauge>,
    running: Family<Class, Gauge>,
    age: Family<Class, Gauge<f64, AtomicU64>>,
    uploads: Gauge,
}

impl Figures {
    /// Shows them on the page of `metrics`.
    pub fn register(&self, metrics: &Metrics) {
        let all = self.clone();
        metrics.register("jobs_ended", "Attempts at jobs that this catalog saw end, by class and outcome", all.ended);
        metrics.register("views", "Views that this catalog counted", all.views);
        metrics.register("jobs_waiting", "Jobs that a worker could take now", all.waiting);
        metrics.register("jobs_running", "Jobs that a worker has", all.running);
        let help = "How long the oldest job that a worker could take has been waiting, in seconds; 0 if none is";
        metrics.register("queue_age_seconds", help, all.age);
        metrics.register("uploads_open", "Uploads that are not complete", all.uploads);
    }

    /// An attempt at `job`, which now is as given, has ended.
    pub fn attempt_ended(&self, job: &Job, offered: bool) {
        let outcome = match job.state {
            JobState::Done if !offered => "not_offered",
            JobState::Done => "done",
            JobState::Failed => "failed",
            _ => "again",
        };
        self.ended.get_or_create(&End { class: class_name(job.class()), outcome }).inc();
    }

    /// The worker of `job` fell silent.
    pub fn lease_lost(&self, job: &Job) {
        self.ended.get_or_create(&End { class: class_name(job.class()), outcome: "lost" }).inc();
    }

    pub fn viewed(&self, views: u64) {
        self.views.inc_by(views);
    }

    fn show(&self, load: &Load, age: impl Fn(&ClassLoad) -> f64) {
        for class in CLASSES {
            let none = ClassLoad { class, waiting: 0, running: 0, oldest: None };
            let of = load.classes.iter().find(|of| of.class == class).unwrap_or(&none);
            let label = Class { class: class_name(class) };
            self.waiting.get_or_create(&label).set(gauge(of.waiting));
            self.running.get_or_create(&label).set(gauge(of.running));
            self.age.get_or_create(&label).set(age(of));
        }
        self.uploads.set(gauge(load.open_uploads));
    }
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Catalog {
    /// Shows the catalog's figures on the page of `metrics`; what waits and runs is looked up for each page.
    pub fn show_on(&self, metrics: &Metrics) {
        self.figures.register(metrics);
        let catalog = self.clone();
        metrics.look_before(move || {
            let catalog = catalog.clone();
            async move { catalog.look_at_load().await }
        });
    }

    async fn look_at_load(&self) {
        let now = self.now();
        match self.store.load(now).await {
            Ok(load) => self.figures.show(&load, |of| {
                of.oldest.and_then(|oldest| now.duration_since(oldest).ok()).unwrap_or_default().as_secs_f64()
            }),
            Err(error) => tracing::warn!(%error, "what waits and runs can't be told; its figures are old"),
        }
    }
}
