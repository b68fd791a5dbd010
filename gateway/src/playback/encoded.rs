//! Segments of encoded pictures: all are listed before they are made. One that is asked for too early is made next, and waited
//! for.

use super::offered::{Choice, Indexed};
use super::representation::Caching;
use super::{Playback, nothing_here};
use crate::http::problem::HttpProblem;
use axum::response::Response;
use http::request::Parts;
use std::time::Duration;
use tokio::time::Instant;
use vidstream_backends::objects::ObjectName;
use vidstream_media::presentation::TrackName;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::pb;
use vidstream_source::names;

/// How long a request waits for a segment.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks whether it is there.
const LOOK: Duration = Duration::from_millis(250);
/// When to ask again for one that did not come in that time.
const RETRY: Duration = Duration::from_secs(2);

impl Playback {
    /// Sends segment `number` of pictures that are encoded.
    pub(super) async fn encoded_segment(
        &self,
        choice: &Choice,
        indexed: &Indexed,
        track: TrackName,
        number: u32,
        request: &Parts,
    ) -> Result<Response, HttpProblem> {
        let known = indexed.segments.as_ref().is_some_and(|segments| (1..=segments.count).contains(&number));
        if track != TrackName::Video || !known {
            return Err(nothing_here().into());
        }
        let object = match stored(choice, indexed, number) {
            Some(object) => object,
            None => self.awaited(choice, indexed, number).await?,
        };
        self.send_object(&object, &indexed.generation, "video/mp4", Caching::Immutable, request).await
    }

    /// Asks for a segment that is not there, and waits for it.
    async fn awaited(&self, choice: &Choice, indexed: &Indexed, number: u32) -> Result<ObjectName, Problem> {
        let (video, source) = (choice.view.entry.id, choice.view.source.id);
        let begun = Instant::now();
        let mut asked = false;
        loop {
            // The view that is held may only be old: a segment that is missing in it is looked for in a new one.
            let found = self.views.read(video, |view| {
                let now = Choice::of(view)?;
                let same = now.all().find(|other| other.generation == indexed.generation).ok_or_else(nothing_here)?;
                let missing = || Problem::new(Reason::NotReady, "this segment is not encoded yet").retry_after(RETRY);
                stored(&now, same, number).ok_or_else(missing)
            });
            match found.await {
                Err(problem) if problem.reason == Reason::NotReady && begun.elapsed() < PATIENCE => {}
                found => return found,
            }
            if !asked {
                let track = TrackName::Video.to_string();
                let wanted = pb::WantSegmentRequest { source_id: source.to_string(), track, number };
                self.deps.ask(self.deps.catalog.clone().want_segment(wanted)).await?;
                asked = true;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// The object of segment `number`, if it is there.
fn stored(choice: &Choice, indexed: &Indexed, number: u32) -> Option<ObjectName> {
    let fence = indexed.segments.as_ref()?.fence_of(number)?;
    Some(names::segment(choice.view.source.id, fence, &TrackName::Video.to_string(), number))
}
