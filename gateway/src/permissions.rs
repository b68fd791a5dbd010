//! Which permission each rpc and route of the public port needs. What is not in this table is refused.

use vidstream_mesh::caller::{Caller, Permission};
use vidstream_proto::error::{Problem, Reason};

/// Every rpc of the public services.
pub const RPCS: &[(&str, Permission)] = &[
    ("/vidstream.v1.GatewayService/ListVideos", Permission::Read),
    ("/vidstream.v1.GatewayService/GetVideo", Permission::Read),
    ("/vidstream.v1.GatewayService/UpdateVideo", Permission::Write),
    ("/vidstream.v1.GatewayService/RemoveVideo", Permission::Write),
    ("/vidstream.v1.GatewayService/RestoreVideo", Permission::Write),
    ("/vidstream.v1.GatewayService/RetryVideo", Permission::Write),
    ("/vidstream.v1.GatewayService/AddCaptions", Permission::Write),
    ("/vidstream.v1.GatewayService/RemoveCaptions", Permission::Write),
    ("/vidstream.v1.GatewayService/WatchVideos", Permission::Read),
    ("/vidstream.v1.GatewayService/WatchProgress", Permission::Read),
    ("/vidstream.v1.GatewayService/GetPlayback", Permission::Read),
    ("/vidstream.v1.GatewayService/ExplainVideo", Permission::Read),
    ("/vidstream.v1.GatewayService/ReportWatched", Permission::Read),
    ("/vidstream.v1.GatewayService/CollectGarbage", Permission::Admin),
    ("/vidstream.v1.GatewayService/Diagnose", Permission::Admin),
    ("/vidstream.v1.UploadService/CreateUpload", Permission::Upload),
    ("/vidstream.v1.UploadService/GetUpload", Permission::Upload),
    ("/vidstream.v1.UploadService/StreamPieces", Permission::Upload),
    ("/vidstream.v1.UploadService/PutChunk", Permission::Upload),
    ("/vidstream.v1.UploadService/CompleteUpload", Permission::Upload),
];

/// Routes, as the router writes them: whole, or everything below a folder if it ends in `/`. The first that fits counts.
pub const ROUTES: &[(&str, Permission)] = &[
    ("/videos/", Permission::Read),
    ("/uploads/{id}/bytes", Permission::Upload),
    ("/healthz", Permission::Public),
    ("/readyz", Permission::Public),
    ("/grpc.health.v1.Health/", Permission::Public),
    ("/grpc.reflection.v1.ServerReflection/", Permission::Public),
    ("/grpc.reflection.v1alpha.ServerReflection/", Permission::Public),
];

/// What a request needs. `route` is the router's pattern that it matched, none for the web app and unknown addresses.
pub fn needed(route: Option<&str>, path: &str) -> Option<Permission> {
    let Some(route) = route else { return Some(Permission::Public) };
    let fits = |pattern: &str| route == pattern || (pattern.ends_with('/') && route.starts_with(pattern));
    let rpc = RPCS.iter().find(|(rpc, _)| *rpc == path);
    rpc.or_else(|| ROUTES.iter().find(|(pattern, _)| fits(pattern))).map(|(_, permission)| *permission)
}

/// Refuses what `caller` may not do, and what the table does not know.
pub fn check(caller: &Caller, route: Option<&str>, path: &str) -> Result<(), Problem> {
    match needed(route, path) {
        Some(Permission::Public) => Ok(()),
        Some(permission) if caller.may(permission) => Ok(()),
        Some(_) => Err(Problem::new(Reason::PermissionDenied, format!("you may not use {path}"))),
        None => Err(Problem::new(Reason::Unimplemented, format!("there is no {path}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;
    use vidstream_proto::FILE_DESCRIPTOR_SET;

    #[test]
    fn the_table_has_every_public_rpc_and_no_other() {
        let files = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("descriptors").file;
        let services = files.iter().flat_map(|f| f.service.iter().map(move |s| (f.package(), s)));
        let public = services.filter(|(_, s)| matches!(s.name(), "GatewayService" | "UploadService"));
        let mut rpcs: Vec<String> = public
            .flat_map(|(package, s)| s.method.iter().map(move |m| format!("/{package}.{}/{}", s.name(), m.name())))
            .collect();
        rpcs.sort();
        let mut table: Vec<&str> = RPCS.iter().map(|(rpc, _)| *rpc).collect();
        table.sort_unstable();
        assert_eq!(table, rpcs);
        assert!(!rpcs.is_empty());
    }

    #[test]
    fn what_is_not_in_the_table_is_refused() {
        let caller = Caller::local();
        let rpc = "/vidstream.v1.GatewayService/{*rest}";
        check(&caller, Some(rpc), "/vidstream.v1.GatewayService/ListVideos").expect("known");
        check(&caller, Some(rpc), "/vidstream.v1.GatewayService/Unheard").expect_err("unknown rpc");
        check(&caller, Some("/secrets"), "/secrets").expect_err("unknown route");
        check(&caller, None, "/index.html").expect("the web app is public");
    }

    #[test]
    fn folders_cover_what_is_below() {
        let video = Some("/videos/{id}/master.m3u8");
        assert_eq!(needed(video, "/videos/x/master.m3u8"), Some(Permission::Read));
        assert_eq!(needed(Some("/videosx"), "/videosx"), None);
    }
}
