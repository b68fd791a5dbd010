//! The corpus beside the project, where it is there.

use crate::same::{same_index, same_packaged};
use std::path::{Path, PathBuf};
use vidstream_media::indexer::{IndexError, index_bytes};

/// Its Matroska and WebM files of `kind`.
fn corpus(kind: &str) -> Vec<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/media");
    let root = std::env::var_os("TEST_MEDIA").map_or(beside, PathBuf::from);
    let Ok(entries) = root.join(kind).read_dir() else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| ["mkv", "webm", "mka"].iter().any(|other| end == *other)));
    files.sort();
    files
}

#[test]
fn good_and_odd_files_are_what_ffprobe_says() {
    for file in [corpus("good"), corpus("quirk")].concat() {
        match index_bytes(&std::fs::read(&file).expect("the file")) {
            Ok(_) => {
                same_index(&file);
                same_packaged(&file);
            }
            Err(error) => assert!(matches!(error, IndexError::NothingPlayable { .. }), "{}: {error}", file.display()),
        }
    }
}

#[test]
fn bad_and_hostile_files_end_in_an_index_or_a_sentence() {
    for file in [corpus("bad"), corpus("attack")].concat() {
        match index_bytes(&std::fs::read(&file).expect("the file")) {
            Ok(index) => println!("{}: {} tracks, cut off: {:?}", file.display(), index.tracks.len(), index.cut_off),
            Err(error) => {
                println!("{}: {error}", file.display());
                assert!(error.to_string().len() > 10);
            }
        }
    }
}
