//! Which trace a piece of work belongs to.
//!
//! Every request has a trace: the one its client says it is part of (W3C Trace Context, `traceparent`), or a new one. It goes
//! on to the services that the request calls, stands in each line of the log, in answers that are errors, and in the row
//! of a source, so that jobs of an upload go on with the upload's trace. Who collects spans ([`Tracer`]) sees one trace for
//! one upload; where nobody does, this costs two random numbers a request.

mod span;

pub use span::{Ended, Export, Kind, Span, Tracer};

use fastrand::Rng;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::cell::RefCell;
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// The field of HTTP and gRPC that says which trace a request is part of (<https://www.w3.org/TR/trace-context/>, §3.2).
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The field of an answer that is an error: the trace's id, for people to quote.
pub const TRACE_ID: HeaderName = HeaderName::from_static("trace-id");

/// Id of a trace; never zero. 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

/// Id of a span; never zero. 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(u64);

impl TraceId {
    /// The id as 16 bytes.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }
}

impl SpanId {
    /// The id as 8 bytes.
    pub fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A place in a trace: what the header `traceparent` says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TraceContext {
    /// The trace.
    pub trace: TraceId,
    /// The span that work is done in.
    pub span: SpanId,
    /// Whether somebody collects the trace's spans: whoever began it decides, for all services.
    pub sampled: bool,
}

impl TraceContext {
    /// The first span of a new trace.
    pub fn begin(sampled: bool) -> Self {
        Self { trace: TraceId(RANDOM.with_borrow_mut(|random| random.u128(1..))), span: new_span(), sampled }
    }

    /// A new span below this one.
    pub fn child(&self) -> Self {
        Self { span: new_span(), ..*self }
    }

    /// What a request says it is part of; nothing where the field is missing, doubled or not understood (§3.2.2.3: as if
    /// there were none).
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut fields = headers.get_all(TRACEPARENT).iter();
        match (fields.next(), fields.next()) {
            (Some(field), None) => field.to_str().ok()?.parse().ok(),
            _ => None,
        }
    }

    /// The value of the field `traceparent`.
    pub fn header(&self) -> HeaderValue {
        HeaderValue::try_from(self.to_string()).expect("hexadecimal digits and dashes")
    }
}

thread_local! {
    /// Ids only have to differ, and a call of the system for each would cost more than all else here.
    static RANDOM: RefCell<Rng> = RefCell::new(Rng::with_seed(Uuid::new_v4().as_u64_pair().1));
}

fn new_span() -> SpanId {
    SpanId(RANDOM.with_borrow_mut(|random| random.u64(1..)))
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

/// The text is no `traceparent`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a trace context such as 00-<32 hexadecimal digits>-<16 hexadecimal digits>-01")]
pub struct NoTraceContext;

impl FromStr for TraceContext {
    type Err = NoTraceContext;

    /// §3.2.2 and, of versions to come, §4.3: the first four parts mean the same, and more may follow.
    fn from_str(text: &str) -> Result<Self, NoTraceContext> {
        let mut parts = text.splitn(5, '-');
        let mut part = |digits| parts.next().filter(|part| part.len() == digits && part.bytes().all(is_hex));
        let fields = (|| Some((part(2)?, part(32)?, part(16)?, part(2)?)))();
        let (version, trace, span, flags) = fields.ok_or(NoTraceContext)?;
        let more = parts.next().is_some();
        let trace = u128::from_str_radix(trace, 16).map_err(|_| NoTraceContext)?;
        let span = u64::from_str_radix(span, 16).map_err(|_| NoTraceContext)?;
        let flags = u8::from_str_radix(flags, 16).map_err(|_| NoTraceContext)?;
        if trace == 0 || span == 0 || version == "ff" || (version == "00" && more) {
            return Err(NoTraceContext);
        }
        Ok(Self { trace: TraceId(trace), span: SpanId(span), sampled: flags & 1 == 1 })
    }
}

/// Upper case is not allowed (§3.2.2.3).
fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// What the running task works for.
#[derive(Clone, Debug)]
pub struct Active {
    /// Its place in the trace.
    pub context: TraceContext,
    /// Who hears of spans below it.
    pub tracer: Tracer,
    /// The service that works.
    pub service: &'static str,
}

tokio::task_local! {
    static ACTIVE: Active;
}

/// The place in a trace that the running task is at.
pub fn current() -> Option<TraceContext> {
    ACTIVE.try_with(|active| active.context).ok()
}

/// What the running task works for.
pub fn active() -> Option<Active> {
    ACTIVE.try_with(Clone::clone).ok()
}

/// Runs `work` as part of `active`.
pub fn within<F: Future>(active: Active, work: F) -> impl Future<Output = F::Output> {
    ACTIVE.scope(active, work)
}

/// Runs `step`, which does not wait, as part of `active`.
pub fn at<T>(active: &Active, step: impl FnOnce() -> T) -> T {
    ACTIVE.sync_scope(active.clone(), step)
}

/// `work` as part of what the running task works for: for `tokio::spawn`, which otherwise forgets it.
pub async fn carried<F: Future>(active: Option<Active>, work: F) -> F::Output {
    match active {
        Some(active) => ACTIVE.scope(active, work).await,
        None => work.await,
    }
}

/// Says in a request to another service which trace it is part of, unless it says so already.
pub fn inject(headers: &mut HeaderMap) {
    if let Some(context) = current()
        && !headers.contains_key(TRACEPARENT)
    {
        headers.insert(TRACEPARENT, context.header());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn contexts_are_read_as_the_recommendation_says() {
        let example: TraceContext = EXAMPLE.parse().expect("the recommendation's own");
        assert!(example.sampled);
        assert_eq!(example.to_string(), EXAMPLE);
        let not_sampled: TraceContext = EXAMPLE.replace("-01", "-00").parse().expect("no flag");
        assert!(!not_sampled.sampled);
        let later = EXAMPLE.replacen("00", "cc", 1) + "-what-the-future-will-be-like";
        assert_eq!(later.parse(), Ok(example), "a later version's first parts");
        for wrong in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "0+-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(wrong.parse::<TraceContext>(), Err(NoTraceContext), "{wrong}");
        }
    }

    #[test]
    fn two_fields_are_none() {
        let mut headers = HeaderMap::new();
        assert_eq!(TraceContext::of(&headers), None);
        headers.append(TRACEPARENT, EXAMPLE.parse().expect("a value"));
        assert_eq!(TraceContext::of(&headers), EXAMPLE.parse().ok());
        headers.append(TRACEPARENT, EXAMPLE.parse().expect("a value"));
        assert_eq!(TraceContext::of(&headers), None);
    }

    #[tokio::test]
    async fn tasks_know_what_they_work_for() {
        assert_eq!(current(), None);
        let context = TraceContext::begin(false);
        let active = Active { context, tracer: Tracer::default(), service: "test" };
        let work = async {
            assert_eq!(current(), Some(context));
            let spawned = tokio::spawn(carried(super::active(), async { current() }));
            assert_eq!(spawned.await.expect("no panic"), Some(context));
            let mut headers = HeaderMap::new();
            inject(&mut headers);
            assert_eq!(TraceContext::of(&headers), Some(context));
        };
        within(active, work).await;
        assert_eq!(current(), None);
    }
}
