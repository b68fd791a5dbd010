//! A presentation on disk, as the gateway would serve it.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use vidstream_media::cmaf::{ReadPlan, SegmentLayout};
use vidstream_media::manifest::{address, dash, hls};
use vidstream_media::presentation::{Offered, Presentation};

/// Where the two manifests lie.
pub struct Written {
    pub master: PathBuf,
    pub manifest: PathBuf,
}

pub fn presentation(source: &Path) -> Presentation {
    let bytes = fs::read(source).expect("the clip");
    let index = vidstream_media::indexer::index_bytes(&bytes).unwrap_or_else(|e| panic!("{}: {e}", source.display()));
    Presentation::new(index)
}

/// Writes all of `presentation`, whose bytes are those of `source`, below `folder`.
pub fn write(presentation: &Presentation, source: &Path, folder: &Path) -> Written {
    let base = "g/generation/";
    for rendition in presentation.renditions() {
        let track = folder.join(base).join(rendition.name.to_string());
        fs::create_dir_all(&track).expect("a folder");
        fs::write(track.join(address::INIT), rendition.init()).expect("an init segment");
        let playlist = hls::media(presentation, rendition.name, 0).expect("a playlist");
        fs::write(track.join(address::PLAYLIST), playlist).expect("a playlist");
        let segments = rendition.plan.segments();
        for (number, planned) in (1..).zip(segments) {
            let layout = rendition.segment(number).expect("a planned segment");
            assert_eq!(layout.total_len, planned.len, "the plan knows the size of {} {number}", rendition.name);
            fs::write(track.join(address::segment(number)), bytes(&layout, source)).expect("a segment");
        }
        let beyond = u32::try_from(segments.len()).expect("few segments") + 1;
        assert_eq!((rendition.segment(0), rendition.segment(beyond)), (None, None));
    }
    let written = Written { master: folder.join("master.m3u8"), manifest: folder.join("manifest.mpd") };
    fs::write(&written.master, hls::multivariant(&Offered::all_of(presentation, base))).expect("a playlist");
    fs::write(&written.manifest, dash::manifest(&Offered::all_of(presentation, base))).expect("a manifest");
    written
}

/// The bytes of a segment, read the way its read plan says.
pub fn bytes(layout: &SegmentLayout, source: &Path) -> Vec<u8> {
    let mut file = File::open(source).expect("the clip");
    let mut out = layout.header.clone();
    for span in ReadPlan::new(&layout.ranges, 8 << 10).spans {
        let mut read = vec![0; usize::try_from(span.range.end - span.range.start).expect("small")];
        file.seek(SeekFrom::Start(span.range.start)).expect("within the clip");
        file.read_exact(&mut read).expect("within the clip");
        for piece in span.pieces {
            let within = |at: u64| usize::try_from(at - span.range.start).expect("small");
            out.write_all(&read[within(piece.start)..within(piece.end)]).expect("memory");
        }
    }
    assert_eq!(out.len() as u64, layout.total_len);
    out
}
