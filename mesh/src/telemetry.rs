//! Logs: to stderr, as text or JSON. Each line of a request has the id of its trace.

use crate::trace;
use std::fmt;
use std::io::IsTerminal;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{self, FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, layer};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

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

/// What is logged where `RUST_LOG` does not say it. RabbitMQ's client calls each end of a connection an error and tells it in its
/// own structures, just before our sentence on it.
const DEFAULT: &str = "info,lapin=off";

/// Sends logs to stderr, and everything to `watcher`, if there is one. `RUST_LOG` filters. The first call of a process wins.
pub fn init(format: LogFormat, watcher: Option<Watcher>) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let lines = layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => {
            let text = format::format().with_ansi(std::io::stderr().is_terminal());
            lines.event_format(Traced { line: text, add: add_to_text }).boxed()
        }
        LogFormat::Json => {
            let json = format::format().json();
            lines.fmt_fields(format::JsonFields::new()).event_format(Traced { line: json, add: add_to_json }).boxed()
        }
    };
    if tracing_subscriber::registry().with(watcher).with(lines.with_filter(filter)).try_init().is_err() {
        tracing::debug!("logs were set up before");
    }
}

/// A format of lines, with the id of the trace that the running task works for.
///
/// A span of `tracing` around each request would do the same, and cost a microsecond for each that logs nothing.
struct Traced<F> {
    line: F,
    add: fn(&str, trace::TraceId, &mut Writer<'_>) -> fmt::Result,
}

impl<S, N, F> FormatEvent<S, N> for Traced<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Some(at) = trace::current() else { return self.line.format_event(context, writer, event) };
        let mut line = String::new();
        self.line.format_event(context, Writer::new(&mut line), event)?;
        (self.add)(line.trim_end_matches('\n'), at.trace, &mut writer)
    }
}

fn add_to_text(line: &str, id: trace::TraceId, writer: &mut Writer<'_>) -> fmt::Result {
    writeln!(writer, "{line} trace_id={id}")
}

fn add_to_json(line: &str, id: trace::TraceId, writer: &mut Writer<'_>) -> fmt::Result {
    let open = line.strip_suffix('}').ok_or(fmt::Error)?;
    writeln!(writer, "{open},\"trace_id\":\"{id}\"}}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Active, TraceContext, Tracer, at};
    use std::io;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::fmt::MakeWriter;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Kept {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    /// What is logged within a trace, and without one.
    fn logged(layer: impl FnOnce(Kept) -> Box<dyn Layer<Registry> + Send + Sync>) -> (String, Vec<String>) {
        let kept = Kept::default();
        let context = TraceContext::begin(false);
        let active = Active { context, tracer: Tracer::default(), service: "test" };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer(kept.clone())), || {
            at(&active, || tracing::info!(what = "in \"quotes\"", "within"));
            tracing::info!("without");
        });
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        (context.trace.to_string(), text.lines().map(ToOwned::to_owned).collect())
    }

    #[test]
    fn text_ends_with_the_trace() {
        let (id, lines) = logged(|kept| {
            let text = format::format().with_ansi(false);
            layer().with_writer(kept).event_format(Traced { line: text, add: add_to_text }).boxed()
        });
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("within") && lines[0].ends_with(&format!(" trace_id={id}")), "{lines:?}");
        assert!(!lines[1].contains("trace_id"), "{lines:?}");
    }

    #[test]
    fn json_has_the_trace() {
        let (id, lines) = logged(|kept| {
            let json = Traced { line: format::format().json(), add: add_to_json };
            layer().with_writer(kept).fmt_fields(format::JsonFields::new()).event_format(json).boxed()
        });
        let [within, without] = [0, 1].map(|line| serde_json::from_str::<serde_json::Value>(&lines[line]).unwrap());
        assert_eq!(within["trace_id"], id);
        assert_eq!(within["fields"]["what"], "in \"quotes\"");
        assert!(without.get("trace_id").is_none());
    }
}
