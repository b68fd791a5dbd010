//! What goes wrong, as it is told: a sentence, perhaps a hint, and an exit code.

use crate::settings::Server;
use std::error::Error;
use std::fmt::Display;
use std::io;
use std::path::Path;
use tonic::{Code, Status};
use vidstream_proto::error::{Exit, Problem, Reason};

/// Why a command did not do what it should.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// Something to tell.
    Told {
        /// What the program ends with.
        exit: Exit,
        /// Lowercase, without a full stop.
        message: String,
        /// What can be done about it.
        hint: Option<String>,
    },
    /// Whoever read stdout has left: nothing to tell, and nobody to tell it to.
    ReaderLeft,
}

impl Failure {
    /// A failure of a kind.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self::Told { exit, message: message.into(), hint: None }
    }

    /// Something failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// A file of this machine.
    pub fn file(doing: &str, path: &Path, error: &io::Error) -> Self {
        let exit = if error.kind() == io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failed };
        Self::new(exit, format!("can't {doing} `{}`: {error}", path.display()))
    }

    /// Writing to stdout.
    pub fn stdout(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ReaderLeft,
            _ => Self::failed(format!("can't write to stdout: {error}")),
        }
    }

    /// The server can't be reached.
    pub fn unreachable(server: &Server, why: impl Display) -> Self {
        let hint = "is the server running there? `--server URL` or VIDCTL_SERVER names another";
        let signed = if server.is_encrypted() { "; `--ca-file FILE` names who signs its certificate" } else { "" };
        Self::new(Exit::Unreachable, format!("no answer from {server}: {why}")).hint(format!("{hint}{signed}"))
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        if let Self::Told { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }

    /// The same of one file, where several may be under way.
    #[must_use]
    pub fn about(mut self, path: &Path) -> Self {
        if let Self::Told { message, .. } = &mut self {
            *message = format!("`{}`: {message}", path.display());
        }
        self
    }

    /// What the program ends with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Told { exit, .. } => *exit,
            Self::ReaderLeft => Exit::Done,
        }
    }
}

/// What a call ended with: the server's own answer, or a transport that broke.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallError {
    /// The server's answer; `UNAVAILABLE` if the transport broke.
    pub problem: Problem,
    /// No answer of the server: it can't be reached, or the connection was lost.
    pub broken: bool,
}

impl CallError {
    /// A connection that is open and says nothing.
    pub fn silent() -> Self {
        Self { problem: Problem::new(Reason::Unavailable, "it has fallen silent"), broken: true }
    }

    /// Whether the same call may go well in a moment.
    pub fn is_transient(&self) -> bool {
        let passing = [Reason::Unavailable, Reason::DeadlineExceeded, Reason::ResourceExhausted, Reason::NotReady];
        self.broken || passing.contains(&self.problem.reason)
    }

    /// Whether there is no such thing.
    pub fn is_not_found(&self) -> bool {
        self.problem.reason == Reason::NotFound
    }

    /// As it is told.
    pub fn told(self, server: &Server) -> Failure {
        if self.broken {
            return Failure::unreachable(server, self.problem.message);
        }
        let Problem { reason, message, .. } = self.problem;
        let failure = Failure::new(reason.exit(), message);
        match reason {
            Reason::RevisionMismatch => {
                failure.hint("somebody changed it meanwhile: `vidctl get ID` shows its revision")
            }
            Reason::NoSpace => failure.hint("the server's disk is full"),
            Reason::Unavailable | Reason::ResourceExhausted | Reason::NotReady => failure.hint("try again in a moment"),
            Reason::Unimplemented => failure.hint("is this a VidStream server of the same version?"),
            _ => failure,
        }
    }
}

impl From<Problem> for CallError {
    fn from(problem: Problem) -> Self {
        Self { problem, broken: false }
    }
}

impl From<Status> for CallError {
    fn from(status: Status) -> Self {
        // A status the server sent has no source; one that the transport made has the error it was made of.
        match status.source() {
            Some(source) => Self { problem: Problem::new(Reason::Unavailable, root_cause(source)), broken: true },
            // A proxy or a server of another kind.
            None if status.code() == Code::Unknown && status.details().is_empty() => {
                Self { problem: Problem::new(Reason::Unavailable, status.message()), broken: true }
            }
            None => Self { problem: status.into(), broken: false },
        }
    }
}

/// The last error of a chain, which says what happened; those above only say where.
fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Server {
        "http://127.0.0.1:1".parse().expect("an address")
    }

    #[test]
    fn answers_keep_their_exit_code() {
        for (reason, exit) in [(Reason::NotFound, Exit::NotFound), (Reason::RevisionMismatch, Exit::Failed)] {
            let error = CallError::from(Status::from(Problem::new(reason, "words")));
            assert!(!error.is_transient());
            assert_eq!(error.told(&server()).exit(), exit);
        }
    }

    #[test]
    fn a_broken_transport_is_an_unreachable_server() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let mut status = Status::unknown("transport error");
        status.set_source(std::sync::Arc::new(refused));
        let error = CallError::from(status);
        assert!(error.is_transient());
        let Failure::Told { exit, message, hint } = error.told(&server()) else { panic!("told") };
        assert_eq!(exit, Exit::Unreachable);
        assert_eq!(message, "no answer from http://127.0.0.1:1: connection refused");
        assert!(hint.expect("a hint").contains("VIDCTL_SERVER"));
    }

    #[test]
    fn full_disks_are_final_and_full_memory_is_not() {
        let transient = |reason| CallError::from(Status::from(Problem::new(reason, "x"))).is_transient();
        assert!(transient(Reason::ResourceExhausted));
        assert!(!transient(Reason::NoSpace));
        assert!(!transient(Reason::ChecksumMismatch));
    }
}
