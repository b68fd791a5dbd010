//! Which ffmpeg runs, and in what.

use super::values::{flag, not_empty, program};
use super::{Given, Layers};

/// Which ffmpeg runs, and in what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ffmpeg {
    /// The program; a name without a slash is looked up in `PATH`.
    pub program: String,
    /// What it is caged in.
    pub cage: Cage,
    /// Whether it may run without a cage.
    pub insecure: bool,
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
    /// What `ffmpeg`, `ffmpeg-cage` and `insecure-ffmpeg` say. Where it `runs`, the default is checked like any other: nothing
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Mistakes, Settings};
    use super::*;

    fn ffmpeg(flags: &[(&'static str, &str)]) -> Result<Ffmpeg, Mistakes> {
        let flags = flags.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Settings::resolve(None, [], flags).map(|settings| settings.ffmpeg)
    }

    #[test]
    fn it_is_caged_unless_the_opposite_is_meant() {
        let usual = Ffmpeg { program: "ffmpeg".to_owned(), cage: Cage::Kernel, insecure: false };
        assert_eq!(ffmpeg(&[]), Ok(usual.clone()));
        let set = ffmpeg(&[("ffmpeg-cage", "bubblewrap"), ("insecure-ffmpeg", "true")]);
        assert_eq!(set, Ok(Ffmpeg { cage: Cage::Bubblewrap, insecure: true, ..usual }));
        let wrong = ffmpeg(&[("ffmpeg-cage", "iron"), ("insecure-ffmpeg", "maybe")]).expect_err("both are wrong").0;
        assert_eq!(wrong.len(), 2, "{wrong:?}");
    }
}
