//! How far an upload is, by what is recorded.

use crate::catalog::{Catalog, Heard};
use crate::progress::{Measure, sequence};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use vidstream_proto::error::Problem;
use vidstream_proto::job::Fence;
use vidstream_proto::pb::{PartState, Progress, Stage};
use vidstream_proto::source::Source;
use vidstream_proto::time::proto_duration;
use vidstream_source::ranges::ByteRanges;

/// Between two messages about an upload.
const PAUSE: Duration = Duration::from_millis(300);

/// An open upload.
pub(super) struct Upload {
    recorded: ByteRanges,
    /// What the row says, which is a moment old.
    received: u64,
    heard: Option<BoxStream<'static, Result<Heard, Problem>>>,
    measure: Option<Measure>,
    size: u64,
    news: bool,
    next: Instant,
}

impl Upload {
    /// Of a file of `size` bytes.
    pub fn new(size: u64) -> Self {
        let (recorded, next) = (ByteRanges::new(), Instant::now());
        Self { recorded, received: 0, heard: None, measure: None, size, news: false, next }
    }

    /// Takes what the row says, and listens again if that broke off.
    pub async fn look(&mut self, catalog: &Catalog, source: &Source) {
        self.received = source.received;
        if self.heard.is_none() {
            // Where it can't be heard, the row has to do.
            self.heard = catalog.recorded(source.id, source.size).await.ok();
        }
    }

    /// Waits until there is news that is to be told.
    pub async fn arrived(&mut self) {
        loop {
            let next = async {
                match &mut self.heard {
                    Some(heard) => heard.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                heard = next => match heard {
                    Some(Ok(Heard::Recorded(ranges))) => {
                        self.news |= !ranges.is_empty();
                        self.recorded.extend(ranges.iter());
                    }
                    // Whoever listens anew is told all.
                    Some(Ok(Heard::Missed(_)) | Err(_)) | None => self.heard = None,
                },
                () = sleep_until(self.next), if self.news => return,
            }
        }
    }

    /// How far it is now.
    pub fn tell(&mut self) -> Progress {
        self.news = false;
        self.next = Instant::now() + PAUSE;
        let received = self.recorded.len().max(self.received);
        let (size, received) = (to_float(self.size.max(1)), to_float(received));
        // What was there before we looked says nothing about the rate.
        let measure = self.measure.get_or_insert_with(|| Measure::new(size).beginning_at(received));
        let progress = measure.done(received);
        Progress {
            stage: Stage::Upload.into(),
            percent: progress.percent,
            left_at_least: progress.left.map(|(least, _)| proto_duration(least)),
            left_at_most: progress.left.map(|(_, most)| proto_duration(most)),
            state: PartState::Running.into(),
            sequence: sequence(Stage::Upload, Fence::default()),
            ..Progress::default()
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share of a file; 2^53 bytes are exact")]
fn to_float(bytes: u64) -> f64 {
    bytes as f64
}
