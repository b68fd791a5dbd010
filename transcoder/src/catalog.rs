//! The catalog's client as the worker and the service need it: typed, with a deadline on every call.

use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use std::time::Duration;
use tonic::{Response, Status};
use vidstream_media::stored;
use vidstream_mesh::channel::Channel;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::SourceId;
use vidstream_proto::job::{Fence, Job, JobClass, JobId, JobProgress};
use vidstream_proto::pb::catalog_service_client::CatalogServiceClient;
use vidstream_proto::pb::finish_job_request::Result as Outcome;
use vidstream_proto::pb::{self, FailureKind};
use vidstream_proto::segments::StoredSegment;
use vidstream_proto::source::Source;
use vidstream_proto::{field, ranges, time};
use vidstream_source::extents::{PageNumber, RecordPage};
use vidstream_source::ranges::ByteRanges;

/// A unary call is answered in this time or has failed.
const DEADLINE: Duration = Duration::from_secs(10);
/// Version of what this crate can take and makes: raised whenever a file that could not be indexed, or of which no pictures
/// could be made, now can. What failed under a lower one is then tried again.
const MAKER: u32 = 2;
/// Pages of records are the largest answers.
const LARGEST_ANSWER: usize = 16 << 20;
/// Unfinished jobs of one source that are looked at: encoded pictures have up to 256.
const MOST_JOBS: u32 = 300;

/// A lease: a job that is ours, and its source as it was then.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    /// What to do.
    pub job: Job,
    /// For which source.
    pub source: Source,
}

/// The catalog.
#[derive(Clone)]
pub(crate) struct Catalog {
    client: CatalogServiceClient<Channel>,
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Catalog")
    }
}

impl Catalog {
    /// Behind `channel`.
    pub fn new(channel: Channel) -> Self {
        Self { client: CatalogServiceClient::new(channel).max_decoding_message_size(LARGEST_ANSWER) }
    }

    fn client(&self) -> CatalogServiceClient<Channel> {
        self.client.clone()
    }

    /// Leases the best job of `class` for `worker`.
    pub async fn take(&self, class: JobClass, worker: &str) -> Result<Option<Lease>, Problem> {
        let request = pb::TakeJobRequest {
            classes: vec![class.into()],
            worker: worker.to_owned(),
            maker: MAKER,
            index_format: stored::VERSION.into(),
        };
        let answer = answered(self.client().take_job(request)).await?;
        let Some(job) = answer.job else { return Ok(None) };
        let source = field::present("source", answer.source)?;
        Ok(Some(Lease { job: job.try_into()?, source: source.try_into()? }))
    }

    /// Keeps a lease; says whether the job is cancelled.
    pub async fn beat(&self, job: &Job, beat: u64, progress: JobProgress) -> Result<bool, Problem> {
        let request = pb::BeatJobRequest {
            job_id: job.id.to_string(),
            fence: job.fence.0,
            beat,
            progress: Some(progress.into()),
        };
        Ok(answered(self.client().beat_job(request)).await?.cancelled)
    }

    /// Says that a segment is stored.
    pub async fn record_segment(&self, id: &JobId, segment: StoredSegment) -> Result<(), Problem> {
        let StoredSegment { number, fence, size, bit_rate, configuration } = segment;
        let (job_id, fence) = (id.to_string(), fence.0);
        let request = pb::RecordSegmentRequest { job_id, fence, number, size, bit_rate, configuration };
        answered(self.client().record_segment(request)).await.map(drop)
    }

    /// Ends a job with its result.
    pub async fn finish(&self, id: &JobId, fence: Fence, outcome: Outcome) -> Result<(), Problem> {
        let request = pb::FinishJobRequest { job_id: id.to_string(), fence: fence.0, result: Some(outcome) };
        answered(self.client().finish_job(request)).await.map(drop)
    }

    /// Ends an attempt without a result.
    pub async fn fail(&self, id: &JobId, fence: Fence, kind: FailureKind, reason: &str) -> Result<(), Problem> {
        let request =
            pb::FailJobRequest { job_id: id.to_string(), fence: fence.0, reason: reason.to_owned(), kind: kind.into() };
        answered(self.client().fail_job(request)).await.map(drop)
    }

    /// What of a source waits or runs, with places in the queue.
    pub async fn unfinished_jobs(&self, source: SourceId) -> Result<Vec<Job>, Problem> {
        let request = pb::ListJobsRequest { source_id: source.to_string(), limit: MOST_JOBS, unfinished_only: true };
        let jobs = answered(self.client().list_jobs(request)).await?.jobs;
        jobs.into_iter().map(Job::try_from).collect()
    }

    /// A source as it is.
    pub async fn source(&self, id: SourceId) -> Result<Source, Problem> {
        let key = pb::get_source_request::Key::SourceId(id.to_string());
        let answer = answered(self.client().get_source(pb::GetSourceRequest { key: Some(key) })).await?;
        field::present("source", answer.source)?.try_into()
    }

    /// A page of a source's records.
    pub async fn page(&self, id: SourceId, number: PageNumber) -> Result<RecordPage, Problem> {
        let request = pb::ListExtentsRequest { source_id: id.to_string(), first_page: number.0, pages: 1 };
        let pages = answered(self.client().list_extents(request)).await?.pages;
        let page = pages.iter().find(|page| page.number == number.0);
        page.map_or_else(|| Ok(RecordPage::new(number)), RecordPage::try_from)
    }

    /// Asks the sender of a source for `wanted`, on behalf of `waiter`.
    pub async fn want(&self, id: SourceId, waiter: &str, wanted: &ByteRanges, ttl: Duration) -> Result<(), Problem> {
        let request = pb::WantRangesRequest {
            source_id: id.to_string(),
            waiter: waiter.to_owned(),
            ranges: ranges::to_wire(wanted.iter()),
            ttl: Some(time::proto_duration(ttl)),
        };
        answered(self.client().want_ranges(request)).await.map(drop)
    }

    /// What is recorded of a source of `size` bytes: first all, then what comes. A message that says that others were
    /// missed counts as all. Ends with an error when the source is being removed.
    pub async fn recorded(
        &self,
        id: SourceId,
        size: u64,
    ) -> Result<BoxStream<'static, Result<Heard, Problem>>, Problem> {
        let request = pb::WatchSourceRequest { source_id: id.to_string() };
        let messages = answered(self.client().watch_source(request)).await?;
        let read = move |message: pb::WatchSourceResponse| {
            if message.dying {
                return Err(Problem::new(Reason::SourceDying, "the source is being removed"));
            }
            if message.lagged {
                return Ok(Heard::Missed(0..size));
            }
            Ok(Heard::Recorded(ranges::from_wire(message.recorded)?.into_iter().collect()))
        };
        Ok(messages.map_err(Problem::from).map(move |message| message.and_then(read)).boxed())
    }
}

/// What a watch of a source says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Heard {
    /// These ranges were recorded.
    Recorded(ByteRanges),
    /// Something was, anywhere in this range: ask.
    Missed(std::ops::Range<u64>),
}

async fn answered<T>(call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Problem> {
    let late = || Problem::new(Reason::DeadlineExceeded, format!("the catalog has not answered in {DEADLINE:?}"));
    let answer = tokio::time::timeout(DEADLINE, call).await.map_err(|_| late())?;
    Ok(answer?.into_inner())
}

/// Whether trying the same again may help: the catalog is away, late or busy.
pub(crate) fn passes(problem: &Problem) -> bool {
    use Reason::{DeadlineExceeded, NotReady, ResourceExhausted, Unavailable};
    matches!(problem.reason, Unavailable | DeadlineExceeded | ResourceExhausted | NotReady)
}
