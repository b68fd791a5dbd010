//! `watch`: what happens, one event a line.

use super::wait::is_finished;
use super::{Context, video_id};
use crate::args::Watch;
use crate::connect::{answer, unary};
use crate::errors::Failure;
use crate::feed::Feed;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::timeout;
use vidstream_proto::error::Exit;
use vidstream_proto::pb::watch_videos_response::Event;
use vidstream_proto::pb::{self, PartState};

pub async fn run(context: &Context, args: Watch) -> Result<Exit, Failure> {
    let id = args.id.as_deref().map(video_id).transpose()?;
    // A server that is not there is told at once; only later is an outage waited out.
    let probe = unary(pb::ListVideosRequest { page_size: 1, ..Default::default() });
    answer(context.gateway.videos.clone().list_videos(probe).await).map_err(|error| context.gateway.told(error))?;
    let mut feed = Feed::new(context.gateway.clone(), id);
    let mut open = OpenStages::default();
    loop {
        let message = feed.next().await?;
        context.printer.event(&message)?;
        open.note(&message);
        let is_over = match &message.event {
            Some(Event::Changed(video)) => is_finished(video),
            Some(Event::Purged(_)) => true,
            _ => false,
        };
        if id.is_some() && is_over {
            break;
        }
    }
    // The feed and progress are two roads: the last steps may come a moment after the change that they led to.
    timeout(LAST_STEPS, async {
        while !open.0.is_empty() {
            let message = feed.next().await?;
            context.printer.event(&message)?;
            open.note(&message);
        }
        Ok::<_, Failure>(())
    })
    .await
    .unwrap_or(Ok(()))?;
    Ok(Exit::Done)
}

/// How long the end of a stage is waited for once the video is finished. Whoever knows looks every second.
const LAST_STEPS: Duration = Duration::from_secs(3);

/// The stages that were seen to wait or run and not to end.
#[derive(Debug, Default)]
struct OpenStages(BTreeSet<i32>);

impl OpenStages {
    fn note(&mut self, message: &pb::WatchVideosResponse) {
        let Some(Event::Progress(step)) = &message.event else { return };
        if matches!(step.state(), PartState::Waiting | PartState::Running) {
            self.0.insert(step.stage);
        } else {
            self.0.remove(&step.stage);
        }
    }
}
