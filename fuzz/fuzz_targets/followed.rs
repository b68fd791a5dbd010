//! What follows from any index: it comes back from its stored form, and neither panics nor lies beyond the file.

use vidstream_media::index::MediaIndex;
use vidstream_media::indexer::Limits;
use vidstream_media::playable::Playability;
use vidstream_media::presentation::Presentation;
use vidstream_media::storyboard::{Feed, Storyboard, poster_candidates};

/// Few samples, so that a table of some bytes that stands for millions does not fill the time.
pub const LIMITS: Limits = Limits {
    movie_bytes: 1 << 20,
    samples: 20_000,
    tracks: 64,
    pixels: 8192 * 4352,
    seconds: 48 * 3600,
    top_level_boxes: 256,
    fragment_bytes: 1 << 20,
    fragment_boxes: 4096,
};

/// Makes everything of `index`, which a file of `size` bytes has.
pub fn follow(index: MediaIndex, size: u64) {
    assert_eq!(MediaIndex::decode(&index.encode()).as_ref(), Ok(&index));
    let presentation = Presentation::new(index);
    let _ = Playability::of(&presentation);
    for rendition in presentation.renditions() {
        let _ = rendition.init();
        for number in 1..=u32::try_from(rendition.plan.segments().len()).unwrap_or(0) {
            let layout = rendition.segment(number).expect("a segment of the plan");
            assert!(layout.ranges.iter().all(|range| range.start < range.end && range.end <= size));
            let payload: u64 = layout.ranges.iter().map(|range| range.end - range.start).sum();
            assert_eq!(layout.total_len, layout.header.len() as u64 + payload);
        }
    }
    let index = presentation.index();
    if let Ok(storyboard) = Storyboard::plan(index) {
        let keyframes = storyboard.tiles.iter().map(|tile| tile.keyframe);
        let feed = Feed::new(index, keyframes).expect("there is a video");
        let _ = (feed.init(), feed.fragments().count());
    }
    let _ = poster_candidates(index);
}
