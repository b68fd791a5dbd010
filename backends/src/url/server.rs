//! `scheme://[user[:password]@]host[:port][/path][?ca=PATH&password-file=PATH&prefix=WORD]`, and the secrets in it.

use std::{fmt, io, path::PathBuf};

use super::{Family, UrlError};

/// Largest file that is taken for a password or a certificate, in bytes.
const LARGEST_FILE: u64 = 1 << 20;
/// What names on the server begin with where the URL does not say.
const DEFAULT_PREFIX: &str = "vidstream";

/// Something that nobody may read by accident: it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `secret`.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself, for whoever has to send it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A server that several meshes may share. Printed, it has no password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Who logs in; without one, whoever the server takes for its default.
    pub user: Option<String>,
    /// The password as written in the URL.
    pub password: Option<Secret>,
    /// A file whose first line is the password.
    pub password_file: Option<PathBuf>,
    /// A file of PEM certificates of who may sign the server's.
    pub ca: Option<PathBuf>,
    /// What this mesh's names on the server begin with: letters, digits, `-` and `_`.
    pub prefix: String,
}

/// A file of credentials can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{what} {path:?} can't be read")]
pub struct CredentialError {
    /// Which file, such as "the password file".
    pub what: &'static str,
    /// Where it should be.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

impl ServerUrl {
    /// The password, from the URL or its file. A file is read each time, so that a new password needs no restart.
    pub async fn password(&self) -> Result<Option<Secret>, CredentialError> {
        let Some(path) = &self.password_file else { return Ok(self.password.clone()) };
        let text = read("the password file", path).await?;
        Ok(Some(Secret::new(text.lines().next().unwrap_or_default())))
    }

    /// The certificates of `ca`, as PEM.
    pub async fn authorities(&self) -> Result<Option<String>, CredentialError> {
        match &self.ca {
            Some(path) => read("the file of certificates", path).await.map(Some),
            None => Ok(None),
        }
    }

    /// Host and port, as they are written together.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The URL with `scheme`, and `path` as it is written, without any secret.
    pub(crate) fn written(&self, scheme: &str, path: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.as_deref().map(|user| format!("{}@", encode(user))).unwrap_or_default();
        write!(f, "{scheme}://{user}{}{path}", self.address())?;
        if self.prefix == DEFAULT_PREFIX { Ok(()) } else { write!(f, "?prefix={}", self.prefix) }
    }

    /// Reads what follows `scheme:` in `url`; the second part is the path, decoded, without its `/`.
    pub(crate) fn parse(
        family: &Family,
        url: &str,
        rest: &str,
        tls: bool,
        default_port: u16,
    ) -> Result<(Self, Option<String>), UrlError> {
        let wrong = |reason| family.malformed(&without_secrets(url), reason);
        let rest = rest.strip_prefix("//").ok_or_else(|| wrong("after the scheme // and a host must follow"))?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = match place.split_once('/') {
            Some((authority, path)) => (authority, Some(decode(path).ok_or_else(|| wrong(ENCODING))?)),
            None => (place, None),
        };
        let (login, address) = match authority.rsplit_once('@') {
            Some((login, address)) => (Some(login), address),
            None => (None, authority),
        };
        let (host, port) = host_and_port(address, default_port).map_err(wrong)?;
        let mut server = Self {
            tls,
            host,
            port,
            user: None,
            password: None,
            password_file: None,
            ca: None,
            prefix: DEFAULT_PREFIX.into(),
        };
        server.log_in(login).map_err(wrong)?;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            server.option(pair).map_err(wrong)?;
        }
        server.check().map_err(wrong)?;
        Ok((server, path))
    }

    fn log_in(&mut self, login: Option<&str>) -> Result<(), &'static str> {
        let Some(login) = login else { return Ok(()) };
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (login, None),
        };
        let user = decode(user).ok_or(ENCODING)?;
        self.user = (!user.is_empty()).then_some(user);
        self.password = password.map(|text| decode(text).map(Secret).ok_or(ENCODING)).transpose()?;
        Ok(())
    }

    fn option(&mut self, pair: &str) -> Result<(), &'static str> {
        let (key, value) = pair.split_once('=').ok_or("an option after ? has the form KEY=VALUE")?;
        let value = decode(value).ok_or(ENCODING)?;
        if value.is_empty() {
            return Err("an option after ? has no value");
        }
        match key {
            "ca" => self.ca = Some(value.into()),
            "password-file" => self.password_file = Some(value.into()),
            "prefix" => self.prefix = value,
            _ => return Err("options known after ? are ca, password-file and prefix"),
        }
        Ok(())
    }

    fn check(&self) -> Result<(), &'static str> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if self.prefix.len() > 64 || !self.prefix.bytes().all(plain) {
            return Err("a prefix has at most 64 letters, digits, - and _");
        }
        if self.password.is_some() && self.password_file.is_some() {
            return Err("there is a password and a file for one; one of them is enough");
        }
        if self.ca.is_some() && !self.tls {
            return Err("certificates are given, but the scheme is the one without TLS");
        }
        Ok(())
    }
}

const ENCODING: &str = "a % must be followed by two hexadecimal digits, and the whole be UTF-8";

async fn read(what: &'static str, path: &std::path::Path) -> Result<String, CredentialError> {
    let read = async {
        let size = tokio::fs::metadata(path).await?.len();
        if size > LARGEST_FILE {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has {size} bytes")));
        }
        tokio::fs::read_to_string(path).await
    };
    read.await.map_err(|source| CredentialError { what, path: path.into(), source })
}

fn host_and_port(address: &str, default_port: u16) -> Result<(String, u16), &'static str> {
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("a [ of an address has no ]")?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| "what is between [ and ] is no IPv6 address")?;
            (host, port)
        }
        None => address.split_at(address.find(':').unwrap_or(address.len())),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    if host.is_empty() || !host.bytes().all(plain) {
        return Err("it needs the name or the address of a host");
    }
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|&port| port > 0).ok_or("a port is a number from 1 to 65535")?,
        None if port.is_empty() => default_port,
        None => return Err("after the host only a port may follow"),
    };
    Ok((host.to_owned(), port))
}

/// `url` as it may be printed: without what is before the last `@` and after the first `?`.
fn without_secrets(url: &str) -> String {
    let url = url.split_once('?').map_or(url, |(place, _)| place);
    match (url.split_once(':'), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://***@{place}"),
        _ => url.to_owned(),
    }
}

/// Undoes percent-encoding (RFC 3986 §2.1).
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' { digit(rest.next()?)? << 4 | digit(rest.next()?)? } else { byte });
    }
    String::from_utf8(bytes).ok()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Percent-encodes all but the unreserved characters (RFC 3986 §2.3).
pub(crate) fn encode(text: &str) -> String {
    let encoded = |byte: u8| match byte {
        b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encoded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAMILY: Family = Family { backend: "the test", known: "t://HOST" };

    fn parse(url: &str) -> Result<(ServerUrl, Option<String>), UrlError> {
        ServerUrl::parse(&FAMILY, url, url.strip_prefix("t:").unwrap(), url.contains("ca="), 99)
    }

    #[test]
    fn all_parts() {
        let (server, path) = parse("t://u%40x:p%3a%2F@db.example:7/a%2fb?ca=/c.pem&prefix=one").unwrap();
        assert_eq!((server.user.as_deref(), server.password), (Some("u@x"), Some(Secret::new("p:/"))));
        assert_eq!((server.host.as_str(), server.port, path.as_deref()), ("db.example", 7, Some("a/b")));
        assert_eq!((server.ca, server.prefix.as_str()), (Some("/c.pem".into()), "one"));
    }

    #[test]
    fn what_is_left_out() {
        let (server, path) = parse("t://[::1]").unwrap();
        assert_eq!((server.address().as_str(), path, server.user), ("[::1]:99", None, None));
        assert_eq!(server.prefix, DEFAULT_PREFIX);
        let (server, path) = parse("t://:only-a-password@h/").unwrap();
        assert_eq!((server.user, server.password), (None, Some(Secret::new("only-a-password"))));
        assert_eq!(path.as_deref(), Some(""));
    }

    #[test]
    fn mistakes_are_told_without_the_secret() {
        for url in [
            "t:u:hunter2@h",
            "t://u:hunter2@",
            "t://u:hunter2@h:0",
            "t://u:hunter2@h:99999",
            "t://u:hunter2@h x",
            "t://u:hunter2@[::1",
            "t://u:hunter2@[x]",
            "t://u:hunter2@h?password=hunter2",
            "t://u:hunter2@h?prefix=a*",
            "t://u:hunter2@h?prefix=",
            "t://u:hunter2@h?prefix",
            "t://u:hunter2@h?password-file=/x",
            "t://u:hunter2%@h",
            "t://u:hunter2%ff@h",
            "t://u:/hunter2@h",
            "t://u:hun@ter2@h:x",
        ] {
            let mistake = parse(url).expect_err(url).to_string();
            assert!(!mistake.contains("hunter2") && !mistake.contains("ter2"), "{mistake}");
            assert!(mistake.contains("for the test: "), "{mistake}");
        }
        let without_tls = ServerUrl::parse(&FAMILY, "t://h?ca=/x", "//h?ca=/x", false, 1);
        assert!(without_tls.unwrap_err().to_string().contains("without TLS"));
    }

    #[tokio::test]
    async fn a_password_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let (server, _) = parse(&format!("t://u@h?password-file={}", path.display())).unwrap();
        let missing = server.password().await.unwrap_err().to_string();
        assert!(missing.contains("password file") && missing.contains("can't be read"), "{missing}");
        tokio::fs::write(&path, "s p\n").await.unwrap();
        assert_eq!(server.password().await.unwrap(), Some(Secret::new("s p")));
        tokio::fs::write(&path, "other").await.unwrap();
        assert_eq!(server.password().await.unwrap(), Some(Secret::new("other")), "it is read anew");
        assert!(!format!("{:?}", server.password().await).contains("other"));
    }
}
