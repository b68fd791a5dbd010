//! Starting and stopping: a token that says so beforehand (go elsewhere), a soft token (stop taking work), a hard token (stop now) and the tasks that are waited for.

use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Life of one process, or of one mesh in a test. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    draining: CancellationToken,
    stopping: CancellationToken,
    stopped: CancellationToken,
    tasks: TaskTracker,
    listeners: TaskTracker,
}

impl Lifecycle {
    /// A life that has just begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled when the process will stop soon: it does all that it did, and says that new requests should go elsewhere.
    pub fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    /// Cancelled when the process should stop: take no new work, end streams with `UNAVAILABLE`, hand leases back.
    pub fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Cancelled when grace is over: drop everything.
    pub fn stopped(&self) -> &CancellationToken {
        &self.stopped
    }

    /// Runs `task` until it ends by itself or grace is over. A task that ends with an error or a panic stops the whole
    /// process: a mesh without one of its loops must not look alive.
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        let life = self.clone();
        self.tasks.spawn(async move {
            let inner = tokio::spawn(task);
            let abort = inner.abort_handle();
            tokio::select! {
                outcome = inner => match outcome {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => life.crash(name, &error.to_string()),
                    Err(panic) => life.crash(name, &panic.to_string()),
                },
                () = life.stopped.cancelled() => abort.abort(),
            }
        });
    }

    /// As [`spawn`](Self::spawn), for what takes requests until [`stopping`](Self::stopping) and ends with the last of them.
    pub fn serve<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        let serves = self.listeners.token();
        self.spawn(name, async move {
            let outcome = task.await;
            drop(serves);
            outcome
        });
    }

    /// Waits until the process stops and nobody sends it anything more: for what requests leave to be done.
    pub async fn drained(&self) {
        self.stopping.cancelled().await;
        self.listeners.close();
        self.listeners.wait().await;
    }

    fn crash(&self, name: &str, error: &str) {
        tracing::error!(task = name, error, "a task ended that must not; stopping");
        self.draining.cancel();
        self.stopping.cancel();
    }

    /// Says that everything will be asked to stop soon.
    pub fn drain(&self) {
        self.draining.cancel();
    }

    /// Asks everything to stop and waits at most `grace`, then drops what is left. Says whether all ended by itself.
    pub async fn stop(&self, grace: Duration) -> bool {
        self.draining.cancel();
        self.stopping.cancel();
        self.tasks.close();
        let orderly = tokio::time::timeout(grace, self.tasks.wait()).await.is_ok();
        self.stopped.cancel();
        if !orderly {
            self.tasks.wait().await;
        }
        orderly
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[tokio::test(start_paused = true)]
    async fn stopping_waits_for_tasks_within_grace() {
        let life = Lifecycle::new();
        let stopping = life.stopping().clone();
        life.spawn("orderly", async move {
            stopping.cancelled().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(())
        });
        assert!(life.stop(Duration::from_secs(5)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_serves_drains_first() {
        let life = Lifecycle::new();
        assert!(life.drained().now_or_never().is_none(), "it has not begun to stop");
        let (last, served) = tokio::sync::oneshot::channel::<()>();
        life.serve("listener", async move { Ok(served.await?) });
        life.stopping().cancel();
        assert!(tokio::time::timeout(Duration::from_secs(5), life.drained()).await.is_err(), "it serves");
        last.send(()).unwrap();
        life.drained().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_hangs_is_dropped_after_grace() {
        let life = Lifecycle::new();
        life.spawn("hangs", std::future::pending());
        assert!(!life.stop(Duration::from_secs(5)).await);
    }

    #[tokio::test]
    async fn a_crashed_task_stops_the_process() {
        let life = Lifecycle::new();
        life.spawn("crashes", async { Err("out of luck".into()) });
        life.stopping().cancelled().await;
    }
}
