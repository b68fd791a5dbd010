//! The record of unfinished uploads: what lets the same command continue after an interruption.
//!
//! One JSON file an upload, below `$XDG_STATE_HOME/vidctl/uploads` (`~/.local/state` by default), named by a hash of
//! server and absolute path. Its lock is held as long as a process works on that upload.

use crate::errors::Failure;
use crate::settings::Server;
use crate::upload::file::Fingerprint;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use vidstream_proto::ids::VideoId;

/// The version of an entry's form; another one is not read.
const VERSION: u32 = 1;

/// An unfinished upload.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    version: u32,
    server: String,
    path: String,
    /// Of the call that made the upload, so that a repeat makes no second one.
    pub request_id: String,
    /// The title that was asked for.
    pub title: String,
    /// What the file was.
    pub file: Fingerprint,
    /// What the server made of it; absent if it was not heard.
    pub upload: Option<Made>,
}

/// What the server calls an upload.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Made {
    /// The upload.
    pub upload_id: String,
    /// Its video.
    pub video_id: String,
}

/// Where the entries are.
#[derive(Clone, Debug)]
pub struct State {
    folder: PathBuf,
}

impl State {
    /// The place by the XDG base directory specification.
    pub fn of_user() -> Result<Self, Failure> {
        let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || absolute("HOME").map(|home| home.join(".local/state"));
        let base = absolute("XDG_STATE_HOME").or_else(home).ok_or_else(|| {
            Failure::failed("there is no place to remember unfinished uploads: neither XDG_STATE_HOME nor HOME is set")
        })?;
        Ok(Self { folder: base.join("vidctl/uploads") })
    }

    /// Takes the slot of `path` on `server` for this process.
    pub fn slot(&self, server: &Server, path: &Path) -> Result<Slot, Failure> {
        let failure = |error: io::Error| Failure::file("write to", &self.folder, &error);
        fs::create_dir_all(&self.folder).map_err(failure)?;
        let key = blake3::hash(&[server.to_string().as_bytes(), b"\0", path.as_os_str().as_bytes()].concat());
        let file = self.folder.join(format!("{}.json", &key.to_hex()[..32]));
        let lock_file = file.with_extension("lock");
        let Some(lock) = lock(&lock_file).map_err(failure)? else {
            return Err(Failure::failed(format!("another vidctl is uploading `{}` to {server}", path.display())));
        };
        Ok(Slot { file, lock_file, server: server.to_string(), path: path.to_owned(), _lock: lock })
    }

    /// Forgets the uploads of `videos`.
    pub fn forget(&self, server: &Server, videos: &[VideoId]) -> Result<(), Failure> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(|error| Failure::file("read", &self.folder, &error))?,
        };
        for file in entries.flatten().map(|entry| entry.path()).filter(|p| p.extension() == Some(OsStr::new("json"))) {
            // What can't be read is somebody else's business: the upload it belongs to will say so.
            let Ok(Some(entry)) = read(&file) else { continue };
            let video = entry.upload.and_then(|made| made.video_id.parse().ok());
            if video.is_some_and(|video| videos.contains(&video)) && entry.server == server.to_string() {
                remove(&file)?;
            }
        }
        Ok(())
    }
}

/// The place of one upload's entry, held by this process alone.
#[derive(Debug)]
pub struct Slot {
    file: PathBuf,
    lock_file: PathBuf,
    server: String,
    path: PathBuf,
    _lock: File,
}

impl Slot {
    /// The entry, if there is an unfinished upload.
    pub fn load(&self) -> Result<Option<Entry>, Failure> {
        read(&self.file)
    }

    /// An entry for a new upload.
    pub fn entry(&self, request_id: String, title: &str, file: &Fingerprint) -> Entry {
        let (server, path) = (self.server.clone(), self.path.display().to_string());
        Entry { version: VERSION, server, path, request_id, title: title.to_owned(), file: file.clone(), upload: None }
    }

    /// Writes the entry, durable when this returns.
    pub fn save(&self, entry: &Entry) -> Result<(), Failure> {
        let write = || -> io::Result<()> {
            let temporary = self.file.with_extension("new");
            let mut file = File::create(&temporary)?;
            file.write_all(serde_json::to_string_pretty(entry)?.as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, &self.file)?;
            self.file.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
        };
        write().map_err(|error| Failure::file("write", &self.file, &error))
    }

    /// Forgets the entry.
    pub fn clear(&self) -> Result<(), Failure> {
        remove(&self.file)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // While it is locked, so nobody else holds it. Left behind it does no harm.
        let _ = fs::remove_file(&self.lock_file);
    }
}

/// The lock, or none if another process has it.
fn lock(path: &Path) -> io::Result<Option<File>> {
    loop {
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Its former holder may have removed it between opening and locking: then this locks a file without a name.
        match path.metadata() {
            Ok(named) if named.ino() == file.metadata()?.ino() => return Ok(Some(file)),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
}

fn read(file: &Path) -> Result<Option<Entry>, Failure> {
    let text = match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|error| Failure::file("read", file, &error))?,
    };
    let unreadable = |why: String| {
        Failure::failed(format!("the record of an unfinished upload can't be read: {why}"))
            .hint(format!("remove `{}` to upload the file anew", file.display()))
    };
    let entry: Entry = serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
    if entry.version != VERSION {
        return Err(unreadable(format!("it has version {}, not {VERSION}", entry.version)));
    }
    Ok(Some(entry))
}

fn remove(file: &Path) -> Result<(), Failure> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::file("remove", file, &error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place {
        state: State,
        _folder: tempfile::TempDir,
    }

    fn place() -> Place {
        let folder = tempfile::tempdir().expect("a folder");
        Place { state: State { folder: folder.path().join("vidctl/uploads") }, _folder: folder }
    }

    fn server(port: u16) -> Server {
        format!("http://127.0.0.1:{port}").parse().expect("an address")
    }

    fn entry(slot: &Slot, video: Option<VideoId>) -> Entry {
        let file = Fingerprint { size: 1, modified: "2".into(), first_cell: "3".into(), last_cell: "4".into() };
        let upload = video.map(|id| Made { upload_id: "u".into(), video_id: id.to_string() });
        Entry { upload, ..slot.entry("r".into(), "t", &file) }
    }

    #[test]
    fn an_entry_is_kept_by_server_and_path() {
        let place = place();
        let (path, other) = (Path::new("/a.mp4"), Path::new("/b.mp4"));
        let slot = place.state.slot(&server(1), path).expect("free");
        assert_eq!(slot.load(), Ok(None));
        let saved = entry(&slot, None);
        slot.save(&saved).expect("saved");
        drop(slot);
        let loaded = |port, path| place.state.slot(&server(port), path).expect("free").load().expect("readable");
        assert_eq!(loaded(1, path), Some(saved));
        assert_eq!(loaded(2, path), None);
        assert_eq!(loaded(1, other), None);
        place.state.slot(&server(1), path).expect("free").clear().expect("cleared");
        assert_eq!(loaded(1, path), None);
    }

    #[test]
    fn a_slot_is_held_by_one() {
        let place = place();
        let held = place.state.slot(&server(1), Path::new("/a.mp4")).expect("free");
        let Err(Failure::Told { message, .. }) = place.state.slot(&server(1), Path::new("/a.mp4")) else {
            panic!("held")
        };
        assert_eq!(message, "another vidctl is uploading `/a.mp4` to http://127.0.0.1:1");
        place.state.slot(&server(1), Path::new("/b.mp4")).expect("another file");
        drop(held);
        place.state.slot(&server(1), Path::new("/a.mp4")).expect("free again");
        let left = fs::read_dir(&place.state.folder).expect("a folder").count();
        assert_eq!(left, 0, "locks are taken away");
    }

    #[test]
    fn a_removed_video_is_forgotten() {
        let place = place();
        let (gone, kept) = (VideoId::generate(), VideoId::generate());
        place.state.forget(&server(1), &[gone]).expect("nothing there yet");
        let save = |port, path, video| {
            let slot = place.state.slot(&server(port), Path::new(path)).expect("free");
            slot.save(&entry(&slot, Some(video))).expect("saved");
        };
        save(1, "/gone.mp4", gone);
        save(1, "/kept.mp4", kept);
        save(2, "/gone.mp4", gone);
        place.state.forget(&server(1), &[gone]).expect("forgotten");
        let there = |port, path| {
            place.state.slot(&server(port), Path::new(path)).expect("free").load().expect("readable").is_some()
        };
        assert!(!there(1, "/gone.mp4"));
        assert!(there(1, "/kept.mp4"));
        assert!(there(2, "/gone.mp4"), "another server's");
    }

    #[test]
    fn what_can_not_be_read_names_its_file() {
        let place = place();
        let slot = place.state.slot(&server(1), Path::new("/a.mp4")).expect("free");
        for text in ["", "{", r#"{"version": 2}"#] {
            fs::write(&slot.file, text).expect("written");
            let Err(Failure::Told { hint, .. }) = slot.load() else { panic!("refused") };
            assert!(hint.expect("a hint").contains(slot.file.to_str().expect("UTF-8")));
        }
        let newer = Entry { version: 2, ..entry(&slot, None) };
        slot.save(&newer).expect("saved");
        assert!(slot.load().is_err());
    }
}
