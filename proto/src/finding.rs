//! What services find of themselves.

use crate::pb::{Examination, Finding, Verdict};
use crate::time::timestamp;
use std::time::SystemTime;

impl Finding {
    /// `part` is as it should be.
    pub fn fine(service: &str, part: &str, text: impl Into<String>) -> Self {
        Self::new(service, part, Verdict::Fine, text.into(), "")
    }

    /// `part` works, and somebody should have a look.
    pub fn doubtful(service: &str, part: &str, text: impl Into<String>, advice: &str) -> Self {
        Self::new(service, part, Verdict::Doubtful, text.into(), advice)
    }

    /// `part` does not work.
    pub fn wrong(service: &str, part: &str, text: impl Into<String>, advice: &str) -> Self {
        Self::new(service, part, Verdict::Wrong, text.into(), advice)
    }

    fn new(service: &str, part: &str, verdict: Verdict, text: String, advice: &str) -> Self {
        Self { service: service.into(), part: part.into(), verdict: verdict.into(), text, advice: advice.into() }
    }
}

impl Examination {
    /// What a service whose clock says `now` has found.
    pub fn new(now: SystemTime, findings: Vec<Finding>) -> Self {
        Self { findings, now: Some(timestamp(now)), version: env!("CARGO_PKG_VERSION").into() }
    }
}
