//! The storyboard as WebVTT (W3C WebVTT §4, Media Fragments URI §4.2.2) and as JSON.

use crate::storyboard::Storyboard;
use std::fmt::Write as _;
use std::time::Duration;

/// `storyboard.vtt`: one cue a tile, a note of the picture's true time before each. `sheet` gives a sheet's address,
/// relative to the file's own.
pub fn vtt(storyboard: &Storyboard, sheet: impl Fn(usize) -> String) -> String {
    let mut out = String::from("WEBVTT\n");
    let (width, height) = (storyboard.tile_width, storyboard.tile_height);
    for (number, tile) in storyboard.tiles.iter().enumerate() {
        let place = storyboard.place(number);
        let _ = writeln!(out, "\nNOTE time {}", seconds(tile.keyframe.time));
        let _ = writeln!(out, "\n{} --> {}", timestamp(tile.start), timestamp(tile.end));
        let _ = writeln!(out, "{}#xywh={},{},{width},{height}", sheet(place.sheet), place.x, place.y);
    }
    out
}

/// `storyboard.json`. `sheet` gives a sheet's address, relative to the file's own.
pub fn json(storyboard: &Storyboard, sheet: impl Fn(usize) -> String) -> String {
    let sheets: Vec<_> = (0..storyboard.sheets()).map(|number| quoted(&sheet(number))).collect();
    let tiles = storyboard.tiles.iter().enumerate().map(|(number, tile)| {
        let place = storyboard.place(number);
        let [start, end, time] = [tile.start, tile.end, tile.keyframe.time].map(seconds);
        let (sheet, x, y) = (place.sheet, place.x, place.y);
        format!("{{\"start\":{start},\"end\":{end},\"time\":{time},\"sheet\":{sheet},\"x\":{x},\"y\":{y}}}")
    });
    let tiles: Vec<_> = tiles.collect();
    format!(
        "{{\"tileWidth\":{},\"tileHeight\":{},\"duration\":{},\"sheets\":[{}],\"tiles\":[{}]}}\n",
        storyboard.tile_width,
        storyboard.tile_height,
        seconds(storyboard.duration),
        sheets.join(","),
        tiles.join(","),
    )
}

/// Seconds with six decimals, rounded: a tick of common timescales is told from the next.
fn seconds(time: Duration) -> String {
    let micros = (time.as_nanos() + 500) / 1000;
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// A WebVTT timestamp.
fn timestamp(time: Duration) -> String {
    let millis = (time.as_nanos() + 500_000) / 1_000_000;
    let seconds = millis / 1000;
    format!("{:02}:{:02}:{:02}.{:03}", seconds / 3600, seconds / 60 % 60, seconds % 60, millis % 1000)
}

/// `text` as a JSON string (RFC 8259 §7).
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_not_cut() {
        assert_eq!(timestamp(Duration::from_micros(3_723_999_600)), "01:02:04.000");
        assert_eq!(seconds(Duration::from_nanos(1_001_000_499)), "1.001000");
        assert_eq!(timestamp(Duration::from_hours(100)), "100:00:00.000");
    }

    #[test]
    fn strings_are_escaped() {
        assert_eq!(quoted("a\"\\\n"), r#""a\"\\\u000a""#);
    }
}
