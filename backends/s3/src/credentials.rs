//! Whose requests they are: keys from the URL, from a file of profiles, or from the environment. The file is read again when it
//! changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::future;
use aws_sdk_s3::config::{Credentials, ProvideCredentials, SharedCredentialsProvider};
use tokio::time::Instant;
use vidstream_backends::objects::S3Url;

/// How often the file is looked at, at the most.
const LOOKS_APART: Duration = Duration::from_secs(1);

/// The keys that `url` names, or the environment does where it names none.
///
/// # Errors
/// What is missing, in words.
pub(crate) fn find(
    url: &S3Url,
    env: &(dyn Fn(&str) -> Option<String> + Sync),
) -> Result<SharedCredentialsProvider, String> {
    if let Some(keys) = &url.keys {
        let keys = Credentials::new(&keys.access, &keys.secret, None, None, "url");
        return Ok(SharedCredentialsProvider::new(keys));
    }
    if let Some(path) = &url.credentials {
        let file = KeysFile::read(path.clone(), url.profile.clone().unwrap_or_else(|| "default".into()))?;
        return Ok(SharedCredentialsProvider::new(file));
    }
    match (env("AWS_ACCESS_KEY_ID"), env("AWS_SECRET_ACCESS_KEY")) {
        (Some(access), Some(secret)) => {
            let keys = Credentials::new(access, secret, env("AWS_SESSION_TOKEN"), None, "environment");
            Ok(SharedCredentialsProvider::new(keys))
        }
        _ => Err("no keys; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a file with ?credentials=PATH, or \
                  write s3://KEY:SECRET@BUCKET"
            .into()),
    }
}

/// Keys in a file, which is small, and read faster than a thread is found for it. What can't be used changes nothing, and the log
/// says so.
#[derive(Debug)]
struct KeysFile {
    path: PathBuf,
    profile: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    keys: Credentials,
    version: Version,
    looked: Instant,
}

/// When the file was written, and how long it is; none if it can't be looked at.
type Version = Option<(SystemTime, u64)>;

impl KeysFile {
    fn read(path: PathBuf, profile: String) -> Result<Self, String> {
        // Before it is read: what is written meanwhile is read again.
        let version = version(&path);
        let keys = in_file(&path, &profile)?;
        let state = Mutex::new(State { keys, version, looked: Instant::now() });
        Ok(Self { path, profile, state })
    }

    fn current(&self) -> Credentials {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= LOOKS_APART {
            state.looked = Instant::now();
            let version = version(&self.path);
            if version != state.version {
                state.version = version;
                let file = self.path.display();
                match in_file(&self.path, &self.profile) {
                    Ok(keys) => {
                        state.keys = keys;
                        tracing::info!(%file, "the object store's keys changed and were read again");
                    }
                    Err(error) => tracing::error!(error, "the object store's keys stay what they were"),
                }
            }
        }
        state.keys.clone()
    }
}

impl ProvideCredentials for KeysFile {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Ok(self.current()))
    }
}

fn version(path: &Path) -> Version {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn in_file(path: &Path, profile: &str) -> Result<Credentials, String> {
    let text = fs::read_to_string(path)
        .map_err(|error| format!("the credentials {} can't be read: {error}", path.display()))?;
    of_profile(&text, profile, path)
}

fn of_profile(text: &str, profile: &str, path: &Path) -> Result<Credentials, String> {
    let value = |name| value_in(text, profile, name);
    match (value("aws_access_key_id"), value("aws_secret_access_key")) {
        (Some(access), Some(secret)) => {
            Ok(Credentials::new(access, secret, value("aws_session_token").map(str::to_owned), None, "file"))
        }
        _ => Err(format!(
            "the credentials {} have no aws_access_key_id and aws_secret_access_key below [{profile}]",
            path.display()
        )),
    }
}

/// The value of `name` in the section `profile`.
fn value_in<'text>(text: &'text str, profile: &str, name: &str) -> Option<&'text str> {
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            // As the file of settings beside it has it.
            inside = section.strip_prefix("profile ").unwrap_or(section).trim() == profile;
        } else if inside
            && let Some((key, value)) = line.split_once('=')
            && key.trim().eq_ignore_ascii_case(name)
            && !value.trim().is_empty()
        {
            return Some(value.trim());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use vidstream_backends::objects::ObjectsUrl;

    fn url(text: &str) -> S3Url {
        match text.parse() {
            Ok(ObjectsUrl::S3(url)) => *url,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn keys_are_found_where_they_are_said_to_be() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        let text = "# mine\n[default]\naws_access_key_id = A\naws_secret_access_key=S=/+\n\n\
                    [profile other]\naws_access_key_id=B\naws_secret_access_key=T\naws_session_token=U\n[empty]\n";
        std::fs::write(&path, text).unwrap();
        let env = |name: &str| Some(format!("of {name}"));
        let said = |text: String| async move {
            match find(&url(&text), &env) {
                Ok(found) => Ok(found.provide_credentials().await.unwrap()),
                Err(told) => Err(told),
            }
        };
        let keys = |found: &Credentials| {
            (
                found.access_key_id().to_owned(),
                found.secret_access_key().to_owned(),
                found.session_token().map(str::to_owned),
            )
        };
        let file = path.display();
        let found = said(format!("s3://bucket?credentials={file}")).await.unwrap();
        assert_eq!(keys(&found), ("A".into(), "S=/+".into(), None));
        let found = said(format!("s3://bucket?credentials={file}&profile=other")).await.unwrap();
        assert_eq!(keys(&found), ("B".into(), "T".into(), Some("U".into())));
        let told = said(format!("s3://bucket?credentials={file}&profile=empty")).await.unwrap_err();
        assert!(told.contains("below [empty]"), "{told}");
        let told = said(format!("s3://bucket?credentials={file}.not")).await.unwrap_err();
        assert!(told.contains("can't be read"), "{told}");
        let found = said("s3://C:V@bucket".into()).await.unwrap();
        assert_eq!(keys(&found), ("C".into(), "V".into(), None));
        let found = said("s3://bucket".into()).await.unwrap();
        assert_eq!(found.access_key_id(), "of AWS_ACCESS_KEY_ID");
        let told = find(&url("s3://bucket"), &|_| None).unwrap_err();
        assert!(told.contains("AWS_ACCESS_KEY_ID"), "{told}");
    }
}
