//! An ffmpeg that has answered before: asking takes it a tenth of a second and as much processor time (it loads some two
//! hundred libraries), several times what all else at a start does. So its answer is kept, and holds while the program is
//! the same file.

use super::cage::Layers;
use super::program::{Answer, LEASH, Limits, Program, ProgramError};
use rustix::fs::{Access, access};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What starts a note that this version understands.
const FORMAT: &str = "ffmpeg 2";

impl Program {
    /// The ffmpeg at `path`, a name without a slash being looked up in `PATH`: taken from `note` if it is the file that was
    /// checked when that was written, else checked, and noted. A note that can't be read or written is none.
    pub async fn recall(layers: Layers, path: &Path, limits: Limits, note: &Path) -> Result<Self, ProgramError> {
        // With the leash it was checked on, in the cage it was checked in: without that one it is asked again.
        let identity = [path, Path::new(LEASH)].map(|path| located(path).and_then(|found| identity(&found)));
        let identity = if let [Some(ffmpeg), Some(leash)] = identity {
            Some(format!("{ffmpeg}; {leash}; {layers}"))
        } else {
            None
        };
        let noted = std::fs::read_to_string(note).ok();
        if let Some(answer) = identity.as_deref().zip(noted.as_deref()).and_then(|(same, text)| read(text, same)) {
            return Ok(Self::answered(layers, path, limits, answer));
        }
        let answer = Self::ask(layers, path, limits).await?;
        if let Some(identity) = identity.filter(|_| answer.leashed)
            && let Err(error) = write(note, &written(&identity, &answer))
        {
            tracing::warn!(note = %note.display(), %error, "the check of ffmpeg can't be noted");
        }
        Ok(Self::answered(layers, path, limits, answer))
    }
}

/// Beside it first: whatever has the note's name, a link to something else say, is replaced and not written.
fn write(note: &Path, text: &str) -> std::io::Result<()> {
    let fresh = note.with_extension("new");
    std::fs::write(&fresh, text)?;
    std::fs::rename(fresh, note)
}

/// The file that is run when `path` is.
pub(super) fn located(path: &Path) -> Option<PathBuf> {
    let found = if path.components().count() > 1 {
        path.to_owned()
    } else {
        let paths = std::env::var_os("PATH")?;
        std::env::split_paths(&paths)
            .map(|folder| folder.join(path))
            .find(|path| path.is_file() && access(path, Access::EXEC_OK).is_ok())?
    };
    found.canonicalize().ok()
}

/// Changes with the file, however it is changed: `ctime` can't be set.
fn identity(found: &Path) -> Option<String> {
    let about: Metadata = found.metadata().ok()?;
    let numbers = [about.dev(), about.ino(), about.size()].map(|number| number.to_string()).join(" ");
    Some(format!("{numbers} {}.{:09} {}", about.ctime(), about.ctime_nsec(), found.display()))
}

fn written(identity: &str, answer: &Answer) -> String {
    format!("{FORMAT}\n{identity}\n{}\n", answer.version)
}

fn read(text: &str, same: &str) -> Option<Answer> {
    let lines: Vec<&str> = text.lines().collect();
    let [format, identity, version] = lines[..] else { return None };
    (format == FORMAT && identity == same).then(|| Answer { leashed: true, version: version.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    /// A program that says it is ffmpeg of this version, and notes each time that it is asked.
    fn program(folder: &Path, version: &str) -> PathBuf {
        let path = folder.join("ffmpeg");
        // In the cage it could leave no trace, and its limits let it write no file.
        let script = format!(
            "#!/bin/sh\nmkdir -p {}/$$ >&2\necho ffmpeg version {version} by nobody\n",
            folder.join("asked").display()
        );
        std::fs::write(&path, script).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("allowed");
        path
    }

    #[tokio::test]
    async fn it_is_asked_once_and_again_when_it_is_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let note = folder.path().join("note.txt");
        let path = program(folder.path(), "6.1");
        let asked = || std::fs::read_dir(folder.path().join("asked")).expect("asked").count();
        let recall = async || Program::recall(Layers::NONE, &path, Limits::default(), &note).await;
        recall().await.expect("checked");
        let first = asked();
        recall().await.expect("known");
        assert_eq!(asked(), first, "it was asked again");
        std::fs::write(&note, "nonsense").expect("written");
        recall().await.expect("checked");
        assert!(asked() > first, "nonsense was believed");
        program(folder.path(), "4.4");
        let error = recall().await.expect_err("too old").to_string();
        assert!(error.ends_with("is ffmpeg 4.4; 5.1 or newer is needed"), "{error}");
        recall().await.expect_err("and that is not taken for checked");
    }
}
