//! Typed mirrors of captions that people add, and of what is asked about them.

use crate::error::Problem;
use crate::ids::{CaptionsId, RequestId, VideoId};
use crate::{field, pb};

/// The most that a video may have.
pub const MAX_CAPTIONS: usize = 64;
/// The largest file that is taken, bytes. Those of long films have a tenth.
pub const MAX_CAPTIONS_FILE: usize = 2 << 20;

/// Captions that are added, as a client sends them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AddCaptions {
    /// Makes a repeat harmless.
    pub request_id: RequestId,
    /// Which video.
    pub video_id: VideoId,
    /// A language tag.
    pub language: String,
    /// What people choose them by.
    pub label: String,
    /// Whether players show them without being asked.
    pub forced: bool,
    /// The file, of at most [`MAX_CAPTIONS_FILE`].
    pub file: Vec<u8>,
    /// Refused if the video has another.
    pub expected_revision: Option<i64>,
}

impl TryFrom<pb::AddCaptionsRequest> for AddCaptions {
    type Error = Problem;

    fn try_from(r: pb::AddCaptionsRequest) -> Result<Self, Problem> {
        let language = language(&r.language)?;
        let label = if r.label.trim().is_empty() { language.clone() } else { label(&r.label)? };
        if r.file.is_empty() || r.file.len() > MAX_CAPTIONS_FILE {
            let words = format!("must have 1 to {MAX_CAPTIONS_FILE} bytes, has {}", r.file.len());
            return Err(Problem::field("file", words));
        }
        Ok(Self {
            request_id: field::id("request_id", &r.request_id)?,
            video_id: field::id("video_id", &r.video_id)?,
            language,
            label,
            forced: r.forced,
            file: r.file,
            expected_revision: r.expected_revision,
        })
    }
}

/// Captions whose object is there, to be noted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoteCaptions {
    /// Makes a repeat harmless.
    pub request_id: RequestId,
    /// Which video.
    pub video_id: VideoId,
    /// What is noted; its id is one.
    pub captions: pb::Captions,
    /// Refused if the video has another.
    pub expected_revision: Option<i64>,
}

impl TryFrom<pb::AddEntryCaptionsRequest> for NoteCaptions {
    type Error = Problem;

    fn try_from(r: pb::AddEntryCaptionsRequest) -> Result<Self, Problem> {
        let given = field::present("captions", r.captions)?;
        field::id::<CaptionsId>("captions.id", &given.id)?;
        let captions = pb::Captions { language: language(&given.language)?, label: label(&given.label)?, ..given };
        Ok(Self {
            request_id: field::id("request_id", &r.request_id)?,
            video_id: field::id("video_id", &r.video_id)?,
            captions,
            expected_revision: r.expected_revision,
        })
    }
}

impl From<NoteCaptions> for pb::AddEntryCaptionsRequest {
    fn from(n: NoteCaptions) -> Self {
        Self {
            request_id: n.request_id.to_string(),
            video_id: n.video_id.to_string(),
            captions: Some(n.captions),
            expected_revision: n.expected_revision,
        }
    }
}

/// Captions that are taken away.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RemoveCaptions {
    /// Makes a repeat harmless.
    pub request_id: RequestId,
    /// Which video.
    pub video_id: VideoId,
    /// Which captions.
    pub captions_id: CaptionsId,
    /// Refused if the video has another.
    pub expected_revision: Option<i64>,
}

impl TryFrom<pb::RemoveEntryCaptionsRequest> for RemoveCaptions {
    type Error = Problem;

    fn try_from(r: pb::RemoveEntryCaptionsRequest) -> Result<Self, Problem> {
        Ok(Self {
            request_id: field::id("request_id", &r.request_id)?,
            video_id: field::id("video_id", &r.video_id)?,
            captions_id: field::id("captions_id", &r.captions_id)?,
            expected_revision: r.expected_revision,
        })
    }
}

impl TryFrom<pb::RemoveCaptionsRequest> for RemoveCaptions {
    type Error = Problem;

    fn try_from(r: pb::RemoveCaptionsRequest) -> Result<Self, Problem> {
        let pb::RemoveCaptionsRequest { request_id, video_id, captions_id, expected_revision } = r;
        Self::try_from(pb::RemoveEntryCaptionsRequest { request_id, video_id, captions_id, expected_revision })
    }
}

impl From<RemoveCaptions> for pb::RemoveEntryCaptionsRequest {
    fn from(r: RemoveCaptions) -> Self {
        Self {
            request_id: r.request_id.to_string(),
            video_id: r.video_id.to_string(),
            captions_id: r.captions_id.to_string(),
            expected_revision: r.expected_revision,
        }
    }
}

/// A language tag in its form (RFC 5646 §2.1): subtags of 1 to 8 letters and digits, the first of letters alone, which are
/// written small.
fn language(given: &str) -> Result<String, Problem> {
    let given = given.trim();
    let subtag = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    let first = given.split('-').next().unwrap_or_default();
    let fits = first.len() >= 2 && first.bytes().all(|b| b.is_ascii_alphabetic());
    if given.len() > 35 || !fits || !given.split('-').all(subtag) {
        return Err(Problem::field(
            "language",
            "must be a language tag, such as `en` or `pt-BR`; `und` where there is none",
        ));
    }
    Ok(format!("{}{}", first.to_ascii_lowercase(), &given[first.len()..]))
}

fn label(given: &str) -> Result<String, Problem> {
    let given = field::text("label", given.trim(), 1, 100)?;
    if given.contains(['\n', '\r', '\t']) {
        return Err(Problem::field("label", "must be one line"));
    }
    Ok(given)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> pb::AddCaptionsRequest {
        pb::AddCaptionsRequest {
            request_id: RequestId::generate().to_string(),
            video_id: VideoId::generate().to_string(),
            language: "pt-BR".into(),
            label: " ".into(),
            file: vec![b'x'],
            ..pb::AddCaptionsRequest::default()
        }
    }

    #[test]
    fn captions_have_a_language_and_are_called_by_it_unless_named() {
        let capital = pb::AddCaptionsRequest { language: "PT-BR".into(), ..request() };
        assert_eq!(AddCaptions::try_from(capital).expect("valid").label, "pt-BR");
        for wrong in ["", "e", "en_US", "en-", "12", "x\"y", "en\n", "german language", &"en-".repeat(20)] {
            let request = pb::AddCaptionsRequest { language: wrong.into(), ..request() };
            if let Err(problem) = AddCaptions::try_from(request) {
                assert_eq!(problem.fields[0].field, "language", "{wrong}");
            } else {
                assert_eq!(wrong, "en\n", "white space around it is nobody's mistake");
            }
        }
        let two_lines = pb::AddCaptionsRequest { label: "a\nb".into(), ..request() };
        assert_eq!(AddCaptions::try_from(two_lines).expect_err("two lines").fields[0].field, "label");
    }

    #[test]
    fn a_file_is_bounded() {
        for len in [0, MAX_CAPTIONS_FILE + 1] {
            let problem = AddCaptions::try_from(pb::AddCaptionsRequest { file: vec![b'x'; len], ..request() });
            assert_eq!(problem.expect_err("too much or nothing").fields[0].field, "file");
        }
    }
}
