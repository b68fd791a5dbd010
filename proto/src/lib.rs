//! vidstream-proto
