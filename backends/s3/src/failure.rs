//! What a server, or the way to it, did: of a kind that code may branch on, and in words for whoever has to mend it.

use std::error::Error;
use std::io;

use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{ConnectorError, ProvideErrorMetadata, SdkError},
};

/// Why a request did not do what it should, after all attempts.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{words}")]
pub struct Failure {
    /// What code may branch on.
    pub kind: Kind,
    words: String,
}

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No such object.
    NoObject,
    /// No such bucket.
    NoBucket,
    /// A condition of the request did not hold: the object exists, or is not the one that was meant.
    Condition,
    /// Somebody writes or deletes the same object right now.
    Conflict,
    /// The range begins behind the object's end.
    Range,
    /// No upload in parts of this id: it was completed or aborted.
    NoUpload,
    /// The server is full, or a quota is.
    NoSpace,
    /// The keys are unknown, wrong, or may not do this.
    Denied,
    /// The server can't do this, or not in this way.
    Unsupported,
    /// Not reached, no answer in time, or a failure of the server: the same may succeed later.
    Unavailable,
    /// Something else, which trying again will hardly mend.
    Other,
}

impl Kind {
    /// Whether the same request may succeed later with nothing changed in the settings.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::Unavailable | Self::Conflict | Self::NoSpace)
    }
}

impl Failure {
    pub(crate) fn new(kind: Kind, words: impl Into<String>) -> Self {
        Self { kind, words: words.into() }
    }

    /// What the SDK says, told of the server at `endpoint` and of its bucket.
    pub(crate) fn of<E>(error: &SdkError<E, HttpResponse>, endpoint: &str, bucket: &str) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match error {
            SdkError::TimeoutError(_) => Self::new(Kind::Unavailable, format!("{endpoint} did not answer in time")),
            SdkError::DispatchFailure(failure) => {
                if let Some(reason) = distrusted(failure.as_connector_error()) {
                    let words =
                        format!("the certificate of {endpoint} is not trusted: {reason}; ca= names who may sign it");
                    return Self::new(Kind::Other, words);
                }
                let timeout = failure.as_connector_error().is_some_and(ConnectorError::is_timeout);
                let cause = if timeout { "no answer in time".to_owned() } else { root(error) };
                Self::new(Kind::Unavailable, format!("{endpoint} can't be reached: {cause}"))
            }
            SdkError::ResponseError(_) => {
                let words = format!("what answers at {endpoint} does not speak S3's protocol: {}", root(error));
                Self::new(Kind::Other, words)
            }
            SdkError::ServiceError(_) => {
                let status = error.raw_response().map_or(0, |response| response.status().as_u16());
                Self::answered(status, error.code(), error.message(), endpoint, bucket)
            }
            _ => Self::new(Kind::Other, format!("the request can't be made: {}", root(error))),
        }
    }

    /// What an answer with `status`, and in its body perhaps a code and a message, means.
    fn answered(status: u16, code: Option<&str>, message: Option<&str>, endpoint: &str, bucket: &str) -> Self {
        let kind = kind(status, code);
        // What the SDK says of an answer without a body.
        let message = message.filter(|message| *message != "unhandled error").unwrap_or_default();
        let said = match (code, message) {
            (Some(code), "") => format!("{status} {code}"),
            (Some(code), message) => format!("{status} {code}: {}", message.trim_end_matches('.')),
            (None, _) => format!("status {status}, without a reason"),
        };
        let advice = match (kind, code) {
            (Kind::NoBucket, _) => format!("bucket {bucket} does not exist at {endpoint}; make it, or correct the URL"),
            (Kind::Denied, Some("InvalidAccessKeyId" | "XAdminUserNotFound")) => {
                format!("the access key is not known at {endpoint}")
            }
            (Kind::Denied, Some("SignatureDoesNotMatch")) => {
                format!("the secret key is not the access key's at {endpoint}")
            }
            (Kind::Denied, Some("ExpiredToken" | "TokenRefreshRequired")) => "the session's keys have expired".into(),
            (Kind::Denied, Some("RequestTimeTooSkewed")) => {
                format!("the clocks of {endpoint} and of this machine differ; correct the wrong one")
            }
            (Kind::Denied, _) => format!("the keys may not do this in bucket {bucket} at {endpoint}"),
            (Kind::NoSpace, _) => format!("{endpoint} has no space left, or a quota is reached"),
            (Kind::Unavailable, Some("SlowDown" | "SlowDownRead" | "SlowDownWrite") | None) if status == 503 => {
                format!("{endpoint} asks to be asked less often")
            }
            (Kind::Unavailable, _) => format!("{endpoint} failed"),
            (Kind::Other, Some("PermanentRedirect" | "AuthorizationHeaderMalformed")) => {
                format!("bucket {bucket} is in another region; say which with ?region=")
            }
            (Kind::Other, None) => format!("what answers at {endpoint} does not look like S3"),
            _ => format!("{endpoint} refused"),
        };
        Self::new(kind, format!("{advice} ({said})"))
    }
}

/// What is wrong with the server's certificate, if it is that.
fn distrusted(failure: Option<&ConnectorError>) -> Option<String> {
    let mut cause: Option<&(dyn Error + 'static)> = failure.and_then(Error::source);
    while let Some(error) = cause {
        if let Some(rustls::Error::InvalidCertificate(reason)) = error.downcast_ref() {
            return Some(reason.to_string());
        }
        // Errors of the system leave the one they were made of out of the chain.
        cause = match error.downcast_ref::<io::Error>() {
            Some(error) => error.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

fn kind(status: u16, code: Option<&str>) -> Kind {
    match (code, status) {
        (Some("NoSuchBucket"), _) => Kind::NoBucket,
        (Some("NoSuchKey" | "NotFound"), _) => Kind::NoObject,
        // What versitygw says of an access key.
        (Some("XAdminUserNotFound"), _) => Kind::Denied,
        (Some("NoSuchUpload"), _) => Kind::NoUpload,
        // The last is what versitygw says of a write below a folder of files that is removed at the same time.
        (Some("ConditionalRequestConflict" | "OperationAborted" | "ExistingObjectIsDirectory"), _) => Kind::Conflict,
        (Some("XMinioStorageFull" | "QuotaExceeded" | "XMinioAdminBucketQuotaExceeded" | "EntityQuotaExceeded"), _)
        | (_, 507) => Kind::NoSpace,
        (Some("MissingContentMD5" | "NotImplemented" | "MethodNotAllowed"), _) | (_, 405 | 501) => Kind::Unsupported,
        (_, 412) => Kind::Condition,
        (_, 416) => Kind::Range,
        (_, 401 | 403) => Kind::Denied,
        (_, 408 | 429 | 500..=599) => Kind::Unavailable,
        _ => Kind::Other,
    }
}

/// The innermost cause, which says most: "connection refused", not "dispatch failure".
pub(crate) fn root(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, code: &str, message: &str) -> Failure {
        let some = |text: &'static str| (!text.is_empty()).then_some(text);
        let (code, message) = (String::from(code).leak(), String::from(message).leak());
        Failure::answered(status, some(code), some(message), "http://host", "films")
    }

    #[test]
    fn answers_have_a_kind_and_say_what_to_do() {
        for (status, code, kind, words) in [
            (404, "NoSuchKey", Kind::NoObject, "refused"),
            (404, "NoSuchBucket", Kind::NoBucket, "bucket films does not exist at http://host; make it"),
            (404, "", Kind::Other, "does not look like S3 (status 404, without a reason)"),
            (403, "AccessDenied", Kind::Denied, "may not do this in bucket films"),
            (403, "InvalidAccessKeyId", Kind::Denied, "the access key is not known"),
            (404, "XAdminUserNotFound", Kind::Denied, "the access key is not known"),
            (403, "SignatureDoesNotMatch", Kind::Denied, "the secret key"),
            (403, "RequestTimeTooSkewed", Kind::Denied, "clocks"),
            (403, "QuotaExceeded", Kind::NoSpace, "quota"),
            (507, "XMinioStorageFull", Kind::NoSpace, "no space left"),
            (507, "", Kind::NoSpace, "no space left"),
            (503, "SlowDown", Kind::Unavailable, "asked less often"),
            (500, "InternalError", Kind::Unavailable, "http://host failed (500 InternalError)"),
            (409, "ConditionalRequestConflict", Kind::Conflict, "refused"),
            (412, "PreconditionFailed", Kind::Condition, "refused"),
            (416, "InvalidRange", Kind::Range, "refused"),
            (301, "PermanentRedirect", Kind::Other, "another region"),
            (400, "MissingContentMD5", Kind::Unsupported, "refused"),
            (501, "", Kind::Unsupported, "refused"),
        ] {
            let failure = told(status, code, "");
            assert_eq!(failure.kind, kind, "{status} {code}");
            assert!(failure.to_string().contains(words), "{status} {code}: {failure}");
        }
        let said = told(403, "AccessDenied", "Access Denied.").to_string();
        assert!(said.ends_with("(403 AccessDenied: Access Denied)"), "{said}");
    }
}
