//! Which object store, as written in the settings: `file:PATH`, or `s3://BUCKET/PREFIX` with what else its server needs.

use std::{fmt, path::PathBuf, str::FromStr};

use super::ObjectPrefix;
use crate::url::{Family, UrlError};

const FAMILY: Family = Family { backend: "the object store", known: "file:PATH, s3://BUCKET/PREFIX" };

/// Longest prefix of a store on S3, bytes: with the slash and the longest name it makes 1024, which is all that S3 allows.
const LONGEST_PREFIX: usize = 255;

/// Which object store, as written in the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectsUrl {
    /// Files below a directory of this machine, made when missing.
    File(PathBuf),
    /// A bucket of a server that speaks S3's protocol.
    S3(Box<S3Url>),
}

/// `s3://[KEY:SECRET@]BUCKET[/PREFIX][?OPTION=VALUE&…]`, everything percent-decoded. What is not said here, the
/// environment says (`AWS_ACCESS_KEY_ID` and its kin).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Url {
    /// The bucket. It must exist.
    pub bucket: String,
    /// Below which names lie in the bucket.
    pub prefix: ObjectPrefix,
    /// `endpoint=`: `http://HOST:PORT` or `https://HOST`.
    pub endpoint: Option<String>,
    /// `public=`: the endpoint as clients reach it, for addresses that are given to them.
    pub public: Option<String>,
    /// `region=`.
    pub region: Option<String>,
    /// The user part.
    pub keys: Option<S3Keys>,
    /// `credentials=`: a file of profiles with keys, as Amazon's tools have it in `~/.aws/credentials`.
    pub credentials: Option<PathBuf>,
    /// `profile=`: which one of that file; `default` if none is said.
    pub profile: Option<String>,
    /// `ca=`: a file with the certificates (PEM) of the authorities that are trusted, instead of the machine's.
    pub ca: Option<PathBuf>,
}

/// A pair of keys. Printed, it hides the secret one.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Keys {
    /// Says who asks.
    pub access: String,
    /// Signs what is asked.
    pub secret: String,
}

impl FromStr for ObjectsUrl {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = FAMILY.split(url)?;
        match scheme {
            "file" => directory(rest).map(Self::File).map_err(|reason| FAMILY.malformed(url, reason)),
            "s3" => s3(rest)
                .map(|url| Self::S3(Box::new(url)))
                .map_err(|reason| FAMILY.malformed(&without_keys(url), reason)),
            _ => Err(FAMILY.unknown(scheme)),
        }
    }
}

impl fmt::Display for ObjectsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::S3(url) => url.fmt(f),
        }
    }
}

/// Where it is, without keys and without the options that don't say where.
impl fmt::Display for S3Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)?;
        if !self.prefix.as_str().is_empty() {
            write!(f, "/{}", self.prefix)?;
        }
        match &self.endpoint {
            Some(endpoint) => write!(f, "?endpoint={endpoint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for S3Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Keys").field("access", &self.access).finish_non_exhaustive()
    }
}

fn directory(rest: &str) -> Result<PathBuf, &'static str> {
    let path = match rest.strip_prefix("//") {
        Some(path) if path.starts_with('/') => path,
        Some(_) => return Err("names a host; write file:PATH or file:///PATH"),
        None => rest,
    };
    if path.is_empty() { Err("a path must follow file:") } else { Ok(path.into()) }
}

fn s3(rest: &str) -> Result<S3Url, &'static str> {
    let rest = rest.strip_prefix("//").ok_or("write s3://BUCKET/PREFIX")?;
    let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
    let (keys, place) = match place.rsplit_once('@') {
        Some((keys, place)) => (Some(s3_keys(keys)?), place),
        None => (None, place),
    };
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let mut url = S3Url {
        bucket: bucket_name(bucket)?,
        prefix: s3_prefix(prefix)?,
        endpoint: None,
        public: None,
        region: None,
        keys,
        credentials: None,
        profile: None,
        ca: None,
    };
    for option in options.split('&').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').ok_or("an option is written NAME=VALUE")?;
        set(&mut url, name, decoded(value)?)?;
    }
    if url.profile.is_some() && url.credentials.is_none() {
        return Err("profile= is of a file that credentials= names");
    }
    if url.keys.is_some() && url.credentials.is_some() {
        return Err("has keys of its own and credentials=; which are meant?");
    }
    Ok(url)
}

fn set(url: &mut S3Url, name: &str, value: String) -> Result<(), &'static str> {
    if value.is_empty() {
        return Err("an option has no value");
    }
    match name {
        "endpoint" => url.endpoint = Some(endpoint(value)?),
        "public" => url.public = Some(endpoint(value)?),
        "region" => url.region = Some(value),
        "credentials" => url.credentials = Some(value.into()),
        "profile" => url.profile = Some(value),
        "ca" => url.ca = Some(value.into()),
        _ => return Err("unknown option; known: endpoint, public, region, credentials, profile, ca"),
    }
    Ok(())
}

fn s3_keys(user: &str) -> Result<S3Keys, &'static str> {
    if user.contains('/') {
        return Err("keys are followed by @ and the bucket; write a slash in a key as %2F");
    }
    let (access, secret) = user.split_once(':').ok_or("keys are written KEY:SECRET@")?;
    let keys = S3Keys { access: decoded(access)?, secret: decoded(secret)? };
    if keys.access.is_empty() || keys.secret.is_empty() {
        return Err("keys are written KEY:SECRET@");
    }
    Ok(keys)
}

fn bucket_name(bucket: &str) -> Result<String, &'static str> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    if (3..=63).contains(&bucket.len()) && bucket.bytes().all(plain) {
        Ok(bucket.to_owned())
    } else {
        Err("a bucket's name has 3 to 63 of a-z 0-9 - .")
    }
}

fn s3_prefix(prefix: &str) -> Result<ObjectPrefix, &'static str> {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    if prefix.is_empty() {
        return Ok(ObjectPrefix::all());
    }
    if prefix.len() > LONGEST_PREFIX {
        return Err("a prefix has at most 255 bytes");
    }
    prefix
        .parse()
        .map_err(|_| "a prefix has segments of A-Z a-z 0-9 - _ . that don't begin with a dot, and / between them")
}

/// What the environment may say as well as an option.
///
/// # Errors
/// What is wrong with it, in words.
pub fn endpoint(url: String) -> Result<String, &'static str> {
    let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    match host {
        Some("") | None => Err("an endpoint is written http://HOST:PORT or https://HOST"),
        Some(host) if host.contains(['@', '?', '#']) => Err("an endpoint has neither keys nor options"),
        Some(_) => Ok(url.trim_end_matches('/').to_owned()),
    }
}

/// `%2F` and its kin as what they stand for.
fn decoded(text: &str) -> Result<String, &'static str> {
    const WRONG: &str = "% is followed by two hexadecimal digits, and what comes out is UTF-8";
    let mut pieces = text.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let digits =
            piece.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit())).ok_or(WRONG)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| WRONG)?);
        bytes.extend_from_slice(&piece.as_bytes()[2..]);
    }
    String::from_utf8(bytes).map_err(|_| WRONG)
}

/// For messages. What stands before an `@` may be a key, however wrong all else is.
fn without_keys(url: &str) -> String {
    let (place, options) = match url.split_once('?') {
        Some((place, options)) => (place, format!("?{options}")),
        None => (url, String::new()),
    };
    match place.rsplit_once('@') {
        Some((_, place)) => format!("s3://***@{place}{options}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(url: &str) -> S3Url {
        match url.parse() {
            Ok(ObjectsUrl::S3(url)) => *url,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_url_names_a_directory() {
        for (url, path) in
            [("file:data/objects", "data/objects"), ("file:/srv/x", "/srv/x"), ("file:///srv/x", "/srv/x")]
        {
            assert_eq!(url.parse(), Ok(ObjectsUrl::File(path.into())), "{url}");
        }
    }

    #[test]
    fn a_url_names_a_bucket_and_all_that_its_server_needs() {
        let bare = s3("s3://bucket");
        assert_eq!((&*bare.bucket, bare.prefix.as_str(), &bare.endpoint), ("bucket", "", &None));
        let url =
            s3("s3://me:a%2Fb%3a@my.bucket/some/prefix/?endpoint=http://127.0.0.1:9000/&region=eu-1&ca=/a%20b.pem");
        assert_eq!((&*url.bucket, url.prefix.as_str()), ("my.bucket", "some/prefix"));
        assert_eq!(url.endpoint.as_deref(), Some("http://127.0.0.1:9000"));
        assert_eq!((url.region.as_deref(), url.ca), (Some("eu-1"), Some("/a b.pem".into())));
        assert_eq!(url.keys, Some(S3Keys { access: "me".into(), secret: "a/b:".into() }));
        let url = s3("s3://bucket?credentials=/c&profile=p&public=https://media.example");
        assert_eq!((url.credentials, url.profile), (Some("/c".into()), Some("p".into())));
        assert_eq!(url.public.as_deref(), Some("https://media.example"));
    }

    #[test]
    fn what_is_printed_has_no_secret() {
        let url = "s3://me:hidden@bucket/x?endpoint=http://host".parse::<ObjectsUrl>().unwrap();
        assert_eq!(url.to_string(), "s3://bucket/x?endpoint=http://host");
        assert!(!format!("{url:?}").contains("hidden"));
        for wrong in ["s3://me:hid/den@bucket", "s3://me:hidden@B", "s3:me:hidden@bucket", "s3://hidden@bucket?x=y"] {
            let words = wrong.parse::<ObjectsUrl>().unwrap_err().to_string();
            assert!(!words.contains("hid") && words.contains("s3://***@"), "{words}");
        }
    }

    #[test]
    fn other_urls_are_refused_in_words() {
        let long = format!("s3://bucket/{}", "a/".repeat(130));
        for (url, words) in [
            ("ftp://host", "ftp: is not a known scheme for the object store; known: file:PATH, s3://BUCKET/PREFIX"),
            ("data", "\"data\" has no scheme; known for the object store: file:PATH, s3://BUCKET/PREFIX"),
            ("file:", "\"file:\" for the object store: a path must follow file:"),
            ("file://host/x", "\"file://host/x\" for the object store: names a host; write file:PATH or file:///PATH"),
            ("s3:bucket", "\"s3:bucket\" for the object store: write s3://BUCKET/PREFIX"),
            ("s3://", "\"s3://\" for the object store: a bucket's name has 3 to 63 of a-z 0-9 - ."),
        ] {
            assert_eq!(url.parse::<ObjectsUrl>().unwrap_err().to_string(), words);
        }
        for (url, words) in [
            ("s3://bucket/a//b", "segments"),
            (&long, "at most 255 bytes"),
            ("s3://bucket?endpoint=host:9000", "http://HOST:PORT"),
            ("s3://bucket?endpoint=http://k:s@host", "neither keys"),
            ("s3://bucket?region", "NAME=VALUE"),
            ("s3://bucket?region=", "no value"),
            ("s3://bucket?speed=high", "known: endpoint"),
            ("s3://bucket?ca=%2", "hexadecimal"),
            ("s3://bucket?ca=%+1", "hexadecimal"),
            ("s3://bucket?ca=%ff", "UTF-8"),
            ("s3://bucket?profile=x", "credentials="),
            ("s3://a:b@bucket?credentials=/x", "which are meant"),
        ] {
            let told = url.parse::<ObjectsUrl>().unwrap_err().to_string();
            assert!(told.contains(words), "{url}: {told}");
        }
    }
}
