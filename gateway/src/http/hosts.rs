//! The names this server answers to. A page of another site can't use a visitor's browser to reach it: not by a name of its
//! own that it points here (DNS rebinding: the `Host` is refused), and not by a write from its own address (the `Origin` is).

use super::refusal;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, Method, Uri};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use vidstream_proto::error::{Problem, Reason};

/// Names and literal addresses, without ports: a port says nothing of who wrote a page. Loopback is always among them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Hosts {
    listed: BTreeSet<Host>,
}

/// A host as addresses name it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Host {
    /// In lower case, without the dot of the root at its end.
    Name(String),
    Address(IpAddr),
}

impl Hosts {
    /// Loopback only.
    pub fn loopback() -> Self {
        Self::default()
    }

    /// These too, and `host`: a name or literal address, without a port. None where it is neither.
    #[must_use]
    pub fn with(mut self, host: &str) -> Option<Self> {
        self.listed.insert(Host::parse(host)?);
        Some(self)
    }

    /// These too, and an address.
    #[must_use]
    pub fn with_address(mut self, address: IpAddr) -> Self {
        self.listed.insert(Host::Address(address.to_canonical()));
        self
    }

    fn have(&self, host: &Host) -> bool {
        host.is_loopback() || self.listed.contains(host)
    }

    /// Refuses requests to other names, and writes that pages of other names make.
    fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let authority = authority(uri, headers)?;
        if !host_of(&authority).is_some_and(|host| self.have(&host)) {
            let name: String = authority.as_str().chars().take(100).collect();
            let text = format!("this server does not answer to `{name}`; --allow-host adds a name");
            return Err(Problem::new(Reason::HostNotAllowed, text));
        }
        // RFC 9110 §9.2.1: safe methods. What they answer is kept from other sites by the browser, where it matters.
        if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
            return Ok(());
        }
        // `null` (a sandboxed frame, a file) is no host. What is no browser sends no origin.
        if headers.get_all(ORIGIN).iter().any(|origin| !self.may_write(origin.as_bytes())) {
            return Err(Problem::new(Reason::OriginNotAllowed, "pages of other sites may not change anything here"));
        }
        Ok(())
    }

    fn may_write(&self, origin: &[u8]) -> bool {
        let Ok(origin) = Uri::try_from(origin) else { return false };
        let web = matches!(origin.scheme_str(), Some("http" | "https"));
        web && origin.authority().and_then(host_of).is_some_and(|host| self.have(&host))
    }
}

impl Host {
    fn parse(host: &str) -> Option<Self> {
        if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return address.parse::<Ipv6Addr>().ok().map(|address| Self::Address(IpAddr::V6(address).to_canonical()));
        }
        if let Ok(address) = host.parse::<IpAddr>() {
            return Some(Self::Address(address.to_canonical()));
        }
        let name = host.strip_suffix('.').unwrap_or(host);
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        (!name.is_empty() && name.chars().all(plain)).then(|| Self::Name(name.to_ascii_lowercase()))
    }

    /// Names of loopback mean it everywhere (RFC 6761 §6.3), so nobody can point them elsewhere.
    fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => name == "localhost" || name.ends_with(".localhost"),
            Self::Address(address) => address.is_loopback(),
        }
    }
}

fn host_of(authority: &Authority) -> Option<Host> {
    // Nobody who means well puts a user before a host.
    (!authority.as_str().contains('@')).then(|| Host::parse(authority.host())).flatten()
}

/// Whom the request is for: what its target says (HTTP/2, and RFC 9112 §3.2.2), else the one `Host` (§3.2).
fn authority(uri: &Uri, headers: &HeaderMap) -> Result<Authority, Problem> {
    if let Some(authority) = uri.authority() {
        return Ok(authority.clone());
    }
    let mut hosts = headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Authority::try_from(host.as_bytes()).ok(),
        _ => None,
    };
    host.ok_or_else(|| Problem::field("Host", "must be there once, and be a host"))
}

/// `router`, answering only to `hosts`. Goes around everything that a public listener serves.
pub fn only(hosts: Hosts, router: Router) -> Router {
    router.layer(middleware::from_fn_with_state(Arc::new(hosts), guard))
}

async fn guard(State(hosts): State<Arc<Hosts>>, request: Request, next: Next) -> Response {
    match hosts.check(request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => refusal(&request, problem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn hosts() -> Hosts {
        let named = Hosts::loopback().with("Videos.Example.org").and_then(|hosts| hosts.with("2001:db8::7"));
        named.expect("a name and an address").with_address([192, 0, 2, 1].into())
    }

    fn asked(method: Method, uri: &str, fields: &[(http::HeaderName, &'static str)]) -> Result<(), Reason> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, HeaderValue::from_static(value));
        }
        hosts().check(&method, &uri.parse().expect("a target"), &headers).map_err(|problem| problem.reason)
    }

    #[test]
    fn only_listed_hosts_are_answered() {
        for host in [
            "localhost",
            "LocalHost.:8080",
            "video.localhost:1",
            "127.0.0.1",
            "127.9.9.9:65535",
            "[::1]:80",
            "[::ffff:127.0.0.1]",
            "videos.example.org",
            "VIDEOS.example.ORG.:443",
            "192.0.2.1:8080",
            "[2001:db8:0:0::7]:80",
        ] {
            assert_eq!(asked(Method::GET, "/", &[(HOST, host)]), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "evillocalhost",
            "videos.example.org.evil.example",
            "x.videos.example.org",
            "192.0.2.2",
            "[2001:db8::8]",
            "localhost@evil.example",
            "evil.example@localhost",
            "127.0.0.1.evil.example",
            "127.1",
            "2130706433",
        ] {
            assert_eq!(asked(Method::GET, "/", &[(HOST, host)]), Err(Reason::HostNotAllowed), "{host}");
        }
    }

    /// RFC 9112 §3.2: a request without a host, with several, or with none that is one, is a bad request.
    #[test]
    fn a_request_says_once_whom_it_is_for() {
        for fields in [&[][..], &[(HOST, "localhost"), (HOST, "localhost")], &[(HOST, "")], &[(HOST, "a b")]] {
            assert_eq!(asked(Method::GET, "/", fields), Err(Reason::InvalidArgument), "{fields:?}");
        }
        // §3.2.2: the target's host counts, and the field does not.
        assert_eq!(asked(Method::GET, "http://localhost/x", &[(HOST, "evil.example")]), Ok(()));
        assert_eq!(asked(Method::GET, "http://evil.example/x", &[(HOST, "localhost")]), Err(Reason::HostNotAllowed));
    }

    #[test]
    fn only_listed_origins_write() {
        let here = (HOST, "localhost:8080");
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            let wrote = |origin| asked(method.clone(), "/", &[here.clone(), (ORIGIN, origin)]);
            for origin in
                ["http://localhost:8080", "http://127.0.0.1:5173", "https://videos.example.org", "http://[::1]"]
            {
                assert_eq!(wrote(origin), Ok(()), "{origin}");
            }
            for origin in [
                "null",
                "",
                "https://evil.example",
                "http://localhost.evil.example",
                "ftp://localhost",
                "file://",
                "localhost",
                "http://localhost@evil.example",
            ] {
                assert_eq!(wrote(origin), Err(Reason::OriginNotAllowed), "{origin}");
            }
            assert_eq!(asked(method.clone(), "/", std::slice::from_ref(&here)), Ok(()), "no browser");
            let two = [here.clone(), (ORIGIN, "http://localhost"), (ORIGIN, "https://evil.example")];
            assert_eq!(asked(method, "/", &two), Err(Reason::OriginNotAllowed));
        }
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            assert_eq!(asked(method, "/", &[here.clone(), (ORIGIN, "https://evil.example")]), Ok(()));
        }
    }

    #[test]
    fn what_is_no_host_can_t_be_listed() {
        for host in ["", ".", "a b", "http://a", "a:80", "[::1", "*", "a/b"] {
            assert_eq!(Hosts::loopback().with(host), None, "{host:?}");
        }
    }
}
