//! Completion: every byte recorded, and the file's BLAKE3 from the sums of its extents, without reading a byte again.

use super::session::Session;
use crate::Deps;
use vidstream_mesh::trace;
use vidstream_proto::error::{FieldViolation, Problem, Reason};
use vidstream_proto::pb;
use vidstream_proto::source::{Source, UploadState};
use vidstream_proto::upload::CompleteUpload;
use vidstream_source::extents::ExtentMap;

/// Missing ranges that a refusal names.
const NAMED: usize = 20;

/// Ends the upload and answers its video. A repeat answers the same.
pub async fn complete(deps: &Deps, request: CompleteUpload) -> Result<pb::CompleteUploadResponse, Problem> {
    let session = Session::find(deps, request.upload_id).await?;
    let span = session.span("complete an upload");
    trace::within(span.active().clone(), end(deps, &session, request)).await
}

async fn end(deps: &Deps, session: &Session, request: CompleteUpload) -> Result<pb::CompleteUploadResponse, Problem> {
    let source = session.source();
    let actual = match (source.upload_state, source.blake3) {
        (UploadState::Complete, Some(verified)) => verified,
        _ => sum(&session.recorded(0..source.size).await?)?,
    };
    verify(source, request.blake3, actual)?;
    let call = pb::CompleteSourceRequest {
        request_id: request.request_id.to_string(),
        source_id: source.id.to_string(),
        blake3: actual.to_vec(),
    };
    let answer = deps.ask(deps.catalog.clone().complete_source(call)).await?;
    Ok(pb::CompleteUploadResponse { video: answer.entry.and_then(|entry| entry.video) })
}

fn sum(recorded: &ExtentMap) -> Result<[u8; 32], Problem> {
    if !recorded.is_complete() {
        return Err(missing(recorded));
    }
    let sum = recorded.hash().map_err(|error| Problem::new(Reason::Internal, error.to_string()))?;
    Ok(*sum.as_bytes())
}

/// Names what is missing, in the message for people and as fields for programs.
fn missing(recorded: &ExtentMap) -> Problem {
    let missing = recorded.missing(0..recorded.size());
    let ranges: Vec<String> = missing.iter().map(|range| format!("{}..{}", range.start, range.end)).collect();
    let named = &ranges[..ranges.len().min(NAMED)];
    let more = if ranges.len() > NAMED { " and more" } else { "" };
    let text =
        format!("{} bytes are missing: {}{more}; send them, then complete again", missing.len(), named.join(", "));
    let field = |range: &String| FieldViolation { field: "durable".to_owned(), description: format!("lacks {range}") };
    Problem { fields: named.iter().map(field).collect(), ..Problem::new(Reason::BytesMissing, text) }
}

fn verify(source: &Source, now: Option<[u8; 32]>, actual: [u8; 32]) -> Result<(), Problem> {
    let hex = |sum: [u8; 32]| blake3::Hash::from_bytes(sum).to_hex();
    match [now, source.expected_blake3].into_iter().flatten().find(|expected| *expected != actual) {
        None => Ok(()),
        Some(expected) => {
            let text = format!("what arrived has the BLAKE3 {}, not {}", hex(actual), hex(expected));
            Err(Problem::new(Reason::ChecksumMismatch, text))
        }
    }
}
