//! How the values of settings are read; what is wrong with one is said in words.

use rustix::fs::{Access, access};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;
use vidstream_gateway::http::hosts::Hosts;
use vidstream_mesh::telemetry::LogFormat;
use vidstream_transcoder::Encoding;

/// Any text but none.
pub(super) fn not_empty(value: &str) -> Result<String, String> {
    if value.is_empty() { Err("must not be empty".into()) } else { Ok(value.to_owned()) }
}

/// `true` or `false`; a flag that is there is true.
pub(super) fn flag(value: &str) -> Result<bool, String> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        other => Err(format!("`{other}` is neither true nor false")),
    }
}

/// A file that may be run, or a name without a slash that is one in `PATH`. Whether it is what it should be is asked at the
/// start.
pub(super) fn program(name: &str) -> Result<String, String> {
    not_empty(name)?;
    let runs = |path: &Path| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    if name.contains('/') {
        return match Path::new(name) {
            path if runs(path) => Ok(name.to_owned()),
            path if path.is_file() => Err(format!("{name} is not executable")),
            _ => Err(format!("there is no file {name}")),
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| runs(&folder.join(name))) {
        return Ok(name.to_owned());
    }
    Err(format!("there is no program `{name}`; install ffmpeg 5.1 or newer, or say where it is"))
}

/// An address with its port; `localhost` is that of IPv4.
pub(super) fn address(value: &str) -> Result<SocketAddr, String> {
    let value = value.strip_prefix("localhost:").map_or_else(|| value.to_owned(), |port| format!("127.0.0.1:{port}"));
    value.parse().map_err(|_| format!("`{value}` is not an address such as 127.0.0.1:8080 or [::1]:8080"))
}

/// The URL of a backend. What is wrong with it is said without its password.
pub(super) fn server_url<T: FromStr<Err: std::fmt::Display>>(value: &str) -> Result<T, String> {
    value.parse().map_err(|error: T::Err| error.to_string())
}

/// Scheme and host of a web address, without a slash at its end.
pub(super) fn public_url(value: &str) -> Result<String, String> {
    let wrong = || format!("`{value}` is not an address such as https://videos.example.org");
    let uri: http::Uri = value.parse().map_err(|_| wrong())?;
    let web = matches!(uri.scheme_str(), Some("http" | "https"));
    if !web || uri.authority().is_none() || uri.query().is_some() || !matches!(uri.path(), "" | "/") {
        return Err(wrong());
    }
    Ok(value.trim_end_matches('/').to_owned())
}

/// The host of a web address.
pub(super) fn host(url: &str) -> Option<String> {
    url.parse::<http::Uri>().ok()?.host().map(ToOwned::to_owned)
}

/// Names after commas; the file's list and the repeated flag come as such, too.
pub(super) fn allowed_hosts(value: &str) -> Result<Hosts, String> {
    value.split(',').map(str::trim).filter(|name| !name.is_empty()).try_fold(Hosts::loopback(), |hosts, name| {
        let wrong =
            || format!("`{name}` is no name or address such as videos.example.org or 192.0.2.1; ports don't count");
        hosts.with(name).ok_or_else(wrong)
    })
}

/// How long a lease lasts without a beat: beats are tried again each second, and must come in between.
pub(super) fn lease(value: &str) -> Result<Duration, String> {
    const SHORTEST: Duration = Duration::from_secs(3);
    let lease = duration(value)?;
    if lease < SHORTEST { Err(format!("must be at least {SHORTEST:?}")) } else { Ok(lease) }
}

/// How many of something there may be.
pub(super) fn count(value: &str) -> Result<usize, String> {
    let wrong = || format!("`{value}` is not a number from 1 to 1000000");
    value.parse().ok().filter(|number| (1..=1_000_000).contains(number)).ok_or_else(wrong)
}

/// What uploads can work with, bytes: at the least a chunk and a stream at once.
pub(super) const MEMORY: RangeInclusive<u64> = 16 << 20..=1 << 40;

/// `64MiB`, `1GiB`: powers of 1024, the unit's first letter is enough.
pub(super) fn size(value: &str, range: RangeInclusive<u64>) -> Result<u64, String> {
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
pub(super) fn timeout(value: &str) -> Result<Duration, String> {
    match duration(value)? {
        Duration::ZERO => Err("must be at least 1s".into()),
        duration => Ok(duration),
    }
}

/// `90s`, `10m`, `24h`, `7d`.
pub(super) fn duration(value: &str) -> Result<Duration, String> {
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

/// `text` or `json`.
pub(super) fn encoding(value: &str) -> Result<Encoding, String> {
    match value {
        "all" => Ok(Encoding::All),
        "needed" => Ok(Encoding::Needed),
        "none" => Ok(Encoding::Nothing),
        other => Err(format!("`{other}` is none of all, needed and none")),
    }
}

pub(super) fn log_format(value: &str) -> Result<LogFormat, String> {
    match value {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        other => Err(format!("`{other}` is neither text nor json")),
    }
}
