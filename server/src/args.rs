//! The command line of `vidstream`: names and texts only; meaning is in `settings`.

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::OsString;

/// An on-demand video platform: all of it in one process, or any of its services.
#[derive(Parser, Debug, Default)]
#[command(name = "vidstream", version, max_term_width = 110)]
#[command(
    after_help = "Settings come from defaults, then --config FILE (TOML, keys are the flags' names), then VIDSTREAM_* \
                        variables (VIDSTREAM_DATA_DIR is --data-dir), then flags."
)]
pub struct Args {
    /// TOML file with settings.
    #[arg(long, value_name = "FILE")]
    pub config: Option<String>,
    /// Address of the public listener: web app, gRPC, grpc-web, media. Port 0 picks one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Address of the listener for catalog and transcoder; beyond loopback it needs --mesh-token-file [default: off]
    #[arg(long, value_name = "ADDR")]
    pub mesh_listen: Option<String>,
    /// Where the catalog listens for other services, if it is not in this process; several after commas, or a name with several
    /// addresses, share the calls
    #[arg(long, value_name = "HOST:PORT")]
    pub to_catalog: Option<String>,
    /// Where the transcoder listens, likewise
    #[arg(long, value_name = "HOST:PORT")]
    pub to_transcoder: Option<String>,
    /// File with the secret that all services of a mesh share, at least 16 bytes; with two lines the first is sent and both are
    /// accepted. It is read again when it changes
    #[arg(long, value_name = "FILE")]
    pub mesh_token_file: Option<String>,
    /// Certificate of the public listener, PEM, with all up to its authority's; read again when it changes
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<String>,
    /// Key of that certificate, PEM
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<String>,
    /// Certificate by which this process proves to other services who it is, as listener and as client, PEM
    #[arg(long, value_name = "FILE")]
    pub mesh_tls_cert: Option<String>,
    /// Key of that certificate, PEM
    #[arg(long, value_name = "FILE")]
    pub mesh_tls_key: Option<String>,
    /// Authorities that sign the certificates of all services, PEM
    #[arg(long, value_name = "FILE")]
    pub mesh_tls_ca: Option<String>,
    /// Folder for everything that is kept [default: ./data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// Services to run: gateway, catalog, transcoder, several after commas [default: all]
    #[arg(long, value_name = "ROLES")]
    pub roles: Option<String>,
    /// Where videos, sources and jobs are kept: `sqlite:PATH` or `mongodb://HOST` [default: `sqlite:DATA-DIR/catalog.sqlite3`]
    #[arg(long, value_name = "URL")]
    pub catalog: Option<String>,
    /// Where bytes are kept: `file:PATH` or `s3://BUCKET/PREFIX` [default: `file:DATA-DIR/objects`]
    #[arg(long, value_name = "URL")]
    pub objects: Option<String>,
    /// What wakes workers: `local:` or `amqp://USER@HOST` [default: `local:`]
    #[arg(long, value_name = "URL")]
    pub queue: Option<String>,
    /// What carries notices between services: `local:` or `redis://HOST` [default: `local:`]
    #[arg(long, value_name = "URL")]
    pub events: Option<String>,
    /// Address that people use, if it is not the listener's
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// Another name or address that people use for this server, without a port; may be repeated. Loopback's names, the host of
    /// --public-url and the address of --listen need no mention
    #[arg(long, value_name = "NAME")]
    pub allow_host: Vec<String>,
    /// Connections to one listener at once; more wait [default: 4096]
    #[arg(long, value_name = "N")]
    pub max_connections: Option<String>,
    /// Connections of one address (one /64 network of IPv6) at once; more are closed [default: 1024]
    #[arg(long, value_name = "N")]
    pub max_peer_connections: Option<String>,
    /// How long a new connection may take to send its first request's head [default: 30s]
    #[arg(long, value_name = "DURATION")]
    pub head_timeout: Option<String>,
    /// How long a request's body may stop coming, or a reader may not read [default: 60s]
    #[arg(long, value_name = "DURATION")]
    pub stall_timeout: Option<String>,
    /// Memory that all uploads together may take; beyond it clients are told when to come back [default: 256MiB]
    #[arg(long, value_name = "SIZE")]
    pub upload_memory: Option<String>,
    /// Memory for bytes that were read from S3 and may be asked for again; 0 for none [default: 64MiB]
    #[arg(long, value_name = "SIZE")]
    pub cache_memory: Option<String>,
    /// Folder for more of these bytes, on a disk of this machine; with --cache-size [default: off]
    #[arg(long, value_name = "DIR")]
    pub cache_dir: Option<String>,
    /// Room of the cache on the disk
    #[arg(long, value_name = "SIZE")]
    pub cache_size: Option<String>,
    /// Send clients to S3 itself for sheets and posters, by addresses that are good for so long [default: off]
    #[arg(long, value_name = "DURATION")]
    pub presign: Option<String>,
    /// How long an unfinished upload is kept after its last recorded byte [default: 7d]
    #[arg(long, value_name = "DURATION")]
    pub upload_expiry: Option<String>,
    /// Largest index (moov) of a file that is read [default: 256MiB]
    #[arg(long, value_name = "SIZE")]
    pub max_index: Option<String>,
    /// Most samples of a file, of all tracks together [default: 20000000]
    #[arg(long, value_name = "N")]
    pub max_samples: Option<String>,
    /// Most tracks of a file [default: 1000]
    #[arg(long, value_name = "N")]
    pub max_tracks: Option<String>,
    /// Most pixels of a picture [default: 35651584, 8192 by 4352]
    #[arg(long, value_name = "N")]
    pub max_pixels: Option<String>,
    /// Longest that a video may last [default: 48h]
    #[arg(long, value_name = "DURATION")]
    pub max_duration: Option<String>,
    /// Which tracks are encoded: `all` that some players do not take, only what is `needed` because none does, or `none`
    /// [default: all]
    #[arg(long, value_name = "WHICH")]
    pub encode: Option<String>,
    /// Listen beyond loopback although there are no accounts: everyone who reaches the address may do everything
    #[arg(long)]
    pub insecure_public: bool,
    /// How long a removed video can be restored [default: 24h]
    #[arg(long, value_name = "DURATION")]
    pub purge_after: Option<String>,
    /// Longest time a write may take to arrive; deletion waits for it [default: 60s]
    #[arg(long, value_name = "DURATION")]
    pub write_deadline: Option<String>,
    /// How long the server goes on after SIGTERM, while /readyz says that it is draining; longer than a load balancer takes to see
    /// that [default: 1s]
    #[arg(long, value_name = "DURATION")]
    pub drain: Option<String>,
    /// How long a worker may be silent before others take its job, and how soon what got lost is looked for. At least 3s; the
    /// same for all processes that share a catalog [default: 30s]
    #[arg(long, value_name = "DURATION")]
    pub lease: Option<String>,
    /// How much longer than a write deadline an object that nothing refers to is left alone [default: 5m]
    #[arg(long, value_name = "DURATION")]
    pub garbage_margin: Option<String>,
    /// How long open requests and jobs may take to end when the server is asked to stop [default: 10s]
    #[arg(long, value_name = "DURATION")]
    pub grace: Option<String>,
    /// The ffmpeg to run, where there is a transcoder [default: ffmpeg]
    #[arg(long, value_name = "PROGRAM")]
    pub ffmpeg: Option<String>,
    /// What ffmpeg is caged in: kernel (Landlock and seccomp, as far as this machine has them) or bubblewrap [default: kernel]
    #[arg(long, value_name = "CAGE")]
    pub ffmpeg_cage: Option<String>,
    /// Run ffmpeg although nothing cages it here: a hostile file may do all that the server may
    #[arg(long)]
    pub insecure_ffmpeg: bool,
    /// Address space of one ffmpeg [default: 4GiB]
    #[arg(long, value_name = "SIZE")]
    pub ffmpeg_memory: Option<String>,
    /// Processor time, and time on the clock, of one ffmpeg that makes pictures [default: 10m]
    #[arg(long, value_name = "DURATION")]
    pub ffmpeg_time: Option<String>,
    /// How long an ffmpeg that has something to do may neither take nor give a byte [default: 2m]
    #[arg(long, value_name = "DURATION")]
    pub ffmpeg_stall: Option<String>,
    /// Most bytes that one ffmpeg may give [default: 1024GiB]
    #[arg(long, value_name = "SIZE")]
    pub ffmpeg_output: Option<String>,
    /// Storyboards that are made at once [default: as many as there are cores]
    #[arg(long, value_name = "N")]
    pub ffmpeg_jobs: Option<String>,
    /// Collector of OpenTelemetry that spans are sent to, by gRPC: `http://HOST:4317` [default: none]
    #[arg(long, value_name = "URL")]
    pub otlp: Option<String>,
    /// Look of the log on stderr: text or json [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
}

impl Args {
    /// Reads a command line, the program's name first. What is wrong with it is left out and said in words, so that
    /// everything else can be looked at too. Asked for help or the version, it prints that and ends the process.
    pub fn read(line: impl IntoIterator<Item = OsString>) -> (Self, Vec<String>) {
        let mut line: Vec<OsString> = line.into_iter().collect();
        let mut mistakes = Vec::new();
        loop {
            let error = match Self::try_parse_from(&line) {
                Ok(args) => return (args, mistakes),
                Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
                    error.exit()
                }
                Err(error) => error,
            };
            mistakes.push(mistake(&error));
            if !leave_out(&mut line, &error) {
                return (Self::default(), mistakes);
            }
        }
    }

    /// What was given, by the flags' names.
    pub fn given(&self) -> Vec<(&'static str, String)> {
        let texts = [
            ("listen", &self.listen),
            ("mesh-listen", &self.mesh_listen),
            ("to-catalog", &self.to_catalog),
            ("to-transcoder", &self.to_transcoder),
            ("mesh-token-file", &self.mesh_token_file),
            ("tls-cert", &self.tls_cert),
            ("tls-key", &self.tls_key),
            ("mesh-tls-cert", &self.mesh_tls_cert),
            ("mesh-tls-key", &self.mesh_tls_key),
            ("mesh-tls-ca", &self.mesh_tls_ca),
            ("data-dir", &self.data_dir),
            ("roles", &self.roles),
            ("catalog", &self.catalog),
            ("objects", &self.objects),
            ("queue", &self.queue),
            ("events", &self.events),
            ("public-url", &self.public_url),
            ("max-connections", &self.max_connections),
            ("max-peer-connections", &self.max_peer_connections),
            ("head-timeout", &self.head_timeout),
            ("stall-timeout", &self.stall_timeout),
            ("upload-memory", &self.upload_memory),
            ("cache-memory", &self.cache_memory),
            ("cache-dir", &self.cache_dir),
            ("cache-size", &self.cache_size),
            ("presign", &self.presign),
            ("upload-expiry", &self.upload_expiry),
            ("max-index", &self.max_index),
            ("max-samples", &self.max_samples),
            ("max-tracks", &self.max_tracks),
            ("max-pixels", &self.max_pixels),
            ("max-duration", &self.max_duration),
            ("encode", &self.encode),
            ("purge-after", &self.purge_after),
            ("write-deadline", &self.write_deadline),
            ("drain", &self.drain),
            ("lease", &self.lease),
            ("garbage-margin", &self.garbage_margin),
            ("grace", &self.grace),
            ("ffmpeg", &self.ffmpeg),
            ("ffmpeg-cage", &self.ffmpeg_cage),
            ("ffmpeg-memory", &self.ffmpeg_memory),
            ("ffmpeg-time", &self.ffmpeg_time),
            ("ffmpeg-stall", &self.ffmpeg_stall),
            ("ffmpeg-output", &self.ffmpeg_output),
            ("ffmpeg-jobs", &self.ffmpeg_jobs),
            ("otlp", &self.otlp),
            ("log-format", &self.log_format),
        ];
        let mut given: Vec<_> = texts.into_iter().filter_map(|(name, v)| v.clone().map(|v| (name, v))).collect();
        if !self.allow_host.is_empty() {
            given.push(("allow-host", self.allow_host.join(",")));
        }
        let flags = [("insecure-public", self.insecure_public), ("insecure-ffmpeg", self.insecure_ffmpeg)];
        given.extend(flags.into_iter().filter(|(_, set)| *set).map(|(name, _)| (name, "true".to_owned())));
        given
    }
}

fn text(error: &clap::Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text),
        ContextValue::Strings(texts) => texts.first().map(String::as_str),
        _ => None,
    }
}

fn mistake(error: &clap::Error) -> String {
    match (error.kind(), text(error, ContextKind::InvalidArg), text(error, ContextKind::SuggestedArg)) {
        (ErrorKind::UnknownArgument, Some(argument), Some(known)) => {
            format!("{argument} is not a setting; there is {known}")
        }
        (ErrorKind::UnknownArgument, Some(argument), None) => {
            format!("{argument} is not a setting; `vidstream --help` lists them")
        }
        _ => {
            let said = error.to_string();
            let first = said.lines().next().unwrap_or_default();
            first.strip_prefix("error: ").unwrap_or(first).to_owned()
        }
    }
}

/// Takes the argument that `error` is about off the line, with what looks like its value; false where it can't be found.
fn leave_out(line: &mut Vec<OsString>, error: &clap::Error) -> bool {
    // An option is named with its value's name: `--listen <ADDR>`.
    let name = text(error, ContextKind::InvalidArg).and_then(|argument| argument.split([' ', '=']).next());
    let is_it = |argument: &OsString| {
        let argument = argument.to_string_lossy();
        name.is_some_and(|name| argument.split('=').next() == Some(name))
    };
    // Of one that came twice, the last.
    let Some(at) = line.iter().skip(1).rposition(is_it).map(|at| at + 1) else { return false };
    let argument = line.remove(at).to_string_lossy().into_owned();
    let is_value = |next: &OsString| !next.to_string_lossy().starts_with('-');
    if argument.starts_with("--") && !argument.contains('=') && line.get(at).is_some_and(is_value) {
        line.remove(at);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> (Args, Vec<String>) {
        Args::read(std::iter::once("vidstream").chain(line.split_whitespace()).map(OsString::from))
    }

    #[test]
    fn what_is_wrong_is_left_out_and_the_rest_is_read() {
        let (args, mistakes) = read("--lisen 127.0.0.1:9 --roles all stray --colour=red --queue local: --events");
        assert_eq!((args.roles.as_deref(), args.queue.as_deref()), (Some("all"), Some("local:")));
        assert_eq!(
            mistakes,
            [
                "--lisen is not a setting; there is --listen",
                "stray is not a setting; `vidstream --help` lists them",
                "--colour is not a setting; `vidstream --help` lists them",
                "a value is required for '--events <URL>' but none was supplied",
            ]
        );
    }

    #[test]
    fn what_comes_twice_is_a_mistake() {
        let (args, mistakes) = read("--roles all --roles gateway --ffmpeg /bin/ffmpeg");
        assert_eq!((args.roles.as_deref(), args.ffmpeg.as_deref()), (Some("all"), Some("/bin/ffmpeg")));
        assert_eq!(mistakes, ["the argument '--roles <ROLES>' cannot be used multiple times"]);
        assert_eq!(read("--insecure-public=yes").1.len(), 1);
        assert_eq!(read("--roles all").1.len(), 0);
    }
}
