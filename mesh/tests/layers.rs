//! The layers of clients and of mesh listeners together, over real sockets: tokens, breakers, deadlines, shedding, repeats.

mod replica;

use replica::{LONG, Replica, Setup, ask, options, peers};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Request, Status};
use vidstream_mesh::client::{ClientOptions, connect};
use vidstream_mesh::layers::ServerBounds;
use vidstream_mesh::lifecycle::Lifecycle;
use vidstream_mesh::token::MeshToken;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::pb;
use vidstream_proto::pb::catalog_service_client::CatalogServiceClient;

#[tokio::test]
async fn only_who_has_the_token_is_heard() {
    let folder = tempfile::tempdir().expect("a folder");
    let token = |name: &str, text: &str| {
        let file = folder.path().join(name);
        fs::write(&file, text).expect("written");
        MeshToken::read(file).expect("a token")
    };
    let of_server = token("server", "0123456789abcdef");
    let replica = Replica::by(Setup { token: Some(of_server), ..Setup::default() }).await;
    let life = Lifecycle::new();
    let with = |token| connect(peers([&replica]), ClientOptions { token, ..options() }, &life).channel;
    for (token, why) in [(None, "without the mesh token"), (Some(token("a", "0123456789abcdeg")), "another mesh token")]
    {
        let error = ask(&with(token)).await.expect_err("refused");
        assert_eq!(error.code(), Code::Unauthenticated);
        assert!(error.message().contains(why), "{error}");
        assert!(!format!("{error:?}").contains("0123456789abcde"), "{error:?}");
    }
    assert_eq!(replica.calls(), 0);
    ask(&with(Some(token("b", "0123456789abcdef\n")))).await.expect("heard");
    // The server takes a new one as well, while the old one is still sent.
    fs::write(folder.path().join("server"), "fedcba9876543210\n0123456789abcdef\n").expect("written");
    let new = with(Some(token("c", "fedcba9876543210")));
    timeout(LONG, async {
        while ask(&new).await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("the file is read again");
    ask(&with(Some(token("d", "0123456789abcdef")))).await.expect("the old one is heard");
}

/// A replica that says it is unavailable as long as the flag is up.
async fn ailing() -> (Arc<AtomicBool>, Replica) {
    let ails = Arc::new(AtomicBool::new(true));
    let flag = Arc::clone(&ails);
    let order = move |_: &str| -> futures::future::BoxFuture<'static, Result<(), Status>> {
        let ails = flag.load(Ordering::SeqCst);
        Box::pin(async move { if ails { Err(Status::unavailable("ailing")) } else { Ok(()) } })
    };
    (ails, Replica::with(order).await)
}

#[tokio::test]
async fn a_replica_that_fails_costs_no_read_and_is_left_in_peace() {
    let ((ails, ailing), well) = (ailing().await, Replica::start().await);
    let life = Lifecycle::new();
    let service = connect(peers([&ailing, &well]), options(), &life);
    timeout(LONG, async {
        while ailing.calls() == 0 {
            ask(&service.channel).await.expect("asked again elsewhere");
        }
    })
    .await
    .expect("it is tried");
    let began = Instant::now();
    for _ in 0..200 {
        assert_eq!(ask(&service.channel).await.expect("asked again elsewhere"), well.address.to_string());
    }
    // Five until the breaker opens, then one each time that it may try.
    let tries = 5 + usize::try_from(began.elapsed().as_secs()).expect("small") + 1;
    assert!((5..=tries).contains(&ailing.calls()), "{} calls", ailing.calls());
    // It is well again, and takes part again.
    ails.store(false, Ordering::SeqCst);
    timeout(LONG * 2, async {
        while ask(&service.channel).await.expect("answered") != ailing.address.to_string() {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("it is tried again");
}

/// What all replicas fail by, such as a database that is away, must not cut off a service that is well again.
#[tokio::test]
async fn the_last_replicas_are_asked_however_often_they_failed() {
    let ((one_ails, one), (other_ails, other)) = (ailing().await, ailing().await);
    let life = Lifecycle::new();
    let service = connect(peers([&one, &other]), options(), &life);
    let mut client = CatalogServiceClient::new(service.channel.clone());
    // Not repeated, so quick: all breakers are open, and stay so while the read is repeated.
    for _ in 0..40 {
        client.take_job(pb::TakeJobRequest::default()).await.expect_err("ailing");
    }
    one_ails.store(false, Ordering::SeqCst);
    other_ails.store(false, Ordering::SeqCst);
    ask(&service.channel).await.expect("they are well");
}

/// A replica that starts says when to come back: others are asked at once, and it costs no repeats until then.
#[tokio::test]
async fn a_replica_that_says_when_to_come_back_rests_until_then() {
    let starts = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&starts);
    let order = move |_: &str| -> futures::future::BoxFuture<'static, Result<(), Status>> {
        let problem = Problem::new(Reason::Unavailable, "starting").retry_after(LONG);
        let outcome = if flag.load(Ordering::SeqCst) { Err(problem.into()) } else { Ok(()) };
        Box::pin(std::future::ready(outcome))
    };
    let (starting, well) = (Replica::with(order).await, Replica::start().await);
    let life = Lifecycle::new();
    let service = connect(peers([&starting, &well]), options(), &life);
    while starting.calls() == 0 || well.calls() == 0 {
        ask(&service.channel).await.expect("both are connected");
    }
    starts.store(true, Ordering::SeqCst);
    let before = (starting.calls(), well.calls());
    timeout(LONG / 2, async {
        while starting.calls() == before.0 || well.calls() < before.1 + 100 {
            ask(&service.channel).await.expect("asked elsewhere");
        }
    })
    .await
    .expect("nobody waits for it");
    assert_eq!(starting.calls(), before.0 + 1);
}

#[tokio::test]
async fn what_must_not_be_repeated_is_not() {
    let (_, ailing) = ailing().await;
    let life = Lifecycle::new();
    let mut client = CatalogServiceClient::new(connect(peers([&ailing]), options(), &life).channel);
    let error = client.take_job(pb::TakeJobRequest::default()).await.expect_err("ailing");
    assert_eq!((error.code(), ailing.calls()), (Code::Unavailable, 1));
    client.create_source(pb::CreateSourceRequest::default()).await.expect_err("ailing");
    assert_eq!(ailing.calls(), 5, "four attempts: it has a request id");
}

#[tokio::test]
async fn a_call_ends_by_its_deadline_on_both_sides() {
    let worked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&worked);
    let slow = Replica::with(move |_| {
        let counted = Arc::clone(&counted);
        Box::pin(async move {
            sleep(LONG).await;
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
    })
    .await;
    let life = Lifecycle::new();
    let mut client = CatalogServiceClient::new(connect(peers([&slow]), options(), &life).channel);
    let mut request = Request::new(pb::GetEntryRequest::default());
    request.set_timeout(Duration::from_millis(300));
    let began = Instant::now();
    let error = client.get_entry(request).await.expect_err("late");
    assert!((Duration::from_millis(300)..LONG / 2).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert_eq!(error.code(), Code::DeadlineExceeded);
    // Nobody works on for a caller that has gone: all that was open ends, so the listener stops by itself at once.
    assert!(slow.life.stop(LONG / 2).await);
    assert_eq!(worked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_full_replica_sends_calls_elsewhere() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let order: replica::Order = Arc::new(move |_| {
        let held = Arc::clone(&held);
        Box::pin(async move {
            let _passed = held.acquire().await.expect("open");
            Ok(())
        })
    });
    let bounds = ServerBounds { calls: 2, streams: 2 };
    let full = Replica::by(Setup { order, bounds, ..Setup::default() }).await;
    let life = Lifecycle::new();
    let alone = connect(peers([&full]), options(), &life).channel;
    let mut waiting = JoinSet::new();
    for _ in 0..2 {
        let channel = alone.clone();
        waiting.spawn(async move { ask(&channel).await });
    }
    timeout(LONG, async {
        while full.calls() < 2 {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("both are there");
    let error = ask(&alone).await.expect_err("full");
    assert_eq!(error.code(), Code::Unavailable);
    assert!(error.message().contains("all the calls it takes"), "{error}");
    let other = Replica::start().await;
    let both = connect(peers([&full, &other]), options(), &life).channel;
    for _ in 0..10 {
        assert_eq!(ask(&both).await.expect("elsewhere"), other.address.to_string());
    }
    assert_eq!(full.calls(), 2);
    gate.add_permits(2);
    while let Some(answered) = waiting.join_next().await {
        answered.expect("no panic").expect("those that were let in are answered");
    }
}
