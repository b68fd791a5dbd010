//! Large libraries, written straight into a catalog's store, and the plain query that reads all of one.

use prost::Message;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};
use vidstream_catalog::store::{self, Store, VideoRow};
use vidstream_proto::ids::{SourceId, VideoId};
use vidstream_proto::pb::{self, VideoState};
use vidstream_proto::time::{proto_duration, timestamp};
use vidstream_proto::video::Entry;

/// Words of titles: a title has three of the first and one of the rest.
const WORDS: [&str; 40] = [
    "sea", "mountain", "boat", "night", "summer", "train", "city", "river", "garden", "winter", "market", "island",
    "forest", "bridge", "harbour", "festival", "morning", "desert", "castle", "valley", "lake", "storm", "village",
    "road", "snow", "beach", "tower", "field", "lantern", "window", "ferry", "meadow", "cliff", "square", "canal",
    "museum", "station", "orchard", "temple", "canyon",
];
/// Writes at once; the store groups them.
const AT_ONCE: usize = 2000;

/// A video like many others; `number` tells it apart.
pub fn row(number: u64) -> VideoRow {
    let word = |n: u64| WORDS[usize::try_from(n % WORDS.len() as u64).expect("small")];
    let id = VideoId::generate();
    let created = timestamp(UNIX_EPOCH + Duration::from_secs(1_700_000_000 + number));
    let part = |generation: &str| {
        Some(pb::Part { state: pb::PartState::Ready.into(), generation: generation.into(), ..Default::default() })
    };
    let track = |kind: pb::TrackKind, codec: &str| pb::MediaTrack {
        kind: kind.into(),
        codec: codec.into(),
        language: "en".into(),
        width: 1920,
        height: 1080,
        bit_rate: 4_000_000,
        ..Default::default()
    };
    let video = pb::Video {
        id: id.to_string(),
        owner: "local".into(),
        title: format!("{} {} {} number{number}", word(number), word(number / 7 + 3), word(number / 31 + 11)),
        description: "What is to be seen in it, in a sentence or two, as people write them. ".repeat(3),
        tags: vec![word(number / 3).into(), "holiday".into()],
        state: VideoState::Ready.into(),
        revision: 7,
        create_time: Some(created),
        update_time: Some(created),
        file_name: format!("clip-{number}.mp4"),
        upload: Some(pb::UploadPart {
            size: 300 << 20,
            received: 300 << 20,
            blake3: vec![7; 32],
            ..Default::default()
        }),
        media: Some(pb::Media {
            container: "mp4".into(),
            duration: Some(proto_duration(Duration::from_mins(10))),
            tracks: vec![track(pb::TrackKind::Video, "avc1.640028"), track(pb::TrackKind::Audio, "mp4a.40.2")],
            ..Default::default()
        }),
        source_rendition: part("0123456789abcdef"),
        storyboard: part("123456789abcdef0"),
        poster: part("23456789abcdef01"),
        ..Default::default()
    };
    let entry = Entry { id, source_id: SourceId::generate(), video };
    VideoRow { entry, shown_source: 1, last_request: None, purging: false }
}

/// Adds the videos `numbers` to the catalog at `path`, and gives the id of the last one.
pub async fn fill(path: &Path, numbers: std::ops::Range<u64>) -> String {
    let store = store::open_file(path).await.expect("the catalog opens");
    let mut last = String::new();
    let numbers: Vec<u64> = numbers.collect();
    for some in numbers.chunks(AT_ONCE) {
        let mut writes = tokio::task::JoinSet::new();
        for number in some {
            let row = row(*number);
            last.clone_from(&row.entry.video.id);
            let store: std::sync::Arc<dyn Store> = store.clone();
            writes.spawn(async move { assert!(store.insert_video(row).await.expect("written")) });
        }
        let mut done = 0;
        while let Some(written) = writes.join_next().await {
            written.expect("no panic");
            done += 1;
        }
        assert_eq!(done, some.len());
    }
    last
}

/// What the plain query looks for.
pub enum Wanted<'a> {
    /// The newest.
    Newest,
    /// The newest with words that begin so.
    Words(&'a [&'a str]),
    /// The one of this id.
    Id(&'a str),
}

/// Reads every video of the catalog at `path`, keeps what is wanted, sorts it, and gives one page.
pub fn read_all(path: &Path, wanted: &Wanted<'_>) -> Vec<pb::Video> {
    let connection = rusqlite::Connection::open(path).expect("the catalog opens");
    let mut select = connection.prepare("SELECT row FROM video WHERE row IS NOT NULL").expect("prepared");
    let rows = select.query_map([], |row| row.get::<_, Vec<u8>>(0)).expect("selected");
    let videos = rows.map(|row| pb::Video::decode(row.expect("read").as_slice()).expect("a video"));
    let fits = |video: &pb::Video| match wanted {
        Wanted::Newest => true,
        Wanted::Id(id) => video.id == *id,
        Wanted::Words(words) => words.iter().all(|asked| {
            let text = video.title.to_lowercase();
            text.split(' ').chain(video.tags.iter().map(String::as_str)).any(|word| word.starts_with(asked))
        }),
    };
    let mut found: Vec<pb::Video> = videos.filter(fits).collect();
    found.sort_by_key(|video| std::cmp::Reverse(video.create_time.map_or(0, |time| time.seconds)));
    found.truncate(50);
    found
}
