//! Whose requests they are: keys from the URL, from a file of profiles, or from the environment.

use std::path::Path;

use aws_sdk_s3::config::Credentials;
use vidstream_backends::objects::S3Url;

/// The keys that `url` names, or the environment does where it names none.
///
/// # Errors
/// What is missing, in words.
pub(crate) async fn find(url: &S3Url, env: &(dyn Fn(&str) -> Option<String> + Sync)) -> Result<Credentials, String> {
    if let Some(keys) = &url.keys {
        return Ok(Credentials::new(&keys.access, &keys.secret, None, None, "url"));
    }
    if let Some(path) = &url.credentials {
        let text = tokio::fs::read_to_string(path)
            .await
            .map_err(|error| format!("the credentials {} can't be read: {error}", path.display()))?;
        return of_profile(&text, url.profile.as_deref().unwrap_or("default"), path);
    }
    match (env("AWS_ACCESS_KEY_ID"), env("AWS_SECRET_ACCESS_KEY")) {
        (Some(access), Some(secret)) => {
            Ok(Credentials::new(access, secret, env("AWS_SESSION_TOKEN"), None, "environment"))
        }
        _ => Err("no keys; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a file with ?credentials=PATH, or \
                  write s3://KEY:SECRET@BUCKET"
            .into()),
    }
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
        let said = |text: String| async move { find(&url(&text), &env).await };
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
        let told = find(&url("s3://bucket"), &|_| None).await.unwrap_err();
        assert!(told.contains("AWS_ACCESS_KEY_ID"), "{told}");
    }
}
