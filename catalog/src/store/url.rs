//! Which store, as written in the settings.

use super::{Result, Store, sqlite};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use vidstream_backends::url::Secret;

/// Which store: `sqlite:PATH`, `mongodb://HOST`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoreUrl {
    /// A file of this machine.
    Sqlite(PathBuf),
    /// A database on one or many machines, by MongoDB's own connection string: it has a password in it, and options that only
    /// MongoDB's driver knows.
    Mongo(Secret),
}

const KNOWN: &str = "sqlite:PATH, mongodb://HOST";

/// Why a store's URL was refused. The message is for the person who wrote the setting.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UrlError {
    /// There is no `scheme:` at all.
    #[error("{0:?} has no scheme; known for the catalog: {KNOWN}")]
    NoScheme(String),
    /// The scheme is none of ours.
    #[error("{0}: is not a known scheme for the catalog; known: {KNOWN}")]
    UnknownScheme(String),
    /// No file is named.
    #[error("{0:?} for the catalog: sqlite: needs the path of a file")]
    NoPath(String),
    /// No host is named.
    #[error("mongodb: for the catalog needs // and a host")]
    NoHost,
}

impl FromStr for StoreUrl {
    type Err = UrlError;

    fn from_str(url: &str) -> std::result::Result<Self, UrlError> {
        match url.split_once(':') {
            None => Err(UrlError::NoScheme(url.to_owned())),
            Some(("sqlite", "")) => Err(UrlError::NoPath(url.to_owned())),
            Some(("sqlite", path)) => Ok(Self::Sqlite(PathBuf::from(path))),
            Some(("mongodb" | "mongodb+srv", rest)) => {
                let named = rest
                    .strip_prefix("//")
                    .is_some_and(|rest| !place(rest).starts_with(['/', '?']) && !place(rest).is_empty());
                if named { Ok(Self::Mongo(Secret::new(url))) } else { Err(UrlError::NoHost) }
            }
            Some((scheme, _)) => Err(UrlError::UnknownScheme(scheme.to_owned())),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            // Neither who logs in, nor options, of which some are secret.
            Self::Mongo(url) => {
                let (scheme, rest) = url.reveal().split_once("://").unwrap_or(("mongodb", ""));
                write!(f, "{scheme}://{}", place(rest).split('?').next().unwrap_or_default())
            }
        }
    }
}

/// What follows the login.
fn place(rest: &str) -> &str {
    rest.rsplit_once('@').map_or(rest, |(_, place)| place)
}

/// Opens the catalog in a file, makes it if there is none, and brings it to this version's form.
pub async fn open_file(path: &Path) -> Result<Arc<dyn Store>> {
    Ok(Arc::new(sqlite::Sqlite::open(path).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        assert_eq!("sqlite:./data/catalog.db".parse(), Ok(StoreUrl::Sqlite("./data/catalog.db".into())));
        assert_eq!("sqlite:/a:b".parse::<StoreUrl>().expect("a path").to_string(), "sqlite:/a:b");
        assert_eq!(
            "postgres://localhost".parse::<StoreUrl>().expect_err("not one of ours").to_string(),
            "postgres: is not a known scheme for the catalog; known: sqlite:PATH, mongodb://HOST"
        );
        for url in ["mongodb:", "mongodb://", "mongodb:///vidstream", "mongodb://me:pw@/x"] {
            assert_eq!(url.parse::<StoreUrl>(), Err(UrlError::NoHost), "{url}");
        }
        assert!("sqlite:".parse::<StoreUrl>().is_err());
        assert!("catalog.db".parse::<StoreUrl>().is_err());
    }

    #[test]
    fn no_secret_is_printed() {
        let url = "mongodb+srv://me:p%40ss@db1.example.org,db2.example.org:27018/videos?authSource=admin&key=hidden";
        let url: StoreUrl = url.parse().expect("a connection string");
        assert_eq!(url.to_string(), "mongodb+srv://db1.example.org,db2.example.org:27018/videos");
        assert!(!format!("{url:?}").contains("hidden") && !format!("{url:?}").contains("ss@"));
    }
}
