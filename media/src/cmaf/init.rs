//! Init segments (ISO/IEC 14496-12 §8): what a player needs before the first fragment of a track.

use super::boxes::{put, put_full, put_i32, put_u16, put_u32, put_u64, put_zeros};
use super::entry::put_sample_entry;
use crate::picture;
use crate::time::Timescale;
use crate::timeline::Timeline;
use crate::track::{Track, TrackKind};

/// Every rendition has one track, so they can all have the same id.
pub(super) const TRACK_ID: u32 = 1;

/// The identity of `tkhd` and `mvhd` (ISO/IEC 14496-12 §8.3.2), 16.16 and 2.30 fixed point.
pub(crate) const UPRIGHT: [i32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

/// The init segment of `track`, with an edit where `timeline` needs one.
pub fn init_segment(track: &Track, timeline: &Timeline) -> Vec<u8> {
    write(track, timeline.timescale(), timeline.edit_start())
}

/// The init segment of what is fed to ffmpeg, whose fragments carry shown times and so need no edit.
pub fn feed_init(track: &Track) -> Vec<u8> {
    write(track, track.timescale, None)
}

fn write(track: &Track, timescale: Timescale, edit_start: Option<u64>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    put(&mut out, *b"ftyp", |out| {
        out.extend_from_slice(b"iso6");
        put_u32(out, 0);
        out.extend_from_slice(b"iso6mp41");
    });
    put(&mut out, *b"moov", |out| {
        put_full(out, *b"mvhd", 0, 0, |out| put_mvhd(out, timescale));
        put(out, *b"trak", |out| put_trak(out, track, timescale, edit_start));
        put(out, *b"mvex", |out| {
            put_full(out, *b"trex", 0, 0, |out| {
                put_u32(out, TRACK_ID);
                put_u32(out, 1);
                put_zeros(out, 12);
            });
        });
    });
    out
}

fn put_mvhd(out: &mut Vec<u8>, timescale: Timescale) {
    put_zeros(out, 8);
    put_u32(out, timescale.get());
    put_u32(out, 0);
    put_u32(out, 0x1_0000);
    put_u16(out, 0x0100);
    put_zeros(out, 10);
    put_matrix(out, UPRIGHT);
    put_zeros(out, 24);
    put_u32(out, TRACK_ID + 1);
}

fn put_trak(out: &mut Vec<u8>, track: &Track, timescale: Timescale, edit_start: Option<u64>) {
    put_full(out, *b"tkhd", 0, 3, |out| put_tkhd(out, track));
    if let Some(start) = edit_start {
        put(out, *b"edts", |out| {
            put_full(out, *b"elst", 1, 0, |out| {
                put_u32(out, 1);
                put_u64(out, 0);
                put_u64(out, start);
                put_u32(out, 0x1_0000);
            });
        });
    }
    put(out, *b"mdia", |out| {
        put_full(out, *b"mdhd", 0, 0, |out| {
            put_zeros(out, 8);
            put_u32(out, timescale.get());
            put_u32(out, 0);
            put_u16(out, packed_language(track.language.as_deref()));
            put_u16(out, 0);
        });
        let handler = if matches!(track.kind, TrackKind::Video(_)) { *b"vide" } else { *b"soun" };
        put_full(out, *b"hdlr", 0, 0, |out| {
            put_zeros(out, 4);
            out.extend_from_slice(&handler);
            put_zeros(out, 13);
        });
        put(out, *b"minf", |out| put_minf(out, track));
    });
}

fn put_tkhd(out: &mut Vec<u8>, track: &Track) {
    put_zeros(out, 8);
    put_u32(out, TRACK_ID);
    put_zeros(out, 4 + 4 + 8 + 4);
    match &track.kind {
        TrackKind::Video(format) => {
            put_zeros(out, 4);
            put_matrix(out, format.matrix);
            let (width, height) = picture::unrotated_size(format);
            for side in [width, height] {
                put_u32(out, side.min(u32::from(u16::MAX)) << 16);
            }
        }
        TrackKind::Audio(_) => {
            put_u16(out, 0x0100);
            put_u16(out, 0);
            put_matrix(out, UPRIGHT);
            put_zeros(out, 8);
        }
    }
}

fn put_minf(out: &mut Vec<u8>, track: &Track) {
    match track.kind {
        TrackKind::Video(_) => put_full(out, *b"vmhd", 0, 1, |out| put_zeros(out, 8)),
        TrackKind::Audio(_) => put_full(out, *b"smhd", 0, 0, |out| put_zeros(out, 4)),
    }
    put(out, *b"dinf", |out| {
        put_full(out, *b"dref", 0, 0, |out| {
            put_u32(out, 1);
            put_full(out, *b"url ", 0, 1, |_| ());
        });
    });
    put(out, *b"stbl", |out| {
        put_full(out, *b"stsd", 0, 0, |out| {
            put_u32(out, 1);
            put_sample_entry(out, track);
        });
        for table in [*b"stts", *b"stsc", *b"stco"] {
            put_full(out, table, 0, 0, |out| put_u32(out, 0));
        }
        put_full(out, *b"stsz", 0, 0, |out| put_zeros(out, 8));
    });
}

fn put_matrix(out: &mut Vec<u8>, matrix: [i32; 9]) {
    for number in matrix {
        put_i32(out, number);
    }
}

/// `mdhd` language (ISO/IEC 14496-12 §8.4.2): three letters of ISO 639-2/T, `und` for everything else.
fn packed_language(language: Option<&str>) -> u16 {
    let letters = language.map(str::as_bytes).filter(|l| l.len() == 3 && l.iter().all(u8::is_ascii_lowercase));
    letters.unwrap_or(b"und").iter().fold(0, |packed, letter| packed << 5 | u16::from(letter - 0x60))
}
