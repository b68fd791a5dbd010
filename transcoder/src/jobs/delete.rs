//! Deletes everything of a dying source. Writes that were under way when it died end within a write deadline; what they
//! left is deleted by a second pass.

use super::{Failure, Task};
use futures::TryStreamExt as _;
use tokio::time::Instant;
use vidstream_proto::pb;
use vidstream_source::names;

/// Steps of progress while nothing but time passes.
const STEPS: u32 = 60;

pub(super) async fn run(mut task: Task<'_>) -> Result<pb::DeleteResult, Failure> {
    let deadline = task.tools.config.write_deadline;
    let first = sweep(&task).await?;
    tracing::trace!(name: "delete.first", target: "point", "a source's objects are deleted once");
    let mut meter = task.gauge.measure(deadline.as_secs_f64().max(f64::MIN_POSITIVE));
    let begun = Instant::now();
    let mut waiting = async || {
        while begun.elapsed() < deadline {
            tokio::time::sleep(deadline / STEPS).await;
            meter.done(begun.elapsed().as_secs_f64());
        }
    };
    // Without room to wait it keeps its place.
    if task.place.lend(waiting()).await.is_err() {
        waiting().await;
    }
    let second = sweep(&task).await?;
    tracing::trace!(name: "delete.second", target: "point", "a source's objects are deleted, which nobody knows");
    Ok(pb::DeleteResult { objects: first + second })
}

/// Deletes all there is and says how much that was.
async fn sweep(task: &Task<'_>) -> Result<u64, Failure> {
    let prefix = names::source(task.lease.source.id);
    let objects = &task.tools.objects;
    let count = objects.list(&prefix).try_fold(0, async |count, _| Ok(count + 1)).await?;
    objects.delete_prefix(&prefix).await?;
    Ok(count)
}
