//! Health and reflection of one listener: each lists the services it answers for, and no others.

use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use vidstream_proto::FILE_DESCRIPTOR_SET;

/// The gRPC health and reflection services of a listener, and what flips health when the process stops.
pub struct Introspection {
    /// Routes to merge into the listener's router.
    pub routes: Routes,
    reporter: HealthReporter,
    services: Vec<&'static str>,
}

impl Introspection {
    /// Health and reflection for `services` (full names such as `vidstream.v1.GatewayService`), all serving.
    ///
    /// # Errors
    /// If the contract's descriptors can't be read, which a build would have refused.
    pub async fn new(services: Vec<&'static str>) -> Result<Self, tonic_reflection::server::Error> {
        let (reporter, health) = tonic_health::server::health_reporter();
        let mut reflection = tonic_reflection::server::Builder::configure()
            .register_file_descriptor_set(described(&services)?)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // Details of errors, so that clients that learn by reflection can show them.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
            .with_service_name("grpc.health.v1.Health");
        for service in &services {
            reporter.set_service_status(service, ServingStatus::Serving).await;
            reflection = reflection.with_service_name(*service);
        }
        // Without tonic's own fallback: two routers with one can't be merged.
        let routes = Routes::from(axum::Router::new()).add_service(health).add_service(reflection.build_v1()?);
        Ok(Self { routes, reporter, services })
    }

    /// Says "not serving", so that balancers send nothing new.
    pub async fn stop(&self) {
        for service in self.services.iter().chain([&""]) {
            self.reporter.set_service_status(service, ServingStatus::NotServing).await;
        }
    }
}

/// The contract's descriptors without the services that this listener does not answer for.
fn described(services: &[&str]) -> Result<FileDescriptorSet, tonic_reflection::server::Error> {
    let mut set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET)?;
    for file in &mut set.file {
        let package = file.package().to_owned();
        file.service.retain(|service| services.contains(&format!("{package}.{}", service.name()).as_str()));
    }
    Ok(set)
}
