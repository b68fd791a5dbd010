//! How a process ends: in order, and soon.

use crate::wiring::Mesh;
use std::time::Duration;
use vidstream_mesh::lifecycle::Lifecycle;

/// How a process is asked to stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    /// SIGTERM: by whoever runs servers.
    Terminate,
    /// SIGINT: by Ctrl-C.
    Interrupt,
}

/// How long a process takes to stop.
#[derive(Clone, Copy, Debug)]
pub struct Stops {
    /// How long everything goes on, while balancers are told to send nobody any more.
    pub drain: Duration,
    /// How long what is under way may take to end then.
    pub grace: Duration,
}

/// Lets `mesh` work until it is `asked` to stop, or a part of it ends that must not. Then it drains, and all that is under way may
/// end by itself, or until it is asked once more.
///
/// # Errors
/// A part of it ended that must not.
pub async fn run_until(
    mut asked: impl AsyncFnMut() -> Asked,
    mesh: &Mesh,
    life: &Lifecycle,
    Stops { drain, grace }: Stops,
) -> anyhow::Result<()> {
    let first = tokio::select! {
        first = asked() => Some(first),
        () = life.stopping().cancelled() => None,
    };
    mesh.say_not_serving().await;
    life.drain();
    let mut crashed = first.is_none();
    // Whoever stops it by hand sends nobody elsewhere.
    if first == Some(Asked::Terminate) && !drain.is_zero() {
        tracing::info!(?drain, "draining; a second signal stops at once");
        tokio::select! {
            () = tokio::time::sleep(drain) => {}
            () = life.stopping().cancelled() => crashed = true,
            _ = asked() => {
                life.stopped().cancel();
                return Ok(());
            }
        }
    }
    tracing::info!("stopping; a second signal stops at once");
    let ending = async {
        if !life.stop(grace).await {
            tracing::warn!(?grace, "not everything ended in time");
        }
        mesh.send_last_spans().await;
    };
    tokio::select! {
        () = ending => {}
        _ = asked() => life.stopped().cancel(),
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

    fn stops(grace: u64) -> Stops {
        Stops { drain: Duration::from_secs(1), grace: Duration::from_secs(grace) }
    }

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
        let outcome = run_until(pending::<Asked>, &Mesh::bare(), &life, stops(10)).await;
        assert!(outcome.is_err() && ended.load(Ordering::SeqCst), "{outcome:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_terminated_goes_on_for_a_while() {
        let life = Lifecycle::new();
        let ended = under_way(&life, Duration::ZERO);
        let (ask, mut asked) = mpsc::unbounded_channel();
        ask.send(Asked::Terminate).expect("somebody hears");
        let began = tokio::time::Instant::now();
        let asked = async || asked.recv().await.expect("nobody hangs up");
        run_until(asked, &Mesh::bare(), &life, stops(10)).await.expect("in order");
        assert!(life.draining().is_cancelled() && ended.load(Ordering::SeqCst));
        assert!((1..3).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn asked_twice_it_waits_for_nobody() {
        let life = Lifecycle::new();
        let ended = under_way(&life, Duration::from_secs(5));
        let (ask, mut asked) = mpsc::unbounded_channel();
        (0..2).for_each(|_| ask.send(Asked::Interrupt).expect("somebody hears"));
        let asked = async || asked.recv().await.expect("nobody hangs up");
        run_until(asked, &Mesh::bare(), &life, stops(3600)).await.expect("in order");
        assert!(!ended.load(Ordering::SeqCst) && life.stopped().is_cancelled());
    }
}
