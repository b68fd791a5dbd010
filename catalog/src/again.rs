//! What an older version could not take, or made in a form that is not read any more: tried again, once, when workers of a
//! newer version ask for jobs. The catalog learns from them what they are; it knows nothing of what they do.

use crate::Catalog;
use crate::store::Maker;
use crate::sweep::each;
use crate::wanted::retry_failed;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;
use vidstream_proto::error::Problem;
use vidstream_proto::pb::SourceLife;
use vidstream_proto::source::{Part, PartState, Source};

/// Sources of one step.
const PAGE: usize = 200;

/// The newest workers that asked for jobs in this life.
#[derive(Debug, Default)]
pub(crate) struct Makers {
    newest: Mutex<Maker>,
    newer: Notify,
}

impl Makers {
    /// Notes a worker. One that is newer than all before is news: people wait for what only it can make.
    pub(crate) fn note(&self, maker: Maker) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *newest;
        newest.version = newest.version.max(maker.version);
        newest.index_format = newest.index_format.max(maker.index_format);
        if *newest != before {
            self.newer.notify_one();
        }
    }

    /// Waits until a worker is newer than all before.
    pub(crate) async fn newer(&self) {
        self.newer.notified().await;
    }

    fn newest(&self) -> Maker {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts what is outdated for `maker` back to work.
fn try_again(source: &mut Source, maker: Maker) {
    if source.life != SourceLife::Live {
        return;
    }
    if source.tried_by < maker.version {
        source.tried_by = maker.version;
        retry_failed(source);
    }
    let format = source.index_result.as_ref().map(|index| index.format.max(1));
    if source.index.state == PartState::Ready && format.is_some_and(|format| format < maker.index_format) {
        source.index = Part::waiting();
    }
}

impl Catalog {
    /// Tries again what is outdated for the newest workers there are.
    pub(crate) async fn try_outdated_again(&self) -> Result<(), Problem> {
        let maker = self.makers.newest();
        loop {
            let outdated = self.store.outdated_sources(maker, PAGE).await?;
            let more = outdated.len() == PAGE;
            each(outdated, |source| async move {
                tracing::info!(source = %source.id, version = maker.version, "trying again what an older version left");
                self.update_source(source.id, |source| {
                    try_again(source, maker);
                    Ok(())
                })
                .await
                .map(drop)
            })
            .await?;
            if !more {
                return Ok(());
            }
        }
    }
}
