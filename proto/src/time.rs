//! Instants and durations as the wire carries them (`google.protobuf.Timestamp` and `Duration`).

use crate::error::Problem;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An instant for the wire; before 1970 is 1970.
pub fn timestamp(time: SystemTime) -> prost_types::Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    prost_types::Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(since.subsec_nanos()).unwrap_or(0),
    }
}

/// An instant from the wire.
pub fn system_time(field: &str, stamp: &prost_types::Timestamp) -> Result<SystemTime, Problem> {
    let nanos = u32::try_from(stamp.nanos).ok().filter(|n| *n < 1_000_000_000);
    let (Ok(seconds), Some(nanos)) = (u64::try_from(stamp.seconds), nanos) else {
        return Err(Problem::field(field, "is not an instant since 1970"));
    };
    UNIX_EPOCH.checked_add(Duration::new(seconds, nanos)).ok_or_else(|| Problem::field(field, "is too far away"))
}

/// A duration for the wire.
pub fn proto_duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

/// A duration from the wire; negative ones are refused.
pub fn std_duration(field: &str, duration: &prost_types::Duration) -> Result<Duration, Problem> {
    let nanos = u32::try_from(duration.nanos).ok().filter(|n| *n < 1_000_000_000);
    match (u64::try_from(duration.seconds), nanos) {
        (Ok(seconds), Some(nanos)) => Ok(Duration::new(seconds, nanos)),
        _ => Err(Problem::field(field, "must not be negative")),
    }
}
