//! The secret that services of one mesh share.

use crate::reread::Reread;
use http::HeaderValue;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The fewest bytes of a token.
const SHORTEST: usize = 16;

/// What services prove by that they belong to the mesh, from a file that is read again when it changed.
///
/// The file has one line, or two while the secret changes: the first is sent, both are accepted. So a secret is changed
/// in three steps, each on all machines before the next: old and new, new and old, new.
#[derive(Clone)]
pub struct MeshToken {
    tokens: Arc<Reread<Tokens>>,
}

/// One or two tokens, as headers.
type Tokens = Arc<[HeaderValue]>;

/// Why a file gives no token. Says nothing of what is in it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the mesh token file `{}` {why}", file.display())]
pub struct TokenError {
    file: PathBuf,
    why: String,
}

impl MeshToken {
    /// Reads `file`.
    pub fn read(file: impl Into<PathBuf>) -> Result<Self, TokenError> {
        let tokens = Reread::read("the mesh token", vec![file.into()], |files| tokens(&files[0]))?;
        Ok(Self { tokens: Arc::new(tokens) })
    }

    /// What a client sends as `authorization`.
    pub(crate) fn header(&self) -> HeaderValue {
        // There is at least one.
        self.current()[0].clone()
    }

    /// Whether this is the `authorization` of a service of the mesh. Takes as long for a token that is nearly right as for
    /// any other.
    pub(crate) fn accepts(&self, authorization: &[u8]) -> bool {
        let given = blake3::hash(authorization);
        // Comparing such hashes takes constant time; and no short cut after the first.
        let right = |right: bool, token: &HeaderValue| right | (blake3::hash(token.as_bytes()) == given);
        self.current().iter().fold(false, right)
    }

    fn current(&self) -> Tokens {
        self.tokens.current(|files| tokens(&files[0]))
    }
}

impl fmt::Debug for MeshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshToken").field("file", &self.tokens.files()).finish_non_exhaustive()
    }
}

fn tokens(file: &Path) -> Result<Tokens, TokenError> {
    let wrong = |why: String| TokenError { file: file.to_owned(), why };
    let text = fs::read_to_string(file).map_err(|error| wrong(format!("can't be read: {error}")))?;
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() || lines.len() > 2 {
        return Err(wrong(format!("has {} lines; it needs one, or two while the token changes", lines.len())));
    }
    if lines.iter().any(|line| line.len() < SHORTEST) {
        return Err(wrong(format!("has a token of less than {SHORTEST} bytes")));
    }
    let header = |line: &&str| {
        let graphic = line.bytes().all(|byte| byte.is_ascii_graphic());
        let mut header = HeaderValue::try_from(format!("Bearer {line}")).ok().filter(|_| graphic);
        if let Some(header) = &mut header {
            header.set_sensitive(true);
        }
        header.ok_or_else(|| wrong("has bytes in its token that are no visible ASCII".to_owned()))
    };
    lines.iter().map(header).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const LOOKS_APART: Duration = Duration::from_secs(1);
    const OLD: &str = "0123456789abcdef";
    const NEW: &str = "fedcba9876543210";

    fn bearer(token: &str) -> Vec<u8> {
        format!("Bearer {token}").into_bytes()
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_change_without_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        fs::write(&file, format!("  {OLD}\n")).expect("written");
        let token = MeshToken::read(&file).expect("a token");
        let accepts = |given: &str| token.accepts(&bearer(given));
        assert!(accepts(OLD) && !accepts(NEW) && !accepts("") && !token.accepts(OLD.as_bytes()));
        assert!(!format!("{token:?}").contains(OLD));
        fs::write(&file, format!("{NEW}\n\n{OLD}\n")).expect("written");
        assert!(!accepts(NEW), "it is looked at once a second");
        tokio::time::advance(LOOKS_APART).await;
        assert!(accepts(OLD) && accepts(NEW));
        assert_eq!(token.header().as_bytes(), bearer(NEW));
        // What is broken changes nothing.
        fs::write(&file, "short").expect("written");
        tokio::time::advance(LOOKS_APART).await;
        assert!(accepts(OLD) && accepts(NEW) && !accepts("short"));
        fs::write(&file, NEW).expect("written");
        tokio::time::advance(LOOKS_APART).await;
        assert!(!accepts(OLD) && accepts(NEW));
    }

    #[test]
    fn files_that_give_no_token_are_refused_in_words() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        let refused = || MeshToken::read(&file).expect_err("refused").to_string();
        assert!(refused().contains("can't be read"));
        for (text, why) in [
            ("", "has 0 lines"),
            ("0123456789abcdef\nfedcba9876543210\n0123456789abcdeg", "has 3 lines"),
            ("0123456789abcde", "less than 16 bytes"),
            ("0123456789abcdef 01", "visible ASCII"),
            ("0123456789abcdefü", "visible ASCII"),
        ] {
            fs::write(&file, text).expect("written");
            let error = refused();
            assert!(error.contains(why), "{text}: {error}");
            assert!(text.is_empty() || !error.contains(&text[..15]), "{error}");
        }
    }
}
