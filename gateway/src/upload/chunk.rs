//! One chunk, by unary call or `PUT`: written, recorded, and answered with all that is durable.

use super::memory::{Share, UploadMemory};
use super::session::Session;
use crate::Deps;
use std::sync::Arc;
use vidstream_mesh::trace;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::upload::Chunk;
use vidstream_proto::{pb, ranges};

/// Makes `chunk` durable, whose memory `share` covers. It is done also if the caller goes away: what is here need not be
/// sent again.
pub async fn put(
    deps: &Deps,
    memory: &UploadMemory,
    share: Arc<Share>,
    chunk: Chunk,
) -> Result<pb::PutChunkResponse, Problem> {
    let (deps, memory) = (deps.clone(), memory.clone());
    let task = tokio::spawn(trace::carried(trace::active(), async move {
        let outcome = write(&deps, &memory, chunk).await;
        drop(share);
        outcome
    }));
    task.await.unwrap_or_else(|panic| {
        tracing::error!(%panic, "a chunk's task ended that must not");
        Err(Problem::new(Reason::Internal, "the chunk was not stored; send it again"))
    })
}

async fn write(deps: &Deps, memory: &UploadMemory, chunk: Chunk) -> Result<pb::PutChunkResponse, Problem> {
    let session = Session::find(deps, chunk.upload_id).await?;
    session.takes_bytes()?;
    let span = session.span("take a chunk");
    trace::within(span.active().clone(), store(&session, memory, chunk)).await
}

async fn store(session: &Session, memory: &UploadMemory, chunk: Chunk) -> Result<pb::PutChunkResponse, Problem> {
    let piece = chunk.piece.within(session.source().size)?;
    let range = piece.offset..piece.offset + piece.data.len() as u64;
    let (mut writer, recording) = session.writer(range, memory).await?;
    writer.push(piece)?;
    writer.finish().await?;
    let wants = match recording.wants() {
        Some(wants) => wants,
        // Nothing had to be recorded: it was there.
        None => session.wants().await?,
    };
    Ok(pb::PutChunkResponse { durable: ranges::to_wire(session.durable().await?.iter()), wants })
}
