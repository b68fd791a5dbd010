//! One table of reasons: what went wrong, its gRPC code, its HTTP status and the exit code of `vidctl`.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The domain of every `google.rpc.ErrorInfo` of ours.
pub const DOMAIN: &str = "vidstream";

/// What a program ends with (`vidctl`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Exit {
    /// All was done.
    Done = 0,
    /// Something failed.
    Failed = 1,
    /// The command line was wrong.
    Usage = 2,
    /// No such thing.
    NotFound = 3,
    /// The server does not answer.
    Unreachable = 4,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $code:ident, $http:literal, $exit:ident;)*) => {
        /// A stable reason, `google.rpc.ErrorInfo.reason`. Callers branch on it; texts may change.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every reason there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Upper snake case, as clients see it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The gRPC code it travels under.
            pub fn code(self) -> Code {
                match self { $(Self::$name => Code::$code,)* }
            }

            /// The HTTP status it is answered with.
            pub fn http_status(self) -> u16 {
                match self { $(Self::$name => $http,)* }
            }

            /// What `vidctl` exits with.
            pub fn exit(self) -> Exit {
                match self { $(Self::$name => Exit::$exit,)* }
            }
        }
    };
}

reasons! {
    /// A field is missing or wrong; the violations name it.
    InvalidArgument = "INVALID_ARGUMENT", InvalidArgument, 400, Failed;
    /// Offset or length is not on the grid of granules, or outside the file.
    InvalidOffset = "INVALID_OFFSET", InvalidArgument, 400, Failed;
    /// A piece or chunk is longer than allowed, or reaches past the file's end.
    TooManyBytes = "TOO_MANY_BYTES", InvalidArgument, 413, Failed;
    /// No such video, upload, source, job or page.
    NotFound = "NOT_FOUND", NotFound, 404, NotFound;
    /// It will be there, but is not yet: try again.
    NotReady = "NOT_READY", Unavailable, 503, Failed;
    /// Bytes do not have the sum that was sent with them.
    ChecksumMismatch = "CHECKSUM_MISMATCH", DataLoss, 400, Failed;
    /// Other bytes are recorded for this range.
    BytesDiffer = "BYTES_DIFFER", Aborted, 409, Failed;
    /// The upload is complete and takes no more bytes.
    UploadComplete = "UPLOAD_COMPLETE", FailedPrecondition, 409, Failed;
    /// The upload can't be completed: ranges are missing.
    BytesMissing = "BYTES_MISSING", FailedPrecondition, 409, Failed;
    /// The source is being removed.
    SourceDying = "SOURCE_DYING", FailedPrecondition, 410, Failed;
    /// The thing has another revision than expected: read it again.
    RevisionMismatch = "REVISION_MISMATCH", Aborted, 412, Failed;
    /// The lease was lost to another worker.
    StaleFence = "STALE_FENCE", Aborted, 409, Failed;
    /// The objects in the store belong to another catalog, or nobody knows to which.
    ForeignObjects = "FOREIGN_OBJECTS", FailedPrecondition, 409, Failed;
    /// A request id was used before for something else.
    RequestIdReused = "REQUEST_ID_REUSED", InvalidArgument, 400, Failed;
    /// The caller may not do this.
    PermissionDenied = "PERMISSION_DENIED", PermissionDenied, 403, Failed;
    /// The request is for a host that this server does not answer to.
    HostNotAllowed = "HOST_NOT_ALLOWED", PermissionDenied, 421, Failed;
    /// A page of another site may not change anything here.
    OriginNotAllowed = "ORIGIN_NOT_ALLOWED", PermissionDenied, 403, Failed;
    /// A request's bytes stopped coming.
    Stalled = "STALLED", DeadlineExceeded, 408, Failed;
    /// No room: disk, memory or connections; try again later.
    ResourceExhausted = "RESOURCE_EXHAUSTED", ResourceExhausted, 429, Failed;
    /// The disk is full.
    NoSpace = "NO_SPACE", ResourceExhausted, 507, Failed;
    /// A service or store does not answer, or is stopping: try again.
    Unavailable = "UNAVAILABLE", Unavailable, 503, Unreachable;
    /// It took too long.
    DeadlineExceeded = "DEADLINE_EXCEEDED", DeadlineExceeded, 504, Failed;
    /// This server does not do that.
    Unimplemented = "UNIMPLEMENTED", Unimplemented, 501, Failed;
    /// Our fault; the log says more.
    Internal = "INTERNAL", Internal, 500, Failed;
}

impl Reason {
    fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == text)
    }

    /// The nearest reason for a status that carries none of ours (made by the transport or a proxy).
    fn of_code(code: Code) -> Self {
        match code {
            // tonic reports its own timeouts as `Cancelled`.
            Code::DeadlineExceeded | Code::Cancelled => Self::DeadlineExceeded,
            Code::InvalidArgument | Code::OutOfRange => Self::InvalidArgument,
            Code::NotFound => Self::NotFound,
            Code::PermissionDenied | Code::Unauthenticated => Self::PermissionDenied,
            Code::ResourceExhausted => Self::ResourceExhausted,
            Code::Unavailable => Self::Unavailable,
            Code::Unimplemented => Self::Unimplemented,
            _ => Self::Internal,
        }
    }
}

/// A field that is wrong, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldViolation {
    /// Name of the field as in the contract, such as `update_mask`.
    pub field: String,
    /// What is wrong with it.
    pub description: String,
}

/// An error that crosses a boundary: a stable reason for programs, a sentence for people.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct Problem {
    /// What programs branch on.
    pub reason: Reason,
    /// Lowercase, says what to do where something can be done.
    pub message: String,
    /// Wrong fields, if that is what it is about.
    pub fields: Vec<FieldViolation>,
    /// When to try again.
    pub retry_after: Option<Duration>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Problem {
    /// A problem without fields.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), fields: Vec::new(), retry_after: None }
    }

    /// A wrong field.
    pub fn field(field: &str, description: impl Into<String>) -> Self {
        let description = description.into();
        Self {
            reason: Reason::InvalidArgument,
            message: format!("{field}: {description}"),
            fields: vec![FieldViolation { field: field.to_owned(), description }],
            retry_after: None,
        }
    }

    /// Nothing of that kind with that id.
    pub fn not_found(what: &str, id: impl fmt::Display) -> Self {
        Self::new(Reason::NotFound, format!("there is no {what} {id}"))
    }

    /// Try again after `delay`.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }
}

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        let mut details = ErrorDetails::with_error_info(problem.reason.as_str(), DOMAIN, HashMap::new());
        for violation in &problem.fields {
            details.add_bad_request_violation(&violation.field, &violation.description);
        }
        if let Some(delay) = problem.retry_after {
            details.set_retry_info(Some(delay));
        }
        Self::with_error_details(problem.reason.code(), problem.message, details)
    }
}

impl From<Status> for Problem {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let ours =
            details.error_info().filter(|info| info.domain == DOMAIN).and_then(|info| Reason::parse(&info.reason));
        let fields = details.bad_request().map_or_else(Vec::new, |bad| {
            let violation = |v: &tonic_types::FieldViolation| FieldViolation {
                field: v.field.clone(),
                description: v.description.clone(),
            };
            bad.field_violations.iter().map(violation).collect()
        });
        Self {
            reason: ours.unwrap_or_else(|| Reason::of_code(status.code())),
            message: status.message().to_owned(),
            fields,
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_survives_the_wire() {
        for reason in Reason::ALL {
            let mut problem = Problem::field("size", "must be at least 1").retry_after(Duration::from_secs(3));
            problem.reason = *reason;
            let status = Status::from(problem.clone());
            assert_eq!(status.code(), reason.code());
            assert_eq!(Problem::from(status), problem);
        }
    }

    #[test]
    fn a_foreign_status_gets_the_nearest_reason() {
        assert_eq!(Problem::from(Status::unavailable("x")).reason, Reason::Unavailable);
        assert_eq!(Problem::from(Status::cancelled("Timeout expired")).reason, Reason::DeadlineExceeded);
    }
}
