//! What the flags and the environment come to, as types.

use clap::ValueEnum;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use vidstream_proto::video::MAX_PURGE_AFTER;

/// Address of a server: `http://HOST:PORT`, or `https://HOST:PORT`. Two spellings of one address are equal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    encrypted: bool,
    authority: String,
}

impl Server {
    /// `HOST:PORT`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Whether it is spoken to over TLS.
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// Its name or address, without the brackets of IPv6.
    pub fn host(&self) -> &str {
        let host = self.authority.rsplit_once(':').map_or(&*self.authority, |(host, _)| host);
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    /// The URL of an absolute path on this server.
    pub fn url(&self, path: &str) -> String {
        format!("{self}{path}")
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.encrypted { "https" } else { "http" }, self.authority)
    }
}

impl FromStr for Server {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("it is empty; give an address such as http://127.0.0.1:8080".to_owned());
        }
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let encrypted = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            other => return Err(format!("`{other}://` is not supported; give an http:// or https:// address")),
        };
        let uri: http::Uri = format!("http://{rest}").parse().map_err(|error| format!("it is not a URL: {error}"))?;
        let authority = uri.authority().filter(|a| !a.host().is_empty()).ok_or("it names no host")?;
        if authority.as_str().contains('@') {
            return Err("it has a user name; there are no accounts yet".to_owned());
        }
        if uri.path() != "/" || uri.query().is_some() {
            return Err("it has a path; give only scheme, host and port".to_owned());
        }
        let has_port = authority.as_str().len() > authority.host().len();
        let given = authority.port_u16().filter(|port| *port > 0);
        let port = match (has_port, encrypted) {
            (true, _) => given.ok_or("it has no valid port")?,
            (false, false) => 80,
            (false, true) => 443,
        };
        Ok(Self { encrypted, authority: format!("{}:{port}", authority.host().to_ascii_lowercase()) })
    }
}

/// What is printed on stdout.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Output {
    // For people.
    Table,
    // The proto3 JSON mapping, one object a line.
    Json,
}

/// How long a removed video can be restored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PurgeAfter(pub Duration);

impl FromStr for PurgeAfter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let seconds_each: u64 = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 24 * 3600,
            _ => return Err("it must be a number and a unit, such as 0s, 10m, 24h or 7d".to_owned()),
        };
        let number: u64 = number.parse().map_err(|_| "it must begin with a whole number".to_owned())?;
        let duration = number.checked_mul(seconds_each).map(Duration::from_secs);
        match duration.filter(|d| *d <= MAX_PURGE_AFTER) {
            Some(duration) => Ok(Self(duration)),
            None => Err(format!("it must be at most {}d", MAX_PURGE_AFTER.as_secs() / 86_400)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_one_name() {
        for text in ["http://Example.org", "http://example.org:80/", "example.org", "HTTP://example.org:80"] {
            assert_eq!(text.parse::<Server>().expect(text).to_string(), "http://example.org:80");
        }
        for text in ["https://Example.org", "HTTPS://example.org:443/"] {
            assert_eq!(text.parse::<Server>().expect(text).to_string(), "https://example.org:443");
        }
        let server: Server = "http://[::1]:8080".parse().expect("IPv6");
        assert_eq!((server.authority(), server.host()), ("[::1]:8080", "::1"));
    }

    #[test]
    fn what_is_no_server_is_refused_in_words() {
        let cases = [
            ("", "empty"),
            ("ftp://a", "ftp"),
            ("http://", "not a URL"),
            ("http://a/b", "path"),
            ("http://a?b", "path"),
            ("http://me@a", "user name"),
            ("http://a:99999", "port"),
            ("http://a:0", "port"),
        ];
        for (text, word) in cases {
            let error = text.parse::<Server>().expect_err(text);
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn purge_times_are_numbers_with_units() {
        let seconds = |text: &str| text.parse::<PurgeAfter>().map(|d| d.0.as_secs());
        assert_eq!(seconds("0s"), Ok(0));
        assert_eq!(seconds("10m"), Ok(600));
        assert_eq!(seconds("24h"), Ok(86_400));
        assert_eq!(seconds("90d"), Ok(90 * 86_400));
        for wrong in ["", "7", "d", "-1s", "1.5h", "7 d", "7days", "91d", "99999999999999999999s", "99999999999999999d"]
        {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
