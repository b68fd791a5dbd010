//! Rules about init segments.

use crate::judges::playlists::boxes::{self, name};
use crate::judges::playlists::codecs;
use crate::judges::playlists::show::Show;
use crate::judges::playlists::track::Init;

/// Messages of `wrong` for each track, with its playlist's address.
fn each(show: &Show, wrong: impl Fn(&Init) -> Option<String>) -> Vec<String> {
    show.tracks().filter_map(|(one, init)| Some(format!("{}: {}", one.uri, wrong(init)?))).collect()
}

pub fn init_boxes(show: &Show) -> Vec<String> {
    let unread = show.renditions.iter().filter_map(|one| Some(format!("{}: {}", one.uri, one.init.as_ref().err()?)));
    let mut bad: Vec<_> = unread.collect();
    bad.extend(each(show, |init| {
        let one_track = init.in_movie.iter().filter(|name| *name == "trak").count() == 1;
        let right = init.outermost == ["ftyp", "moov"] && one_track && init.brands.contains(b"iso6");
        (!right).then(|| format!("{:?}, in moov {:?}", init.outermost, init.in_movie))
    }));
    bad
}

pub fn no_samples(show: &Show) -> Vec<String> {
    each(show, |init| init.rows.iter().any(|(_, count)| *count > 0).then(|| format!("{:?}", init.rows)))
}

pub fn ids(show: &Show) -> Vec<String> {
    let mut bad = each(show, |init| {
        (init.id == 0 || init.id != init.extends).then(|| format!("track {}, trex {}", init.id, init.extends))
    });
    for (rendition, init, fragments) in show.whole() {
        let foreign = fragments.iter().position(|fragment| fragment.id != init.id);
        bad.extend(foreign.map(|at| format!("{}: segment {} is of another track", rendition.uri, at + 1)));
    }
    bad
}

pub fn handlers(show: &Show) -> Vec<String> {
    each(show, |init| {
        let header = |kind: &str| init.in_media.iter().any(|name| name == kind);
        let right = match &init.handler {
            b"vide" => header("vmhd") && matches!(&init.entry.kind, b"avc1" | b"hvc1" | b"vp09" | b"av01"),
            b"soun" => header("smhd") && matches!(&init.entry.kind, b"mp4a" | b"Opus" | b"fLaC"),
            _ => false,
        };
        (!right).then(|| format!("{} with {:?} and {}", name(init.handler), init.in_media, name(init.entry.kind)))
    })
}

pub fn entry(show: &Show) -> Vec<String> {
    each(show, |init| {
        let known = codecs::of(&init.entry).err();
        let several = (init.entries != 1).then(|| format!("{} of them", init.entries));
        // A QuickTime sound description; Chromium refuses it, and so a child that only that has.
        let quicktime = init.entry.child(b"wave").map(|_| "wave".to_owned());
        known.or(several).or(quicktime)
    })
}

pub fn edits(show: &Show) -> Vec<String> {
    each(show, |init| {
        let right = match init.edits[..] {
            [] => true,
            [(duration, time, rate)] => duration == 0 && time >= 0 && rate == 0x1_0000,
            _ => false,
        };
        (!right).then(|| format!("{:?}", init.edits))
    })
}

pub fn shown(show: &Show) -> Vec<String> {
    each(show, |init| {
        if !init.is_video() {
            return (init.shown != (0, 0)).then(|| format!("sound of {:?}", init.shown));
        }
        let (width, height) = init.entry.size;
        let (across, down) = codecs::spacing(&init.entry);
        let stretched = (u64::from(width) * u64::from(across) * 2 + u64::from(down)) / (u64::from(down).max(1) * 2);
        let right = u64::from(init.shown.0 >> 16) == stretched && init.shown.1 >> 16 == u32::from(height);
        (!right || width == 0).then(|| format!("{width}x{height} at {across}:{down}, shown {:?}", init.shown))
    })
}

/// Names of the outermost boxes of a file that could not be read as a fragment.
pub fn outermost(bytes: &[u8]) -> String {
    boxes::names(bytes).map_or_else(|error| error, |names| names.join(" "))
}
