//! `watch`: what happens, one event a line.

use super::wait::is_finished;
use super::{Context, video_id};
use crate::args::Watch;
use crate::connect::{answer, unary};
use crate::errors::Failure;
use crate::feed::Feed;
use vidstream_proto::error::Exit;
use vidstream_proto::pb;
use vidstream_proto::pb::watch_videos_response::Event;

pub async fn run(context: &Context, args: Watch) -> Result<Exit, Failure> {
    let id = args.id.as_deref().map(video_id).transpose()?;
    // A server that is not there is told at once; only later is an outage waited out.
    let probe = unary(pb::ListVideosRequest { page_size: 1, ..Default::default() });
    answer(context.gateway.videos.clone().list_videos(probe).await).map_err(|error| context.gateway.told(error))?;
    let mut feed = Feed::new(context.gateway.clone(), id);
    loop {
        let message = feed.next().await?;
        context.printer.event(&message)?;
        let is_over = match &message.event {
            Some(Event::Changed(video)) => is_finished(video),
            Some(Event::Purged(_)) => true,
            _ => false,
        };
        if id.is_some() && is_over {
            return Ok(Exit::Done);
        }
    }
}
