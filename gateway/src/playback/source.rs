//! `source`: the original file.

use super::body;
use super::conditions::{EntityTag, Modified, Validators};
use super::representation::{Caching, Representation, Section};
use super::view::View;
use super::{At, Playback, video};
use crate::http::problem::HttpProblem;
use axum::extract::State;
use axum::response::Response;
use http::HeaderValue;
use http::header::CONTENT_DISPOSITION;
use http::request::Parts;
use std::fmt::Write as _;
use std::sync::Arc;
use vidstream_proto::pb::TrackKind;

/// `GET /videos/{id}/source`, with `?download` to be saved under its name.
pub async fn file(
    State(playback): State<Playback>,
    At(id): At<String>,
    request: Parts,
) -> Result<Response, HttpProblem> {
    let found = playback.views.read(video(&id)?, |view| Ok((Arc::clone(view), view.complete()?)));
    let (view, blake3) = found.await?;
    let representation = Representation {
        validators: Validators {
            tag: EntityTag::new(&blake3::Hash::from_bytes(blake3).to_hex()),
            // A complete file stays as it is.
            modified: Some(Modified::at(view.source.receive_time)),
        },
        len: view.source.size,
        content_type: content_type(&view),
        caching: Caching::Checked,
    };
    let read = async |sections: Vec<Section>| {
        let parts = sections.into_iter().map(|section| (section.own, vec![section.range])).collect();
        body::of_source(playback.cache.reader(&view, None).await, parts).await
    };
    let mut response = representation.answer(&request, read).await?;
    if is_download(request.uri.query()) {
        response.headers_mut().insert(CONTENT_DISPOSITION, attachment(&view.source.file_name));
    }
    Ok(response)
}

fn is_download(query: Option<&str>) -> bool {
    let mut fields = query.unwrap_or_default().split('&').map(|field| field.split('=').next());
    fields.any(|name| name == Some("download"))
}

/// What the file was recognised as.
fn content_type(view: &View) -> &'static str {
    let Some(media) = view.index().ok().and_then(|index| index.media.as_ref()) else {
        return "application/octet-stream";
    };
    let pictures = media.tracks.iter().any(|track| track.kind() == TrackKind::Video);
    match media.container.as_str() {
        "mov" => "video/quicktime",
        "mpegts" => "video/mp2t",
        "mpeg" => "video/mpeg",
        "avi" => "video/x-msvideo",
        "flv" => "video/x-flv",
        "asf" => "video/x-ms-asf",
        "mxf" => "application/mxf",
        "gif" => "image/gif",
        "wav" => "audio/wav",
        "mp3" => "audio/mpeg",
        "flac" => "audio/flac",
        "aac" => "audio/aac",
        "ogg" if pictures => "video/ogg",
        "ogg" => "audio/ogg",
        "mp4" if pictures => "video/mp4",
        "mp4" => "audio/mp4",
        "webm" if pictures => "video/webm",
        "webm" => "audio/webm",
        "matroska" if pictures => "video/x-matroska",
        "matroska" => "audio/x-matroska",
        _ => "application/octet-stream",
    }
}

/// `Content-Disposition` (RFC 6266 §4) that saves under `name`: as it is (RFC 8187), and in ASCII for old clients.
fn attachment(name: &str) -> HeaderValue {
    let plain = |c: char| if c == ' ' || (c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%')) { c } else { '_' };
    let ascii: String = name.chars().map(plain).collect();
    let mut field = format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''");
    for byte in name.bytes() {
        // RFC 8187 §3.2.1: attr-char.
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            field.push(byte.into());
        } else {
            let _ = write!(field, "%{byte:02X}");
        }
    }
    HeaderValue::try_from(field).expect("graphic ASCII and spaces")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_saved_under_their_names() {
        let table = [
            ("clip.mp4", r#"attachment; filename="clip.mp4"; filename*=UTF-8''clip.mp4"#),
            ("my clip.mp4", r#"attachment; filename="my clip.mp4"; filename*=UTF-8''my%20clip.mp4"#),
            ("€ rates.mp4", r#"attachment; filename="_ rates.mp4"; filename*=UTF-8''%E2%82%AC%20rates.mp4"#),
            ("a\"b\\c%d'e", r#"attachment; filename="a_b_c_d'e"; filename*=UTF-8''a%22b%5Cc%25d%27e"#),
            (
                "x\r\nSet-Cookie: y",
                r#"attachment; filename="x__Set-Cookie: y"; filename*=UTF-8''x%0D%0ASet-Cookie%3A%20y"#,
            ),
        ];
        for (name, field) in table {
            assert_eq!(attachment(name), field, "{name:?}");
        }
    }

    #[test]
    fn only_the_field_download_downloads() {
        for (query, yes) in [
            (None, false),
            (Some("download"), true),
            (Some("download=1"), true),
            (Some("a=b&download"), true),
            (Some("downloads"), false),
            (Some("a=download"), false),
        ] {
            assert_eq!(is_download(query), yes, "{query:?}");
        }
    }
}
