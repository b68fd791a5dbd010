//! Files of the corpus, where it is there: what other people's tools write.

use crate::cases::assert_same;
use crate::clips::corpus;

#[test]
fn good_files() {
    for file in &corpus("good") {
        eprintln!("{}", file.display());
        assert_same(file);
    }
}
