//! What is read for an answer, and what is left when nobody wants it any more.

use crate::judges::{heavy_clip, packets};
use crate::world::{GENERATION, World};
use bytes::Bytes;
use http::StatusCode;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};
use vidstream_media::plan::PACKAGER_VERSION;
use vidstream_mesh::lifecycle::Lifecycle;
use vidstream_mesh::serve::{Limits, serve};
use vidstream_source::names;

#[tokio::test(flavor = "multi_thread")]
async fn scattered_sound_is_gathered_once_and_is_the_sound() {
    let content = heavy_clip(4).await;
    let world = World::indexed("clip.mp4", &content).await;
    let directory = tempfile::tempdir().unwrap();
    let original = directory.path().join("clip.mp4");
    std::fs::write(&original, &content).unwrap();
    let expected = packets(original.to_str().unwrap(), "a:0").await;
    let input = format!("http://{}{}", world.serve().await, world.address("master.m3u8"));
    assert_eq!(packets(&input, "a:0").await, expected);

    let segment = |track: &str| format!("g/{GENERATION}-{PACKAGER_VERSION}/{track}/1.m4s");
    let (sound, pictures) = (world.get(&segment("a1")).await, world.get(&segment("v1")).await);
    assert!(pictures.body.len() > 20 * sound.body.len(), "the sound is a small part: {}", sound.body.len());
    world.objects.delete_prefix(&names::source(world.source)).await.unwrap();
    let again = world.get(&segment("a1")).await;
    assert_eq!((again.status, &again.body), (StatusCode::OK, &sound.body), "nothing is read again");
    assert_eq!(again.headers, sound.headers);
    let part = world.ask("GET", &world.address(&segment("a1")), &[("range", "bytes=30-99")]).await;
    assert_eq!((part.status, &part.body[..]), (StatusCode::PARTIAL_CONTENT, &sound.body[30..100]));
    assert_eq!(world.get(&segment("v1")).await.status, StatusCode::NOT_FOUND, "pictures are not kept");
}

/// Asks for `path` and goes away after the first bytes of the answer.
async fn seek(address: SocketAddr, path: &str, range: &str) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nRange: {range}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut begin = [0; 12];
    stream.read_exact(&mut begin).await.unwrap();
    assert_eq!(&begin, b"HTTP/1.1 206");
}

#[tokio::test]
async fn a_storm_of_seeks_leaves_no_task() {
    let content: Bytes = vec![7; 24 << 20].into();
    let world = World::new("odd.bin", &content).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, world.router.clone(), Limits::default(), Lifecycle::new()));
    let path = world.address("source");
    seek(address, &path, "bytes=0-").await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let fallen = async |most: usize| {
        let began = Instant::now();
        while tasks() > most {
            assert!(began.elapsed() < Duration::from_secs(20), "{} of {most} tasks are left", tasks());
            sleep(Duration::from_millis(5)).await;
        }
    };
    // The listener, and what follows the change feed.
    let before = 3;
    fallen(before).await;
    let seeks = (0..100_usize).map(|seek_number| {
        let from = seek_number * 7_919_993 % content.len();
        let ranges = [format!("bytes={from}-"), format!("bytes={from}-,0-{}", from / 2)];
        let (path, range) = (path.clone(), ranges[seek_number % 2].clone());
        async move { seek(address, &path, &range).await }
    });
    futures::future::join_all(seeks).await;
    fallen(before).await;
}
