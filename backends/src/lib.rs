//! vidstream-backends
