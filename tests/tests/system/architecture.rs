//! The direction of dependencies, by `cargo metadata`.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// What each crate may depend on, of ours.
const ALLOWED: &[(&str, &[&str])] = &[
    ("vidstream-proto", &[]),
    ("vidstream-media", &[]),
    ("vidstream-backends", &[]),
    ("vidstream-s3", &["vidstream-backends"]),
    ("vidstream-amqp", &["vidstream-backends"]),
    ("vidstream-redis", &["vidstream-backends"]),
    ("vidstream-points", &[]),
    ("vidstream-test-servers", &[]),
    ("vidstream-mesh", &["vidstream-proto"]),
    ("vidstream-otlp", &["vidstream-mesh"]),
    ("vidstream-source", &["vidstream-proto", "vidstream-backends"]),
    ("vidstream-catalog", &["vidstream-proto", "vidstream-mesh", "vidstream-source", "vidstream-backends"]),
    ("vidstream-mongo", &["vidstream-proto", "vidstream-source", "vidstream-catalog"]),
    (
        "vidstream-transcoder",
        &["vidstream-proto", "vidstream-mesh", "vidstream-source", "vidstream-backends", "vidstream-media"],
    ),
    (
        "vidstream-gateway",
        &["vidstream-proto", "vidstream-mesh", "vidstream-source", "vidstream-backends", "vidstream-media"],
    ),
    ("vidctl", &["vidstream-proto", "vidstream-media", "vidstream-mesh", "vidstream-backends", "vidstream-s3"]),
];

/// What a crate must know nothing of.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("vidstream-media", &["tokio", "tonic", "ffmpeg-sidecar", "rusqlite"]),
    ("vidstream-backends", &["tonic", "prost", "rusqlite"]),
    ("vidstream-source", &["tonic", "ffmpeg-sidecar", "axum"]),
    ("vidstream-catalog", &["ffmpeg-sidecar", "axum"]),
    ("vidstream-transcoder", &["rusqlite", "axum"]),
    ("vidstream-gateway", &["rusqlite", "ffmpeg-sidecar"]),
    ("vidctl", &["rusqlite", "ffmpeg-sidecar", "axum"]),
];

/// Direct dependencies of every crate of ours, those of tests left out.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let out = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let name = |value: &Value| value["name"].as_str().expect("a name").to_owned();
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let all = package["dependencies"].as_array().expect("dependencies");
            (name(package), all.iter().filter(|d| d["kind"].is_null()).map(name).collect())
        })
        .collect()
}

#[test]
fn dependencies_run_one_way() {
    let dependencies = dependencies();
    for (package, allowed) in ALLOWED {
        let ours = dependencies[*package].iter().filter(|d| d.starts_with("vidstream-"));
        for dependency in ours {
            assert!(allowed.contains(&dependency.as_str()), "{package} must not depend on {dependency}");
        }
    }
    for (package, forbidden) in FORBIDDEN {
        for dependency in *forbidden {
            assert!(!dependencies[*package].contains(*dependency), "{package} must know nothing of {dependency}");
        }
    }
}

#[test]
fn every_crate_has_its_place() {
    let known: BTreeSet<_> = ALLOWED.iter().map(|(package, _)| (*package).to_owned()).collect();
    let composed = ["vidstream-server", "vidstream-tests", "vidstream-bench"].map(ToOwned::to_owned);
    let found: BTreeSet<_> = dependencies().into_keys().filter(|package| !composed.contains(package)).collect();
    assert_eq!(found, known);
}
