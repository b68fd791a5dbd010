//! One ffmpeg that is fed while what it writes is taken: a filter between two pipes.

use super::child::{Child, ChildError, Feed, Output};
use super::program::Program;
use super::run::Run;
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use std::pin::pin;
use std::time::Duration;

/// Bytes of output that are handed on at once.
const CHUNK: usize = 256 << 10;

/// Why bytes did not pass.
#[derive(Debug)]
pub enum FilterError<R, W> {
    /// Why there were none to be fed.
    Read(R),
    /// Why what it wrote was not taken.
    Kept(W),
    /// ffmpeg did not end well.
    Child(ChildError),
}

/// Takes what ffmpeg writes.
pub trait Sink {
    /// Why it takes no more.
    type Error;
    /// Takes the next bytes.
    fn take(&mut self, bytes: Bytes) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Feeds ffmpeg what `feed` gives and hands `sink` what it writes; says what it took. All of it has to be done within `time`.
/// Dropped, ffmpeg is killed.
pub async fn pass<R, S: Sink>(
    program: &Program,
    args: Vec<String>,
    time: Duration,
    feed: impl Stream<Item = Result<Bytes, R>>,
    sink: &mut S,
) -> Result<Run, FilterError<R, S::Error>> {
    let Child { feed: stdin, output, mut process } = program.lasting(time).start(args, CHUNK);
    let work = async {
        let written = async { write(stdin, feed).await.map_err(FilterError::Read) };
        let taken = async { take(output, sink).await.map_err(FilterError::Kept) };
        let ((), bytes_out) = futures::try_join!(written, taken)?;
        let run = process.wait().await.map_err(FilterError::Child)?;
        Ok(Run { bytes_out, ..run })
    };
    tokio::time::timeout(time, work).await.unwrap_or(Err(FilterError::Child(ChildError::TooSlow(time))))
}

/// Writes until there is no more, or until ffmpeg takes no more: then its end says why.
async fn write<R>(stdin: Feed, feed: impl Stream<Item = Result<Bytes, R>>) -> Result<(), R> {
    let mut feed = pin!(feed);
    while let Some(bytes) = feed.next().await {
        if stdin.write(bytes?).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Hands on all that is written, and counts it.
async fn take<S: Sink>(mut output: Output, sink: &mut S) -> Result<u64, S::Error> {
    let mut taken = 0;
    while let Some(bytes) = output.next().await {
        taken += bytes.len() as u64;
        sink.take(bytes).await?;
    }
    Ok(taken)
}
