//! The cage: what keeps an ffmpeg that a file took over from everything but its pipes. The kernel enforces it, no root is
//! needed, and it works in containers.
//!
//! A thread is put into it, and starts the child there: what a thread may not, its children may not either. This thread does
//! nothing else, and lives as long as the child, because the kernel's death signal is bound to the thread that started a
//! process. All others of the server stay free: whoever kills the child is not in the cage.

mod bubblewrap;
mod calls;
mod files;

use ffmpeg_sidecar::child::FfmpegChild;
use ffmpeg_sidecar::command::FfmpegCommand;
use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set, set_no_new_privs};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;

pub use bubblewrap::NoBubblewrap;
pub(super) use bubblewrap::command as in_bubblewrap;

/// What holds an ffmpeg on this machine, found out by trying it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layers {
    /// Landlock and its ABI: no files but programs and libraries, from 4 on no TCP, from 6 on no signals to others.
    pub landlock: Option<u32>,
    /// A filter of system calls (seccomp): no sockets, no namespaces, nothing of what only attacks use.
    pub seccomp: bool,
    /// Bubblewrap: namespaces of its own, in which there is nothing else. It takes the place of the other two.
    pub bubblewrap: bool,
}

impl Layers {
    /// No layer at all.
    pub const NONE: Self = Self { landlock: None, seccomp: false, bubblewrap: false };

    /// What the kernel does when it is asked: each layer is put on a thread, which then tries what it may not.
    pub fn of_this_machine() -> Self {
        Self { landlock: files::tried(), seccomp: calls::tried(), bubblewrap: false }
    }

    /// Bubblewrap, if it works here.
    pub fn of_bubblewrap() -> Result<Self, NoBubblewrap> {
        bubblewrap::tried()?;
        Ok(Self { bubblewrap: true, ..Self::NONE })
    }

    /// Whether there is one.
    pub fn hold(self) -> bool {
        self != Self::NONE
    }

    /// Whether Landlock keeps it from signalling others.
    fn scope_signals(self) -> bool {
        self.landlock.is_some_and(|abi| abi >= 6)
    }

    /// Whether files are kept from it.
    pub fn hide_files(self) -> bool {
        self.landlock.is_some() || self.bubblewrap
    }
}

impl fmt::Display for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let landlock = self.landlock.map(|abi| format!("landlock {abi}"));
        let seccomp = self.seccomp.then(|| "seccomp".to_owned());
        let bubblewrap = self.bubblewrap.then(|| "bubblewrap".to_owned());
        let layers: Vec<_> = [landlock, seccomp, bubblewrap].into_iter().flatten().collect();
        f.write_str(&if layers.is_empty() { "none".to_owned() } else { layers.join(", ") })
    }
}

/// The cage of one program. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Cage {
    layers: Layers,
    program: Option<PathBuf>,
    /// The program itself and its libraries, where they are in none of the usual folders.
    besides: Arc<[PathBuf]>,
}

impl Cage {
    /// Of these layers, for the program at `path`.
    pub fn new(layers: Layers, path: &Path) -> Self {
        let program = super::known::located(path);
        let besides = files::of_program(program.as_deref()).into();
        Self { layers, program, besides }
    }

    /// What it is made of.
    pub fn layers(&self) -> Layers {
        self.layers
    }

    /// The file that is run.
    pub fn program(&self) -> Option<&Path> {
        self.program.as_deref()
    }

    /// What it leaves open besides the usual folders.
    pub fn besides(&self) -> &[PathBuf] {
        &self.besides
    }

    /// Starts `command` in it. The child is killed when the guard is dropped before it has ended, if it is on a leash.
    pub fn start(&self, mut command: FfmpegCommand) -> io::Result<(FfmpegChild, Guard)> {
        let (over, wait) = mpsc::channel::<()>();
        let (born, started) = mpsc::channel();
        let cage = self.clone();
        let thread = thread::Builder::new().name("ffmpeg-cage".to_owned()).spawn(move || {
            // Its receiver waits for it.
            let _ = born.send(cage.enter().and_then(|()| command.spawn()));
            let _ = wait.recv();
        })?;
        let child = started.recv().map_err(|_| io::Error::other("the thread that starts ffmpeg is gone"))??;
        Ok((child, Guard { over: Some(over), thread: Some(thread) }))
    }

    /// Puts the calling thread into it, for good.
    fn enter(&self) -> io::Result<()> {
        // A program with more rights than its caller has no more here.
        set_no_new_privs(true)?;
        // Bubblewrap is what makes namespaces, which all of this would keep it from.
        if self.layers.bubblewrap {
            return Ok(());
        }
        // What root starts then has no right but that to root's files. Others have no such right to give up.
        for capability in CapabilitySet::all() {
            let _ = remove_capability_from_bounding_set(capability);
        }
        if self.layers.landlock.is_some() {
            files::close(&self.besides)?;
        }
        // Last: it could keep the others from being put on.
        if self.layers.seccomp {
            calls::close(!self.layers.scope_signals())?;
        }
        Ok(())
    }
}

/// Keeps the thread that started a child.
#[derive(Debug)]
pub(super) struct Guard {
    over: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.over.take());
        // It has nothing more to do.
        if let Some(Err(_)) = self.thread.take().map(thread::JoinHandle::join) {
            tracing::warn!("a thread that started ffmpeg panicked");
        }
    }
}

/// What `try_it` says on a thread of its own, on which `enter` was put first; false where that can't be done.
fn holds<E>(enter: impl FnOnce() -> Result<(), E> + Send, try_it: impl FnOnce() -> bool + Send) -> bool {
    thread::scope(|scope| {
        let tried = thread::Builder::new().name("ffmpeg-cage".to_owned());
        let tried = tried.spawn_scoped(scope, move || enter().is_ok() && try_it());
        tried.is_ok_and(|thread| thread.join().unwrap_or(false))
    })
}

#[cfg(test)]
mod tests;
