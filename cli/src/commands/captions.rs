//! `captions add`, `captions rm` and `captions list`.

use super::{Context, video_id};
use crate::args::{AddCaptions, CaptionsCommand, RemoveCaptions};
use crate::connect::{request_id, unary, video};
use crate::errors::Failure;
use crate::text;
use std::io::Read;
use std::path::Path;
use vidstream_proto::captions::MAX_CAPTIONS_FILE;
use vidstream_proto::error::Exit;
use vidstream_proto::ids::VideoId;
use vidstream_proto::pb;

pub async fn run(context: &Context, command: CaptionsCommand) -> Result<Exit, Failure> {
    match command {
        CaptionsCommand::Add(args) => add(context, args).await,
        CaptionsCommand::Rm(args) => remove(context, args).await,
        CaptionsCommand::List(args) => {
            let video = of(context, video_id(&args.id)?).await?;
            context.printer.captions(&video.captions)?;
            Ok(Exit::Done)
        }
    }
}

async fn of(context: &Context, id: VideoId) -> Result<pb::Video, Failure> {
    context.gateway.video(id).await.map_err(|error| context.gateway.told(error))
}

async fn add(context: &Context, args: AddCaptions) -> Result<Exit, Failure> {
    let request = pb::AddCaptionsRequest {
        request_id: request_id(),
        video_id: video_id(&args.id)?.to_string(),
        language: args.language,
        label: args.label.unwrap_or_default(),
        forced: args.forced,
        file: read(&args.file)?,
        expected_revision: None,
    };
    let added = context.gateway.videos.clone().add_captions(unary(request)).await;
    let added = video(added.map(|r| r.into_inner().video)).map_err(|error| context.gateway.told(error))?;
    context.printer.video(&added)?;
    Ok(Exit::Done)
}

/// The whole file, which is small or not what was meant.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let name = text::clean(&path.to_string_lossy());
    let unreadable = |error: std::io::Error| Failure::failed(format!("{name} can't be read: {error}"));
    let mut file = std::fs::File::open(path).map_err(unreadable)?.take(MAX_CAPTIONS_FILE as u64 + 1);
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > MAX_CAPTIONS_FILE {
        return Err(Failure::failed(format!("{name} has more than {}", text::size(MAX_CAPTIONS_FILE as u64)))
            .hint("a WebVTT or SubRip (SRT) file of a long film has a tenth of that"));
    }
    Ok(bytes)
}

async fn remove(context: &Context, args: RemoveCaptions) -> Result<Exit, Failure> {
    let id = video_id(&args.id)?;
    let captions_id = meant(&of(context, id).await?, &args.captions)?;
    let request = pb::RemoveCaptionsRequest {
        request_id: request_id(),
        video_id: id.to_string(),
        captions_id,
        expected_revision: None,
    };
    let removed = context.gateway.videos.clone().remove_captions(unary(request)).await;
    let removed = video(removed.map(|r| r.into_inner().video)).map_err(|error| context.gateway.told(error))?;
    context.printer.video(&removed)?;
    Ok(Exit::Done)
}

/// The id of the captions that are called by it, or by a language that no others have.
fn meant(video: &pb::Video, called: &str) -> Result<String, Failure> {
    let by_id = |captions: &&pb::Captions| captions.id.eq_ignore_ascii_case(called);
    let by_language = |captions: &&pb::Captions| captions.language.eq_ignore_ascii_case(called);
    if let Some(captions) = video.captions.iter().find(by_id) {
        return Ok(captions.id.clone());
    }
    let mut spoken = video.captions.iter().filter(by_language);
    let hint = format!("`vidctl captions list {}` shows those that there are", video.id);
    let called = text::clean(called);
    match (spoken.next(), spoken.next()) {
        (Some(captions), None) => Ok(captions.id.clone()),
        (Some(_), Some(_)) => {
            Err(Failure::new(Exit::Usage, format!("several captions are `{called}`; say the id")).hint(hint))
        }
        (None, _) => Err(Failure::new(Exit::NotFound, format!("the video has no captions `{called}`")).hint(hint)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_are_called_by_their_id_or_a_language_of_their_own() {
        let captions = |id: &str, language: &str| pb::Captions {
            id: id.into(),
            language: language.into(),
            ..pb::Captions::default()
        };
        let video = pb::Video {
            captions: vec![captions("1", "en"), captions("2", "de"), captions("3", "de")],
            ..pb::Video::default()
        };
        assert_eq!(meant(&video, "EN").expect("one"), "1");
        assert_eq!(meant(&video, "3").expect("one"), "3");
        assert_eq!(meant(&video, "de").expect_err("two").exit(), Exit::Usage);
        assert_eq!(meant(&video, "fr").expect_err("none").exit(), Exit::NotFound);
    }
}
