//! Logs: to stderr, as text or JSON.

use std::io::IsTerminal;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// Somebody who hears of every event, whatever is logged.
pub type Watcher = Box<dyn Layer<Registry> + Send + Sync>;

/// Sends logs to stderr, and everything to `watcher`, if there is one. `RUST_LOG` filters; `info` without it. The first call
/// of a process wins.
pub fn init(format: LogFormat, watcher: Option<Watcher>) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    if tracing_subscriber::registry().with(watcher).with(lines.with_filter(filter)).try_init().is_err() {
        tracing::debug!("logs were set up before");
    }
}
