//! `vidstream`: parse settings, wire the services, run until a signal.

mod allocator;

use anyhow::Context;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use vidstream_mesh::lifecycle::Lifecycle;
use vidstream_mesh::telemetry;
use vidstream_server::args::Args;
use vidstream_server::data_dir::{CatalogFile, DataDir};
use vidstream_server::ending::{self, Asked};
use vidstream_server::settings::{Mistakes, Settings};
use vidstream_server::wiring;
use vidstream_transcoder::ProgramError;

/// How long what nobody can interrupt, a write to a disk say, is waited for after everything else has ended.
const LAST: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    allocator::settle();
    let settings = match settings() {
        Ok(settings) => settings,
        Err(mistakes) => {
            eprint!("{mistakes}");
            return ExitCode::from(2);
        }
    };
    telemetry::init(settings.log_format, vidstream_points::watcher());
    settings.unused.iter().for_each(|words| tracing::info!("{words}"));
    let outcome =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime").and_then(
            |runtime| {
                let outcome = runtime.block_on(Box::pin(run(settings)));
                // Dropping it would wait as long as they take, though grace is over.
                runtime.shutdown_timeout(LAST);
                outcome
            },
        );
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            // Found out by asking it, and a mistake in the settings like any other.
            if error.is::<ProgramError>() { ExitCode::from(2) } else { ExitCode::FAILURE }
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
    let _lock = settings.owns_data_dir().then(|| DataDir::open(&settings.data_dir)).transpose()?;
    let _catalog = settings.owned_catalog().map(CatalogFile::hold).transpose()?;
    // Before the ready line: who reads it may stop us at once, and in order too.
    let mut signals = StopSignals::listen()?;
    let life = Lifecycle::new();
    let started = tokio::select! {
        started = wiring::start(&settings, &life) => started.map(Some),
        _ = signals.next() => Ok(None),
    };
    let mesh = match started {
        Ok(Some(mesh)) => mesh,
        // Some of it may run already.
        ended => {
            life.stop(settings.grace).await;
            return ended.map(drop);
        }
    };
    announce(&mesh.address)?;
    let stops = ending::Stops { drain: settings.drain, grace: settings.grace };
    ending::run_until(async || signals.next().await, &mesh, &life, stops).await
}

/// The one line on stdout that scripts wait for.
fn announce(address: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "vidstream ready on {address}").and_then(|()| out.flush()).context("write to stdout")
}

/// What asks the process to stop: Ctrl-C and SIGTERM. From when it is made on, neither ends the process by itself.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("listen for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("listen for SIGINT")?,
        })
    }

    /// Waits for the next of them, also one that came before the call.
    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Terminate,
            _ = self.interrupt.recv() => Asked::Interrupt,
        }
    }
}
