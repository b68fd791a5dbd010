//! Whether an ffmpeg still is what it was when it was found, and has all that is asked of it.

use super::args;
use super::plan::Decoder;
use super::program::{Program, ProgramError};
use std::collections::HashSet;
use std::time::Duration;

/// Longer than any ffmpeg takes to say what it has.
const PATIENCE: Duration = Duration::from_secs(8);
const DECODERS: [(Decoder, &str); 4] = [
    (Decoder::H264, "decoder for H.264"),
    (Decoder::Hevc, "decoder for HEVC"),
    (Decoder::Vp9, "decoder for VP9"),
    (Decoder::Av1, "decoder for AV1"),
];
const ENCODERS: [(&str, &str); 2] = [("libx264", "encoder for H.264 (libx264)"), ("aac", "encoder for AAC")];
/// Those that arguments name.
const FILTERS: [(&str, &str); 10] = [
    ("scale", "filter scale"),
    ("transpose", "filter transpose"),
    ("hflip", "filter hflip"),
    ("vflip", "filter vflip"),
    ("setsar", "filter setsar"),
    ("format", "filter format"),
    ("bwdif", "filter bwdif"),
    ("aresample", "filter aresample"),
    ("zscale", "filter zscale"),
    ("tonemap", "filter tonemap"),
];

impl Program {
    /// Its version, and what it lacks.
    pub(crate) async fn examine(&self) -> Result<(String, Vec<&'static str>), ProgramError> {
        let version = self.version(PATIENCE).await?;
        let lists = tokio::try_join!(self.list("-decoders"), self.list("-encoders"), self.list("-filters"));
        let (decoders, encoders, filters) = lists?;
        let lacks_decoder = |(decoder, name): (Decoder, &'static str)| {
            (!args::decoders(decoder).split(',').any(|known| decoders.contains(known))).then_some(name)
        };
        let missing =
            |list: &HashSet<String>, (name, what): (&str, &'static str)| (!list.contains(name)).then_some(what);
        let lacks = DECODERS.into_iter().filter_map(lacks_decoder);
        let lacks = lacks.chain(ENCODERS.into_iter().filter_map(|encoder| missing(&encoders, encoder)));
        Ok((version, lacks.chain(FILTERS.into_iter().filter_map(|filter| missing(&filters, filter))).collect()))
    }

    /// The names of one of its lists: they stand behind a word of flags.
    async fn list(&self, what: &str) -> Result<HashSet<String>, ProgramError> {
        let said = self.says(&["-hide_banner", what], PATIENCE).await?;
        Ok(said.lines().filter_map(|line| line.split_whitespace().nth(1)).map(ToOwned::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::program::{Limits, for_tests};
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[tokio::test]
    async fn the_ffmpeg_of_this_machine_lacks_nothing() {
        let (version, lacks) = for_tests().await.examine().await.expect("it answers");
        assert!(version.contains('.') && lacks.is_empty(), "{version} {lacks:?}");
    }

    #[tokio::test]
    async fn what_it_lacks_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ffmpeg");
        let filters =
            "for name in scale setsar format bwdif aresample zscale tonemap; do echo ' ...' $name 'V->V'; done";
        let decoders = "echo ' V....D h264 H.264'; echo ' V....D av1 AV1'";
        let lists = format!("-decoders) {decoders};; -encoders) echo ' A..... aac AAC';; -filters) {filters};;");
        let script =
            format!("#!/bin/sh\nfor last; do :; done\ncase $last in {lists} *) echo ffmpeg version 7.0 x;; esac\n");
        std::fs::write(&path, script).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("allowed");
        let program = Program::find(&path, Limits::default()).await.expect("it says so");
        let (version, lacks) = program.examine().await.expect("it answers");
        assert_eq!(version, "7.0");
        let coders = ["decoder for HEVC", "decoder for VP9", "encoder for H.264 (libx264)"];
        assert_eq!(lacks, [&coders[..], &["filter transpose", "filter hflip", "filter vflip"]].concat());
        std::fs::remove_file(&path).expect("removed");
        program.examine().await.expect_err("it is gone");
    }
}
