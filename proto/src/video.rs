//! Typed mirrors of what is asked about videos. The public and the mesh's calls have the same fields and one mirror.

use crate::error::Problem;
use crate::ids::{RequestId, VideoId};
use crate::time::std_duration;
use crate::{field, pb};
use std::time::Duration;

/// The longest time that a removed video can be kept for restoring.
pub const MAX_PURGE_AFTER: Duration = Duration::from_hours(90 * 24);

/// A page of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListVideos {
    /// 1 to 200.
    pub page_size: usize,
    /// Opaque; empty for the first page.
    pub page_token: String,
    /// Only this state; none: all but removed ones.
    pub state: Option<pb::VideoState>,
    /// Words to look for; empty: all.
    pub search: String,
    /// Order of the list.
    pub order: pb::VideoOrder,
}

/// New values of some fields.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UpdateVideo {
    /// Makes a repeat harmless.
    pub request_id: RequestId,
    /// Which video.
    pub video_id: VideoId,
    /// New title, if it changes.
    pub title: Option<String>,
    /// New description, if it changes.
    pub description: Option<String>,
    /// New tags, if they change.
    pub tags: Option<Vec<String>>,
    /// Refused if the video has another.
    pub expected_revision: Option<i64>,
}

/// A removal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RemoveVideo {
    /// Makes a repeat harmless.
    pub request_id: RequestId,
    /// Which video.
    pub video_id: VideoId,
    /// How long it can be restored; none: the setting.
    pub purge_after: Option<Duration>,
    /// Refused if the video has another.
    pub expected_revision: Option<i64>,
}

/// The undoing of a removal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RestoreVideo {
    /// Makes a repeat harmless.
    pub request_id: RequestId,
    /// Which video.
    pub video_id: VideoId,
    /// Refused if the video has another.
    pub expected_revision: Option<i64>,
}

/// Another run of what failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RetryVideo {
    /// Makes a repeat harmless.
    pub request_id: RequestId,
    /// Which video.
    pub video_id: VideoId,
    /// Refused if the video has another.
    pub expected_revision: Option<i64>,
}

fn tags(given: &[String]) -> Result<Vec<String>, Problem> {
    if given.len() > 32 {
        return Err(Problem::field("tags", format!("at most 32, not {}", given.len())));
    }
    let mut tags: Vec<String> = Vec::with_capacity(given.len());
    for tag in given {
        let tag = field::text("tags", tag.trim(), 1, 50)?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    Ok(tags)
}

/// Implements both directions between a mirror and the request messages that carry it.
macro_rules! mirror {
    ($mirror:ty, $read:expr, $write:expr, $mesh:ty, $($message:ty),+) => {
        $(impl TryFrom<$message> for $mirror {
            type Error = Problem;

            fn try_from(r: $message) -> Result<Self, Problem> {
                // The messages have the same fields; the mesh's one is the common form.
                let read: fn($mesh) -> Result<$mirror, Problem> = $read;
                read(<$mesh>::from(r))
            }
        })+

        impl From<$mirror> for $mesh {
            fn from(m: $mirror) -> Self {
                let write: fn($mirror) -> $mesh = $write;
                write(m)
            }
        }
    };
}

/// The public message in the mesh's form: field by field the same.
macro_rules! same_fields {
    ($public:ty => $mesh:ident { $($field:ident),+ }) => {
        impl From<$public> for pb::$mesh {
            fn from(r: $public) -> Self {
                Self { $($field: r.$field),+ }
            }
        }
    };
}

same_fields!(pb::ListVideosRequest => ListEntriesRequest { page_size, page_token, state, search, order });
same_fields!(pb::UpdateVideoRequest => UpdateEntryRequest {
    request_id, video_id, update_mask, title, description, tags, expected_revision
});
same_fields!(pb::RemoveVideoRequest => RemoveEntryRequest { request_id, video_id, purge_after, expected_revision });
same_fields!(pb::RestoreVideoRequest => RestoreEntryRequest { request_id, video_id, expected_revision });
same_fields!(pb::RetryVideoRequest => RetryEntryRequest { request_id, video_id, expected_revision });

fn read_list(r: pb::ListEntriesRequest) -> Result<ListVideos, Problem> {
    let page_size = match r.page_size {
        0 => 50,
        size @ 1..=200 => size as usize,
        size => return Err(Problem::field("page_size", format!("must be 1 to 200, is {size}"))),
    };
    let state = pb::VideoState::try_from(r.state).map_err(|_| Problem::field("state", "is not a state of a video"))?;
    let order = pb::VideoOrder::try_from(r.order).map_err(|_| Problem::field("order", "is not an order"))?;
    Ok(ListVideos {
        page_size,
        page_token: field::text("page_token", &r.page_token, 0, 2000)?,
        state: Some(state).filter(|s| *s != pb::VideoState::Unspecified),
        search: field::text("search", &r.search, 0, 500)?,
        order: if order == pb::VideoOrder::Unspecified { pb::VideoOrder::Created } else { order },
    })
}

fn read_update(r: pb::UpdateEntryRequest) -> Result<UpdateVideo, Problem> {
    let mask = field::present("update_mask", r.update_mask)?;
    let mut update = UpdateVideo {
        request_id: field::id("request_id", &r.request_id)?,
        video_id: field::id("video_id", &r.video_id)?,
        title: None,
        description: None,
        tags: None,
        expected_revision: r.expected_revision,
    };
    for path in &mask.paths {
        match path.as_str() {
            "title" => update.title = Some(field::text("title", r.title.trim(), 1, 200)?),
            "description" => update.description = Some(field::text("description", &r.description, 0, 5000)?),
            "tags" => update.tags = Some(tags(&r.tags)?),
            other => return Err(Problem::field("update_mask", format!("`{other}` can't be changed"))),
        }
    }
    if mask.paths.is_empty() {
        return Err(Problem::field("update_mask", "names no field"));
    }
    Ok(update)
}

fn write_update(u: UpdateVideo) -> pb::UpdateEntryRequest {
    let named = [("title", u.title.is_some()), ("description", u.description.is_some()), ("tags", u.tags.is_some())];
    let paths = named.into_iter().filter(|(_, changes)| *changes).map(|(path, _)| path.to_owned()).collect();
    pb::UpdateEntryRequest {
        request_id: u.request_id.to_string(),
        video_id: u.video_id.to_string(),
        update_mask: Some(prost_types::FieldMask { paths }),
        title: u.title.unwrap_or_default(),
        description: u.description.unwrap_or_default(),
        tags: u.tags.unwrap_or_default(),
        expected_revision: u.expected_revision,
    }
}

fn read_remove(r: pb::RemoveEntryRequest) -> Result<RemoveVideo, Problem> {
    let purge_after = r.purge_after.as_ref().map(|d| std_duration("purge_after", d)).transpose()?;
    if purge_after.is_some_and(|d| d > MAX_PURGE_AFTER) {
        return Err(Problem::field("purge_after", "must be at most 90 days"));
    }
    Ok(RemoveVideo {
        request_id: field::id("request_id", &r.request_id)?,
        video_id: field::id("video_id", &r.video_id)?,
        purge_after,
        expected_revision: r.expected_revision,
    })
}

mirror!(
    ListVideos,
    read_list,
    |l| pb::ListEntriesRequest {
        page_size: u32::try_from(l.page_size).unwrap_or(200),
        page_token: l.page_token,
        state: l.state.unwrap_or_default().into(),
        search: l.search,
        order: l.order.into(),
    },
    pb::ListEntriesRequest,
    pb::ListEntriesRequest,
    pb::ListVideosRequest
);
mirror!(UpdateVideo, read_update, write_update, pb::UpdateEntryRequest, pb::UpdateEntryRequest, pb::UpdateVideoRequest);
mirror!(
    RemoveVideo,
    read_remove,
    |r| pb::RemoveEntryRequest {
        request_id: r.request_id.to_string(),
        video_id: r.video_id.to_string(),
        purge_after: r.purge_after.map(crate::time::proto_duration),
        expected_revision: r.expected_revision,
    },
    pb::RemoveEntryRequest,
    pb::RemoveEntryRequest,
    pb::RemoveVideoRequest
);
mirror!(
    RestoreVideo,
    |r| Ok(RestoreVideo {
        request_id: field::id("request_id", &r.request_id)?,
        video_id: field::id("video_id", &r.video_id)?,
        expected_revision: r.expected_revision,
    }),
    |r| pb::RestoreEntryRequest {
        request_id: r.request_id.to_string(),
        video_id: r.video_id.to_string(),
        expected_revision: r.expected_revision,
    },
    pb::RestoreEntryRequest,
    pb::RestoreEntryRequest,
    pb::RestoreVideoRequest
);
mirror!(
    RetryVideo,
    |r| Ok(RetryVideo {
        request_id: field::id("request_id", &r.request_id)?,
        video_id: field::id("video_id", &r.video_id)?,
        expected_revision: r.expected_revision,
    }),
    |r| pb::RetryEntryRequest {
        request_id: r.request_id.to_string(),
        video_id: r.video_id.to_string(),
        expected_revision: r.expected_revision,
    },
    pb::RetryEntryRequest,
    pb::RetryEntryRequest,
    pb::RetryVideoRequest
);

/// A video and the source it shows.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// Its id, parsed.
    pub id: VideoId,
    /// The source it shows.
    pub source_id: crate::ids::SourceId,
    /// The video as people see it; its state is a known one.
    pub video: pb::Video,
}

impl TryFrom<pb::Entry> for Entry {
    type Error = Problem;

    fn try_from(e: pb::Entry) -> Result<Self, Problem> {
        let video = field::present("video", e.video)?;
        if video.state() == pb::VideoState::Unspecified {
            return Err(Problem::field("video.state", "is missing"));
        }
        Ok(Self { id: field::id("video.id", &video.id)?, source_id: field::id("source_id", &e.source_id)?, video })
    }
}

impl From<Entry> for pb::Entry {
    fn from(e: Entry) -> Self {
        Self { video: Some(e.video), source_id: e.source_id.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_changes_only_what_its_mask_names() {
        let request = pb::UpdateVideoRequest {
            request_id: RequestId::generate().to_string(),
            video_id: VideoId::generate().to_string(),
            update_mask: Some(prost_types::FieldMask { paths: vec!["tags".into()] }),
            title: String::new(),
            tags: vec![" sea ".into(), "sea".into()],
            ..Default::default()
        };
        let update = UpdateVideo::try_from(request.clone()).expect("valid");
        assert_eq!(update.title, None);
        assert_eq!(update.tags, Some(vec!["sea".to_owned()]));
        let again = UpdateVideo::try_from(pb::UpdateEntryRequest::from(update.clone())).expect("valid");
        assert_eq!(again, update);
        let mut unknown = request;
        unknown.update_mask = Some(prost_types::FieldMask { paths: vec!["owner".into()] });
        assert_eq!(UpdateVideo::try_from(unknown).expect_err("owner").fields[0].field, "update_mask");
    }

    #[test]
    fn a_purge_time_is_bounded() {
        let request = pb::RemoveVideoRequest {
            request_id: RequestId::generate().to_string(),
            video_id: VideoId::generate().to_string(),
            purge_after: Some(prost_types::Duration { seconds: -1, nanos: 0 }),
            expected_revision: None,
        };
        assert_eq!(RemoveVideo::try_from(request).expect_err("negative").fields[0].field, "purge_after");
    }
}
