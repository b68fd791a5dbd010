//! Each kind of server starts, answers, survives what tests do to it, and leaves nothing behind.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use vidstream_test_servers::{Kind, Server};

/// What there is of processes that a folder belongs to: it is in their arguments or their environment, or they write a file there (Redis
/// puts a title over the former two).
fn processes_of(folder: &Path) -> Vec<String> {
    let name = folder.as_os_str().as_encoded_bytes();
    let tells = |file: &Path| fs::read(file).is_ok_and(|text| text.windows(name.len()).any(|part| part == name));
    let writes = |file: &Path| fs::read_link(file).is_ok_and(|file| file.starts_with(folder));
    let all = fs::read_dir("/proc").expect("Linux").flatten().map(|process| process.path());
    all.filter(|it| tells(&it.join("cmdline")) || tells(&it.join("environ")) || writes(&it.join("fd/1")))
        .map(|process| fs::read_to_string(process.join("comm")).unwrap_or_default().trim().to_owned())
        .collect()
}

/// All that a test does to a server, on two of one kind side by side.
async fn lives(kind: Kind) {
    let (one, other) = tokio::join!(Server::start(kind), Server::start(kind));
    let folder = one.folder();
    assert_ne!(one.port(), other.port());
    assert!(!processes_of(&folder).is_empty());

    one.kill();
    assert!(one.answers().await.is_err());
    other.answers().await.expect("the other one lives on");
    one.restart().await;
    one.answers().await.expect("it is there again");

    one.freeze();
    assert!(one.answers().await.is_err());
    one.thaw();
    one.answers().await.expect("it goes on");

    one.stop().await;
    assert!(one.answers().await.is_err());
    one.wipe();
    one.restart().await;

    drop(one);
    assert!(!folder.exists());
    let begun = Instant::now();
    while let left @ [_, ..] = processes_of(&folder).as_slice() {
        assert!(begun.elapsed() < Duration::from_secs(10), "left behind: {left:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    other.answers().await.expect("the other one lives on");
}

#[tokio::test]
async fn redis_lives() {
    lives(Kind::Redis).await;
}

#[tokio::test]
async fn minio_lives() {
    lives(Kind::Minio).await;
}
