//! What an upload does to its source: records, wants, completion.

use crate::Catalog;
use crate::sources::is_going;
use crate::sweep::each;
use futures::StreamExt;
use prost::Message;
use std::ops::Range;
use std::sync::PoisonError;
use std::time::{Duration, SystemTime};
use vidstream_backends::bus::Event;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::SourceId;
use vidstream_proto::pb::{self, UploadState};
use vidstream_proto::source::Source;
use vidstream_proto::{field, ranges, time};
use vidstream_source::extents::{Extent, ExtentMap, PageNumber};
use vidstream_source::ranges::ByteRanges;

/// Extents of one call, at the most.
const MOST_EXTENTS: usize = 4096;
/// Ranges of one want, at the most.
const MOST_RANGES: usize = 256;
/// The longest time a want lives without being renewed.
const LONGEST_WANT: Duration = Duration::from_mins(1);
/// Missing ranges that an error names.
const NAMED_RANGES: usize = 8;
/// An answer of records is cut when it has so many bytes.
const LONGEST_PAGES: usize = 2 << 20;
/// Pages read from the store at once.
const PAGES_READ: usize = 64;

/// Extents that became durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RecordExtents {
    source_id: SourceId,
    extents: Vec<Extent>,
}

impl TryFrom<pb::RecordExtentsRequest> for RecordExtents {
    type Error = Problem;

    fn try_from(request: pb::RecordExtentsRequest) -> Result<Self, Problem> {
        if request.extents.len() > MOST_EXTENTS {
            return Err(Problem::field("extents", format!("at most {MOST_EXTENTS} in a call")));
        }
        let extents = request.extents.iter().map(Extent::try_from).collect::<Result<_, _>>()?;
        Ok(Self { source_id: field::id("source_id", &request.source_id)?, extents })
    }
}

/// A completion with the file's checksum.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CompleteSource {
    source_id: SourceId,
    blake3: [u8; 32],
}

impl TryFrom<pb::CompleteSourceRequest> for CompleteSource {
    type Error = Problem;

    fn try_from(request: pb::CompleteSourceRequest) -> Result<Self, Problem> {
        let blake3 = field::present("blake3", field::blake3("blake3", &request.blake3)?)?;
        Ok(Self { source_id: field::id("source_id", &request.source_id)?, blake3 })
    }
}

/// Somebody's wait for bytes.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct WantRanges {
    source_id: SourceId,
    waiter: String,
    ranges: Vec<Range<u64>>,
    ttl: Duration,
}

impl TryFrom<pb::WantRangesRequest> for WantRanges {
    type Error = Problem;

    fn try_from(request: pb::WantRangesRequest) -> Result<Self, Problem> {
        if request.ranges.len() > MOST_RANGES {
            return Err(Problem::field("ranges", format!("at most {MOST_RANGES}")));
        }
        let ttl = request.ttl.unwrap_or_default();
        Ok(Self {
            source_id: field::id("source_id", &request.source_id)?,
            waiter: field::text("waiter", &request.waiter, 1, 100)?,
            ranges: ranges::from_wire(request.ranges)?,
            ttl: time::std_duration("ttl", &ttl)?.min(LONGEST_WANT),
        })
    }
}

fn dying(source: SourceId) -> Problem {
    Problem::new(Reason::SourceDying, format!("source {source} is being removed"))
}

fn refuse_dying(source: &Source) -> Result<(), Problem> {
    if is_going(source) { Err(dying(source.id)) } else { Ok(()) }
}

fn missing(source: &Source, map: &ExtentMap) -> Problem {
    let missing = map.missing(0..source.size);
    let mut named: Vec<String> =
        missing.iter().take(NAMED_RANGES).map(|range| format!("{}-{}", range.start, range.end)).collect();
    if missing.iter().count() > NAMED_RANGES {
        named.push("more".to_owned());
    }
    let (count, size, named) = (missing.len(), source.size, named.join(", "));
    Problem::new(Reason::BytesMissing, format!("{count} of {size} bytes are missing: {named}"))
}

impl Catalog {
    /// Records extents in one commit.
    pub(crate) async fn record_extents(&self, record: RecordExtents) -> Result<pb::RecordExtentsResponse, Problem> {
        let RecordExtents { source_id: id, extents } = record;
        let source = self.source(id).await?;
        refuse_dying(&source)?;
        let within =
            |extent: Extent| extent.within(source.size).map_err(|error| Problem::field("extents", error.to_string()));
        let extents = extents.into_iter().map(within).collect::<Result<_, _>>()?;
        tracing::trace!(name: "record.begun", target: "point", "extents are about to be recorded");
        let recorded = self.store.record(id, extents).await?.ok_or_else(|| dying(id))?;
        tracing::trace!(name: "record.done", target: "point", "extents are recorded, which nobody knows");
        if !recorded.new.is_empty() {
            self.wants.satisfy(id, &recorded.new);
            self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
            self.tell_source(&source, ranges::to_wire(recorded.new));
        }
        Ok(pb::RecordExtentsResponse {
            received: recorded.received,
            wants: ranges::to_wire(self.wants.of(id).iter()),
            overlapping: recorded.overlapping.iter().map(Into::into).collect(),
        })
    }

    /// Copies what arrived since the last call into the rows.
    pub(crate) async fn note_arrivals(&self) -> Result<(), Problem> {
        let arrived = std::mem::take(&mut *self.arrivals.lock().unwrap_or_else(PoisonError::into_inner));
        each(arrived, |id| async move {
            let noted = self.note_received(id).await;
            if noted.is_err() {
                self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
            }
            noted
        })
        .await
    }

    /// Copies how much of an open upload is recorded into its row.
    pub(crate) async fn note_received(&self, id: SourceId) -> Result<(), Problem> {
        let received = self.store.received(id).await?;
        let now = self.now();
        let noted = self.update_source(id, |source| {
            if source.upload_state == UploadState::Open && source.received < received {
                source.received = received;
                source.receive_time = now;
            }
            Ok(())
        });
        match noted.await {
            Err(problem) if problem.reason != Reason::NotFound => Err(problem),
            _ => Ok(()),
        }
    }

    /// Gives up an open upload that brought nothing for long. Settling then removes its videos for good, and its bytes follow.
    pub(crate) async fn expire_upload(&self, id: SourceId) -> Result<(), Problem> {
        let now = self.now();
        let is_old = |time: SystemTime| now.duration_since(time).is_ok_and(|age| age >= self.config.upload_expiry);
        let source = self.source(id).await?;
        if source.upload_state != UploadState::Open || !is_old(source.receive_time) {
            return Ok(());
        }
        let expired = self.update_source(id, |source| {
            if source.upload_state == UploadState::Open && is_old(source.receive_time) {
                source.upload_state = UploadState::Expired;
            }
            Ok(())
        });
        expired.await.map(|_| ())
    }

    /// Pages of records from `first` on, and where to go on if the answer was cut.
    pub(crate) async fn list_extents(
        &self,
        id: SourceId,
        first: PageNumber,
        count: usize,
    ) -> Result<pb::ListExtentsResponse, Problem> {
        self.source(id).await?;
        let mut answer = pb::ListExtentsResponse::default();
        let (mut next, mut left, mut bytes) = (first, count, 0);
        while left > 0 {
            let asked = left.min(PAGES_READ);
            let pages = self.store.pages(id, next, asked).await?;
            let read = pages.len();
            for page in pages {
                if bytes > LONGEST_PAGES {
                    answer.next_page = Some(page.number().0);
                    return Ok(answer);
                }
                let message = pb::ExtentPage::from(&page);
                bytes += prost::Message::encoded_len(&message);
                next = PageNumber(page.number().0 + 1);
                answer.pages.push(message);
            }
            if read < asked {
                break;
            }
            left -= read;
        }
        Ok(answer)
    }

    /// Completes an upload whose every byte is recorded.
    pub(crate) async fn complete_source(
        &self,
        complete: CompleteSource,
    ) -> Result<pb::CompleteSourceResponse, Problem> {
        let CompleteSource { source_id: id, blake3 } = complete;
        let source = self.source(id).await?;
        refuse_dying(&source)?;
        if source.upload_state == UploadState::Open {
            self.verify(&source, blake3).await?;
        }
        tracing::trace!(name: "complete.verified", target: "point", "an upload is about to be complete");
        let now = self.now();
        let source = self
            .update_source(id, |source| {
                refuse_dying(source)?;
                match source.blake3 {
                    Some(known) if known != blake3 => return Err(mismatch(known, blake3)),
                    Some(_) => return Ok(()),
                    None => {}
                }
                source.upload_state = UploadState::Complete;
                source.received = source.size;
                source.receive_time = now;
                source.blake3 = Some(blake3);
                Ok(())
            })
            .await?;
        let video = source.video_ids.first().ok_or_else(|| dying(id))?;
        let entry = self.video(*video).await?.entry;
        Ok(pb::CompleteSourceResponse { entry: Some(entry.into()) })
    }

    /// Checks that every byte is recorded and that the records give this checksum.
    async fn verify(&self, source: &Source, blake3: [u8; 32]) -> Result<(), Problem> {
        let pages = self.store.pages(source.id, PageNumber(0), usize::MAX).await?;
        let damaged = |error: &dyn std::fmt::Display| Problem::new(Reason::Internal, error.to_string());
        let map = ExtentMap::from_pages(source.size, pages).map_err(|error| damaged(&error))?;
        if !map.is_complete() {
            return Err(missing(source, &map));
        }
        let sum = *map.hash().map_err(|error| damaged(&error))?.as_bytes();
        for claimed in source.expected_blake3.into_iter().chain([blake3]) {
            if claimed != sum {
                return Err(mismatch(sum, claimed));
            }
        }
        Ok(())
    }

    /// Notes what somebody waits for and tells whoever can bring it.
    pub(crate) async fn want_ranges(&self, want: WantRanges) -> Result<(), Problem> {
        let WantRanges { source_id: id, waiter, ranges, ttl } = want;
        let source = self.source(id).await?;
        let ranges: ByteRanges = ranges.into_iter().map(|range| range.start..range.end.min(source.size)).collect();
        let message = pb::WantRangesRequest {
            source_id: id.to_string(),
            waiter: waiter.clone(),
            ranges: ranges::to_wire(ranges.iter()),
            ttl: Some(time::proto_duration(ttl)),
        };
        self.wants.set(id, waiter, ranges, ttl)?;
        // Each time: whoever came since the last one hears of it, too.
        self.notices.wanted(id, &message);
        Ok(())
    }

    /// Notes what other catalogs are told, without end.
    pub(crate) async fn hear_wants(&self) {
        let mut heard = self.notices.wants().await;
        while let Some(event) = heard.next().await {
            // What was missed is said again, or its time is over soon.
            let Event::Notice { payload, .. } = event else { continue };
            let want = pb::WantRangesRequest::decode(payload).ok().and_then(|want| WantRanges::try_from(want).ok());
            let Some(WantRanges { source_id, waiter, ranges, ttl }) = want else {
                tracing::warn!("a notice on the bus says what nobody can want");
                continue;
            };
            if let Err(problem) = self.wants.set(source_id, waiter, ranges.into_iter().collect(), ttl) {
                tracing::warn!(source = %source_id, %problem, "what another catalog was told to want is left out");
            }
        }
    }
}

fn mismatch(sum: [u8; 32], claimed: [u8; 32]) -> Problem {
    let hex = |sum| blake3::Hash::from_bytes(sum).to_hex();
    let text = format!("the file has the checksum {}, not {}", hex(sum), hex(claimed));
    Problem::new(Reason::ChecksumMismatch, text)
}
