//! vidstream-catalog
