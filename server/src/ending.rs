//! How a process ends: in order, and soon.

use crate::wiring::Mesh;
use std::time::Duration;
use vidstream_mesh::lifecycle::Lifecycle;

/// Lets `mesh` work until it is `asked` to stop, or a part of it ends that must not. Then all that is under way may end by
/// itself within `grace`, or until it is asked once more.
///
/// # Errors
/// A part of it ended that must not.
pub async fn run_until(
    mut asked: impl AsyncFnMut(),
    mesh: &Mesh,
    life: &Lifecycle,
    grace: Duration,
) -> anyhow::Result<()> {
    let crashed = tokio::select! {
        () = asked() => false,
        () = life.stopping().cancelled() => true,
    };
    tracing::info!("stopping; a second signal stops at once");
    mesh.say_not_serving().await;
    let ending = async {
        if !life.stop(grace).await {
            tracing::warn!(?grace, "not everything ended in time");
        }
        mesh.send_last_spans().await;
    };
    tokio::select! {
        () = ending => {}
        () = asked() => life.stopped().cancel(),
    }
    anyhow::ensure!(!crashed, "a part of the server ended; the log says which");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio::sync::mpsc;

    /// Says whether what was under way came to its end.
    fn under_way(life: &Lifecycle, takes: Duration) -> Arc<AtomicBool> {
        let (ended, stopping) = (Arc::new(AtomicBool::new(false)), life.stopping().clone());
        let ends = Arc::clone(&ended);
        life.spawn("under way", async move {
            stopping.cancelled().await;
            tokio::time::sleep(takes).await;
            ends.store(true, Ordering::SeqCst);
            Ok(())
        });
        ended
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_crash_what_is_under_way_ends_first() {
        let life = Lifecycle::new();
        let ended = under_way(&life, Duration::from_secs(5));
        life.spawn("crashes", async { Err("out of luck".into()) });
        let outcome = run_until(pending::<()>, &Mesh::bare(), &life, Duration::from_secs(10)).await;
        assert!(outcome.is_err() && ended.load(Ordering::SeqCst), "{outcome:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn asked_twice_it_waits_for_nobody() {
        let life = Lifecycle::new();
        let ended = under_way(&life, Duration::from_secs(5));
        let (ask, mut asked) = mpsc::unbounded_channel::<()>();
        (0..2).for_each(|_| ask.send(()).expect("somebody hears"));
        let asked = async || asked.recv().await.expect("nobody hangs up");
        run_until(asked, &Mesh::bare(), &life, Duration::from_hours(1)).await.expect("in order");
        assert!(!ended.load(Ordering::SeqCst) && life.stopped().is_cancelled());
    }
}
