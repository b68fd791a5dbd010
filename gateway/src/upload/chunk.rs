//! One chunk, by unary call or `PUT`: written, recorded, and answered with all that is durable.

use super::session::Session;
use crate::Deps;
use vidstream_proto::error::Problem;
use vidstream_proto::upload::Chunk;
use vidstream_proto::{pb, ranges};

/// Makes `chunk` durable.
pub async fn put(deps: &Deps, chunk: Chunk) -> Result<pb::PutChunkResponse, Problem> {
    let session = Session::find(deps, chunk.upload_id).await?;
    session.takes_bytes()?;
    let piece = chunk.piece.within(session.source().size)?;
    let range = piece.offset..piece.offset + piece.data.len() as u64;
    let (mut writer, recording) = session.writer(range).await?;
    writer.push(piece)?;
    writer.finish().await?;
    let wants = match recording.wants() {
        Some(wants) => wants,
        // Nothing had to be recorded: it was there.
        None => session.wants().await?,
    };
    Ok(pb::PutChunkResponse { durable: ranges::to_wire(session.durable().await?.iter()), wants })
}
