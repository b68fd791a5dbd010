//! Objects of another catalog are not garbage.

use crate::world::{World, reason};
use futures::StreamExt;
use std::sync::Arc;
use std::time::Duration;
use vidstream_catalog::Config;
use vidstream_catalog::store::{self, Store};
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::pb::{self, Verdict, collect_objects_response::Event};

const OLD: Duration = Duration::from_hours(1);
const OWNER: &str = "catalog/owner";

impl World {
    /// What a collection finds, without the total.
    async fn garbage(&mut self, dry_run: bool, adopt: bool) -> Result<Vec<String>, Problem> {
        let request = pb::CollectObjectsRequest { dry_run, adopt };
        let mut events = self.client.collect_objects(request).await?.into_inner();
        let mut found = Vec::new();
        while let Some(event) = events.next().await {
            if let Event::Found(garbage) = event?.event.unwrap() {
                found.push(garbage.name);
            }
        }
        Ok(found)
    }

    /// Another catalog on these objects, with an empty database.
    async fn stranger(&self) -> Self {
        let database: Arc<dyn Store> = store::open_file(&self.file("../stranger.db")).await.unwrap();
        self.reopen_over(|_| database).await
    }

    async fn verdict(&mut self) -> Verdict {
        let answer = self.client.examine_catalog(pb::ExamineCatalogRequest {}).await.unwrap().into_inner();
        let findings = answer.examination.unwrap().findings;
        findings.iter().find(|found| found.part == "owner of objects").expect("it is looked at").verdict()
    }

    fn owner(&self) -> String {
        std::fs::read_to_string(self.file(OWNER)).unwrap()
    }
}

/// A catalog of a version that did not say whose its objects are, and one of its objects, old.
async fn before() -> (World, String) {
    let mut world = World::still(Config::default()).await;
    let source = world.uploaded().await;
    let name = format!("sources/{}/poster/7/poster.jpg", source.id);
    world.plant(&name, OLD).await;
    (world, name)
}

#[tokio::test(start_paused = true)]
async fn a_catalog_on_a_wrong_database_collects_nothing() {
    let (mut world, name) = before().await;
    world.garbage(true, false).await.unwrap();
    assert!(!world.is_there(OWNER), "a dry run writes nothing");
    assert_eq!(world.garbage(false, false).await.unwrap(), [name.as_str()], "who knows one of them may have them");
    world.plant(&name, OLD).await;
    let owner = world.owner();

    let mut stranger = world.stranger().await.run();
    for dry_run in [true, false] {
        assert_eq!(reason(stranger.garbage(dry_run, false).await), Reason::ForeignObjects);
    }
    tokio::time::sleep(2 * stranger.config.garbage_interval).await;
    assert!(stranger.is_there(&name), "nor does it by itself");
    assert_eq!((stranger.owner(), stranger.verdict().await), (owner, Verdict::Wrong));
    let problem = stranger.garbage(false, false).await.unwrap_err();
    assert!(problem.message.contains("another catalog") && problem.message.contains("--adopt"), "{problem}");
}

#[tokio::test]
async fn objects_are_taken_over_by_word_alone() {
    let (mut world, name) = before().await;
    assert_eq!(world.verdict().await, Verdict::Fine, "it knows one of them");
    assert_eq!(world.garbage(false, false).await.unwrap().len(), 1);
    world.plant(&name, OLD).await;
    let mut stranger = world.stranger().await;
    assert_eq!(stranger.garbage(true, true).await.unwrap(), [name.as_str()]);
    assert!(stranger.is_there(&name) && stranger.garbage(false, false).await.is_err(), "a dry run takes nothing over");
    assert_eq!(stranger.garbage(false, true).await.unwrap(), [name.as_str()]);
    assert!(!stranger.is_there(&name));
    assert_eq!(stranger.verdict().await, Verdict::Fine);
    assert_eq!(reason(world.garbage(false, false).await), Reason::ForeignObjects);
    assert_eq!(world.verdict().await, Verdict::Wrong);
}

#[tokio::test]
async fn what_nobody_owns_is_for_who_knows_some_of_it_or_finds_nothing() {
    let (world, name) = before().await;
    let mut stranger = world.stranger().await;
    assert_eq!(reason(stranger.garbage(false, false).await), Reason::ForeignObjects);
    assert!(stranger.is_there(&name) && !stranger.is_there(OWNER));
    assert_eq!(stranger.verdict().await, Verdict::Wrong);
    // Its own uploads beside them do not make them its own, and then do.
    let own = stranger.uploaded().await;
    assert_eq!(reason(stranger.garbage(true, false).await), Reason::ForeignObjects);
    stranger.plant(&format!("sources/{}/poster/1/poster.jpg", own.id), OLD).await;
    assert_eq!(stranger.garbage(true, false).await.unwrap().len(), 2);

    // A replica over the same database has them as well, whoever was first.
    let mut empty = World::still(Config::default()).await;
    let mut replica = empty.replica().await;
    let (one, other) = tokio::join!(empty.garbage(false, false), replica.garbage(false, false));
    assert!(one.unwrap().is_empty() && other.unwrap().is_empty() && empty.is_there(OWNER));
    assert!(empty.stranger().await.garbage(false, false).await.is_err());
}
