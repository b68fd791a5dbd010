//! `vidstream`: parse settings, wire the services, run until a signal.

mod allocator;
mod args;
mod data_dir;
mod settings;
mod wiring;

use crate::args::Args;
use crate::data_dir::DataDir;
use crate::settings::{Mistakes, Settings};
use anyhow::Context;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use vidstream_mesh::lifecycle::Lifecycle;
use vidstream_mesh::telemetry;

/// How long open requests and jobs may take to end.
const GRACE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    allocator::settle();
    let settings = match settings() {
        Ok(settings) => settings,
        Err(mistakes) => {
            eprint!("{mistakes}");
            return ExitCode::from(2);
        }
    };
    telemetry::init(settings.log_format);
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the runtime")
        .and_then(|runtime| runtime.block_on(Box::pin(run(settings))));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Settings out of all their layers, or every mistake in any of them.
fn settings() -> Result<Settings, Mistakes> {
    let (args, mut mistakes) = Args::read(std::env::args_os());
    let config = args.config.clone().or_else(|| std::env::var("VIDSTREAM_CONFIG").ok());
    let file = config.map(|path| {
        let text = std::fs::read_to_string(&path).map_err(|error| error.to_string());
        (path, text)
    });
    // Other programs' variables need not be text.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())));
    match Settings::resolve(file, environment, args.given()) {
        Ok(settings) if mistakes.is_empty() => Ok(settings),
        Ok(_) => Err(Mistakes(mistakes)),
        Err(Mistakes(more)) => {
            mistakes.extend(more);
            Err(Mistakes(mistakes))
        }
    }
}

async fn run(settings: Settings) -> anyhow::Result<()> {
    // Before anything answers: two processes on one directory would destroy it.
    let _lock = DataDir::open(&settings.data_dir)?;
    let life = Lifecycle::new();
    let mesh = wiring::start(&settings, &life).await?;
    announce(&mesh.address)?;
    stop_on_signal(&life).await?;
    tracing::info!("stopping; a second signal stops at once");
    mesh.say_not_serving().await;
    tokio::select! {
        orderly = life.stop(GRACE) => if !orderly {
            tracing::warn!(grace = ?GRACE, "not everything ended in time");
        },
        again = stop_signal() => again?,
    }
    Ok(())
}

/// The one line on stdout that scripts wait for.
fn announce(address: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "vidstream ready on {address}").and_then(|()| out.flush()).context("write to stdout")
}

/// Waits for a signal, or for a part of the process that crashed, which is a failure.
async fn stop_on_signal(life: &Lifecycle) -> anyhow::Result<()> {
    tokio::select! {
        asked = stop_signal() => asked,
        () = life.stopping().cancelled() => anyhow::bail!("a part of the server ended; the log says which"),
    }
}

/// Waits for Ctrl-C or SIGTERM.
async fn stop_signal() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
