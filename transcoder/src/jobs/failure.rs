//! Why a job failed, and whose fault it was.

use crate::ffmpeg::filter::FilterError;
use crate::ffmpeg::{ChildError, DecodeError};
use crate::jpeg::JpegError;
use crate::made::RecordError;
use std::error::Error;
use tokio::task::JoinError;
use vidstream_backends::objects::ObjectError;
use vidstream_media::stored::StoredIndexError;
use vidstream_media::storyboard::NoStoryboard;
use vidstream_proto::error::Problem;
use vidstream_proto::pb::FailureKind;
use vidstream_source::reader::ReadError;

/// An attempt that ended without a result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failure {
    /// Whose fault it was.
    pub kind: FailureKind,
    /// A sentence for people.
    pub reason: String,
}

impl Failure {
    pub fn new(kind: FailureKind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into() }
    }

    /// The file's fault: trying again gives the same.
    pub fn input(reason: impl Into<String>) -> Self {
        Self::new(FailureKind::Input, reason)
    }

    /// It will not be made of this file, which is nobody's fault.
    pub fn not_offered(reason: impl Into<String>) -> Self {
        Self::new(FailureKind::NotOffered, reason)
    }

    /// Ours.
    pub fn ours(error: &dyn Error) -> Self {
        Self::new(FailureKind::Attempt, in_words(error))
    }

    /// That of a store or a service.
    pub fn infrastructure(error: &dyn Error) -> Self {
        Self::new(FailureKind::Infrastructure, in_words(error))
    }

    /// The worker is to stop.
    pub fn stopping() -> Self {
        Self::new(FailureKind::Infrastructure, "the worker was stopped")
    }

    /// The job's own code gave up.
    pub fn panicked() -> Self {
        Self::new(FailureKind::Attempt, "an error in the server's own code; its log says more")
    }
}

/// An error with its causes on one line.
fn in_words(error: &dyn Error) -> String {
    let mut words = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        // Transparent errors say what their cause says.
        let said = error.to_string();
        if words.last() != Some(&said) {
            words.push(said);
        }
        cause = error.source();
    }
    words.join(": ")
}

impl Failure {
    /// An ffmpeg that was to read or write whole tracks did not do so.
    pub fn of_filter<R: Into<Self>, W: Into<Self>>(error: FilterError<R, W>) -> Self {
        match error {
            FilterError::Read(error) => error.into(),
            FilterError::Kept(error) => error.into(),
            FilterError::Child(error) => match &error {
                ChildError::Failed { said, .. } if !said.is_empty() && !is_machines(said) => {
                    Self::input(format!("it can't be decoded: {}", in_words(&error)))
                }
                _ => Self::ours(&error),
            },
        }
    }
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Objects(error) => error.into(),
            // A file of which nothing could be decoded has no track.
            RecordError::Index(error) => Self::input(format!("nothing of it can be decoded: {error}")),
            RecordError::Broke(error) => error.into(),
        }
    }
}

impl From<ObjectError> for Failure {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::NotFound { .. } | ObjectError::TooLarge { .. } | ObjectError::RangeOutside { .. } => {
                Self::ours(&error)
            }
            _ => Self::infrastructure(&error),
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Objects(error) => error.into(),
            ReadError::OutsideFile { .. } => Self::ours(&error),
            // A source that is being removed cancels its jobs anyway.
            ReadError::NotCome { .. } | ReadError::Records(_) => Self::infrastructure(&error),
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::infrastructure(&problem)
    }
}

impl From<NoStoryboard> for Failure {
    fn from(why: NoStoryboard) -> Self {
        Self::not_offered(why.to_string())
    }
}

impl From<StoredIndexError> for Failure {
    fn from(error: StoredIndexError) -> Self {
        match error {
            // It is being made anew, and this job with it.
            StoredIndexError::Version(_) => Self::infrastructure(&error),
            StoredIndexError::NotAnIndex | StoredIndexError::Damaged(_) => Self::ours(&error),
        }
    }
}

impl From<JpegError> for Failure {
    fn from(error: JpegError) -> Self {
        Self::ours(&error)
    }
}

impl From<JoinError> for Failure {
    fn from(error: JoinError) -> Self {
        tracing::error!(%error, "a blocking task did not end well");
        Self::panicked()
    }
}

impl From<DecodeError<ReadError>> for Failure {
    fn from(error: DecodeError<ReadError>) -> Self {
        match error {
            DecodeError::Read(error) => error.into(),
            DecodeError::Count { ref said, .. } if !is_machines(said) => {
                Self::not_offered(format!("the video's keyframes can't be decoded alone: {error}"))
            }
            // It gave up on these bytes: it will again.
            DecodeError::Child(ChildError::Failed { ref said, .. }) if !said.is_empty() && !is_machines(said) => {
                Self::input(format!("the video's keyframes can't be decoded: {}", in_words(&error)))
            }
            DecodeError::Count { .. } | DecodeError::Child(_) => Self::ours(&error),
        }
    }
}

/// What ffmpeg says when it lacks memory, room, libraries or an option, whatever the file is. It also says something
/// whenever it gives up on a file: one that ends badly without a word was not at the file at all.
const MACHINES: [&str; 8] = [
    "Cannot allocate memory",
    "Resource temporarily unavailable",
    "No space left on device",
    "Too many open files",
    "error while loading shared libraries",
    "Unrecognized option",
    "Option not found",
    "No such filter",
];

/// Whether the last words of an ffmpeg are about the machine it runs on, not about the file.
fn is_machines(said: &str) -> bool {
    MACHINES.iter().any(|words| said.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use vidstream_proto::error::Reason;

    #[test]
    fn faults_are_told_apart() {
        let name = "sources/x".parse().expect("a name");
        let kind = |failure: Failure| failure.kind;
        assert_eq!(kind(ObjectError::NotFound { name }.into()), FailureKind::Attempt);
        let name = "sources/x".parse().expect("a name");
        assert_eq!(kind(ObjectError::NoSpace { name }.into()), FailureKind::Infrastructure);
        let away = ReadError::Records(Problem::new(Reason::Unavailable, "away"));
        assert_eq!(Failure::from(away), Failure::new(FailureKind::Infrastructure, "away"));
        assert_eq!(kind(NoStoryboard::OpenGop.into()), FailureKind::NotOffered);
        let count = |said: &str| DecodeError::Count { found: 2, wanted: 3, said: said.to_owned() };
        assert_eq!(kind(count("error while decoding MB 3 4").into()), FailureKind::NotOffered);
        assert_eq!(kind(count("").into()), FailureKind::NotOffered);
        assert_eq!(kind(count("get_buffer() failed; Cannot allocate memory").into()), FailureKind::Attempt);
        let gave_up = |said: &str| DecodeError::Child(ChildError::Failed { status: 1, said: said.to_owned() });
        assert_eq!(kind(gave_up("pipe:0: Invalid data found when processing input").into()), FailureKind::Input);
        assert_eq!(kind(gave_up("").into()), FailureKind::Attempt, "not a word about the file");
        assert_eq!(kind(gave_up("Error while opening decoder: Cannot allocate memory").into()), FailureKind::Attempt);
        let killed = ChildError::Killed { signal: 9, said: String::new() };
        assert_eq!(kind(DecodeError::Child(killed).into()), FailureKind::Attempt);
    }
}
