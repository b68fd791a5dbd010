//! The corpus beside the project, where it is there: good files exactly, all others without harm.

use crate::clips::corpus;
use crate::judge;
use vidstream_media::mp4::IndexError;

#[test]
fn good_and_odd_files_are_what_ffprobe_says() {
    let mut judged = 0;
    for file in [corpus("good"), corpus("quirk")].concat() {
        match judge::index(&file) {
            Ok(_) => {
                judge::same_as_ffprobe(&file);
                judged += 1;
            }
            Err(error) if file.parent().is_some_and(|folder| folder.ends_with("quirk")) => {
                assert!(matches!(error, IndexError::NothingPlayable { .. }), "{}: {error}", file.display());
            }
            Err(error) => panic!("{}: {error}", file.display()),
        }
    }
    println!("{judged} files of the corpus judged");
}

#[test]
fn bad_and_hostile_files_end_in_an_index_or_a_sentence() {
    let mut seen = 0;
    for file in [corpus("bad"), corpus("attack")].concat() {
        match judge::index(&file) {
            Ok(index) => assert!(!index.tracks.is_empty(), "{}", file.display()),
            Err(error) => assert!(error.to_string().len() > 10, "{}: {error}", file.display()),
        }
        seen += 1;
    }
    println!("{seen} bad and hostile files of the corpus seen");
}
