//! The command line: types and their help, nothing else.

use crate::settings::{Output, PurgeAfter, Server};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::path::PathBuf;
use vidstream_proto::pb;

/// Uploads, watches and manages videos on a VidStream server.
#[derive(Parser, Debug)]
#[command(
    name = "vidctl",
    version,
    after_help = "Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 server unreachable.\n\
                  With several IDs or FILEs all are tried; the highest code that occurred is given."
)]
pub struct Arguments {
    /// Where the server is
    #[arg(
        long,
        global = true,
        help_heading = "Everywhere",
        value_name = "URL",
        env = "VIDCTL_SERVER",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8080"
    )]
    pub server: Server,

    /// Who signs the server's certificate, PEM [default: those that this machine believes]
    #[arg(
        long,
        global = true,
        help_heading = "Everywhere",
        value_name = "FILE",
        env = "VIDCTL_CA_FILE",
        hide_env_values = true
    )]
    pub ca_file: Option<PathBuf>,

    /// What is printed: tables for people, or JSON (one object a line) for programs
    #[arg(long, global = true, help_heading = "Everywhere", value_name = "FORMAT", default_value = "table")]
    pub output: Output,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Upload files; the same command after an interruption continues
    Upload(Upload),
    /// List videos
    List(List),
    /// Show one video
    Get(One),
    /// Say what became of a video's file and why: track by track, step by step, with what each step took
    Explain(One),
    /// Change a video's title, description or tags
    Update(Update),
    /// Add captions to a video, take them away, list them
    Captions(Captions),
    /// Remove videos: hidden at once, restorable until their purge time
    Rm(Remove),
    /// Show removed videos again
    Restore(Several),
    /// Run failed parts of videos again
    Retry(Several),
    /// Download the original file; the same command after an interruption continues
    Download(Download),
    /// Write the original as one object on S3
    Export(Export),
    /// Print changes of videos as they happen
    Watch(Watch),
    /// Print where a video plays and start a player
    Play(One),
    /// Look after the server as a whole
    Admin(Admin),
    /// Look for what is wrong with the server and what it works with, and say what to do
    Doctor,
    /// Print a completion script for a shell
    Completions(Completions),
}

/// `upload`
#[derive(Args, Debug)]
pub struct Upload {
    /// Files to upload
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Title of the video [default: the file's name without its ending]
    #[arg(long)]
    pub title: Option<String>,

    /// Wait until the video is ready, or until its previews are there too (`--wait=all`)
    #[arg(long, value_name = "UNTIL", num_args = 0..=1, require_equals = true, default_missing_value = "ready")]
    pub wait: Option<WaitUntil>,
}

/// How long `upload --wait` waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum WaitUntil {
    // Until the video plays, or failed.
    Ready,
    // Until its storyboard, its poster and what is encoded of it are finished too.
    All,
}

/// `list`
#[derive(Args, Debug)]
pub struct List {
    /// Only videos of this state; removed ones are listed only if asked for
    #[arg(long)]
    pub state: Option<State>,

    /// Only videos with these words: each must begin a word of title or tags
    #[arg(long, value_name = "WORDS")]
    pub search: Option<String>,

    /// Newest first, or by title
    #[arg(long, default_value = "created")]
    pub order: Order,

    /// List at most so many [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
}

/// States of a video, as they are typed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum State {
    Uploading,
    Processing,
    Ready,
    Failed,
    Removed,
}

impl From<State> for pb::VideoState {
    fn from(state: State) -> Self {
        match state {
            State::Uploading => Self::Uploading,
            State::Processing => Self::Processing,
            State::Ready => Self::Ready,
            State::Failed => Self::Failed,
            State::Removed => Self::Removed,
        }
    }
}

/// Orders of a list, as they are typed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Order {
    Created,
    Title,
}

impl From<Order> for pb::VideoOrder {
    fn from(order: Order) -> Self {
        match order {
            Order::Created => Self::Created,
            Order::Title => Self::Title,
        }
    }
}

/// A command on one video.
#[derive(Args, Debug)]
pub struct One {
    /// ID of the video
    #[arg(value_name = "ID")]
    pub id: String,
}

/// A command on several videos.
#[derive(Args, Debug)]
pub struct Several {
    /// IDs of the videos
    #[arg(required = true, value_name = "ID")]
    pub ids: Vec<String>,
}

/// `update`
#[derive(Args, Debug)]
pub struct Update {
    /// ID of the video
    #[arg(value_name = "ID")]
    pub id: String,

    /// What changes.
    #[command(flatten)]
    pub changes: Changes,

    /// Change nothing unless the video still has this revision
    #[arg(long, value_name = "REVISION")]
    pub if_revision: Option<i64>,
}

/// What `update` changes; at least one of them.
#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
pub struct Changes {
    /// New title
    #[arg(long)]
    pub title: Option<String>,

    /// New description; an empty one clears it
    #[arg(long)]
    pub description: Option<String>,

    /// New tags, replacing the old ones; repeat it for several
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,

    /// Take all tags away
    #[arg(long, conflicts_with = "tags")]
    pub clear_tags: bool,
}

/// `captions`
#[derive(Args, Debug)]
pub struct Captions {
    /// What to do.
    #[command(subcommand)]
    pub command: CaptionsCommand,
}

/// What `captions` does.
#[derive(Subcommand, Debug)]
pub enum CaptionsCommand {
    /// Add a WebVTT or SubRip (SRT) file; captions of the same language and label are replaced
    Add(AddCaptions),
    /// Take captions away
    Rm(RemoveCaptions),
    /// List the captions that were added to a video
    List(One),
}

/// `captions add`
#[derive(Args, Debug)]
pub struct AddCaptions {
    /// ID of the video
    #[arg(value_name = "ID")]
    pub id: String,

    /// WebVTT or SubRip (SRT), in UTF-8 or in UTF-16 with a byte order mark, at most 2 MiB
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Language tag, such as `en` or `pt-BR`; `und` where there is none
    #[arg(long, value_name = "TAG")]
    pub language: String,

    /// What people choose them by in a player's menu [default: the language]
    #[arg(long)]
    pub label: Option<String>,

    /// Players show them without being asked: what is said or written in another language than the viewer's
    #[arg(long)]
    pub forced: bool,
}

/// `captions rm`
#[derive(Args, Debug)]
pub struct RemoveCaptions {
    /// ID of the video
    #[arg(value_name = "ID")]
    pub id: String,

    /// ID of the captions, or their language where no others of the video have it
    #[arg(value_name = "CAPTIONS")]
    pub captions: String,
}

/// `rm`
#[derive(Args, Debug)]
pub struct Remove {
    /// IDs of the videos
    #[arg(required = true, value_name = "ID")]
    pub ids: Vec<String>,

    /// How long they can be restored, such as `0s`, `10m`, `24h` or `7d` [default: the server's setting, 24h]
    #[arg(long, value_name = "DURATION")]
    pub purge_after: Option<PurgeAfter>,
}

/// `download`
#[derive(Args, Debug)]
pub struct Download {
    /// ID of the video
    #[arg(value_name = "ID")]
    pub id: String,

    /// Where the file goes; `-` is stdout. Until it is whole it is called FILE.part
    #[arg(short = 'o', long = "file", value_name = "FILE")]
    pub file: PathBuf,
}

/// `export`
#[derive(Args, Debug)]
pub struct Export {
    /// ID of the video
    #[arg(value_name = "ID")]
    pub id: String,

    /// Where to: `s3://BUCKET/KEY`, of another server than Amazon's with `?endpoint=URL`. A key that ends with `/` gets the file's name
    #[arg(value_name = "S3-URL")]
    pub destination: String,

    /// Write over an object that is there
    #[arg(long)]
    pub replace: bool,
}

/// `watch`
#[derive(Args, Debug)]
pub struct Watch {
    /// Only this video, until its parts are finished [default: all, until Ctrl-C]
    #[arg(value_name = "ID")]
    pub id: Option<String>,
}

/// `admin`
#[derive(Args, Debug)]
pub struct Admin {
    /// What to do.
    #[command(subcommand)]
    pub command: AdminCommand,
}

/// What `admin` does.
#[derive(Subcommand, Debug)]
pub enum AdminCommand {
    /// Remove stored objects that nothing refers to, which the server does by itself now and then
    Gc(Gc),
}

/// `admin gc`
#[derive(Args, Debug)]
pub struct Gc {
    /// Only say what would be removed
    #[arg(long)]
    pub dry_run: bool,

    /// Take the objects over from another catalog first: all that this one does not know goes
    #[arg(long)]
    pub adopt: bool,
}

/// `completions`
#[derive(Args, Debug)]
pub struct Completions {
    /// Which shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }
}
