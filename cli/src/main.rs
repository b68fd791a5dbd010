//! `vidctl`: uploads, watches and manages videos on a VidStream server.

mod args;
mod commands;
mod connect;
mod errors;
mod explanation;
mod feed;
mod http;
mod part;
mod printer;
mod progress;
mod ranges;
mod render;
mod retry;
mod secure;
mod settings;
mod state;
mod target;
mod text;
mod upload;

use args::{Arguments, Command};
use clap::Parser;
use errors::Failure;
use std::process::ExitCode;
use vidstream_proto::error::Exit;

fn main() -> ExitCode {
    // Help, version and usage errors end here, before anything else is set up.
    let arguments = Arguments::parse();
    let exit = run(arguments).unwrap_or_else(|failure| {
        printer::failure(&failure);
        failure.exit()
    });
    ExitCode::from(exit as u8)
}

fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("can't start: {error}")))?;
    let interrupted = interrupted(&arguments.command);
    // It takes back what it began.
    let cleans_up = matches!(arguments.command, Command::Export(_));
    let ended = runtime.block_on(async {
        tokio::select! {
            ended = Box::pin(commands::run(arguments)) => ended,
            Ok(()) = tokio::signal::ctrl_c(), if !cleans_up => interrupted,
        }
    });
    // Threads that still read a file need not be waited for.
    runtime.shutdown_background();
    ended
}

/// What Ctrl-C means to a command.
fn interrupted(command: &Command) -> Result<Exit, Failure> {
    let failure = Failure::failed("interrupted");
    match command {
        Command::Watch(_) => Ok(Exit::Done),
        Command::Upload(_) | Command::Download(_) => Err(failure.hint("the same command continues")),
        _ => Err(failure),
    }
}
