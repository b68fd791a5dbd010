//! `PUT /uploads/{id}/bytes?offset=N`: a chunk over plain HTTP, for browsers and scripts.

use super::memory::UploadMemory;
use super::{chunk, digest};
use crate::Deps;
use crate::http::problem::HttpProblem;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Uri};
use http_body_util::BodyExt;
use std::sync::Arc;
use vidstream_mesh::serve::Stalled;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::UploadId;
use vidstream_proto::json;
use vidstream_proto::upload::{Chunk, MAX_CHUNK, Piece};

/// Takes the chunk in the request's body. Everything that can be refused without it is refused before it is read.
pub async fn bytes(
    State((deps, memory)): State<(Deps, UploadMemory)>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, HttpProblem> {
    let Path(id) = id.map_err(|_| Problem::new(Reason::NotFound, "there is nothing at this address"))?;
    let upload_id: UploadId = id.parse().map_err(|_| Problem::not_found("upload", short(&id)))?;
    let (parts, body) = request.into_parts();
    let offset = offset(&parts.uri)?;
    let crc32c = digest::crc32c(&parts.headers)?;
    let most = most(&parts.headers)?;
    let share = Arc::new(memory.begin(most as u64)?);
    let data = gather(most, body).await?;
    let piece = Piece::checked(offset, data, crc32c, MAX_CHUNK)?;
    let answer = chunk::put(&deps, &memory, share, Chunk { upload_id, piece }).await?;
    let json = json::to_string("PutChunkResponse", &answer);
    Ok(([(CONTENT_TYPE, "application/json")], json).into_response())
}

fn short(id: &str) -> String {
    id.chars().take(60).collect()
}

fn offset(uri: &Uri) -> Result<u64, Problem> {
    let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let given = pairs.filter(|(key, _)| *key == "offset").map(|(_, value)| value).next_back();
    let value = given.ok_or_else(|| Problem::field("offset", "is missing"))?;
    let offset = value.bytes().all(|b| b.is_ascii_digit()).then(|| value.parse().ok()).flatten();
    let offset: u64 = offset.ok_or_else(|| Problem::field("offset", "must be a number of bytes"))?;
    // Checked again with the data; here before the client has sent it.
    if !offset.is_multiple_of(vidstream_proto::upload::GRANULE) {
        let text = format!("offset {offset} is no multiple of {}", vidstream_proto::upload::GRANULE);
        return Err(Problem::new(Reason::InvalidOffset, text));
    }
    Ok(offset)
}

fn too_long() -> Problem {
    Problem::new(Reason::TooManyBytes, format!("a chunk has at most {MAX_CHUNK} bytes"))
}

/// How long the body can be: as its head says, or as a chunk at the most.
fn most(headers: &HeaderMap) -> Result<usize, Problem> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|len| len > MAX_CHUNK) { Err(too_long()) } else { Ok(announced.unwrap_or(MAX_CHUNK)) }
}

/// The body in one piece, at most `most` bytes.
async fn gather(most: usize, mut body: Body) -> Result<Bytes, Problem> {
    let mut data = BytesMut::with_capacity(most);
    while let Some(frame) = body.frame().await {
        let broken = |error: axum::Error| {
            if Stalled::caused(&error) {
                return Problem::new(Reason::Stalled, "the body stopped coming; send it again");
            }
            Problem::new(Reason::InvalidArgument, format!("the body broke off: {error}"))
        };
        let Ok(bytes) = frame.map_err(broken)?.into_data() else { continue };
        if data.len() + bytes.len() > most {
            return Err(too_long());
        }
        data.extend_from_slice(&bytes);
    }
    Ok(data.freeze())
}
