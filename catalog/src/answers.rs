//! Streams of answers that are made one after the other.

use futures::{Stream, stream};
use std::ops::ControlFlow;
use vidstream_mesh::lifecycle::Lifecycle;
use vidstream_proto::error::{Problem, Reason};

/// What makes the answers of one stream.
pub(crate) trait Answering: Send + 'static {
    /// One answer.
    type Answer: Send;

    /// The next answer, as soon as there is one; [`ControlFlow::Break`] with the last.
    fn answer(&mut self) -> impl Future<Output = Result<ControlFlow<Self::Answer, Self::Answer>, Problem>> + Send;
}

/// The answers up to the last one, to a problem, or to the catalog's stop, which is one.
pub(crate) fn stream<A: Answering>(
    answering: A,
    lifecycle: &Lifecycle,
) -> impl Stream<Item = Result<A::Answer, Problem>> + Send + use<A> {
    let stopping = lifecycle.stopping().clone();
    stream::unfold(Some((answering, stopping)), |going| async {
        let (mut answering, stopping) = going?;
        let answer = tokio::select! {
            biased;
            () = stopping.cancelled() => Err(Problem::new(Reason::Unavailable, "the catalog is stopping")),
            answer = answering.answer() => answer,
        };
        Some(match answer {
            Ok(ControlFlow::Continue(answer)) => (Ok(answer), Some((answering, stopping))),
            Ok(ControlFlow::Break(last)) => (Ok(last), None),
            Err(problem) => (Err(problem), None),
        })
    })
}
