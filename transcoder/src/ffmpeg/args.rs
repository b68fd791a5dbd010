//! ffmpeg's arguments as pure functions of typed plans. Nothing that a client sent gets in here but numbers.

use super::plan::{Decode, Decoder};
use vidstream_media::track::Rotation;

/// The largest picture that is decoded: 8192×4352.
pub const MAX_PIXELS: u32 = 8192 * 4352;

/// Arguments for pictures of fed keyframes: fragmented MP4 on stdin, raw planes on stdout.
pub fn decode(plan: &Decode) -> Vec<String> {
    let mut args = Vec::new();
    let mut add = |words: &[&str]| args.extend(words.iter().map(ToString::to_string));
    // Only what went wrong; stdin is data, not a keyboard.
    add(&["-hide_banner", "-v", "error", "-nostats", "-nostdin"]);
    // Times as they are: without it a feed that does not begin at zero is shifted, and pictures are dropped.
    add(&["-copyts"]);
    // More threads hold pictures back to fill themselves, and cost more in all than they gain.
    add(&["-threads", "1", "-filter_threads", "1"]);
    // The init segment says everything: not a byte is read ahead to guess. (`-fflags nobuffer` would lose pictures.)
    add(&["-probesize", "32", "-analyzeduration", "0"]);
    // Whatever the bytes turn out to be, they open no file, no network and no other demuxer or decoder.
    add(&["-protocol_whitelist", "pipe", "-format_whitelist", "mp4", "-codec_whitelist", decoders(plan.decoder)]);
    add(&["-max_pixels", &MAX_PIXELS.to_string()]);
    if plan.skip_loop_filter {
        add(&["-skip_loop_filter", "all"]);
    }
    // The plan turns pictures, once, whatever the feed's header says.
    add(&["-noautorotate"]);
    add(&["-f", "mp4", "-i", "pipe:0", "-map", "0:v:0"]);
    // One picture out for each one in: none is doubled or dropped to fill a frame rate.
    add(&["-fps_mode", "passthrough"]);
    add(&["-vf", &filters(plan)]);
    add(&["-threads", "1", "-f", "rawvideo", "-pix_fmt", "yuv420p", "pipe:1"]);
    args
}

/// Names of the decoders for a codec, over the builds of ffmpeg.
pub(super) fn decoders(decoder: Decoder) -> &'static str {
    match decoder {
        Decoder::H264 => "h264",
        Decoder::Hevc => "hevc",
        Decoder::Vp9 => "vp9,libvpx-vp9",
        Decoder::Av1 => "libdav1d,libaom-av1,av1",
        Decoder::Foreign(decoders) => decoders,
    }
}

/// To the size of the plan before the turn, which is cheapest then; in the colours of a JPEG (BT.601) and the levels of
/// video: nearly every video has them, and [`Picture::of_video`](crate::picture::Picture::of_video) makes a JPEG's levels of
/// them for a tenth of what it costs here, before the picture is scaled down the other way.
///
/// `area` takes the mean of what a pixel covers. It costs no more than `bilinear`, which blurs, and unlike `bicubic` (as
/// built without accurate rounding) does not lift flat dark areas.
///
/// Wide light is mapped at the size of the plan, too: its arithmetic is that of floating point.
fn filters(plan: &Decode) -> String {
    let (size, turn) = match plan.rotation {
        Rotation::None => (plan.size, ""),
        Rotation::Quarter => (plan.size.turned(), ",transpose=clock"),
        Rotation::Half => (plan.size, ",hflip,vflip"),
        Rotation::ThreeQuarters => (plan.size.turned(), ",transpose=cclock"),
    };
    let (width, height) = (size.width(), size.height());
    let scale = format!("scale={width}:{height}:flags=area");
    let colours = ":out_color_matrix=bt601:out_range=limited";
    let chosen = if plan.only.is_empty() { String::new() } else { format!("select='{}',", any_of(&plan.only)) };
    match plan.tones {
        None => format!("{chosen}{scale}{colours}{turn}"),
        Some(tones) => format!("{chosen}{scale},{},scale=w=iw:h=ih{colours}{turn}", tones.filters()),
    }
}

/// Whether a picture's time is one of `times`, halved again and again: ffmpeg takes a hundred terms in a row, and no more.
fn any_of(times: &[i64]) -> String {
    match times {
        [] => "0".to_owned(),
        [time] => format!("eq(pts,{time})"),
        _ => {
            let (before, behind) = times.split_at(times.len() / 2);
            format!("({}+{})", any_of(before), any_of(behind))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffmpeg::tones::Tones;
    use crate::picture::Size;

    fn plan(rotation: Rotation) -> Decode {
        let size = Size::new(180, 320).expect("even");
        Decode { decoder: Decoder::H264, size, rotation, tones: None, skip_loop_filter: true, only: Vec::new() }
    }

    #[test]
    fn the_whole_command() {
        let line = decode(&plan(Rotation::None)).join(" ");
        assert_eq!(
            line,
            "-hide_banner -v error -nostats -nostdin -copyts -threads 1 -filter_threads 1 -probesize 32 \
             -analyzeduration 0 -protocol_whitelist pipe -format_whitelist mp4 -codec_whitelist h264 \
             -max_pixels 35651584 -skip_loop_filter all -noautorotate -f mp4 -i pipe:0 -map 0:v:0 \
             -fps_mode passthrough -vf scale=180:320:flags=area:out_color_matrix=bt601:out_range=limited \
             -threads 1 -f rawvideo -pix_fmt yuv420p pipe:1"
        );
    }

    #[test]
    fn a_turn_comes_after_the_scaling() {
        let filter = |rotation| filters(&plan(rotation));
        let scale = |w, h| format!("scale={w}:{h}:flags=area:out_color_matrix=bt601:out_range=limited");
        assert_eq!(filter(Rotation::Quarter), scale(320, 180) + ",transpose=clock");
        assert_eq!(filter(Rotation::ThreeQuarters), scale(320, 180) + ",transpose=cclock");
        assert_eq!(filter(Rotation::Half), scale(180, 320) + ",hflip,vflip");
    }

    #[test]
    fn of_all_pictures_those_at_given_times_are_kept() {
        let plan = plan(Rotation::None).only(vec![0, 512]);
        assert!(filters(&plan).starts_with("select='(eq(pts,0)+eq(pts,512))',scale=180:320"), "{}", filters(&plan));
        assert!(!decode(&plan).contains(&"-skip_loop_filter".to_owned()));
        // The tiles of a long film are no row of two hundred and forty.
        let deep = any_of(&(0..240).collect::<Vec<_>>());
        assert!(deep.starts_with("(((((((eq(pts,0)+(eq(pts,1)+eq(pts,2)))"), "{deep}");
    }

    #[test]
    fn wide_light_is_mapped_between_the_scaling_and_the_colours_of_a_jpeg() {
        let tones = Tones::of_codes(9, 18, 9);
        let filter = filters(&Decode { tones: Some(tones), ..plan(Rotation::Quarter) });
        let expected = format!(
            "scale=320:180:flags=area,{},scale=w=iw:h=ih:out_color_matrix=bt601:out_range=limited,transpose=clock",
            tones.filters()
        );
        assert_eq!(filter, expected);
    }

    #[test]
    fn only_the_decoders_of_the_codec_may_run() {
        for (decoder, names) in
            [(Decoder::Hevc, "hevc"), (Decoder::Vp9, "vp9,libvpx-vp9"), (Decoder::Av1, "libdav1d,libaom-av1,av1")]
        {
            let args = decode(&Decode { decoder, skip_loop_filter: false, ..plan(Rotation::None) });
            let at = args.iter().position(|arg| arg == "-codec_whitelist").expect("always there");
            assert_eq!(args[at + 1], names);
            assert!(!args.contains(&"-skip_loop_filter".to_owned()));
        }
    }
}
