//! Clips made by ffmpeg, once a machine, and the corpus where it is at hand.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A kind of clip.
pub struct Clip {
    /// Name of the file.
    pub name: &'static str,
    /// What ffmpeg is told.
    arguments: &'static str,
    /// Whether Debian's Chromium has a decoder for it.
    pub in_chromium: bool,
}

const PICTURE: &str = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=12";
const SOUND: &str = "-f lavfi -i sine=frequency=440:beep_factor=4:sample_rate=48000:duration=12";
const H264: &str = "-c:v libx264 -preset ultrafast -bf 2 -g 50 -pix_fmt yuv420p";
const AAC: &str = "-c:a aac -b:a 64k";

macro_rules! clip {
    ($name:literal, $in_chromium:literal, $arguments:literal) => {
        Clip { name: $name, arguments: $arguments, in_chromium: $in_chromium }
    };
}

/// Every kind that must play. `P`, `S`, `H`, `A` stand for picture, sound, H.264 and AAC.
pub const KINDS: &[Clip] = &[
    clip!("last.mp4", true, "P S H A"),
    clip!("first.mp4", true, "P S H A -movflags +faststart"),
    clip!("ntsc.mp4", true, "P S H A -r 30000/1001"),
    clip!("variable.mp4", true, "P S H A -vf select='mod(n,7)*mod(n+1,5)*mod(n,3)' -fps_mode vfr"),
    clip!("plain.mp4", true, "P S H A -bf 0"),
    clip!(
        "hevc.mp4",
        false,
        "P S -c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=50:open-gop=0 -tag:v hvc1 A"
    ),
    clip!("vp9.mp4", true, "P S -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 50 -c:a libopus"),
    clip!("av1.mp4", true, "P S -c:v libsvtav1 -preset 12 -g 50 -svtav1-params fast-decode=1 A"),
    clip!("fragmented.mp4", true, "P S H A -movflags +frag_keyframe+empty_moov+default_base_moof"),
    clip!("quicktime.mov", true, "P S H A"),
    clip!(
        "several.mp4",
        true,
        "P S -map 0:v -map 1:a -map 1:a H A -metadata:s:a:0 language=eng -metadata:s:a:1 language=deu -af:a:1 volume=0.5"
    ),
];

/// More of what players meet: tracks alone, other sound.
pub const PLAYED: &[Clip] = &[
    clip!("sound.m4a", true, "S A"),
    clip!("pictures.mp4", true, "P H"),
    clip!("flac.mp4", true, "P S H -c:a flac -strict -2"),
    clip!("opus.mp4", true, "P S H -c:a libopus"),
];

/// Tracks that start later than others, and end with them. The name ends in by how many tenths of a second.
pub const LATE: &[Clip] = &[
    clip!("video-late-1.mp4", true, "-itsoffset 0.1 -t 11.9 P S H A -fps_mode vfr"),
    clip!("video-late-30.mp4", true, "-itsoffset 3 -t 9 P S H A -fps_mode vfr"),
    clip!(
        "video-late-300.mp4",
        true,
        "-itsoffset 30 -t 6 P -f lavfi -i sine=frequency=440:beep_factor=4:sample_rate=48000:duration=36 H A -fps_mode vfr"
    ),
    clip!("sound-late-1.mp4", true, "P -itsoffset 0.1 -t 11.9 S H A"),
    clip!("sound-late-30.mp4", true, "P -itsoffset 3 -t 9 S H A"),
    clip!(
        "sound-late-300.mp4",
        true,
        "-f lavfi -i testsrc2=size=320x180:rate=25:duration=36 -itsoffset 30 -f lavfi -i sine=duration=6 H A"
    ),
];

/// The clip called `name`, made if it is not there.
pub fn clip(name: &str) -> PathBuf {
    let kind = KINDS.iter().chain(PLAYED).chain(LATE).find(|kind| kind.name == name).expect("a known kind");
    made(name, kind.arguments)
}

/// A clip whose pictures carry their number as a barcode (ten bits of 24 × 24 pixels at the top, the lowest at the left) and
/// flash where it clicks: every `every` pictures of `rate` a second. `more` comes after the inputs; `late` before the first.
pub fn barcode(name: &str, rate: (u32, u32), every: u32, late: &str, more: &str) -> PathBuf {
    let (numerator, denominator) = rate;
    let bit = |i: u32| {
        let (x, step) = (24 * i, 1 << i);
        format!("drawbox=x={x}:y=0:w=24:h=24:color=white:t=fill:enable=mod(floor(n/{step})\\,2)")
    };
    let bits: Vec<_> = (0..10).map(bit).collect();
    let shape = "drawbox=x=0:y=0:w=320:h=24:color=black:t=fill,drawbox=x=0:y=100:w=320:h=80:color=black:t=fill";
    let flash = format!("drawbox=x=0:y=100:w=320:h=80:color=white:t=fill:enable=not(mod(n\\,{every}))");
    let picture = format!("testsrc2=size=320x180:rate={numerator}/{denominator},{shape},{},{flash}", bits.join(","));
    let period = format!("{}/{numerator}", every * denominator);
    let sound = format!("aevalsrc=exprs=0.8*lt(mod(t\\,{period})\\,0.005)*sin(4000*PI*t):s=48000");
    made(
        name,
        &format!("{late} -t 12 -f lavfi -i {picture} -t 12 -f lavfi -i {sound} {more}").trim_start().replace("  ", " "),
    )
}

/// An upright clip with a quarter turn written into it.
pub fn rotated() -> PathBuf {
    let upright = clip("last.mp4");
    made("rotated.mp4", &format!("-i {} -c copy -metadata:s:v rotate=90", upright.display()))
}

/// A clip cut out of a longer one by copying, as phones do: it starts between keyframes.
pub fn cut() -> PathBuf {
    made("cut.mp4", &format!("-ss 1.31 -i {} -c copy", clip("last.mp4").display()))
}

/// A file that ffmpeg makes as told by `arguments`, in a folder that is kept between runs.
pub fn made(name: &str, arguments: &str) -> PathBuf {
    let folder = crate::server::built().join("test-clips");
    std::fs::create_dir_all(&folder).expect("a folder");
    // The sum of the arguments: another recipe is another file.
    let sum = crc32c::crc32c(arguments.as_bytes());
    let path = folder.join(format!("{sum:08x}-{name}"));
    if !path.exists() {
        let part = folder
            .join(format!("{}-{:?}-{name}", std::process::id(), std::thread::current().id()).replace(['(', ')'], ""));
        let words = arguments.split(' ').flat_map(|word| match word {
            "P" => PICTURE.split(' ').collect::<Vec<_>>(),
            "S" => SOUND.split(' ').collect(),
            "H" => H264.split(' ').collect(),
            "A" => AAC.split(' ').collect(),
            word => vec![word],
        });
        let words = words.map(|word| word.replace('\'', ""));
        let words = words.map(|word| if word.starts_with("select=") { word.replace(',', "\\,") } else { word });
        let done = Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin", "-y"])
            .args(words)
            .args(["-threads", "1", "-fflags", "+bitexact"])
            .arg(&part)
            .status()
            .expect("ffmpeg runs");
        assert!(done.success(), "ffmpeg made no {name}");
        std::fs::rename(&part, &path).expect("it was just made");
    }
    path
}

/// A file of `size` bytes in which no two cells are alike.
pub fn noise(folder: &Path, name: &str, size: u64) -> PathBuf {
    let path = folder.join(name);
    let mut hasher = blake3::Hasher::new();
    hasher.update(name.as_bytes());
    let mut bytes = vec![0; usize::try_from(size).expect("fits")];
    hasher.finalize_xof().fill(&mut bytes);
    std::fs::write(&path, bytes).expect("written");
    path
}

/// Where the corpus is, if it is at hand; `scripts/test` says which it was.
fn corpus() -> Option<PathBuf> {
    std::env::var_os("TEST_MEDIA").map(PathBuf::from)
}

/// A file of the corpus, such as `good/video.mp4`.
pub fn of_corpus(name: &str) -> Option<PathBuf> {
    corpus().map(|root| root.join(name)).inspect(|path| assert!(path.is_file(), "{} is missing", path.display()))
}

/// The files of a folder of the corpus whose name ends in `ending`, sorted.
pub fn all_of_corpus(folder: &str, ending: &str) -> Vec<PathBuf> {
    let files = found_in_corpus(folder, ending);
    assert!(corpus().is_none() || !files.is_empty(), "no {ending} in {folder}");
    files
}

/// The same where there may be none.
pub fn found_in_corpus(folder: &str, ending: &str) -> Vec<PathBuf> {
    let Some(root) = corpus() else { return Vec::new() };
    let entries = root.join(folder).read_dir().expect("a folder of the corpus");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.to_string_lossy().ends_with(ending));
    files.sort();
    files
}
