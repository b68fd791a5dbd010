//! What passes through the pipes of a child, and whether anything does.

use super::super::program::Limits;
use bytes::{Bytes, BytesMut};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, Read, Write};
use std::process::{ChildStdin, ChildStdout};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// What one of a child's two threads knows and the other one needs.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Bytes that it took.
    taken: AtomicU64,
    /// Whether there is something for it to do: bytes wait in its stdin, or none will come any more.
    has_work: AtomicBool,
    fault: OnceLock<Fault>,
}

/// Why it is killed by the thread that reads it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// It neither took nor gave a byte.
    Stalled,
    /// It gave more than it may.
    TooMuch,
}

impl Flow {
    /// Why it was killed, if one of its threads did it.
    pub fn fault(&self) -> Option<Fault> {
        self.fault.get().copied()
    }

    /// Bytes that it took so far.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Acquire)
    }

    /// Writes what comes to `stdin`.
    pub fn feed(&self, mut stdin: ChildStdin, mut input: mpsc::Receiver<Bytes>) {
        while let Some(bytes) = input.blocking_recv() {
            self.has_work.store(true, Ordering::Release);
            // A closed pipe means that it has ended, and its status says why.
            if self.write(&mut stdin, &bytes).is_err() {
                return;
            }
            // It may wait for us now, however long that takes.
            self.has_work.store(false, Ordering::Release);
        }
        drop(stdin);
        self.has_work.store(true, Ordering::Release);
    }

    fn write(&self, stdin: &mut ChildStdin, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match stdin.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.taken.fetch_add(count as u64, Ordering::Release);
                    bytes = &bytes[count..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads `stdout` and hands it out in chunks. Fails when nobody takes them any more, and with a fault of the child.
    pub fn read(
        &self,
        mut stdout: ChildStdout,
        chunk: usize,
        written: &mpsc::Sender<Bytes>,
        limits: Limits,
    ) -> Result<(), ()> {
        let mut given = 0;
        loop {
            let mut bytes = BytesMut::zeroed(chunk);
            let mut filled = 0;
            while filled < chunk {
                self.wait(&stdout, given, limits.stall)?;
                match stdout.read(&mut bytes[filled..]) {
                    Ok(0) => break,
                    Ok(count) => (filled, given) = (filled + count, given + count as u64),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => return Err(()),
                }
                if given > limits.output {
                    return self.fail(Fault::TooMuch);
                }
            }
            bytes.truncate(filled);
            if filled > 0 {
                written.blocking_send(bytes.freeze()).map_err(drop)?;
            }
            if filled < chunk {
                return Ok(());
            }
        }
    }

    /// Waits until there is something to read, as long as anything moves.
    fn wait(&self, stdout: &ChildStdout, given: u64, stall: Duration) -> Result<(), ()> {
        let look = Timespec::try_from(stall / 4).map_err(drop)?;
        let mut rest = None;
        loop {
            match poll(&mut [PollFd::new(stdout, PollFlags::IN)], Some(&look)) {
                Ok(0) => {}
                Err(rustix::io::Errno::INTR) => continue,
                // Whatever it is, reading says it.
                Ok(_) | Err(_) => return Ok(()),
            }
            let moved = given + self.taken.load(Ordering::Acquire);
            let rest = rest.get_or_insert_with(|| Rest::new(moved, Instant::now()));
            if rest.lasts(moved, self.has_work.load(Ordering::Acquire), Instant::now()) >= stall {
                return self.fail(Fault::Stalled);
            }
        }
    }

    fn fail(&self, fault: Fault) -> Result<(), ()> {
        // The first is the reason.
        let _ = self.fault.set(fault);
        Err(())
    }
}

/// How long nothing has moved that should have.
#[derive(Debug)]
struct Rest {
    moved: u64,
    since: Instant,
}

impl Rest {
    fn new(moved: u64, now: Instant) -> Self {
        Self { moved, since: now }
    }

    /// How long it has lasted: it begins anew when anything moved, and while there is nothing to do.
    fn lasts(&mut self, moved: u64, has_work: bool, now: Instant) -> Duration {
        if moved != self.moved || !has_work {
            *self = Self::new(moved, now);
        }
        now.duration_since(self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rests_only_where_it_has_something_to_do() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut rest = Rest::new(5, begin);
        assert_eq!(rest.lasts(5, true, at(7)), Duration::from_secs(7));
        assert_eq!(rest.lasts(6, true, at(8)), Duration::ZERO, "a byte moved");
        assert_eq!(rest.lasts(6, true, at(10)), Duration::from_secs(2));
        assert_eq!(rest.lasts(6, false, at(100)), Duration::ZERO, "it waits for us");
        assert_eq!(rest.lasts(6, true, at(101)), Duration::from_secs(1));
    }
}
