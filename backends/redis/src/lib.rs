//! The event bus on Redis.
