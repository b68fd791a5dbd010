//! What is said, and where: stdout is data, stderr is everything else. No escape sequence goes into a pipe, and
//! `NO_COLOR` is heeded.

use crate::errors::Failure;
use crate::progress::Progress;
use crate::render;
use crate::settings::Output;
use anstyle::{AnsiColor, Style};
use std::io::{self, IsTerminal, Write};
use vidstream_proto::{json, pb};

/// Prints in the format that was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Printer {
    output: Output,
}

impl Printer {
    /// Prints as `output`.
    pub fn new(output: Output) -> Self {
        Self { output }
    }

    /// Whether programs read it.
    pub fn is_json(self) -> bool {
        self.output == Output::Json
    }

    /// Several videos at once.
    pub fn videos(self, videos: &[pb::Video]) -> Result<(), Failure> {
        match self.output {
            Output::Table => out(&render::table(videos)),
            Output::Json => videos.iter().try_for_each(|video| self.video(video)),
        }
    }

    /// A video that something was done with.
    pub fn video(self, video: &pb::Video) -> Result<(), Failure> {
        match self.output {
            Output::Table => self.line(&render::line(video)),
            Output::Json => self.line(&json::to_string("Video", video)),
        }
    }

    /// Everything about one video.
    pub fn sheet(self, video: &pb::Video) -> Result<(), Failure> {
        match self.output {
            Output::Table => out(&render::sheet(video)),
            Output::Json => self.video(video),
        }
    }

    /// Something that happened. Silence is not printed.
    pub fn event(self, message: &pb::WatchVideosResponse) -> Result<(), Failure> {
        let Some(line) = message.event.as_ref().and_then(render::event) else { return Ok(()) };
        match self.output {
            Output::Table => self.line(&line),
            Output::Json => self.line(&json::to_string("WatchVideosResponse", message)),
        }
    }

    /// A line of data.
    pub fn line(self, line: &str) -> Result<(), Failure> {
        out(&format!("{line}\n"))
    }

    /// A sentence beside the data.
    pub fn note(self, text: &str) {
        say(text);
    }

    /// Something people should know though the command goes on.
    pub fn warning(self, text: &str) {
        say_labelled("warning", AnsiColor::Yellow, text);
    }

    /// What went wrong.
    pub fn failure(self, failure: &Failure) {
        let Failure::Told { message, hint, .. } = failure else { return };
        say_labelled("error", AnsiColor::Red, message);
        if let Some(hint) = hint {
            say_labelled("hint", AnsiColor::Cyan, hint);
        }
    }

    /// Bytes on their way.
    pub fn transfer(self, what: &str, total: u64) -> Progress {
        Progress::transfer(what, total, io::stderr().is_terminal())
    }

    /// Work on a video.
    pub fn work(self, what: &str) -> Progress {
        Progress::work(what, io::stderr().is_terminal())
    }
}

fn out(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|error| Failure::stdout(&error))
}

/// Says `text` on stderr. Where stderr is gone there is nobody to tell.
pub fn say(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

fn say_labelled(label: &str, color: AnsiColor, text: &str) {
    let style = Style::new().bold().fg_color(Some(color.into()));
    say(&format!("{style}{label}{style:#}: {text}"));
}
