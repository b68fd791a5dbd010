//! One module a command.

mod admin;
mod captions;
mod completions;
mod doctor;
mod download;
mod export;
mod list;
mod play;
mod update;
mod upload;
mod videos;
mod wait;
mod watch;

use crate::args::{Arguments, Command};
use crate::connect::Gateway;
use crate::errors::Failure;
use crate::printer::{self, Printer};
use std::time::SystemTime;
use vidstream_proto::error::Exit;
use vidstream_proto::ids::VideoId;
use vidstream_proto::pb;

/// What every command works with.
#[derive(Clone, Debug)]
pub struct Context {
    /// The server.
    pub gateway: Gateway,
    /// How to print.
    pub printer: Printer,
}

/// Does what the command line says. Failures of single IDs or FILEs are told on the way, the others are returned.
pub async fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let gateway = Gateway::new(arguments.server, arguments.ca_file.as_deref())?;
    let context = Context { gateway, printer: Printer::new(arguments.output) };
    let context = &context;
    match arguments.command {
        Command::Upload(args) => Box::pin(upload::run(context, args)).await,
        Command::List(args) => list::run(context, args).await,
        Command::Get(args) => videos::get(context, &args.id).await,
        Command::Explain(args) => videos::explain(context, &args.id).await,
        Command::Update(args) => update::run(context, args).await,
        Command::Captions(args) => captions::run(context, args.command).await,
        Command::Rm(args) => videos::remove(context, args).await,
        Command::Restore(args) => videos::restore(context, args).await,
        Command::Retry(args) => videos::retry(context, args).await,
        Command::Download(args) => Box::pin(download::run(context, args)).await,
        Command::Export(args) => Box::pin(export::run(context, args)).await,
        Command::Watch(args) => Box::pin(watch::run(context, args)).await,
        Command::Play(args) => play::run(context, &args.id).await,
        Command::Admin(args) => admin::run(context, args.command).await,
        Command::Doctor => doctor::run(context).await,
        Command::Completions(args) => completions::run(args.shell),
    }
}

/// Tries all items, tells each failure, and answers with the worst code.
async fn each<T>(
    items: impl IntoIterator<Item = T>,
    mut try_one: impl AsyncFnMut(T) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    let mut worst = Exit::Done;
    for item in items {
        match try_one(item).await {
            Ok(()) => {}
            Err(Failure::ReaderLeft) => return Err(Failure::ReaderLeft),
            Err(failure) => {
                printer::failure(&failure);
                worst = worst.max(failure.exit());
            }
        }
    }
    Ok(worst)
}

/// How a removed video is brought back, if it can be.
fn restorable(video: &pb::Video) -> Option<String> {
    let purge = SystemTime::try_from(video.purge_time?).ok()?;
    let can_be = purge > SystemTime::now();
    can_be.then(|| format!("`vidctl restore {}` brings it back until its purge time", video.id))
}

/// The id of a video as it was typed.
fn video_id(text: &str) -> Result<VideoId, Failure> {
    text.to_ascii_lowercase().parse().map_err(|_| {
        Failure::new(Exit::Usage, format!("`{}` is not the id of a video", crate::text::clean(text)))
            .hint("`vidctl list` shows the ids")
    })
}
