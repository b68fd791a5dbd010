//! `completions`: a script for a shell.

use crate::args::Arguments;
use crate::errors::Failure;
use clap::CommandFactory;
use clap_complete::Shell;
use std::io::Write;
use vidstream_proto::error::Exit;

pub fn run(shell: Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "vidctl", &mut script);
    std::io::stdout().write_all(&script).map_err(|error| Failure::stdout(&error))?;
    Ok(Exit::Done)
}
