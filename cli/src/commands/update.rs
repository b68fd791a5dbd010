//! `update`: changes what the flags name.

use super::{Context, video_id};
use crate::args::Update;
use crate::connect::{request_id, unary, video};
use crate::errors::Failure;
use vidstream_proto::error::Exit;
use vidstream_proto::pb;

pub async fn run(context: &Context, args: Update) -> Result<Exit, Failure> {
    let request = request(args)?;
    let updated = context.gateway.videos.clone().update_video(unary(request)).await;
    let updated = video(updated.map(|r| r.into_inner().video)).map_err(|error| context.gateway.told(error))?;
    context.printer.video(&updated)?;
    Ok(Exit::Done)
}

fn request(Update { id, changes, if_revision }: Update) -> Result<pb::UpdateVideoRequest, Failure> {
    let named = [
        ("title", changes.title.is_some()),
        ("description", changes.description.is_some()),
        ("tags", changes.clear_tags || !changes.tags.is_empty()),
    ];
    let paths = named.into_iter().filter(|(_, changes)| *changes).map(|(name, _)| name.to_owned()).collect();
    Ok(pb::UpdateVideoRequest {
        request_id: request_id(),
        video_id: video_id(&id)?.to_string(),
        update_mask: Some(prost_types::FieldMask { paths }),
        title: changes.title.unwrap_or_default(),
        description: changes.description.unwrap_or_default(),
        tags: changes.tags,
        expected_revision: if_revision,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Arguments, Command};
    use clap::Parser;

    fn parsed(flags: &[&str]) -> pb::UpdateVideoRequest {
        let line = ["vidctl", "update", "01930000-0000-7000-8000-000000000001"].iter().chain(flags);
        let Command::Update(args) = Arguments::try_parse_from(line).expect("valid").command else { panic!("update") };
        request(args).expect("an id")
    }

    #[test]
    fn flags_name_the_fields() {
        let mask = |flags: &[&str]| parsed(flags).update_mask.expect("a mask").paths.join(",");
        assert_eq!(mask(&["--title", "a"]), "title");
        assert_eq!(mask(&["--tag", "a", "--tag", "b", "--description", ""]), "description,tags");
        assert_eq!(mask(&["--clear-tags"]), "tags");
        assert_eq!(parsed(&["--tag", "a", "--tag", "b"]).tags, ["a", "b"]);
        assert!(parsed(&["--clear-tags"]).tags.is_empty());
        assert_eq!(parsed(&["--title", "a", "--if-revision", "7"]).expected_revision, Some(7));
    }
}
