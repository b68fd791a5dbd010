//! Clients of services with several replicas, over real sockets.

mod replica;

use futures::FutureExt;
use replica::{LONG, Replica, Setup, ask, options, peers};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tonic::Code;
use vidstream_mesh::client::{ClientOptions, Reach, connect};
use vidstream_mesh::lifecycle::Lifecycle;
use vidstream_proto::pb;
use vidstream_proto::pb::catalog_service_client::CatalogServiceClient;

/// An address where nobody listens.
async fn nowhere() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("bound")
}

#[tokio::test]
async fn calls_go_to_all_replicas() {
    let replicas = [Replica::start().await, Replica::start().await, Replica::start().await];
    let life = Lifecycle::new();
    let service = connect(peers(&replicas), options(), &life);
    timeout(LONG, async {
        // The first calls may go to whoever was connected first.
        while replicas.iter().any(|replica| replica.calls() == 0) {
            ask(&service.channel).await.expect("answered");
        }
    })
    .await
    .expect("all are called");
    let mut answers = BTreeMap::<_, usize>::new();
    for _ in 0..300 {
        *answers.entry(ask(&service.channel).await.expect("answered")).or_default() += 1;
    }
    assert!(answers.values().all(|count| (90..=110).contains(count)), "{answers:?}");
}

#[tokio::test]
async fn a_replica_that_is_busy_gets_less() {
    let slow = Replica::with(|_| Box::pin(sleep(Duration::from_millis(300)).map(Ok))).await;
    let quick = Replica::start().await;
    let life = Lifecycle::new();
    let service = connect(peers([&slow, &quick]), options(), &life);
    while slow.calls() == 0 {
        ask(&service.channel).await.expect("answered");
    }
    let before = slow.calls();
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let channel = service.channel.clone();
        calls.spawn(async move {
            for _ in 0..20 {
                ask(&channel).await.expect("answered");
            }
        });
    }
    calls.join_all().await;
    assert!(slow.calls() - before < 200, "{} of 400 calls", slow.calls() - before);
}

#[tokio::test]
async fn a_replica_that_is_killed_costs_no_later_call() {
    let [one, other] = [Replica::start().await, Replica::start().await];
    let life = Lifecycle::new();
    let service = connect(peers([&one, &other]), options(), &life);
    while one.calls() == 0 || other.calls() == 0 {
        ask(&service.channel).await.expect("answered");
    }
    one.kill();
    for _ in 0..50 {
        assert_eq!(ask(&service.channel).await.expect("answered"), other.address.to_string());
    }
    service.reach.now().expect("one is there");
}

#[tokio::test]
async fn peers_that_are_silent_get_no_calls() {
    // It accepts, by its backlog, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let place = silent.local_addr().expect("bound");
    let good = Replica::start().await;
    let life = Lifecycle::new();
    let both = format!("{place},{}", good.address).parse().expect("peers");
    let service = connect(both, options(), &life);
    for _ in 0..20 {
        assert_eq!(
            timeout(LONG, ask(&service.channel)).await.expect("in time").expect("answered"),
            good.address.to_string()
        );
    }
    let patience = Duration::from_millis(1500);
    let alone = ClientOptions { connect_timeout: Duration::from_millis(200), patience, ..options() };
    let service = connect(place.to_string().parse().expect("a peer"), alone, &life);
    let began = Instant::now();
    let error = ask(&service.channel).await.expect_err("nobody");
    assert!(began.elapsed() >= patience, "{:?}", began.elapsed());
    assert_eq!(error.code(), Code::Unavailable);
    let why = format!("nobody can be reached at {place}: {place}: it did not answer within 200ms");
    assert_eq!(service.reach.now().expect_err("nobody").to_string(), why);
    // Callers may be anybody.
    assert_eq!(error.message(), "another service can't be reached; try again");
    // Patience is over: nobody waits for what has been away so long.
    let began = Instant::now();
    ask(&service.channel).await.expect_err("nobody");
    assert!(began.elapsed() < patience, "{:?}", began.elapsed());
}

#[tokio::test]
async fn calls_wait_for_a_service_that_starts_later() {
    let place = nowhere().await;
    let life = Lifecycle::new();
    let service = connect(place.to_string().parse().expect("a peer"), options(), &life);
    let reach = service.reach.clone();
    let channel = service.channel.clone();
    let call = tokio::spawn(async move { ask(&channel).await });
    timeout(LONG, async {
        while !reach.now().is_err_and(|why| why.to_string().contains("refused")) {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("it says why");
    assert!(!call.is_finished());
    let replica = Replica::by(Setup { address: place, ..Setup::default() }).await;
    timeout(LONG, reach.come()).await.expect("it comes");
    let answered = timeout(LONG, call).await.expect("in time").expect("no panic").expect("answered");
    assert_eq!(answered, replica.address.to_string());
    Reach::within().now().expect("always");
}

#[tokio::test]
async fn a_name_that_is_unknown_is_said() {
    let life = Lifecycle::new();
    let quick = ClientOptions { patience: Duration::from_millis(100), ..options() };
    let service = connect("no-such-host.invalid:7000".parse().expect("a peer"), quick, &life);
    timeout(LONG, async {
        loop {
            let error = ask(&service.channel).await.expect_err("nobody");
            assert_eq!(error.code(), Code::Unavailable);
            let why = service.reach.now().expect_err("nobody").to_string();
            if why.contains("no-such-host.invalid:7000: the name can't be resolved") {
                break;
            }
        }
    })
    .await
    .expect("it says why");
}

#[tokio::test]
async fn a_name_stands_for_all_its_addresses() {
    let replica = Replica::start().await;
    let life = Lifecycle::new();
    let name = format!("localhost:{}", replica.address.port()).parse().expect("a peer");
    let service = connect(name, options(), &life);
    assert_eq!(ask(&service.channel).await.expect("answered"), replica.address.to_string());
}

#[tokio::test]
async fn who_breaks_off_is_not_named_to_callers() {
    let replica = Replica::with(|_| Box::pin(std::future::pending())).await;
    let life = Lifecycle::new();
    let service = connect(peers([&replica]), options(), &life);
    let mut client = CatalogServiceClient::new(service.channel);
    let call = tokio::spawn(async move { client.take_job(pb::TakeJobRequest::default()).await });
    while replica.calls() == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    replica.kill();
    let error = call.await.expect("no panic").expect_err("it is lost");
    assert_eq!((error.code(), error.message()), (Code::Unavailable, "another service can't be reached; try again"));
}

#[tokio::test]
async fn streams_end_with_unavailable() {
    let life = Lifecycle::new();
    for killed in [false, true] {
        let replica = Replica::start().await;
        let service = connect(peers([&replica]), options(), &life);
        let mut client = CatalogServiceClient::new(service.channel);
        let events = client.watch_entries(pb::WatchEntriesRequest::default()).await.expect("answered");
        let mut events = events.into_inner();
        assert!(events.message().await.expect("no error").is_some());
        if !killed {
            assert!(replica.life.stop(LONG).await, "it waits for nothing but its streams' last words");
        }
        replica.kill();
        let last = timeout(LONG, events.message()).await.expect("it ends").expect_err("not in peace");
        assert_eq!(last.code(), Code::Unavailable, "{last}");
    }
}

/// Calls without pause by many, while `meanwhile` runs; says how many were answered. None may fail.
async fn under_load<T>(channel: &vidstream_mesh::channel::Channel, meanwhile: impl Future<Output = T>) -> (usize, T) {
    let (over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut callers = JoinSet::new();
    for _ in 0..16 {
        let (channel, over, answered) = (channel.clone(), Arc::clone(&over), Arc::clone(&answered));
        callers.spawn(async move {
            while !over.load(Ordering::SeqCst) {
                ask(&channel).await.expect("no call fails");
                answered.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    let outcome = meanwhile.await;
    over.store(true, Ordering::SeqCst);
    callers.join_all().await;
    (answered.load(Ordering::SeqCst), outcome)
}

/// Answers after a moment, so that calls are open whenever it stops.
async fn unhurried() -> Replica {
    Replica::with(|_| Box::pin(sleep(Duration::from_millis(5)).map(Ok))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_fails_no_call() {
    let mut replicas = vec![unhurried().await, unhurried().await, unhurried().await];
    let life = Lifecycle::new();
    let service = connect(peers(&replicas), options(), &life);
    let (answered, replicas) = under_load(&service.channel, async {
        for _ in 0..9 {
            let restarted = replicas.remove(0).restart().await;
            // It takes part again.
            while restarted.calls() == 0 {
                sleep(Duration::from_millis(5)).await;
            }
            replicas.push(restarted);
        }
        replicas
    })
    .await;
    assert!(answered > 100, "{answered} calls");
    drop(replicas);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_the_only_replica_fails_no_call() {
    let replica = unhurried().await;
    let life = Lifecycle::new();
    let service = connect(peers([&replica]), options(), &life);
    let (answered, _) = under_load(&service.channel, async {
        let mut replica = replica;
        for _ in 0..5 {
            replica = replica.restart().await;
            while replica.calls() == 0 {
                sleep(Duration::from_millis(5)).await;
            }
        }
        replica
    })
    .await;
    assert!(answered > 50, "{answered} calls");
}
