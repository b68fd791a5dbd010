//! What a mesh shows of itself: figures on its listeners, spans to a collector.

use crate::settings::Settings;
use vidstream_mesh::metrics::Metrics;
use vidstream_mesh::observe::Observer;
use vidstream_otlp::{Collector, OtlpError};

pub(crate) struct Sight {
    /// The page that every listener has.
    pub metrics: Metrics,
    /// Goes around all that answers.
    pub observer: Observer,
    collector: Option<Collector>,
}

impl Sight {
    pub fn new(settings: &Settings) -> Result<Self, OtlpError> {
        let metrics = Metrics::new();
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let instance = format!("{}:{}", host.trim(), std::process::id());
        let collector = settings.otlp.clone().map(|url| Collector::new(url, instance)).transpose()?;
        let tracer = collector.as_ref().map(Collector::tracer).unwrap_or_default();
        Ok(Self { observer: Observer::new(&metrics, tracer), metrics, collector })
    }

    /// Sends spans that are not sent yet.
    pub async fn end(&self) {
        if let Some(collector) = &self.collector {
            collector.end().await;
        }
    }
}
