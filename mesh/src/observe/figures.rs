//! The figures of requests, by rpc and by route.

use crate::metrics::Metrics;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

/// Upper bounds, seconds.
const BUCKETS: [f64; 15] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The value of a label.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Label(pub Arc<str>);

impl From<&str> for Label {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl EncodeLabelValue for Label {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> fmt::Result {
        EncodeLabelValue::encode(&&*self.0, encoder)
    }
}

/// An rpc.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(super) struct Rpc {
    /// Full name, such as `vidstream.v1.CatalogService`.
    pub service: Label,
    /// Such as `TakeJob`.
    pub method: Label,
}

/// How an rpc ended.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(super) struct RpcEnd {
    pub service: Label,
    pub method: Label,
    /// The status's name, such as `NOT_FOUND`.
    pub code: &'static str,
}

/// A route.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(super) struct Route {
    /// As the router has it, such as `/videos/{id}/master.m3u8`.
    pub route: Label,
}

/// How a request ended.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(super) struct RouteEnd {
    pub route: Label,
    pub method: &'static str,
    pub status: u16,
}

type Durations<L> = Family<L, Histogram, fn() -> Histogram>;

/// The figures of rpcs (`rpc_…`) or of routes (`http_…`).
#[derive(Clone, Debug)]
pub(super) struct Families<L, E>
where
    L: Clone + Hash + Eq,
    E: Clone + Hash + Eq,
{
    ends: Family<E, Counter>,
    durations: Durations<L>,
    in_flight: Family<L, Gauge>,
    received: Family<L, Counter>,
    sent: Family<L, Counter>,
}

impl<L, E> Families<L, E>
where
    L: EncodeLabelSet + fmt::Debug + Clone + Hash + Eq + Send + Sync + 'static,
    E: EncodeLabelSet + fmt::Debug + Clone + Hash + Eq + Send + Sync + 'static,
{
    pub fn new(metrics: &Metrics, prefix: &str, what: &str) -> Self {
        let made = Self {
            ends: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            in_flight: Family::default(),
            received: Family::default(),
            sent: Family::default(),
        };
        let all = made.clone();
        let register = |name: &str| format!("{prefix}_{name}");
        metrics.register(&register("requests"), &format!("{what} that were answered, by how they ended"), all.ends);
        let help = format!("From when {what} were here, with their bodies, to the heads of their answers, in seconds");
        metrics.register(&register("duration_seconds"), &help, all.durations);
        metrics.register(&register("in_flight"), &format!("{what} that are being answered"), all.in_flight);
        metrics.register(&register("received_bytes"), &format!("Bytes of bodies of {what}"), all.received);
        metrics.register(&register("sent_bytes"), &format!("Bytes of bodies of answers to {what}"), all.sent);
        made
    }

    /// Those of one rpc or route.
    pub fn of(&self, labels: &L) -> Figures {
        Figures {
            duration: self.durations.get_or_create(labels).clone(),
            in_flight: self.in_flight.get_or_create(labels).clone(),
            received: self.received.get_or_create(labels).clone(),
            sent: self.sent.get_or_create(labels).clone(),
        }
    }

    /// One has ended so.
    pub fn ended(&self, how: &E) {
        self.ends.get_or_create(how).inc();
    }
}

/// The figures of one rpc or route.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    duration: Histogram,
    in_flight: Gauge,
    received: Counter,
    sent: Counter,
}

impl Figures {
    pub fn begun(&self) {
        self.in_flight.inc();
    }

    pub fn answered(&self, after: Duration) {
        self.duration.observe(after.as_secs_f64());
    }

    pub fn ended(&self, received: u64, sent: u64) {
        self.in_flight.dec();
        self.received.inc_by(received);
        self.sent.inc_by(sent);
    }
}
