//! Deletion.

use crate::clips::plain;
use crate::mesh::{Mesh, quick};
use std::time::Duration;
use vidstream_proto::job::JobKind;
use vidstream_proto::pb::finish_job_request::Result as Outcome;
use vidstream_transcoder::Config;

#[tokio::test]
async fn everything_goes_also_what_is_written_meanwhile() {
    let mesh = Mesh::of(plain(), Config { write_deadline: Duration::from_secs(1), ..quick() }).await;
    mesh.upload(0..mesh.content.len() as u64).await;
    mesh.start();
    mesh.index().await;
    let before = mesh.names().await.len() as u64;
    assert!(before >= 2, "bytes and an index");
    mesh.queue(JobKind::Delete).await;
    // A write that was under way when the source died ends after the first pass.
    mesh.catalog.see(|state| (state.jobs.last()?.progress.percent > 0.0).then_some(())).await;
    assert!(mesh.names().await.is_empty(), "the first pass");
    let late = vidstream_source::names::poster(mesh.catalog.state().source.id, vidstream_proto::job::Fence(9));
    mesh.objects.put(&late, vec!["late".into()]).await.expect("stored");
    match mesh.catalog.outcome(JobKind::Delete).await {
        Ok(Outcome::Delete(result)) => assert_eq!(result.objects, before + 1),
        other => panic!("{other:?}"),
    }
    assert!(mesh.names().await.is_empty(), "the second pass");
}
