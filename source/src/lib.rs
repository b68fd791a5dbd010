//! vidstream-source
