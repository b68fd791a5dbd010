//! What each address answers, field by field.

use crate::judges::clip;
use crate::world::{Answer, GENERATION, World, part};
use bytes::Bytes;
use http::StatusCode;
use vidstream_media::plan::PACKAGER_VERSION;
use vidstream_proto::job::Fence;
use vidstream_proto::pb;
use vidstream_source::names;

const FOREVER: &str = "public, max-age=31536000, immutable";

fn noise(len: usize) -> Bytes {
    let mut state = 7_u32;
    let step = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(step).take(len).collect()
}

/// Checks what every answer with bytes has.
fn assert_media(answer: &Answer, content_type: &str, caching: &str) {
    assert_eq!(answer.field("content-type"), content_type);
    assert_eq!(answer.field("cache-control"), caching);
    assert_eq!(answer.field("accept-ranges"), "bytes");
    assert_eq!(answer.field("x-content-type-options"), "nosniff");
    assert_eq!(answer.field("access-control-allow-origin"), "*");
    assert_eq!(answer.field("access-control-allow-credentials"), "");
    assert_eq!(answer.field("access-control-expose-headers"), "accept-ranges,content-length,content-range,etag");
    assert_eq!(answer.field("content-security-policy"), "sandbox; default-src 'none'");
    let tag = answer.field("etag");
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2, "{tag}");
}

#[tokio::test]
async fn the_original_is_served_whole_and_in_ranges() {
    let content = noise(5 * 65_536 + 777);
    let world = World::new("odd.bin", &content).await;
    let whole = world.get("source").await;
    assert_eq!(whole.status, StatusCode::OK);
    assert_media(&whole, "application/octet-stream", "no-cache");
    assert_eq!(whole.field("content-length"), content.len().to_string());
    assert_eq!(whole.field("etag"), format!("\"{}\"", blake3::hash(&content)));
    assert_eq!(whole.field("content-disposition"), "");
    assert!(whole.body == content);

    let address = world.address("source");
    let tag = whole.field("etag");
    let len = content.len();
    let ranges = [
        (format!("bytes=0-{}", len - 1), 0..len),
        ("bytes=0-0".into(), 0..1),
        // Across the borders of extents.
        ("bytes=65535-65536".into(), 65_535..65_537),
        ("bytes=65000-200000".into(), 65_000..200_001),
        ("bytes=-777".into(), len - 777..len),
        (format!("bytes={}-", len - 1), len - 1..len),
        ("bytes=327600-99999999".into(), 327_600..len),
    ];
    for (range, bytes) in ranges {
        for fields in [&[("range", range.as_str())][..], &[("range", range.as_str()), ("if-range", tag)]] {
            let part = world.ask("GET", &address, fields).await;
            assert_eq!(part.status, StatusCode::PARTIAL_CONTENT, "{fields:?}");
            assert_media(&part, "application/octet-stream", "no-cache");
            assert_eq!(part.field("content-range"), format!("bytes {}-{}/{len}", bytes.start, bytes.end - 1));
            assert_eq!(part.field("content-length"), bytes.len().to_string());
            assert!(part.body == content[bytes.clone()], "{fields:?}");
        }
    }
    for fields in [&[("range", "bytes=0-1"), ("if-range", "\"other\"")][..], &[("range", "bytes=5-1")]] {
        let whole = world.ask("GET", &address, fields).await;
        assert_eq!((whole.status, whole.body.len()), (StatusCode::OK, len), "{fields:?}");
    }
}

#[tokio::test]
async fn conditions_spare_the_bytes() {
    let content = noise(1000);
    let world = World::new("odd.bin", &content).await;
    let address = world.address("source");
    let tag = format!("\"{}\"", blake3::hash(&content));
    for method in ["GET", "HEAD"] {
        let same = world.ask(method, &address, &[("if-none-match", &tag)]).await;
        assert_eq!((same.status, same.body.len()), (StatusCode::NOT_MODIFIED, 0));
        assert_eq!((same.field("etag"), same.field("cache-control")), (tag.as_str(), "no-cache"));
        let other = world.ask(method, &address, &[("if-match", "\"other\"")]).await;
        assert_eq!(other.status, StatusCode::PRECONDITION_FAILED);
    }
    let outside = world.ask("GET", &address, &[("range", "bytes=1000-")]).await;
    assert_eq!(outside.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(outside.field("content-range"), "bytes */1000");
    assert_eq!(outside.reason(), "INVALID_ARGUMENT");
    let head = world.ask("HEAD", &address, &[("range", "bytes=0-1")]).await;
    assert_eq!((head.status, head.field("content-length"), head.body.len()), (StatusCode::OK, "1000", 0));
}

#[tokio::test]
async fn a_download_is_named_as_the_file_was() {
    let world = World::new("Grüße \"1\".mp4", &noise(10)).await;
    let answer = world.head("source?download").await;
    let name = "attachment; filename=\"Gr__e _1_.mp4\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%221%22.mp4";
    assert_eq!(answer.field("content-disposition"), name);
}

#[tokio::test]
async fn a_video_that_does_not_play_can_still_be_downloaded() {
    let content = noise(10);
    let world = World::new("odd.bin", &content).await;
    world.catalog.change(|video, source| {
        video.state = pb::VideoState::Failed.into();
        source.index = Some(part(pb::PartState::Failed, "nothing in it plays"));
    });
    assert_eq!(world.get("source").await.body, content);
    for name in ["master.m3u8", "manifest.mpd", "storyboard.vtt", "storyboard.json", "poster.jpg"] {
        let answer = world.get(name).await;
        assert_eq!((answer.status, answer.reason().as_str()), (StatusCode::NOT_FOUND, "NOT_FOUND"), "{name}");
        assert!(answer.text().contains("nothing in it plays"), "{}", answer.text());
    }
}

#[tokio::test]
async fn what_is_to_come_says_so_and_what_never_comes_too() {
    let world = World::new("clip.mp4", &noise(10)).await;
    let all = ["master.m3u8", "manifest.mpd", "storyboard.vtt", "storyboard.json", "poster.jpg"];
    let assert_soon = |name: &str, answer: &Answer| {
        assert_eq!((answer.status, answer.reason().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "NOT_READY"), "{name}");
        assert!(answer.field("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1), "{name}");
        assert_eq!(answer.field("cache-control"), "no-store", "{name}");
    };
    for name in all {
        assert_soon(name, &world.get(name).await);
    }
    world.catalog.change(|_, source| source.upload_state = pb::UploadState::Open.into());
    world.changed();
    for name in all.iter().chain(&["source"]) {
        assert_soon(name, &world.get(name).await);
        assert_eq!(world.head(name).await.status, StatusCode::SERVICE_UNAVAILABLE);
    }
    let assert_never = |name: &str, answer: &Answer| {
        assert_eq!((answer.status, answer.reason().as_str()), (StatusCode::NOT_FOUND, "NOT_FOUND"), "{name}");
        assert_eq!(answer.field("cache-control"), "no-store", "{name}");
    };
    world.catalog.change(|_, source| source.upload_state = pb::UploadState::Expired.into());
    for name in all.iter().chain(&["source"]) {
        assert_never(name, &world.get(name).await);
    }
    let other = vidstream_proto::ids::VideoId::generate();
    for address in [
        format!("/videos/{other}/source"),
        "/videos/x/source".into(),
        "/videos/%ff/source".into(),
        format!("/videos/{}/source", world.video.to_string().to_uppercase()),
    ] {
        assert_never(&address, &world.ask("GET", &address, &[]).await);
    }
}

#[tokio::test]
async fn manifests_and_what_they_name() {
    let content = clip(4).await;
    let world = World::indexed("clip.mp4", &content).await;
    for (name, content_type, names) in [
        ("master.m3u8", "application/vnd.apple.mpegurl", format!("g/{GENERATION}-{PACKAGER_VERSION}/v1/playlist.m3u8")),
        ("manifest.mpd", "application/dash+xml", format!("g/{GENERATION}-{PACKAGER_VERSION}/a1/$Number$.m4s")),
    ] {
        let answer = world.get(name).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_media(&answer, content_type, "no-cache");
        assert!(answer.text().contains(&names), "{}", answer.text());
        let again = world.ask("GET", &world.address(name), &[("if-none-match", answer.field("etag"))]).await;
        assert_eq!(again.status, StatusCode::NOT_MODIFIED);
        let head = world.head(name).await;
        assert_eq!(head.field("content-length"), answer.body.len().to_string());
    }
    for (file, content_type) in [
        ("v1/playlist.m3u8", "application/vnd.apple.mpegurl"),
        ("v1/init.mp4", "video/mp4"),
        ("v1/1.m4s", "video/mp4"),
        ("a1/playlist.m3u8", "application/vnd.apple.mpegurl"),
        ("a1/init.mp4", "audio/mp4"),
        ("a1/1.m4s", "audio/mp4"),
    ] {
        let rest = format!("g/{GENERATION}-{PACKAGER_VERSION}/{file}");
        let answer = world.get(&rest).await;
        assert_eq!(answer.status, StatusCode::OK, "{file}");
        assert_media(&answer, content_type, FOREVER);
        assert_eq!(answer.field("content-length"), answer.body.len().to_string(), "{file}");
        let part = world.ask("GET", &world.address(&rest), &[("range", "bytes=20-99")]).await;
        assert_eq!((part.status, &part.body[..]), (StatusCode::PARTIAL_CONTENT, &answer.body[20..100]), "{file}");
    }
    for file in [
        format!("g/{GENERATION}-{PACKAGER_VERSION}/v1/999.m4s"),
        format!("g/{GENERATION}-{PACKAGER_VERSION}/v1/0.m4s"),
        format!("g/{GENERATION}-{PACKAGER_VERSION}/v1/01.m4s"),
        format!("g/{GENERATION}-{PACKAGER_VERSION}/v1/other"),
        format!("g/{GENERATION}-{PACKAGER_VERSION}/a2/init.mp4"),
        format!("g/{GENERATION}-{PACKAGER_VERSION}/x/init.mp4"),
        format!("g/beef-{PACKAGER_VERSION}/v1/init.mp4"),
        format!("g/beef-{PACKAGER_VERSION}/v1/1.m4s"),
        format!("g/{GENERATION}-{}/v1/1.m4s", PACKAGER_VERSION + 1),
    ] {
        let answer = world.get(&file).await;
        assert_eq!((answer.status, answer.reason().as_str()), (StatusCode::NOT_FOUND, "NOT_FOUND"), "{file}");
    }
    assert_eq!(world.catalog.calls(), 3, "the video, its source and its records are asked for once");
}

#[tokio::test]
async fn a_segment_in_parts_is_the_segment() {
    let content = clip(4).await;
    let world = World::indexed("clip.mp4", &content).await;
    let rest = format!("g/{GENERATION}-{PACKAGER_VERSION}/a1/1.m4s");
    let whole = world.get(&rest).await.body;
    let address = world.address(&rest);
    let mut joined = Vec::new();
    while joined.len() < whole.len() {
        let range = format!("bytes={}-{}", joined.len(), joined.len() + 4095);
        let part = world.ask("GET", &address, &[("range", &range)]).await;
        assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
        joined.extend_from_slice(&part.body);
    }
    assert!(joined == whole);
}

#[tokio::test]
async fn hls_and_dash_are_not_offered_for_every_file() {
    let content = clip(2).await;
    let world = World::indexed("clip.mp4", &content).await;
    world.catalog.change(|_, source| source.index_result.as_mut().unwrap().segmented = false);
    let answer = world.get("master.m3u8").await;
    assert_eq!((answer.status, answer.reason().as_str()), (StatusCode::NOT_FOUND, "NOT_FOUND"));
    let original = world.get("source").await;
    assert_media(&original, "video/mp4", "no-cache");
    assert!(original.body == content);
}

#[tokio::test]
async fn storyboard_and_poster_are_served_as_their_jobs_made_them() {
    let world = World::indexed("clip.mp4", &clip(2).await).await;
    let sheets = [0, 1].map(|number| names::sheet(world.source, Fence(4), number));
    let poster = names::poster(world.source, Fence(5));
    for (number, name) in sheets.iter().chain([&poster]).enumerate() {
        world.put(name, Bytes::from(vec![u8::try_from(number).unwrap(); 300])).await;
    }
    world.catalog.change(|_, source| {
        source.storyboard = Some(part(pb::PartState::Ready, ""));
        source.storyboard_result = Some(pb::StoryboardResult {
            sheets: sheets.iter().map(ToString::to_string).collect(),
            tile_width: 320,
            tile_height: 180,
            columns: 2,
            rows: 1,
            timescale: 1000,
            times: vec![40, 1000, 1800],
            generation: GENERATION.into(),
            work: None,
        });
        source.poster = Some(part(pb::PartState::Ready, ""));
        let generation = GENERATION.into();
        source.poster_result = Some(pb::PosterResult { object: poster.to_string(), generation, ..Default::default() });
    });

    let json = world.get("storyboard.json").await;
    assert_media(&json, "application/json", "no-cache");
    let board: serde_json::Value = serde_json::from_slice(&json.body).unwrap();
    assert_eq!((&board["tileWidth"], &board["tileHeight"]), (&320.into(), &180.into()));
    assert_eq!(board["sheets"][1], format!("storyboard/{GENERATION}/1.jpg"));
    let tile = |number: usize| {
        let tile = &board["tiles"][number];
        let seconds = |key: &str| tile[key].as_f64().unwrap();
        (
            seconds("start"),
            seconds("end"),
            seconds("time"),
            tile["sheet"].as_u64().unwrap(),
            tile["x"].as_u64().unwrap(),
        )
    };
    let duration = board["duration"].as_f64().unwrap();
    assert_eq!(tile(0), (0.0, 0.52, 0.04, 0, 0));
    assert_eq!(tile(1), (0.52, 1.4, 1.0, 0, 320));
    assert_eq!(tile(2), (1.4, duration, 1.8, 1, 0));

    let vtt = world.get("storyboard.vtt").await;
    assert_media(&vtt, "text/vtt", "no-cache");
    let cue = format!("00:00:00.520 --> 00:00:01.400\nstoryboard/{GENERATION}/0.jpg#xywh=320,0,320,180\n");
    assert!(vtt.text().starts_with("WEBVTT\n") && vtt.text().contains(&cue), "{}", vtt.text());

    let sheet = world.get(&format!("storyboard/{GENERATION}/1.jpg")).await;
    assert_media(&sheet, "image/jpeg", FOREVER);
    assert_eq!(sheet.body, vec![1; 300]);
    assert_eq!(world.head(&format!("storyboard/{GENERATION}/1.jpg")).await.field("content-length"), "300");
    for rest in ["storyboard/beef/1.jpg", "storyboard/f00d/2.jpg", "storyboard/f00d/x.jpg"] {
        assert_eq!(world.get(rest).await.status, StatusCode::NOT_FOUND, "{rest}");
    }
    let picture = world.get("poster.jpg").await;
    assert_media(&picture, "image/jpeg", "no-cache");
    assert_eq!(picture.body, vec![2; 300]);
}

#[tokio::test]
async fn bytes_that_are_gone_are_a_problem_and_no_broken_body() {
    let world = World::new("odd.bin", &noise(100)).await;
    world.objects.delete_prefix(&names::source(world.source)).await.unwrap();
    let answer = world.get("source").await;
    assert_eq!((answer.status, answer.reason().as_str()), (StatusCode::NOT_FOUND, "NOT_FOUND"));
}

#[tokio::test]
async fn an_index_of_another_version_is_waited_for_and_never_mixed_up() {
    let content = clip(4).await;
    let world = World::indexed("clip.mp4", &content).await;
    let (old, new) = (names::media_index(world.source, Fence(1)), names::media_index(world.source, Fence(2)));
    let stored = world.objects.read(&old, 1 << 20).await.unwrap();
    let mut other = stored.to_vec();
    // Behind the four bytes of its name.
    other[4] = 0xfe;
    world.put(&old, other.into()).await;
    let segment = |generation: &str| format!("g/{generation}-{PACKAGER_VERSION}/v1/1.m4s");
    for rest in ["master.m3u8", "manifest.mpd", &segment(GENERATION)] {
        let answer = world.get(rest).await;
        assert_eq!((answer.status, answer.reason().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "NOT_READY"), "{rest}");
        assert_eq!(answer.field("retry-after"), "5");
        assert!(answer.text().contains("made anew"), "{}", answer.text());
        assert!(!answer.field("cache-control").contains("max-age"), "{rest}");
    }
    assert_eq!(world.get("source").await.status, StatusCode::OK, "the original needs no index");

    // It is being made.
    world.catalog.change(|_, source| source.index = Some(part(pb::PartState::Running, "")));
    world.changed();
    assert_eq!(world.get("master.m3u8").await.reason(), "NOT_READY");
    // It is there, under a name and a generation of its own.
    world.put(&new, stored).await;
    world.catalog.change(|_, source| {
        source.index = Some(part(pb::PartState::Ready, ""));
        let index = source.index_result.as_mut().unwrap();
        (index.object, index.generation) = (new.to_string(), "beef".into());
    });
    world.changed();
    let master = world.get("master.m3u8").await;
    assert!(master.status == StatusCode::OK && master.text().contains("g/beef-"), "{}", master.text());
    assert_eq!(world.get(&segment("beef")).await.status, StatusCode::OK);
    assert_eq!(
        world.get(&segment(GENERATION)).await.status,
        StatusCode::NOT_FOUND,
        "nothing else is under the old address"
    );
}
