//! vidstream-tests
