//! What is said, and where: stdout is data, stderr is everything else. No escape sequence goes into a pipe, and
//! `NO_COLOR` is heeded.

use crate::errors::Failure;
use crate::settings::Output;
use crate::{explanation, render};
use anstyle::{AnsiColor, Style};
use std::io::{self, Write};
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
            Output::Table => line(&render::line(video)),
            Output::Json => line(&json::to_string("Video", video)),
        }
    }

    /// Everything about one video.
    pub fn sheet(self, video: &pb::Video) -> Result<(), Failure> {
        match self.output {
            Output::Table => out(&render::sheet(video)),
            Output::Json => self.video(video),
        }
    }

    /// What became of a video's file and why.
    pub fn explanation(self, explanation: &pb::Explanation) -> Result<(), Failure> {
        match self.output {
            Output::Table => out(&explanation::text(explanation)),
            Output::Json => line(&json::to_string("Explanation", explanation)),
        }
    }

    /// Captions of a video.
    pub fn captions(self, captions: &[pb::Captions]) -> Result<(), Failure> {
        match self.output {
            Output::Table => out(&render::captions(captions)),
            Output::Json => captions.iter().try_for_each(|one| line(&json::to_string("Captions", one))),
        }
    }

    /// Where a video plays; people need the one `address`.
    pub fn playback(self, playback: &pb::Playback, address: &str) -> Result<(), Failure> {
        match self.output {
            Output::Table => line(address),
            Output::Json => line(&json::to_string("Playback", playback)),
        }
    }

    /// Garbage that was found, or what it came to.
    pub fn garbage(self, message: &pb::CollectGarbageResponse) -> Result<(), Failure> {
        let Some(event) = &message.event else { return Ok(()) };
        match self.output {
            Output::Table => line(&render::garbage(event)),
            Output::Json => line(&json::to_string("CollectGarbageResponse", message)),
        }
    }

    /// Something that was found of the server, or what it came to.
    pub fn diagnosis(self, message: &pb::DiagnoseResponse) -> Result<(), Failure> {
        let Some(event) = &message.event else { return Ok(()) };
        match self.output {
            Output::Table => out(&render::diagnosis(event)),
            Output::Json => line(&json::to_string("DiagnoseResponse", message)),
        }
    }

    /// Something that happened. Silence is not printed.
    pub fn event(self, message: &pb::WatchVideosResponse) -> Result<(), Failure> {
        let Some(text) = message.event.as_ref().and_then(render::event) else { return Ok(()) };
        match self.output {
            Output::Table => line(&text),
            Output::Json => line(&json::to_string("WatchVideosResponse", message)),
        }
    }
}

/// Prints a line of data.
fn line(line: &str) -> Result<(), Failure> {
    out(&format!("{line}\n"))
}

/// Says something beside the data.
pub fn note(text: &str) {
    // Where stderr is gone there is nobody to tell.
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Says something people should know though the command goes on.
pub fn warning(text: &str) {
    labelled("warning", AnsiColor::Yellow, text);
}

/// Says what went wrong.
pub fn failure(failure: &Failure) {
    let Failure::Told { message, hint, .. } = failure else { return };
    labelled("error", AnsiColor::Red, message);
    if let Some(hint) = hint {
        labelled("hint", AnsiColor::Cyan, hint);
    }
}

fn out(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|error| Failure::stdout(&error))
}

fn labelled(label: &str, color: AnsiColor, text: &str) {
    let style = Style::new().bold().fg_color(Some(color.into()));
    note(&format!("{style}{label}{style:#}: {text}"));
}
