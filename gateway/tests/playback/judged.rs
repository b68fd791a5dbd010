//! The whole path: a file in the store, playlists and segments over a socket, ffmpeg as the player.

use crate::judges::{clip, frames, packets};
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn players_get_the_frames_of_the_file() {
    let content = clip(6).await;
    let world = World::indexed("clip.mp4", &content).await;
    let address = world.serve().await;
    let directory = tempfile::tempdir().unwrap();
    let original = directory.path().join("clip.mp4");
    std::fs::write(&original, &content).unwrap();
    let original = original.to_str().unwrap();
    for name in ["master.m3u8", "manifest.mpd", "source"] {
        let input = format!("http://{address}{}", world.address(name));
        for stream in ["v:0", "a:0"] {
            let expected = packets(original, stream).await;
            assert!(expected.len() > 100, "{} packets", expected.len());
            assert_eq!(packets(&input, stream).await, expected, "packets of {stream} of {name}");
            let (mut expected, mut found) = (frames(original, stream).await, frames(&input, stream).await);
            if stream == "a:0" {
                // An encoder's priming is trimmed of the first frame in a file, but not by ffmpeg's HLS and DASH demuxers.
                expected.remove(0);
                found.retain(|frame| frame.0 >= expected[0].0);
            }
            assert_eq!(found, expected, "frames of {stream} of {name}");
        }
    }
}
