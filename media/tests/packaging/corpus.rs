//! Files of the corpus, where it is there: what other people's tools write.

use crate::cases::assert_same;
use crate::clips::corpus;

#[test]
fn good_files() {
    for file in corpus("good").iter().filter(|file| !file.ends_with("flower-fragmented.mp4")) {
        eprintln!("{}", file.display());
        assert_same(file);
    }
}
