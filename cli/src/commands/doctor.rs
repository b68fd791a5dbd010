//! `doctor`: what is wrong with the server, and what to do.

use super::Context;
use crate::connect::answer;
use crate::errors::Failure;
use vidstream_proto::error::Exit;
use vidstream_proto::pb;
use vidstream_proto::pb::diagnose_response::Event;

/// Prints findings as they are made; fails if something is wrong. The server bounds how long it looks.
pub async fn run(context: &Context) -> Result<Exit, Failure> {
    let told = |error| context.gateway.told(error);
    let mut found = answer(context.gateway.videos.clone().diagnose(pb::DiagnoseRequest {}).await).map_err(told)?;
    while let Some(message) = found.message().await.map_err(|status| told(status.into()))? {
        context.printer.diagnosis(&message)?;
        if let Some(Event::Total(total)) = message.event {
            return Ok(if total.wrong > 0 { Exit::Failed } else { Exit::Done });
        }
    }
    Err(Failure::failed("the server stopped before it had looked at everything").hint("try again in a moment"))
}
