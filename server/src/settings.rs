//! Settings: default < file < environment < flag, checked as a whole; every mistake is reported at once.

mod edge;
mod ffmpeg;
mod media;
mod roles;
mod secure;
mod values;

pub use edge::{CacheDisk, Edge};
pub use ffmpeg::{Cage, Ffmpeg};
pub use secure::Secure;

use crate::roles::{Role, Roles};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use values::{
    MEMORY, address, allowed_hosts, count, duration, encoding, flag, host, lease, log_format, not_empty, public_url,
    server_url, size, timeout,
};
use vidstream_backends::bus::BusUrl;
use vidstream_backends::objects::ObjectsUrl;
use vidstream_backends::queue::QueueUrl;
use vidstream_catalog::store::StoreUrl;
use vidstream_gateway::http::hosts::Hosts;
use vidstream_mesh::client::Peers;
use vidstream_mesh::serve::Limits;
use vidstream_mesh::telemetry::LogFormat;
use vidstream_otlp::OtlpUrl;
use vidstream_transcoder::Encoding;

/// What starts the names of our environment variables.
const PREFIX: &str = "VIDSTREAM_";
/// Names of all settings, as flags, file keys and (in upper case) variables.
const NAMES: &[&str] = &[
    "listen",
    "mesh-listen",
    "to-catalog",
    "to-transcoder",
    "mesh-token-file",
    "tls-cert",
    "tls-key",
    "mesh-tls-cert",
    "mesh-tls-key",
    "mesh-tls-ca",
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
    "cache-memory",
    "cache-dir",
    "cache-size",
    "presign",
    "upload-expiry",
    "max-index",
    "max-samples",
    "max-tracks",
    "max-pixels",
    "max-duration",
    "encode",
    "purge-after",
    "write-deadline",
    "drain",
    "lease",
    "garbage-margin",
    "grace",
    "ffmpeg",
    "ffmpeg-cage",
    "insecure-ffmpeg",
    "ffmpeg-memory",
    "ffmpeg-time",
    "ffmpeg-stall",
    "ffmpeg-output",
    "ffmpeg-jobs",
    "otlp",
    "log-format",
];

/// Settings that can work together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Address of the public listener.
    pub listen: SocketAddr,
    /// Address of the mesh listener, if there is one.
    pub mesh_listen: Option<SocketAddr>,
    /// Where the catalog's mesh listeners are, if it runs in other processes.
    pub to_catalog: Option<Peers>,
    /// Where the transcoder's are.
    pub to_transcoder: Option<Peers>,
    /// The services that run in this process.
    pub roles: Roles,
    /// What the listeners are protected by.
    pub secure: Secure,
    /// Folder for everything that is kept.
    pub data_dir: PathBuf,
    /// Catalog store, `sqlite:PATH` or `mongodb://HOST`.
    pub catalog: StoreUrl,
    /// Object store, `file:PATH` or `s3://BUCKET/PREFIX`.
    pub objects: ObjectsUrl,
    /// Job queue, `local:` or `amqp://HOST`.
    pub queue: QueueUrl,
    /// Event bus, `local:` or `redis://HOST`.
    pub events: BusUrl,
    /// Address that people use, without a slash at its end.
    pub public_url: Option<String>,
    /// The names that the public listener answers to.
    pub hosts: Hosts,
    /// Bounds of the public listener.
    pub limits: Limits,
    /// Bytes that all uploads together may take in memory.
    pub upload_memory: u64,
    /// What the gateway keeps of a store far away, and whom it sends there.
    pub edge: Edge,
    /// How long an unfinished upload is kept after its last recorded byte.
    pub upload_expiry: Duration,
    /// Limits of what is read of a file.
    pub media: vidstream_media::mp4::Limits,
    /// Which tracks are encoded.
    pub encode: Encoding,
    /// How long a removed video can be restored.
    pub purge_after: Duration,
    /// Longest time a write may take to arrive.
    pub write_deadline: Duration,
    /// How long the server goes on after it was asked to stop, and says that it will.
    pub drain: Duration,
    /// How long a worker may be silent before others take its job.
    pub lease: Duration,
    /// How much longer than a write deadline an object that nothing refers to is left alone.
    pub garbage_margin: Duration,
    /// How long open requests and jobs may take to end when the process is asked to stop.
    pub grace: Duration,
    /// The ffmpeg to run, where there is a transcoder.
    pub ffmpeg: Ffmpeg,
    /// Who collects spans, if anybody does.
    pub otlp: Option<OtlpUrl>,
    /// Look of the log.
    pub log_format: LogFormat,
    /// In words, what was given and is used by nothing that runs here.
    pub unused: Vec<String>,
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
    /// Resolves settings from a file (its name, and its text or why it can't be read), the environment and the flags. A
    /// file's name that is empty is a mistake too: something that should have named one did not.
    pub fn resolve(
        file: Option<(String, Result<String, String>)>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: Vec<(&'static str, String)>,
    ) -> Result<Self, Mistakes> {
        let mut layers = Layers::default();
        match file {
            Some((name, Ok(text))) => layers.file(&name, &text),
            Some((name, Err(_))) if name.is_empty() => {
                layers.mistakes.push("--config, or VIDSTREAM_CONFIG, names no file".to_owned());
            }
            Some((name, Err(why))) => layers.mistakes.push(format!("the settings file `{name}` can't be read: {why}")),
            None => {}
        }
        layers.environment(environment);
        for (name, value) in flags {
            layers.values.insert(name, Given { value, origin: format!("--{name}") });
        }
        layers.settings()
    }
}

impl Settings {
    /// Whether something is kept in the data directory that no other process may touch.
    pub fn owns_data_dir(&self) -> bool {
        !self.roles.are_some() || self.owned_catalog().is_some()
    }

    /// The file of a catalog that no other process may touch, if one runs on SQLite here.
    pub fn owned_catalog(&self) -> Option<&std::path::Path> {
        let StoreUrl::Sqlite(path) = &self.catalog else { return None };
        self.roles.has(Role::Catalog).then_some(path)
    }
}

impl Layers {
    fn file(&mut self, file: &str, text: &str) {
        let table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            Err(error) => {
                let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
                let line = before.matches('\n').count() + 1;
                return self.mistakes.push(format!("{file}, line {line}: {}", error.message()));
            }
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
        let objects = self.read("objects", ObjectsUrl::File(data_dir.join("objects")), server_url);
        let mesh_listen = self.read("mesh-listen", None, |v| address(v).map(Some));
        let roles = self.read("roles", Roles::all(), str::parse);
        let settings = Settings {
            unused: self.unused(&roles),
            ffmpeg: self.ffmpeg(roles.has(Role::Transcoder)),
            secure: self.secure(mesh_listen),
            listen,
            hosts,
            limits,
            public_url,
            roles,
            to_catalog: self.read("to-catalog", None, |v| server_url(v).map(Some)),
            to_transcoder: self.read("to-transcoder", None, |v| server_url(v).map(Some)),
            mesh_listen,
            catalog: self.read("catalog", StoreUrl::Sqlite(data_dir.join("catalog.sqlite3")), server_url),
            edge: self.edge(&objects),
            objects,
            queue: self.read("queue", QueueUrl::Local, server_url),
            events: self.read("events", BusUrl::Local, server_url),
            upload_memory: self.read("upload-memory", 256 << 20, |v| size(v, MEMORY)),
            upload_expiry: self.read("upload-expiry", Duration::from_hours(7 * 24), timeout),
            media: self.media(),
            encode: self.read("encode", Encoding::All, encoding),
            purge_after: self.read("purge-after", Duration::from_hours(24), duration),
            write_deadline: self.read("write-deadline", Duration::from_mins(1), duration),
            drain: self.read("drain", Duration::from_secs(1), duration),
            lease: self.read("lease", Duration::from_secs(30), lease),
            garbage_margin: self.read("garbage-margin", Duration::from_mins(5), duration),
            grace: self.read("grace", Duration::from_secs(10), duration),
            otlp: self.read("otlp", None, |v| server_url(v).map(Some)),
            log_format: self.read("log-format", LogFormat::Text, log_format),
            data_dir,
        };
        let insecure_public = self.read("insecure-public", false, flag);
        if !settings.listen.ip().is_loopback() && !insecure_public {
            let origin = self.values.get("listen").map_or("--listen", |given| &given.origin);
            self.mistakes.push(format!(
                "{origin}: there are no accounts yet, so everyone who reaches {} may do everything; \
                 listen on 127.0.0.1, or say --insecure-public if that is meant",
                settings.listen
            ));
        }
        self.check_roles(&settings);
        if self.mistakes.is_empty() { Ok(settings) } else { Err(Mistakes(self.mistakes)) }
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
        assert_eq!(settings.objects, ObjectsUrl::File("/srv/b/objects".into()));
        assert_eq!(settings.purge_after, Duration::from_hours(7 * 24));
    }

    #[test]
    fn all_mistakes_are_reported_at_once() {
        let environment = variables(&[("VIDSTREAM_MESH_LISTEN", "0.0.0.0:9"), ("VIDSTREAM_COLOUR", "red")]);
        let flags = vec![
            ("listen", "0.0.0.0:80".to_owned()),
            ("roles", "everything".to_owned()),
            ("catalog", "postgres://db".to_owned()),
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
            "postgres",
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
    fn a_lease_is_longer_than_what_keeps_it() {
        let resolved = |value: &str| Settings::resolve(None, [], vec![("lease", value.to_owned())]);
        let set = resolved("3s").expect("the shortest");
        assert_eq!((set.lease, set.garbage_margin), (Duration::from_secs(3), Duration::from_mins(5)));
        assert_eq!(resolved("2s").expect_err("too short").0, ["--lease: must be at least 3s"]);
    }

    #[test]
    fn only_a_transcoder_needs_an_ffmpeg() {
        let resolved = |roles: &str| {
            let flags = "--mesh-listen 127.0.0.1:7070 --objects file:/srv/o --queue amqp://h --events redis://h";
            let others = if roles == "gateway" { "--to-catalog c:1 --to-transcoder t:1" } else { "" };
            let given = format!("{flags} {others} --roles {roles} --ffmpeg no-such-ffmpeg");
            let line = std::iter::once("vidstream").chain(given.split_whitespace()).map(std::ffi::OsString::from);
            Settings::resolve(None, [], crate::args::Args::read(line).0.given())
        };
        resolved("gateway").expect("it runs none");
        resolved("catalog").expect("it runs none");
        let Mistakes(mistakes) = resolved("catalog,transcoder").expect_err("it runs it");
        assert!(mistakes.len() == 1 && mistakes[0].starts_with("--ffmpeg: there is no program"), "{mistakes:?}");
    }

    #[test]
    fn grace_is_as_long_as_it_is_set() {
        let resolved = |value: &str| Settings::resolve(None, [], vec![("grace", value.to_owned())]);
        assert_eq!(Settings::resolve(None, [], vec![]).expect("valid").grace, Duration::from_secs(10));
        assert_eq!(resolved("5m").expect("valid").grace, Duration::from_mins(5));
        assert_eq!(resolved("long").expect_err("wrong").0.len(), 1);
    }

    #[test]
    fn mistakes_say_where_they_are() {
        let mistakes = |file: Result<&str, &str>, environment: &[(&str, &str)]| {
            let file = Some(("f.toml".to_owned(), file.map(str::to_owned).map_err(str::to_owned)));
            Settings::resolve(file, variables(environment), vec![]).expect_err("wrong").0.join("\n")
        };
        let public = mistakes(Ok(""), &[("VIDSTREAM_LISTEN", "0.0.0.0:80")]);
        assert!(public.starts_with("VIDSTREAM_LISTEN: there are no accounts yet"), "{public}");
        let public = mistakes(Ok("listen = \"0.0.0.0:80\""), &[]);
        assert!(public.starts_with("`listen` in f.toml: there are no accounts yet"), "{public}");
        let missing = mistakes(Ok(""), &[("VIDSTREAM_FFMPEG", "no-such-ffmpeg")]);
        assert!(missing.starts_with("VIDSTREAM_FFMPEG: there is no program `no-such-ffmpeg`"), "{missing}");
        let broken = mistakes(Ok("listen = \"127.0.0.1:1\"\n\ndata-dir = /srv\n"), &[]);
        assert!(broken.starts_with("f.toml, line 3: "), "{broken}");
        assert_eq!(mistakes(Err("is a directory"), &[]), "the settings file `f.toml` can't be read: is a directory");
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
