//! Settings: default < file < environment < flag, checked as a whole; every mistake is reported at once.

mod media;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;
use vidstream_gateway::http::hosts::Hosts;
use vidstream_mesh::serve::Limits;
use vidstream_mesh::telemetry::LogFormat;

/// What starts the names of our environment variables.
const PREFIX: &str = "VIDSTREAM_";
/// Names of all settings, as flags, file keys and (in upper case) variables.
const NAMES: [&str; 26] = [
    "listen",
    "mesh-listen",
    "data-dir",
    "roles",
    "catalog",
    "objects",
    "queue",
    "events",
    "public-url",
    "insecure-public",
    "allow-host",
    "max-connections",
    "max-peer-connections",
    "head-timeout",
    "stall-timeout",
    "upload-memory",
    "upload-expiry",
    "max-index",
    "max-samples",
    "max-tracks",
    "max-pixels",
    "max-duration",
    "purge-after",
    "write-deadline",
    "ffmpeg",
    "log-format",
];

/// Settings that can work together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Address of the public listener.
    pub listen: SocketAddr,
    /// Address of the mesh listener, if there is one.
    pub mesh_listen: Option<SocketAddr>,
    /// Folder for everything that is kept.
    pub data_dir: PathBuf,
    /// Catalog store, `sqlite:PATH`.
    pub catalog: String,
    /// Object store, `file:PATH`.
    pub objects: String,
    /// Job queue, `local:`.
    pub queue: String,
    /// Event bus, `local:`.
    pub events: String,
    /// Address that people use, without a slash at its end.
    pub public_url: Option<String>,
    /// The names that the public listener answers to.
    pub hosts: Hosts,
    /// Bounds of the public listener.
    pub limits: Limits,
    /// Bytes that all uploads together may take in memory.
    pub upload_memory: u64,
    /// How long an unfinished upload is kept after its last recorded byte.
    pub upload_expiry: Duration,
    /// Limits of what is read of a file.
    pub media: vidstream_media::mp4::Limits,
    /// How long a removed video can be restored.
    pub purge_after: Duration,
    /// Longest time a write may take to arrive.
    pub write_deadline: Duration,
    /// The ffmpeg to run.
    pub ffmpeg: String,
    /// Look of the log.
    pub log_format: LogFormat,
}

/// Everything that is wrong with the settings.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<String>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|mistake| writeln!(f, "error: {mistake}"))
    }
}

/// A value and where it came from, for messages.
#[derive(Clone, Debug)]
struct Given {
    value: String,
    origin: String,
}

/// Layers of values over the defaults, and the mistakes found so far.
#[derive(Default)]
struct Layers {
    values: BTreeMap<&'static str, Given>,
    mistakes: Vec<String>,
}

impl Settings {
    /// Resolves settings from a file (its name, and its text or why it can't be read), the environment and the flags.
    pub fn resolve(
        file: Option<(String, Result<String, String>)>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: Vec<(&'static str, String)>,
    ) -> Result<Self, Mistakes> {
        let mut layers = Layers::default();
        match file {
            Some((name, Ok(text))) => layers.file(&name, &text),
            Some((name, Err(why))) => layers.mistakes.push(format!("--config {name}: {why}")),
            None => {}
        }
        layers.environment(environment);
        for (name, value) in flags {
            layers.values.insert(name, Given { value, origin: format!("--{name}") });
        }
        layers.settings()
    }
}

impl Layers {
    fn file(&mut self, file: &str, text: &str) {
        let table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            Err(error) => return self.mistakes.push(format!("{file}: {}", error.message())),
        };
        for (key, value) in table {
            let Some(name) = NAMES.iter().find(|name| **name == key) else {
                self.mistakes.push(format!("{file}: `{key}` is not a setting; known are {}", NAMES.join(", ")));
                continue;
            };
            let value = match value {
                toml::Value::String(text) => text,
                toml::Value::Boolean(flag) => flag.to_string(),
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Array(texts) if texts.iter().all(toml::Value::is_str) => {
                    texts.iter().filter_map(toml::Value::as_str).collect::<Vec<_>>().join(",")
                }
                other => {
                    let text = "must be a text, a number, a boolean or a list of texts, not";
                    self.mistakes.push(format!("{file}: `{key}` {text} {}", other.type_str()));
                    continue;
                }
            };
            self.values.insert(name, Given { value, origin: format!("`{key}` in {file}") });
        }
    }

    fn environment(&mut self, environment: impl IntoIterator<Item = (String, String)>) {
        for (variable, value) in environment {
            let Some(rest) = variable.strip_prefix(PREFIX) else { continue };
            let key = rest.to_ascii_lowercase().replace('_', "-");
            if key == "config" {
                continue;
            }
            match NAMES.iter().find(|name| **name == key) {
                Some(name) => {
                    self.values.insert(name, Given { value, origin: variable });
                }
                None => self.mistakes.push(format!("{variable} is not a setting; `vidstream --help` lists them")),
            }
        }
    }

    /// The value of `name` read by `parse`, or the default; a mistake is noted and the default taken.
    fn read<T>(&mut self, name: &'static str, default: T, parse: impl Fn(&str) -> Result<T, String>) -> T {
        let Some(given) = self.values.get(name) else { return default };
        match parse(&given.value) {
            Ok(value) => value,
            Err(why) => {
                self.mistakes.push(format!("{}: {why}", given.origin));
                default
            }
        }
    }

    fn settings(mut self) -> Result<Settings, Mistakes> {
        let data_dir: PathBuf = self.read("data-dir", "data".into(), |v| not_empty(v).map(Into::into));
        let in_data = |scheme: &str, name: &str| format!("{scheme}:{}", data_dir.join(name).display());
        self.read("roles", (), |v| {
            if v == "all" { Ok(()) } else { Err(format!("`{v}` can't be chosen yet; only `all` is known")) }
        });
        let listen = self.read("listen", SocketAddr::from(([127, 0, 0, 1], 8080)), address);
        let public_url = self.read("public-url", None, |v| public_url(v).map(Some));
        let hosts = self.read("allow-host", Hosts::loopback(), allowed_hosts).with_address(listen.ip());
        let hosts = public_url.as_deref().and_then(host).and_then(|host| hosts.clone().with(&host)).unwrap_or(hosts);
        let limits = Limits::default();
        let limits = Limits {
            connections: self.read("max-connections", limits.connections, count),
            peer_connections: self.read("max-peer-connections", limits.peer_connections, count),
            head_timeout: self.read("head-timeout", limits.head_timeout, timeout),
            stall_timeout: self.read("stall-timeout", limits.stall_timeout, timeout),
            ..limits
        };
        let settings = Settings {
            listen,
            hosts,
            limits,
            public_url,
            mesh_listen: self.read("mesh-listen", None, |v| address(v).and_then(loopback).map(Some)),
            catalog: self.read("catalog", in_data("sqlite", "catalog.sqlite3"), |v| url(v, "sqlite", true)),
            objects: self.read("objects", in_data("file", "objects"), |v| url(v, "file", true)),
            queue: self.read("queue", "local:".into(), |v| url(v, "local", false)),
            events: self.read("events", "local:".into(), |v| url(v, "local", false)),
            upload_memory: self.read("upload-memory", 256 << 20, |v| size(v, MEMORY)),
            upload_expiry: self.read("upload-expiry", Duration::from_hours(7 * 24), timeout),
            media: self.media(),
            purge_after: self.read("purge-after", Duration::from_hours(24), duration),
            write_deadline: self.read("write-deadline", Duration::from_mins(1), duration),
            ffmpeg: self.read("ffmpeg", "ffmpeg".into(), not_empty),
            log_format: self.read("log-format", LogFormat::Text, log_format),
            data_dir,
        };
        if !is_program(&settings.ffmpeg) {
            self.mistakes.push(format!(
                "--ffmpeg {}: there is no such program; install ffmpeg 5.1 or newer, or say where it is",
                settings.ffmpeg
            ));
        }
        let insecure_public = self.read("insecure-public", false, |value| match value {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            other => Err(format!("`{other}` is neither true nor false")),
        });
        if !settings.listen.ip().is_loopback() && !insecure_public {
            self.mistakes.push(format!(
                "--listen {}: there are no accounts yet, so everyone who reaches this address may do everything; \
                 listen on 127.0.0.1, or say --insecure-public if that is meant",
                settings.listen
            ));
        }
        if self.mistakes.is_empty() { Ok(settings) } else { Err(Mistakes(self.mistakes)) }
    }
}

fn not_empty(value: &str) -> Result<String, String> {
    if value.is_empty() { Err("must not be empty".into()) } else { Ok(value.to_owned()) }
}

/// Whether `name` is a file, or a name without a slash is one in `PATH`. Whether it works is found out when it is first
/// started: asking it would cost more than all else that starts.
fn is_program(name: &str) -> bool {
    if name.contains('/') {
        return std::path::Path::new(name).is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

fn address(value: &str) -> Result<SocketAddr, String> {
    let value = value.strip_prefix("localhost:").map_or_else(|| value.to_owned(), |port| format!("127.0.0.1:{port}"));
    value.parse().map_err(|_| format!("`{value}` is not an address such as 127.0.0.1:8080 or [::1]:8080"))
}

fn loopback(address: SocketAddr) -> Result<SocketAddr, String> {
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err(format!("{address} is not loopback; the mesh listener has no authentication yet, so only loopback is allowed"))
}

/// A backend's URL; only its embedded scheme is known.
fn url(value: &str, scheme: &str, with_path: bool) -> Result<String, String> {
    let known = if with_path { format!("{scheme}:PATH") } else { format!("{scheme}:") };
    let (given, path) = value.split_once(':').unwrap_or((value, ""));
    if given != scheme {
        return Err(format!("`{given}` is not a known scheme; known is {known}"));
    }
    if path.is_empty() == with_path {
        return Err(format!("`{value}` should look like {known}"));
    }
    Ok(value.to_owned())
}

fn public_url(value: &str) -> Result<String, String> {
    let wrong = || format!("`{value}` is not an address such as https://videos.example.org");
    let uri: http::Uri = value.parse().map_err(|_| wrong())?;
    let web = matches!(uri.scheme_str(), Some("http" | "https"));
    if !web || uri.authority().is_none() || uri.query().is_some() || !matches!(uri.path(), "" | "/") {
        return Err(wrong());
    }
    Ok(value.trim_end_matches('/').to_owned())
}

fn host(url: &str) -> Option<String> {
    url.parse::<http::Uri>().ok()?.host().map(ToOwned::to_owned)
}

/// Names after commas; the file's list and the repeated flag come as such, too.
fn allowed_hosts(value: &str) -> Result<Hosts, String> {
    value.split(',').map(str::trim).filter(|name| !name.is_empty()).try_fold(Hosts::loopback(), |hosts, name| {
        let wrong =
            || format!("`{name}` is no name or address such as videos.example.org or 192.0.2.1; ports don't count");
        hosts.with(name).ok_or_else(wrong)
    })
}

fn count(value: &str) -> Result<usize, String> {
    let wrong = || format!("`{value}` is not a number from 1 to 1000000");
    value.parse().ok().filter(|number| (1..=1_000_000).contains(number)).ok_or_else(wrong)
}

/// What uploads can work with, bytes: at the least a chunk and a stream at once.
const MEMORY: RangeInclusive<u64> = 16 << 20..=1 << 40;

/// `64MiB`, `1GiB`: powers of 1024, the unit's first letter is enough.
fn size(value: &str, range: RangeInclusive<u64>) -> Result<u64, String> {
    let wrong = || format!("`{value}` is not a size such as 64MiB or 1GiB");
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = value.split_at(digits);
    let shift = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let bytes = number.checked_mul(1 << shift).filter(|bytes| range.contains(bytes));
    bytes.ok_or_else(|| format!("`{value}` is not between {}MiB and {}GiB", range.start() >> 20, range.end() >> 30))
}

/// A duration that something can be done in.
fn timeout(value: &str) -> Result<Duration, String> {
    match duration(value)? {
        Duration::ZERO => Err("must be at least 1s".into()),
        duration => Ok(duration),
    }
}

/// `90s`, `10m`, `24h`, `7d`.
fn duration(value: &str) -> Result<Duration, String> {
    let wrong = || format!("`{value}` is not a duration such as 0s, 10m, 24h or 7d");
    let unit = value.chars().last().ok_or_else(wrong)?;
    let number: u64 = value[..value.len() - unit.len_utf8()].parse().map_err(|_| wrong())?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(seconds)
        .filter(|s| *s <= 90 * 24 * 3600)
        .map(Duration::from_secs)
        .ok_or_else(|| format!("`{value}` is longer than 90 days"))
}

fn log_format(value: &str) -> Result<LogFormat, String> {
    match value {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        other => Err(format!("`{other}` is neither text nor json")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(given: &[(&str, &str)]) -> Vec<(String, String)> {
        given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn later_layers_win() {
        let file = "listen = \"127.0.0.1:1\"\ndata-dir = \"/srv/a\"\npurge-after = \"7d\"\n";
        let environment =
            variables(&[("VIDSTREAM_LISTEN", "127.0.0.1:2"), ("VIDSTREAM_DATA_DIR", "/srv/b"), ("HOME", "/")]);
        let flags = vec![("listen", "127.0.0.1:3".to_owned())];
        let settings = Settings::resolve(Some(("f.toml".into(), Ok(file.into()))), environment, flags).expect("valid");
        assert_eq!(settings.listen.port(), 3);
        assert_eq!(settings.data_dir, PathBuf::from("/srv/b"));
        assert_eq!(settings.objects, "file:/srv/b/objects");
        assert_eq!(settings.purge_after, Duration::from_hours(7 * 24));
    }

    #[test]
    fn all_mistakes_are_reported_at_once() {
        let environment = variables(&[("VIDSTREAM_MESH_LISTEN", "0.0.0.0:9"), ("VIDSTREAM_COLOUR", "red")]);
        let flags = vec![
            ("listen", "0.0.0.0:80".to_owned()),
            ("roles", "gateway".to_owned()),
            ("catalog", "mongodb://db".to_owned()),
            ("queue", "local:x".to_owned()),
            ("public-url", "ftp://x".to_owned()),
            ("purge-after", "1w".to_owned()),
        ];
        let Mistakes(mistakes) =
            Settings::resolve(Some(("f.toml".into(), Ok("speed = 3\n".into()))), environment, flags)
                .expect_err("wrong");
        for part in [
            "speed",
            "VIDSTREAM_COLOUR",
            "0.0.0.0:9",
            "--roles",
            "mongodb",
            "local:x",
            "ftp://x",
            "1w",
            "insecure-public",
        ] {
            assert!(mistakes.iter().any(|m| m.contains(part)), "{part} in {mistakes:#?}");
        }
        assert_eq!(mistakes.len(), 9, "{mistakes:#?}");
    }

    #[test]
    fn hosts_and_limits_come_from_every_layer() {
        let resolved = |file: &str, environment: &[(&str, &str)], flags: &[(&'static str, &str)]| {
            let file = Some(("f.toml".to_owned(), Ok(file.to_owned())));
            let flags = flags.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
            Settings::resolve(file, variables(environment), flags)
        };
        let of = |names: &[&str]| {
            names
                .iter()
                .fold(Hosts::loopback(), |hosts, name| hosts.with(name).expect("a name"))
                .with_address([127, 0, 0, 1].into())
        };
        let file = "allow-host = [\"a.example\", \"b.example\"]\nmax-connections = 9\nstall-timeout = \"5s\"\n";
        let settings = resolved(file, &[], &[]).expect("valid");
        assert_eq!(settings.hosts, of(&["a.example", "b.example"]));
        assert_eq!((settings.limits.connections, settings.limits.stall_timeout), (9, Duration::from_secs(5)));
        let environment = [("VIDSTREAM_ALLOW_HOST", "c.example, 192.0.2.1"), ("VIDSTREAM_MAX_PEER_CONNECTIONS", "3")];
        let settings = resolved(file, &environment, &[("public-url", "https://d.example:8443")]).expect("valid");
        assert_eq!(settings.hosts, of(&["c.example", "192.0.2.1", "d.example"]));
        assert_eq!(settings.limits.peer_connections, 3);
        for wrong in ["allow-host = \"http://a\"", "max-connections = 0", "head-timeout = \"0s\"", "allow-host = [1]"] {
            assert_eq!(resolved(wrong, &[], &[]).expect_err(wrong).0.len(), 1, "{wrong}");
        }
    }

    #[test]
    fn uploads_have_memory_and_an_end() {
        let resolved = |flags: &[(&'static str, &str)]| {
            let flags = flags.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
            let file = "upload-memory = \"1GiB\"\nupload-expiry = \"30d\"\n";
            let environment = variables(&[("VIDSTREAM_UPLOAD_EXPIRY", "2h")]);
            Settings::resolve(Some(("f.toml".into(), Ok(file.into()))), environment, flags)
        };
        let settings = resolved(&[]).expect("valid");
        assert_eq!((settings.upload_memory, settings.upload_expiry), (1 << 30, Duration::from_hours(2)));
        for (given, bytes) in [("16M", 16 << 20), ("20480 KiB", 20 << 20), ("33554432", 32 << 20)] {
            assert_eq!(resolved(&[("upload-memory", given)]).expect(given).upload_memory, bytes);
        }
        for wrong in ["", "much", "15MiB", "16MB", "2000GiB", "99999999999999999999", "18446744073709551615g"] {
            assert_eq!(resolved(&[("upload-memory", wrong)]).expect_err(wrong).0.len(), 1, "{wrong}");
        }
        assert_eq!(resolved(&[("upload-expiry", "0s")]).expect_err("never").0.len(), 1);
        let default = Settings::resolve(None, [], vec![]).expect("valid");
        assert_eq!((default.upload_memory, default.upload_expiry), (256 << 20, Duration::from_hours(7 * 24)));
    }

    #[test]
    fn a_public_address_must_be_meant() {
        let flags = |more: &[(&'static str, &str)]| {
            let mut flags = vec![("listen", "0.0.0.0:80".to_owned())];
            flags.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
            flags
        };
        assert!(Settings::resolve(None, [], flags(&[])).is_err());
        assert!(Settings::resolve(None, [], flags(&[("insecure-public", "true")])).is_ok());
    }
}
