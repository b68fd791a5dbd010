//! grpcurl finds the contract by reflection and calls it.

use vidstream_tests::judges::grpcurl::grpcurl;
use vidstream_tests::server::Server;

#[test]
fn the_public_listener_lists_and_answers_its_services() {
    let server = Server::start();
    let list = grpcurl(&server.address, &["list"]).expect("reflection is on");
    let mut services: Vec<_> = list.lines().collect();
    services.sort_unstable();
    assert_eq!(services, ["grpc.health.v1.Health", "vidstream.v1.GatewayService", "vidstream.v1.UploadService"]);
    let videos = grpcurl(&server.address, &["vidstream.v1.GatewayService/ListVideos"]).expect("it answers");
    assert!(videos.contains("position"), "{videos}");
    let health = grpcurl(&server.address, &["grpc.health.v1.Health/Check"]).expect("it answers");
    assert!(health.contains("SERVING"), "{health}");
    let hidden = grpcurl(&server.address, &["vidstream.v1.CatalogService/ListEntries"]).expect_err("not here");
    assert!(!hidden.is_empty());
    grpcurl(&server.address, &["describe", "vidstream.v1.CatalogService"]).expect_err("nor described here");
    grpcurl(&server.address, &["describe", "vidstream.v1.GatewayService"]).expect("described");
}

#[test]
fn the_mesh_listener_has_services_of_its_own() {
    let server = Server::with(&["--mesh-listen", "127.0.0.1:0"]);
    let log = server.log();
    let line = log.lines().find(|line| line.contains("mesh listener")).expect("it says where it listens");
    let address = line
        .split(|c: char| c.is_whitespace() || c == '=')
        .find(|word| word.starts_with("127.0.0.1:"))
        .expect("an address");
    let list = grpcurl(address, &["list"]).expect("reflection is on");
    let mut services: Vec<_> = list.lines().collect();
    services.sort_unstable();
    assert_eq!(services, ["grpc.health.v1.Health", "vidstream.v1.CatalogService", "vidstream.v1.TranscoderService"]);
    let entries = grpcurl(address, &["vidstream.v1.CatalogService/ListEntries"]).expect("it answers");
    assert!(entries.contains("position"), "{entries}");
}

#[test]
fn errors_carry_a_stable_reason() {
    let server = Server::start();
    let nobody = r#"{"videoId":"01890000-0000-7000-8000-000000000000"}"#;
    let error = grpcurl(&server.address, &["-d", nobody, "vidstream.v1.GatewayService/GetVideo"]).expect_err("nobody");
    for part in ["NotFound", "NOT_FOUND", "google.rpc.ErrorInfo", "vidstream"] {
        assert!(error.contains(part), "{part} in {error}");
    }
}
