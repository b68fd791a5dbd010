//! The ffmpeg of a process: found before anything is asked of it, in a cage, and told of where the process says how it is.

use crate::settings::{Cage, Settings};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use vidstream_transcoder::{Layers, Program, ProgramError};

/// What the ffmpeg that is set is and can do, in what holds it on this machine.
pub(crate) fn recall(settings: &Settings) -> impl Future<Output = Result<Program, ProgramError>> + Send + use<> {
    let (set, note) = (settings.ffmpeg.clone(), settings.data_dir.join("ffmpeg.checked"));
    async move {
        let layers = match set.cage {
            Cage::Kernel => Layers::of_this_machine(),
            Cage::Bubblewrap => Layers::of_bubblewrap()?,
        };
        if !layers.hold() && !set.insecure {
            return Err(ProgramError::NoCage);
        }
        Program::recall(layers, &PathBuf::from(set.program), set.limits, &note).await
    }
}

/// What `/readyz` says of it.
pub(crate) fn about(program: Option<&Program>) -> Map<String, Value> {
    let about = program.map(|program| {
        let Layers { landlock, seccomp, bubblewrap } = program.layers();
        let said = json!({
            "version": program.said_version(),
            "caged": program.layers().hold(),
            "landlock": landlock,
            "seccomp": seccomp,
            "bubblewrap": bubblewrap,
            "leashed": program.leashed(),
        });
        ("ffmpeg".to_owned(), said)
    });
    about.into_iter().collect()
}
