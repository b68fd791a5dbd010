//! How far something is: a bar on a terminal, plain lines in a pipe.

use crate::{printer, text};
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;
use vidstream_proto::pb;

/// How far one thing is. Dropped, it takes its bar away.
#[derive(Debug)]
pub struct Progress {
    what: String,
    /// On a terminal.
    bar: Option<ProgressBar>,
    /// Last step of which a line was said in a pipe.
    said: String,
    /// Of the last stage heard of.
    sequence: u64,
}

impl Progress {
    /// Bytes on their way, `total` of them.
    pub fn transfer(what: &str, total: u64) -> Self {
        let template = "{prefix} {wide_bar} {bytes}/{total_bytes}, {binary_bytes_per_sec}, {eta} left";
        Self::new(what, bar(total, template))
    }

    /// Work on a video, in stages of 100 %.
    pub fn work(what: &str) -> Self {
        let bar = bar(100, "{prefix} {spinner} {bar:20} {msg}");
        if let Some(bar) = &bar {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self::new(what, bar)
    }

    fn new(what: &str, bar: Option<ProgressBar>) -> Self {
        let what = text::clean(what);
        if let Some(bar) = &bar {
            // So much of a long name that the rest of the line still has room.
            bar.set_prefix(what.chars().take(30).collect::<String>());
        }
        Self { what, bar, said: String::new(), sequence: 0 }
    }

    /// `done` of `total` bytes are there; in a pipe said at each tenth.
    pub fn bytes(&mut self, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            return;
        }
        let tenths = u128::from(done) * 10 / u128::from(total.max(1));
        let text = format!("{} % of {}", tenths * 10, text::size(total));
        self.say(text.clone(), &text);
    }

    /// A new stage or a step of one. What is older than the last is not shown.
    pub fn stage(&mut self, progress: &pb::Progress) {
        if progress.sequence < self.sequence {
            return;
        }
        self.sequence = progress.sequence;
        let stage = text::stage(progress.stage());
        if let Some(bar) = &self.bar {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100")]
            bar.set_position(progress.percent.clamp(0.0, 100.0) as u64);
            bar.set_message(format!("{stage}: {}", text::progress(progress)));
            return;
        }
        let tenths = (progress.percent.clamp(0.0, 100.0) / 10.0).floor();
        let step = format!("{stage} {:?} {} {tenths}", progress.state(), progress.queue_position);
        self.say(step, &format!("{stage}: {}", text::progress(progress)));
    }

    /// Something to know while it goes on.
    pub fn note(&self, note: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| printer::note(&format!("{}: {note}", self.what))),
            None => printer::note(&format!("{}: {note}", self.what)),
        }
    }

    /// A line for a pipe, if `step` is not the last one again.
    fn say(&mut self, step: String, line: &str) {
        if step != self.said {
            printer::note(&format!("{}: {line}", self.what));
            self.said = step;
        }
    }
}

/// A bar; none in a pipe.
fn bar(total: u64, template: &str) -> Option<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return None;
    }
    let style = ProgressStyle::with_template(template).expect("a template that was tried");
    Some(ProgressBar::new(total).with_style(style.progress_chars("━━╌")).with_finish(ProgressFinish::AndClear))
}
