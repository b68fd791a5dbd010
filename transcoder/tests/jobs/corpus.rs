//! Whatever comes in: an index or a sentence, pictures or a reason, and never a fault of ours.

use crate::mesh::Mesh;
use std::path::{Path, PathBuf};
use vidstream_proto::job::JobKind;
use vidstream_proto::pb::FailureKind;
use vidstream_proto::pb::finish_job_request::Result as Outcome;

/// Larger files add time and nothing else.
const LARGEST: usize = 60_000_000;

/// Files of these folders of the corpus; none where it is not at hand.
pub fn files(folders: &[&str]) -> Vec<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/media");
    let corpus = std::env::var_os("TEST_MEDIA").map_or_else(beside, Into::into);
    let entries = folders.iter().flat_map(|folder| std::fs::read_dir(corpus.join(folder))).flatten().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

#[tokio::test]
async fn no_file_is_a_fault_of_ours() {
    for file in files(&["attack", "bad", "quirk"]) {
        let content = std::fs::read(&file).expect("it can be read");
        if content.len() > LARGEST {
            continue;
        }
        let mesh = Mesh::with(content).await;
        let worker = mesh.start();
        let mut indexed = mesh.outcome(JobKind::Ingest).await;
        if let Ok(Outcome::Normalisation(_)) = indexed {
            indexed = mesh.outcome(JobKind::Normalise).await;
        }
        match indexed {
            Err((kind, reason)) => {
                assert_eq!(kind, FailureKind::Input, "{}: {reason}", file.display());
                assert!(reason.len() > 10, "{}: {reason}", file.display());
            }
            Ok(_) => {
                for kind in [JobKind::Storyboard, JobKind::Poster] {
                    if let Err((whose, reason)) = mesh.outcome(kind).await {
                        let theirs = matches!(whose, FailureKind::NotOffered | FailureKind::Input);
                        assert!(theirs, "{}: {whose:?}: {reason}", file.display());
                    }
                }
            }
        }
        mesh.life.stopping().cancel();
        worker.await.expect("it ends");
        assert_eq!(mesh.children(), 0, "{}", file.display());
    }
}
