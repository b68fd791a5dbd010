//! Files of 1, 10 and 60 minutes: one minute encoded once, looped by stream copy.

use std::path::{Path, PathBuf};
use vidstream_tests::judges::ffmpeg::ffmpeg;
use vidstream_tests::server::built;

/// A 1080p30 H.264/AAC file of `minutes`, a keyframe every 2 s, index last; kept between runs.
pub fn film(minutes: u32) -> PathBuf {
    let minute = kept("minute.mp4", |path| {
        eprintln!("bench: encoding a minute of 1080p30 …");
        let picture = "testsrc2=size=1920x1080:rate=30:duration=60,noise=alls=6:allf=t";
        let sound = "sine=frequency=440:beep_factor=4:sample_rate=48000:duration=60";
        let rate = ["-b:v", "3M", "-maxrate", "4M", "-bufsize", "6M"];
        let picture =
            ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, "-c:v", "libx264", "-preset", "veryfast"];
        let keyframes = ["-g", "60", "-keyint_min", "60", "-sc_threshold", "0", "-pix_fmt", "yuv420p"];
        ffmpeg(&[&picture[..], &rate, &keyframes, &["-c:a", "aac", "-b:a", "128k", path]].concat());
    });
    kept(&format!("film-{minutes}.mp4"), |path| {
        let loops = (minutes - 1).to_string();
        ffmpeg(&["-stream_loop", &loops, "-i", &minute.to_string_lossy(), "-c", "copy", path]);
    })
}

/// The film of `minutes` in another container, by its ending.
pub fn film_in(minutes: u32, ending: &str) -> PathBuf {
    let film = film(minutes);
    kept(&format!("film-{minutes}.{ending}"), |path| ffmpeg(&["-i", &film.to_string_lossy(), "-c", "copy", path]))
}

/// A 1080p30 HEVC/AAC file of so many times ten seconds; kept between runs.
pub fn hevc(tens: u32) -> PathBuf {
    let begin = kept("hevc-begin.mp4", |path| {
        eprintln!("bench: encoding ten seconds of HEVC …");
        let picture = "testsrc2=size=1920x1080:rate=30:duration=10,noise=alls=6:allf=t";
        let sound = "sine=frequency=440:beep_factor=4:sample_rate=48000:duration=10";
        let picture = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, "-c:v", "libx265", "-tag:v", "hvc1"];
        let coding = ["-preset", "ultrafast", "-x265-params", "log-level=none:keyint=60:open-gop=0", "-b:v", "3M"];
        ffmpeg(&[&picture[..], &coding, &["-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "128k", path]].concat());
    });
    kept(&format!("hevc-{tens}.mp4"), |path| {
        let loops = (tens - 1).to_string();
        ffmpeg(&["-stream_loop", &loops, "-i", &begin.to_string_lossy(), "-c", "copy", path]);
    })
}

/// Sound alone of so many hours, not compressed; kept between runs.
pub fn sound(hours: u32) -> PathBuf {
    kept(&format!("sound-{hours}.wav"), |path| {
        let sound = format!("sine=frequency=440:beep_factor=4:sample_rate=8000:duration={}", hours * 3600);
        ffmpeg(&["-f", "lavfi", "-i", &sound, "-c:a", "pcm_s16le", path]);
    })
}

/// A minute at 50 Mbit/s with sound at 128 kbit/s between the pictures, as cameras write it.
pub fn heavy() -> PathBuf {
    let begin = kept("heavy-begin.mp4", |path| {
        eprintln!("bench: encoding ten seconds at 50 Mbit/s …");
        let picture = "testsrc2=size=1920x1080:rate=30:duration=10,noise=alls=40:allf=t";
        let sound = "sine=frequency=440:beep_factor=4:sample_rate=48000:duration=10";
        let picture =
            ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, "-c:v", "libx264", "-preset", "ultrafast"];
        let rate =
            ["-b:v", "50M", "-maxrate", "50M", "-bufsize", "50M", "-nal-hrd", "cbr", "-g", "30", "-pix_fmt", "yuv420p"];
        ffmpeg(&[&picture[..], &rate, &["-c:a", "aac", "-b:a", "128k", path]].concat());
    });
    kept("heavy.mp4", |path| {
        ffmpeg(&["-stream_loop", "5", "-i", &begin.to_string_lossy(), "-c", "copy", path]);
    })
}

fn kept(name: &str, make: impl FnOnce(&str)) -> PathBuf {
    let folder = folder();
    let path = folder.join(name);
    if !path.exists() {
        let part = folder.join(format!("part-{name}"));
        make(&part.to_string_lossy());
        std::fs::rename(&part, &path).expect("it was just made");
    }
    path
}

/// A folder on the disk that the project is on.
pub fn folder() -> PathBuf {
    let folder = built().join("bench-media");
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// A file of `size` bytes that don't compress, no two megabytes alike.
pub fn noise(size: u64) -> PathBuf {
    kept(&format!("noise-{size}.bin"), |path| {
        use std::io::Write;
        let mut reader = blake3::Hasher::new().finalize_xof();
        let mut file = std::fs::File::create(path).expect("a file");
        let mut buffer = vec![0; 1 << 20];
        let mut left = size;
        while left > 0 {
            let take = usize::try_from(left.min(1 << 20)).expect("fits");
            reader.fill(&mut buffer[..take]);
            file.write_all(&buffer[..take]).expect("room on the disk");
            left -= take as u64;
        }
    })
}

/// Bytes of a file.
pub fn size(path: &Path) -> u64 {
    std::fs::metadata(path).expect("a file").len()
}
