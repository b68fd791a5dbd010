//! Words, as every store searches and sorts by them.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Bytes of a sort key that count; entries whose titles agree so far are sorted by id.
const LONGEST_KEY: usize = 240;

/// Compatibility-decomposed lower case, so that the same letters have the same bytes.
fn folded(text: &str) -> String {
    // Lower-casing can compose anew and decomposing can bring capitals out, hence both twice.
    let lower = |text: String| text.chars().flat_map(char::to_lowercase).collect::<String>();
    let folded = lower(lower(text.nfkd().collect()).nfkd().collect());
    // The final sigma is a form of the same letter.
    folded.replace('ς', "σ")
}

/// The words of a text: runs of letters, digits and the marks on them. Sorted, each once.
pub fn words(text: &str) -> Vec<String> {
    let folded = folded(text);
    let parts = folded.split(|c: char| !c.is_alphanumeric() && !is_combining_mark(c));
    let mut words: Vec<String> = parts.filter(|word| !word.is_empty()).map(str::to_owned).collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// The words that a query asks for; words that begin with another asked word count twice, so that one goes.
pub fn prefixes(query: &str) -> Vec<String> {
    let words = words(query);
    let implied = |word: &String| words.iter().any(|longer| longer != word && longer.starts_with(word.as_str()));
    words.iter().filter(|word| !implied(word)).cloned().collect()
}

/// What a title is sorted by.
pub fn title_key(title: &str) -> String {
    let mut key = folded(title);
    key.truncate(key.floor_char_boundary(LONGEST_KEY));
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_and_form_do_not_matter() {
        for (one, other) in [
            ("Café Sea", "CAFE\u{301} sea"),
            ("ﬁlm", "FILM"),
            ("ΟΔΟΣ", "οδος"),
            ("ＷＩＤＥ", "wide"),
            ("Straße", "STRAßE"),
        ] {
            assert_eq!(words(one), words(other), "{one} {other}");
        }
        assert_eq!(words("It's 4K, isn't it?"), ["4k", "isn", "it", "s", "t"]);
        assert_eq!(words(" -- "), Vec::<String>::new());
    }

    #[test]
    fn a_mark_belongs_to_its_word() {
        assert_eq!(words("naïve").len(), 1);
        assert!(words("café")[0].starts_with(&words("cafe")[0]));
    }

    #[test]
    fn shorter_asked_words_are_implied() {
        assert_eq!(prefixes("sea seaside SEA se boat"), ["boat", "seaside"]);
    }

    proptest! {
        #[test]
        fn folding_is_stable(text in "\\PC{0,40}") {
            prop_assert_eq!(folded(&folded(&text)), folded(&text));
            prop_assert!(title_key(&text.repeat(20)).len() <= LONGEST_KEY);
        }

        #[test]
        fn a_text_has_the_words_of_its_parts(one in "[\\p{L}\\p{N} ]{0,20}", other in "[\\p{L}\\p{N} ]{0,20}") {
            let both = words(&format!("{one} {other}"));
            for word in words(&one).iter().chain(&words(&other)) {
                prop_assert!(both.contains(word));
            }
        }
    }
}
