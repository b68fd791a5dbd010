//! A hold on a child process that can be killed from anywhere, but never after its number may belong to another.

use rustix::process::{Pid, Signal, kill_process_group};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where a child is in its life, shared by the thread that owns it and those who may kill it.
#[derive(Debug, Default)]
pub(super) struct Grip(Mutex<State>);

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    /// Not started yet.
    #[default]
    Unborn,
    /// To be killed as soon as it is there.
    Doomed,
    /// It runs, or has ended and was not reaped: its number is its own.
    Alive(Pid),
    /// Reaped, or never started.
    Gone,
}

impl Grip {
    /// The child runs; it leads a process group of its own.
    pub fn hold(&self, child: Pid) {
        let mut state = self.state();
        if *state == State::Doomed {
            signal(child);
        }
        *state = State::Alive(child);
    }

    /// The child is about to be reaped: from here on its number means nothing.
    pub fn release(&self) {
        *self.state() = State::Gone;
    }

    /// Kills the child and all that it started. At once, and harmless if it has ended.
    pub fn kill(&self) {
        let mut state = self.state();
        match *state {
            State::Unborn => *state = State::Doomed,
            State::Alive(child) => signal(child),
            State::Doomed | State::Gone => {}
        }
    }

    /// The child's number while it is its own.
    #[cfg(test)]
    pub fn pid(&self) -> Option<Pid> {
        match *self.state() {
            State::Alive(child) => Some(child),
            _ => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn signal(child: Pid) {
    // It fails only where the group has ended, which is what is wanted.
    let _ = kill_process_group(child, Signal::KILL);
}
