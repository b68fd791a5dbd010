//! Which ffmpeg runs, and in what.

use super::values::{count, flag, not_empty, program, size, timeout};
use super::{Given, Layers};
use std::ops::RangeInclusive;
use vidstream_transcoder::Limits;

/// What an ffmpeg needs to start with its libraries, and more than machines have.
const MEMORY: RangeInclusive<u64> = 512 << 20..=1 << 40;
/// One sheet of tiles, and more than a source may have.
const OUTPUT: RangeInclusive<u64> = 16 << 20..=1 << 44;

/// Which ffmpeg runs, and in what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ffmpeg {
    /// The program; a name without a slash is looked up in `PATH`.
    pub program: String,
    /// What it is caged in.
    pub cage: Cage,
    /// Whether it may run without a cage.
    pub insecure: bool,
    /// What one of it may use.
    pub limits: Limits,
    /// How many storyboards are made at once; as many as there are cores, if nothing is said.
    pub jobs: Option<usize>,
}

/// What ffmpeg is caged in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cage {
    /// What the kernel has for threads: Landlock and seccomp.
    Kernel,
    /// Bubblewrap.
    Bubblewrap,
}

impl Layers {
    /// What `ffmpeg`, what begins with `ffmpeg-`, and `insecure-ffmpeg` say. Where it `runs`, the default is checked like any other: nothing
    /// else has to be installed. Elsewhere it may be set, by what several processes share.
    pub(super) fn ffmpeg(&mut self, runs: bool) -> Ffmpeg {
        let usual = "ffmpeg".to_owned();
        if runs {
            let given = || Given { value: usual.clone(), origin: "--ffmpeg ffmpeg".to_owned() };
            self.values.entry("ffmpeg").or_insert_with(given);
        }
        Ffmpeg {
            program: self.read("ffmpeg", usual, if runs { program } else { not_empty }),
            cage: self.read("ffmpeg-cage", Cage::Kernel, |value| match value {
                "kernel" => Ok(Cage::Kernel),
                "bubblewrap" => Ok(Cage::Bubblewrap),
                other => Err(format!("`{other}` is neither kernel nor bubblewrap")),
            }),
            insecure: self.read("insecure-ffmpeg", false, flag),
            limits: self.ffmpeg_limits(),
            jobs: self.read("ffmpeg-jobs", None, |value| count(value).map(Some)),
        }
    }

    fn ffmpeg_limits(&mut self) -> Limits {
        let usual = Limits::default();
        let limits = Limits {
            memory: self.read("ffmpeg-memory", usual.memory, |value| size(value, MEMORY)),
            time: self.read("ffmpeg-time", usual.time, timeout),
            stall: self.read("ffmpeg-stall", usual.stall, timeout),
            output: self.read("ffmpeg-output", usual.output, |value| size(value, OUTPUT)),
            ..usual
        };
        if let Some(given) = self.values.get("ffmpeg-stall").filter(|_| limits.stall > limits.time) {
            self.mistakes.push(format!("{}: it would never come to that, --ffmpeg-time is shorter", given.origin));
        }
        limits
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Mistakes, Settings};
    use super::*;
    use std::time::Duration;

    fn ffmpeg(flags: &[(&'static str, &str)]) -> Result<Ffmpeg, Mistakes> {
        let flags = flags.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Settings::resolve(None, [], flags).map(|settings| settings.ffmpeg)
    }

    #[test]
    fn it_is_caged_unless_the_opposite_is_meant() {
        let (program, limits) = ("ffmpeg".to_owned(), Limits::default());
        let usual = Ffmpeg { program, cage: Cage::Kernel, insecure: false, limits, jobs: None };
        assert_eq!(ffmpeg(&[]), Ok(usual.clone()));
        let set = ffmpeg(&[("ffmpeg-cage", "bubblewrap"), ("insecure-ffmpeg", "true")]);
        assert_eq!(set, Ok(Ffmpeg { cage: Cage::Bubblewrap, insecure: true, ..usual }));
        let wrong = ffmpeg(&[("ffmpeg-cage", "iron"), ("insecure-ffmpeg", "maybe")]).expect_err("both are wrong").0;
        assert_eq!(wrong.len(), 2, "{wrong:?}");
    }

    #[test]
    fn each_limit_is_a_setting() {
        let usual = Limits::default();
        let limits = |name: &'static str, value: &str| ffmpeg(&[(name, value)]).map(|ffmpeg| ffmpeg.limits);
        assert_eq!(limits("ffmpeg-memory", "2GiB"), Ok(Limits { memory: 2 << 30, ..usual }));
        assert_eq!(limits("ffmpeg-time", "1h"), Ok(Limits { time: Duration::from_hours(1), ..usual }));
        assert_eq!(limits("ffmpeg-stall", "10s"), Ok(Limits { stall: Duration::from_secs(10), ..usual }));
        assert_eq!(limits("ffmpeg-output", "16MiB"), Ok(Limits { output: 16 << 20, ..usual }));
        assert_eq!(ffmpeg(&[("ffmpeg-jobs", "3")]).map(|ffmpeg| ffmpeg.jobs), Ok(Some(3)));
        for (name, value) in [
            ("ffmpeg-memory", "64MiB"),
            ("ffmpeg-time", "0s"),
            ("ffmpeg-stall", "1h"),
            ("ffmpeg-output", "1MiB"),
            ("ffmpeg-jobs", "0"),
        ] {
            let Mistakes(mistakes) = ffmpeg(&[(name, value)]).expect_err(name);
            assert!(mistakes.len() == 1 && mistakes[0].starts_with(&format!("--{name}: ")), "{mistakes:?}");
        }
    }
}
