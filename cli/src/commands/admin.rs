//! `admin`: what looks after the server as a whole.

use super::Context;
use crate::args::{AdminCommand, Gc};
use crate::connect::answer;
use crate::errors::Failure;
use vidstream_proto::error::Exit;
use vidstream_proto::pb;
use vidstream_proto::pb::collect_garbage_response::Event;

pub async fn run(context: &Context, command: AdminCommand) -> Result<Exit, Failure> {
    match command {
        AdminCommand::Gc(args) => collect(context, args).await,
    }
}

/// Prints garbage as it is found. Looking at every object takes as long as it takes, so there is no deadline.
async fn collect(context: &Context, Gc { dry_run, adopt }: Gc) -> Result<Exit, Failure> {
    let told = |error| context.gateway.told(error);
    let request = pb::CollectGarbageRequest { dry_run, adopt };
    let mut found = answer(context.gateway.videos.clone().collect_garbage(request).await).map_err(told)?;
    while let Some(message) = found.message().await.map_err(|status| told(status.into()))? {
        context.printer.garbage(&message)?;
        if matches!(message.event, Some(Event::Total(_))) {
            return Ok(Exit::Done);
        }
    }
    Err(Failure::failed("the server stopped before it had looked at everything").hint("the same command goes on"))
}
