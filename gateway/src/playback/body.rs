//! Bodies that stream ranges of a source. No byte is copied: what the object store gives is cut and handed on.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::future::{Either, ready};
use futures::{Stream, StreamExt, TryFutureExt, TryStreamExt, stream};
use std::ops::Range;
use vidstream_media::cmaf::{ReadPlan, Span};
use vidstream_proto::error::Problem;
use vidstream_source::reader::{ReadError, SourceReader};

/// Reads begun ahead of the one that is sent. Each holds the first piece of what it reads, so this bounds the memory of a body
/// too; far stores need several under way, and on a disk they cost nothing.
const AHEAD: usize = 8;

/// Part of a body: bytes of our own, then ranges of the source in their order.
pub type Part = (Bytes, Vec<Range<u64>>);

/// What a body consists of, one after the other.
enum Step {
    Own(Bytes),
    Read(Vec<Span>),
}

/// `parts`, one after the other, fetched side by side.
///
/// The first bytes of the source are read before this returns, so that what can't be read is answered with a problem and
/// not with a body that breaks off.
pub async fn of_source(reader: SourceReader, parts: Vec<Part>) -> Result<Body, Problem> {
    let mut parts = parts.into_iter();
    let (head, ranges) = parts.next().unwrap_or_default();
    let mut source = fetched(reader, [(Bytes::new(), ranges)].into_iter().chain(parts));
    let first = source.try_next().await?;
    let begin = stream::iter([(!head.is_empty()).then_some(head), first].into_iter().flatten().map(Ok));
    Ok(Body::from_stream(begin.chain(source).inspect_err(|error: &ReadError| {
        // The client only sees the connection break.
        tracing::warn!(error = error as &dyn std::error::Error, "a body broke off");
    })))
}

/// `part` in memory. The caller bounds it.
pub async fn gathered(reader: SourceReader, part: Part) -> Result<Bytes, Problem> {
    let mut whole = BytesMut::new();
    let mut source = fetched(reader, [part].into_iter());
    while let Some(bytes) = source.try_next().await? {
        whole.extend_from_slice(&bytes);
    }
    Ok(whole.freeze())
}

/// How many reads `ranges` take.
pub fn reads(reader: &SourceReader, ranges: &[Range<u64>]) -> usize {
    ReadPlan::new(ranges, reader.small_gap()).spans.len()
}

fn fetched(
    reader: SourceReader,
    parts: impl Iterator<Item = Part>,
) -> impl Stream<Item = Result<Bytes, ReadError>> + Unpin {
    let gap = reader.small_gap();
    let steps = parts.flat_map(move |(own, ranges)| {
        let own = (!own.is_empty()).then_some(Step::Own(own));
        own.into_iter().chain(ReadPlan::new(&ranges, gap).batches().into_iter().map(Step::Read))
    });
    let fetch = move |step| match step {
        Step::Own(bytes) => Either::Left(ready(Ok(Either::Left(stream::iter([Ok(bytes)]))))),
        Step::Read(spans) => Either::Right(begun(pieces(&reader, &spans)).map_ok(Either::Right)),
    };
    Box::pin(stream::iter(steps).map(fetch).buffered(AHEAD).try_flatten())
}

/// The stream with its first bytes read.
async fn begun<S>(stream: S) -> Result<impl Stream<Item = Result<Bytes, ReadError>>, ReadError>
where
    S: Stream<Item = Result<Bytes, ReadError>> + Unpin,
{
    let mut stream = stream;
    let first = stream.try_next().await?;
    Ok(stream::iter(first.map(Ok)).chain(stream))
}

/// The pieces of `spans`, each read in one go.
fn pieces(reader: &SourceReader, spans: &[Span]) -> impl Stream<Item = Result<Bytes, ReadError>> + Unpin + use<> {
    let read = reader.read_ranges(spans.iter().map(|span| span.range.clone()).collect());
    let pieces = in_what_is_read(spans);
    if let [all] = pieces.as_slice()
        && all.end - all.start == spans.iter().map(Span::len).sum::<u64>()
    {
        return Either::Left(read);
    }
    let mut at = 0;
    let cut = move |bytes: Bytes| {
        let read = at..at + bytes.len() as u64;
        at = read.end;
        stream::iter(cut(&bytes, &read, &pieces)).map(Ok)
    };
    Either::Right(read.map_ok(cut).try_flatten())
}

/// Where the pieces of `spans` are in the bytes that are read of them, one after the other. Those that touch are one.
fn in_what_is_read(spans: &[Span]) -> Vec<Range<u64>> {
    let mut pieces: Vec<Range<u64>> = Vec::new();
    let mut before = 0;
    for span in spans {
        for piece in &span.pieces {
            let [start, end] = [piece.start, piece.end].map(|at| at - span.range.start + before);
            match pieces.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => pieces.push(start..end),
            }
        }
        before += span.len();
    }
    pieces
}

/// What of `bytes`, which are `read` of all that is read, belongs to `pieces`, which ascend.
fn cut(bytes: &Bytes, read: &Range<u64>, pieces: &[Range<u64>]) -> Vec<Bytes> {
    let first = pieces.partition_point(|piece| piece.end <= read.start);
    let within = |position: u64| usize::try_from(position - read.start).expect("inside of what was read");
    let touched = pieces[first..].iter().take_while(|piece| piece.start < read.end);
    touched.map(|p| bytes.slice(within(p.start.max(read.start))..within(p.end.min(read.end)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_found_in_what_is_read() {
        let span = |range: Range<u64>, pieces: &[(u64, u64)]| {
            let pieces = pieces.iter().map(|(start, end)| *start..*end).collect();
            Span { range, pieces }
        };
        let spans =
            [span(100..130, &[(100, 110), (120, 130)]), span(500..510, &[(500, 510)]), span(40..60, &[(45, 60)])];
        assert_eq!(in_what_is_read(&spans), [0..10, 20..40, 45..60]);
        assert_eq!(in_what_is_read(&spans[1..]), [0..10, 15..30]);
    }

    #[test]
    fn pieces_are_cut_out_however_the_bytes_come() {
        let file: Bytes = (0..100).collect();
        let pieces = [10..20, 20..21, 50..90];
        let wanted: Vec<u8> = pieces.iter().cloned().flatten().collect();
        for step in 1..=90 {
            let chunks = (10..90).step_by(step).map(|start| start..(start + step).min(90));
            let read = chunks.flat_map(|chunk| {
                let range = chunk.start as u64..chunk.end as u64;
                cut(&file.slice(chunk), &range, &pieces.clone().map(|p| u64::from(p.start)..u64::from(p.end)))
            });
            let read: Vec<Bytes> = read.collect();
            assert!(read.iter().all(|chunk| !chunk.is_empty()), "in chunks of {step}");
            assert_eq!(read.concat(), wanted, "in chunks of {step}");
        }
    }
}
