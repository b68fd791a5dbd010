//! What time it is by the server: ages are told by the clock that dated the objects, whatever ours says.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use aws_sdk_s3::{
    config::{ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeDeserializationInterceptorContextRef},
    error::BoxError,
    primitives::{DateTime, DateTimeFormat},
};

/// The server's clock, as its answers (`Date`) told it last.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServerClock(Arc<Mutex<Option<(Instant, SystemTime)>>>);

impl ServerClock {
    /// Now, to a second or two. Our own clock, of a server that never says.
    fn now(&self) -> SystemTime {
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some((heard, date)) => date + heard.elapsed(),
            None => SystemTime::now(),
        }
    }

    /// How long ago `written` was; zero where it lies ahead.
    pub(crate) fn age(&self, written: Option<&DateTime>) -> Duration {
        let written = written.and_then(|date| SystemTime::try_from(*date).ok());
        written.and_then(|written| self.now().duration_since(written).ok()).unwrap_or_default()
    }

    fn set(&self, date: &str) {
        let date =
            DateTime::from_str(date, DateTimeFormat::HttpDate).ok().and_then(|date| SystemTime::try_from(date).ok());
        if let Some(date) = date {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), date));
        }
    }
}

impl Intercept for ServerClock {
    fn name(&self) -> &'static str {
        "ServerClock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().headers().get("date") {
            self.set(date);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_by_the_clock_of_the_server() {
        let clock = ServerClock::default();
        let written = DateTime::from_str("Sun, 06 Nov 1994 08:49:37 GMT", DateTimeFormat::HttpDate).unwrap();
        assert!(clock.age(Some(&written)) > Duration::from_hours(24 * 365 * 20), "nothing was heard: ours");
        clock.set("Sun, 06 Nov 1994 08:50:37 GMT");
        clock.set("nonsense");
        let age = clock.age(Some(&written));
        assert!((60..70).contains(&age.as_secs()), "{age:?}");
        clock.set("Sun, 06 Nov 1994 08:40:00 GMT");
        assert_eq!(clock.age(Some(&written)), Duration::ZERO);
        assert_eq!(clock.age(None), Duration::ZERO);
    }
}
