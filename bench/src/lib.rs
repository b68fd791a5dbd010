//! vidstream-bench
