//! Captions that people add to a video: entries of its row, whose objects gateways store before.
//!
//! What is taken away or replaced is left to the garbage: another gateway may show it for some seconds more.

use crate::catalog::Catalog;
use crate::store::VideoRow;
use crate::videos::Change;
use vidstream_proto::captions::{MAX_CAPTIONS, NoteCaptions, RemoveCaptions};
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::pb;

impl Catalog {
    /// Adds captions in place of those that have the same language and label.
    pub(crate) async fn add_captions(&self, note: NoteCaptions) -> Result<pb::AddEntryCaptionsResponse, Problem> {
        let request = pb::AddEntryCaptionsRequest::from(note.clone());
        self.once(note.request_id, "AddEntryCaptions", &request, async {
            let change = |row: &mut VideoRow| put(&mut row.entry.video.captions, &note.captions);
            let entry = self.asked_change(note.video_id, note.request_id, note.expected_revision, change).await?;
            Ok(pb::AddEntryCaptionsResponse { entry: Some(entry.into()) })
        })
        .await
    }

    /// Takes captions away.
    pub(crate) async fn remove_captions(
        &self,
        remove: RemoveCaptions,
    ) -> Result<pb::RemoveEntryCaptionsResponse, Problem> {
        let request = pb::RemoveEntryCaptionsRequest::from(remove.clone());
        self.once(remove.request_id, "RemoveEntryCaptions", &request, async {
            let id = remove.captions_id.to_string();
            let change = |row: &mut VideoRow| {
                let captions = &mut row.entry.video.captions;
                let before = captions.len();
                captions.retain(|captions| captions.id != id);
                if captions.len() == before {
                    return Err(Problem::new(Reason::NotFound, format!("the video has no captions {id}")));
                }
                Ok(Change::Write)
            };
            let entry = self.asked_change(remove.video_id, remove.request_id, remove.expected_revision, change).await?;
            Ok(pb::RemoveEntryCaptionsResponse { entry: Some(entry.into()) })
        })
        .await
    }
}

/// Puts `new` where those stand that it replaces, else at the end.
fn put(captions: &mut Vec<pb::Captions>, new: &pb::Captions) -> Result<Change, Problem> {
    let same = |old: &&mut pb::Captions| (&old.language, &old.label) == (&new.language, &new.label);
    if let Some(old) = captions.iter_mut().find(same) {
        if old == new {
            return Ok(Change::None);
        }
        old.clone_from(new);
    } else if captions.len() < MAX_CAPTIONS {
        captions.push(new.clone());
    } else {
        let words = format!("a video has at most {MAX_CAPTIONS} captions; take some away first");
        return Err(Problem::new(Reason::ResourceExhausted, words));
    }
    Ok(Change::Write)
}
