//! Which rpc or route a request is for. There are as many as the contract and the router name, whatever clients ask for.

use super::figures::{Families, Figures, Label, Route as RouteLabel, RouteEnd, Rpc, RpcEnd};
use crate::metrics::Metrics;
use crate::trace::Span;
use axum::extract::MatchedPath;
use http::{Method, Request};
use prost::Message;
use prost_types::FileDescriptorSet;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use vidstream_proto::FILE_DESCRIPTOR_SET;

/// What no route takes: files of the web app, and addresses with nothing at them.
const UNROUTED: &str = "other";
/// Routes that only ask whether the process lives, and services that do.
const PROBES: [&str; 4] = ["/healthz", "/readyz", "/metrics", "grpc.health.v1.Health"];

/// All rpcs, and the routes that were asked for.
#[derive(Debug)]
pub(super) struct Routes {
    rpcs: HashMap<Box<str>, Arc<Route>>,
    asked: RwLock<HashMap<Box<str>, Arc<Route>>>,
    over_http: Families<RouteLabel, RouteEnd>,
}

impl Routes {
    pub fn new(metrics: &Metrics) -> Self {
        let of_rpcs = Families::new(metrics, "rpc", "Calls");
        let over_http = Families::new(metrics, "http", "Requests over plain HTTP");
        let mut rpcs = HashMap::new();
        for (path, rpc) in described() {
            let what = What::Rpc { service: service_of(&rpc.service.0), rpc, families: of_rpcs.clone() };
            rpcs.insert(path.clone(), Arc::new(Route::new(path, what)));
        }
        Self { rpcs, asked: RwLock::default(), over_http }
    }

    /// The one that `request` is for.
    pub fn of<B>(&self, request: &Request<B>) -> Arc<Route> {
        if let Some(rpc) = self.rpcs.get(request.uri().path()) {
            return Arc::clone(rpc);
        }
        let path = request.extensions().get::<MatchedPath>().map_or(UNROUTED, MatchedPath::as_str);
        if let Some(route) = self.asked.read().unwrap_or_else(PoisonError::into_inner).get(path) {
            return Arc::clone(route);
        }
        let made = || {
            let what = What::Http { route: path.into(), families: self.over_http.clone() };
            Arc::new(Route::new(path.into(), what))
        };
        let mut routes = self.asked.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(routes.entry(path.into()).or_insert_with(made))
    }
}

/// Every rpc of ours, and those of health and reflection, by their paths.
fn described() -> Vec<(Box<str>, Rpc)> {
    let sets = [FILE_DESCRIPTOR_SET, tonic_health::pb::FILE_DESCRIPTOR_SET];
    let sets = sets.into_iter().map(|set| FileDescriptorSet::decode(set).expect("the build made them"));
    let mut rpcs = Vec::new();
    for file in sets.flat_map(|set| set.file) {
        for service in &file.service {
            let name = format!("{}.{}", file.package(), service.name());
            for method in &service.method {
                let rpc = Rpc { service: (&*name).into(), method: method.name().into() };
                rpcs.push((format!("/{name}/{}", method.name()).into(), rpc));
            }
        }
    }
    rpcs
}

/// What spans call the service whose contract has this name; none: whoever answers.
fn service_of(name: &str) -> Option<&'static str> {
    match name.strip_prefix("vidstream.v1.")? {
        "GatewayService" | "UploadService" => Some("gateway"),
        "CatalogService" => Some("catalog"),
        "TranscoderService" => Some("transcoder"),
        _ => None,
    }
}

#[derive(Debug)]
enum What {
    Rpc { service: Option<&'static str>, rpc: Rpc, families: Families<Rpc, RpcEnd> },
    Http { route: Label, families: Families<RouteLabel, RouteEnd> },
}

/// One rpc, or one route.
#[derive(Debug)]
pub(super) struct Route {
    path: Box<str>,
    what: What,
    /// Made at the first request.
    figures: OnceLock<Figures>,
}

impl Route {
    fn new(path: Box<str>, what: What) -> Self {
        Self { path, what, figures: OnceLock::new() }
    }

    pub fn is_rpc(&self) -> bool {
        matches!(self.what, What::Rpc { .. })
    }

    pub fn is_probe(&self) -> bool {
        PROBES.iter().any(|probe| match &self.what {
            What::Rpc { rpc, .. } => *rpc.service.0 == **probe,
            What::Http { route, .. } => *route.0 == **probe,
        })
    }

    /// Whose contract it is in, as spans call it.
    pub fn service(&self) -> Option<&'static str> {
        match self.what {
            What::Rpc { service, .. } => service,
            What::Http { .. } => None,
        }
    }

    /// As spans call it.
    pub fn title(&self, asked: &Method) -> Cow<'static, str> {
        if self.is_rpc() { self.name().to_owned().into() } else { format!("{} {}", method(asked), self.path).into() }
    }

    /// As lines of the log call it.
    pub fn name(&self) -> &str {
        if self.is_rpc() { self.path.trim_start_matches('/') } else { &self.path }
    }

    /// Says in `span` what is asked, by OpenTelemetry's names.
    pub fn describe<B>(&self, request: &Request<B>, span: &mut Span) {
        match &self.what {
            What::Rpc { rpc, .. } => {
                span.note("rpc.system", || "grpc".into());
                span.note("rpc.service", || rpc.service.0.to_string().into());
                span.note("rpc.method", || rpc.method.0.to_string().into());
            }
            What::Http { route, .. } => {
                span.note("http.request.method", || method(request.method()).into());
                span.note("http.route", || route.0.to_string().into());
                span.note("url.path", || request.uri().path().to_owned().into());
            }
        }
    }

    pub fn figures(&self) -> &Figures {
        self.figures.get_or_init(|| match &self.what {
            What::Rpc { rpc, families, .. } => families.of(rpc),
            What::Http { route, families } => families.of(&RouteLabel { route: route.clone() }),
        })
    }

    /// A request with `method` ended with this code of gRPC, or this status of HTTP.
    pub fn ended(&self, method: &'static str, code: &'static str, status: u16) {
        match &self.what {
            What::Rpc { rpc, families, .. } => {
                let Rpc { service, method } = rpc.clone();
                families.ended(&RpcEnd { service, method, code });
            }
            What::Http { route, families } => families.ended(&RouteEnd { route: route.clone(), method, status }),
        }
    }
}

/// The method, if it is one that HTTP has (RFC 9110 §9.3).
pub(super) fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}
