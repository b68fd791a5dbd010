//! Which store, as written in the settings.

use super::{Result, Store, sqlite};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

/// Which store: `sqlite:PATH`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoreUrl {
    /// A file of this machine.
    Sqlite(PathBuf),
}

/// Why a store's URL was refused. The message is for the person who wrote the setting.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UrlError {
    /// There is no `scheme:` at all.
    #[error("{0:?} has no scheme; known for the catalog: sqlite:PATH")]
    NoScheme(String),
    /// The scheme is none of ours.
    #[error("{0}: is not a known scheme for the catalog; known: sqlite:PATH")]
    UnknownScheme(String),
    /// No file is named.
    #[error("{0:?} for the catalog: sqlite: needs the path of a file")]
    NoPath(String),
}

impl FromStr for StoreUrl {
    type Err = UrlError;

    fn from_str(url: &str) -> std::result::Result<Self, UrlError> {
        match url.split_once(':') {
            None => Err(UrlError::NoScheme(url.to_owned())),
            Some(("sqlite", "")) => Err(UrlError::NoPath(url.to_owned())),
            Some(("sqlite", path)) => Ok(Self::Sqlite(PathBuf::from(path))),
            Some((scheme, _)) => Err(UrlError::UnknownScheme(scheme.to_owned())),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
        }
    }
}

/// Opens the store a URL names, makes it if there is none, and brings it to this version's form.
pub async fn open(url: &StoreUrl) -> Result<Arc<dyn Store>> {
    match url {
        StoreUrl::Sqlite(path) => Ok(Arc::new(sqlite::Sqlite::open(path).await?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        assert_eq!("sqlite:./data/catalog.db".parse(), Ok(StoreUrl::Sqlite("./data/catalog.db".into())));
        assert_eq!("sqlite:/a:b".parse::<StoreUrl>().expect("a path").to_string(), "sqlite:/a:b");
        assert_eq!(
            "mongodb://localhost".parse::<StoreUrl>().expect_err("later").to_string(),
            "mongodb: is not a known scheme for the catalog; known: sqlite:PATH"
        );
        assert!("sqlite:".parse::<StoreUrl>().is_err());
        assert!("catalog.db".parse::<StoreUrl>().is_err());
    }
}
